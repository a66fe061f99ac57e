//! MySQL: the upstream leg of a relayed connection, and the control account's own pool.
//! Never here: what a statement means.

pub mod control;
pub mod upstream;
