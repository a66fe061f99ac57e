//! The packets of an authentication exchange that are read: AuthSwitchRequest, the server's key, OK and
//! ERR. Never here: the exchange.

use segue::wire::response::{ErrPacket, OkPacket};
use segue::wire::sha2;

use crate::input::Input;

pub fn run(data: &[u8]) {
    if let Some((plugin, scramble)) = sha2::auth_switch(data) {
        assert!(!plugin.contains(&0));
        assert!(plugin.len() + scramble.len() < data.len());
    }
    if let Ok(ok) = OkPacket::parse(data) {
        let at = OkPacket::status_at(data).expect("a packet that was read has a status");
        assert_eq!(ok.status.to_le_bytes(), data[at..at + 2]);
        let _ = OkPacket::matched(data, false);
        let _ = OkPacket::matched(data, true);
        assert_eq!(OkPacket::parse(&ok.write()).ok(), Some(ok));
    }
    if let Ok(error) = ErrPacket::parse(data) {
        assert_eq!(ErrPacket::parse(&error.write()).ok(), Some(error));
    }
    let mut input = Input::new(data);
    let (password, scramble) = (input.chunk(), input.chunk());
    if let Some(encrypted) = sha2::encrypt(password, scramble, input.rest()) {
        assert!(!encrypted.is_empty());
    }
}
