//! Files in, checked values out: settings, limits, the phases file.
//! Never here: opening sockets or stores.

pub mod limits;
pub mod settings;

pub use settings::Settings;
