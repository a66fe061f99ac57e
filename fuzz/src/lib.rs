//! Whatever reads bytes of a socket, a file or a client's text, as functions over arbitrary bytes: each
//! drives the product's own code and panics where something that must hold does not.
//! Never here: looking for inputs (`main.rs`, with libFuzzer), or product code.
//!
//! `corpus/TARGET` holds inputs: recorded exchanges, statements, and what once failed. `cargo test` runs
//! them all; `cargo xtask fuzz` looks for more.

mod input;
mod shop;
mod target;

/// One thing to try.
pub struct Target {
    /// Name of its corpus folder.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Longest input worth trying, in bytes.
    pub input_bytes_max: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "answers", run: target::answers::run, input_bytes_max: 2_048 },
    Target { name: "attributes", run: target::attributes::run, input_bytes_max: 1_024 },
    Target { name: "authentication", run: target::authentication::run, input_bytes_max: 1_024 },
    Target { name: "compressed", run: target::compressed::run, input_bytes_max: 2_048 },
    Target { name: "contract", run: target::contract::run, input_bytes_max: 8_192 },
    Target { name: "execute", run: target::execute::run, input_bytes_max: 1_024 },
    Target { name: "execute_round_trip", run: target::execute::round_trip, input_bytes_max: 512 },
    Target { name: "fault_script", run: target::settings::fault_script, input_bytes_max: 2_048 },
    Target { name: "frames", run: target::frames::run, input_bytes_max: 4_096 },
    Target { name: "greeting", run: target::greeting::run, input_bytes_max: 512 },
    Target { name: "journal", run: target::journal::run, input_bytes_max: 4_096 },
    Target { name: "login", run: target::login::run, input_bytes_max: 512 },
    Target { name: "owed", run: target::journal::debt, input_bytes_max: 2_048 },
    Target { name: "phases", run: target::settings::phases, input_bytes_max: 2_048 },
    Target { name: "prepared", run: target::prepared::run, input_bytes_max: 1_024 },
    Target { name: "query", run: target::query::run, input_bytes_max: 1_024 },
    Target { name: "requests", run: target::requests::run, input_bytes_max: 1_024 },
    Target { name: "rewrite", run: target::rewrite::run, input_bytes_max: 2_048 },
    Target { name: "settings", run: target::settings::run, input_bytes_max: 4_096 },
    Target { name: "statements", run: target::statements::run, input_bytes_max: 2_048 },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
