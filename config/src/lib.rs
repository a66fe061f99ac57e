//! Files in, checked values out: settings, limits, the phases file, the settings reference page.
//! Never here: opening sockets or stores.

mod document;
mod fault;
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
