//! Segue's proxy: carries out what `segue-rules` decides.
//! Never here: decisions that a pure function can take.

pub mod app;
pub mod cli;
pub mod console;
pub mod control;
pub mod dynamo;
pub mod execute;
pub mod journal;
pub mod mirror;
pub mod movement;
pub mod mysql;
pub mod session;
pub mod telemetry;
pub mod wire;
