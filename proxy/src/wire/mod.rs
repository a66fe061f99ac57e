//! MySQL's client/server protocol: bytes to packets and back, and which packets make up an answer.
//! Never here: policy, statements' meaning, or which connection a packet belongs to.

pub mod bulk;
pub mod capability;
pub mod channel;
pub mod command;
pub mod compressed;
pub mod cursor;
pub mod execute;
pub mod frame;
pub mod greeting;
pub mod login;
pub mod packing;
pub mod proxy_header;
pub mod query;
pub mod response;
pub mod rows;
pub mod scan;
pub mod sha2;
pub mod status;
pub mod transport;

/// What can go wrong between bytes and packets.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    #[error("packet larger than {0} bytes")]
    TooLarge(usize),
    #[error("connection closed by the other side")]
    Closed,
}
