//! System tests on real engines, and what they share.
//! Never here: product code.

pub mod harness;
