//! A client's SSLRequest, handshake response and COM_CHANGE_USER: read, narrowed, read again.
//! Never here: authentication data.

use segue::wire::capability::{Capabilities, NOT_UNDERSTOOD, PROTOCOL_41, SSL};
use segue::wire::login::{Login, LoginHead, SSL_REQUEST_BYTES, narrow, ssl_request};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() {
        let capabilities = Capabilities::from(input.word());
        if let Ok(login) = Login::parse_change_user(input.rest(), capabilities) {
            assert!(login.database.is_none_or(|name| !name.is_empty() && !name.contains(&0)));
        }
        return;
    }
    // Capabilities of MariaDB that are taken away.
    let mask = Capabilities::from(input.word()) << 32 | Capabilities::from(u32::MAX);
    let original = input.rest();
    let request = ssl_request(original);
    assert_eq!(request.len(), SSL_REQUEST_BYTES);
    let Ok(head) = LoginHead::parse(original) else {
        assert!(Login::parse(original).is_err(), "a login without its fixed part");
        return;
    };
    assert!(LoginHead::parse(&request).is_ok_and(|head| head.is_ssl_request));
    let login = Login::parse(original);
    let mut payload = original.to_vec();
    let wanted = head.capabilities & !NOT_UNDERSTOOD & !SSL & mask;
    narrow(&mut payload, wanted);
    assert_eq!(payload.len(), original.len());
    assert_eq!(payload[32..], original[32..]);
    let narrowed = LoginHead::parse(&payload).expect("narrowing keeps the layout");
    assert_eq!(narrowed.capabilities, wanted);
    assert!(wanted & PROTOCOL_41 != 0 && !narrowed.is_ssl_request);
    match (login, Login::parse(&payload)) {
        (Ok(before), Ok(after)) => {
            assert_eq!(after, Login { capabilities: wanted, ..before });
        }
        (Err(_), Err(_)) => {}
        (before, after) => panic!("{before:?} became {after:?}"),
    }
}
