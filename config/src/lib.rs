//! Files in, checked values out: settings, limits, phases file, fault script, the settings reference page.
//! Never here: opening sockets or stores.

mod document;
mod fault;
pub mod faults;
mod keys;
pub mod limits;
mod nearest;
pub mod network;
pub mod phases;
pub mod reference;
pub mod settings;

pub use fault::SettingError;
pub use keys::{KEYS, Key, Kind};
pub use nearest::nearest;
pub use settings::Settings;
