//! The server's greeting: read, narrowed, read again.
//! Never here: logins.

use segue::wire::capability::{Capabilities, LONG_PASSWORD};
use segue::wire::greeting::Greeting;

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (low, extended) = (Capabilities::from(input.word()), Capabilities::from(input.word()));
    let original = input.rest();
    let Ok(greeting) = Greeting::parse(original) else { return };
    let mut payload = original.to_vec();
    // Being MariaDB is said by a capability bit, which narrowing never sets or clears.
    let is_mariadb = greeting.capabilities & LONG_PASSWORD == 0;
    let low = low & !LONG_PASSWORD | greeting.capabilities & LONG_PASSWORD;
    let capabilities = if is_mariadb { extended << 32 | low } else { low };
    greeting.narrow(&mut payload, capabilities);
    assert_eq!(payload.len(), original.len());
    let narrowed = Greeting::parse(&payload).expect("narrowing keeps the layout");
    assert_eq!(narrowed.capabilities, capabilities);
    assert_eq!(narrowed.server_version, greeting.server_version);
    assert_eq!(narrowed.connection, greeting.connection);
    assert_eq!(narrowed.status, greeting.status);
    assert_eq!(narrowed.scramble, greeting.scramble);
    let changed = payload.iter().zip(original).filter(|(new, old)| new != old).count();
    assert!(changed <= 8, "{changed} bytes changed");
    // What was there before comes back whole.
    greeting.narrow(&mut payload, greeting.capabilities);
    assert_eq!(payload, original);
}
