//! (room owner writes this header)
pub mod demo;
