//! The server's greeting: read, narrowed, read again.
//! Never here: logins.

use segue::wire::greeting::Greeting;

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (capabilities, extended) = (input.word(), input.word());
    let original = input.rest();
    let Ok(greeting) = Greeting::parse(original) else { return };
    let mut payload = original.to_vec();
    // Being MariaDB is said by a capability bit, which narrowing never sets or clears.
    let family = 1;
    let capabilities = capabilities & !family | greeting.capabilities & family;
    greeting.narrow(&mut payload, capabilities, extended);
    assert_eq!(payload.len(), original.len());
    let narrowed = Greeting::parse(&payload).expect("narrowing keeps the layout");
    assert_eq!(narrowed.capabilities, capabilities);
    if greeting.extended != 0 {
        assert_eq!(narrowed.extended, extended);
    }
    assert_eq!(narrowed.server_version, greeting.server_version);
    assert_eq!(narrowed.connection, greeting.connection);
    assert_eq!(narrowed.status, greeting.status);
    assert_eq!(narrowed.scramble, greeting.scramble);
    let changed = payload.iter().zip(original).filter(|(new, old)| new != old).count();
    assert!(changed <= 8, "{changed} bytes changed");
    // What was there before comes back whole.
    greeting.narrow(&mut payload, greeting.capabilities, greeting.extended);
    if greeting.capabilities & family != 0 || greeting.extended != 0 {
        assert_eq!(payload, original);
    }
}
