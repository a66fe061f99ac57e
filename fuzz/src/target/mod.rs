//! One file a target. Each `run` takes any bytes and panics only where the product is wrong.
//! Never here: input structure that several need (see `input`).

pub mod answers;
pub mod attributes;
pub mod authentication;
pub mod compressed;
pub mod contract;
pub mod execute;
pub mod frames;
pub mod greeting;
pub mod journal;
pub mod login;
pub mod prepared;
pub mod query;
pub mod requests;
pub mod rewrite;
pub mod settings;
pub mod statements;
