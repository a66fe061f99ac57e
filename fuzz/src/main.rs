//! libFuzzer's program. `SEGUE_FUZZ_TARGET` names what is tried; the arguments are libFuzzer's.
//! Never here: what is tried. `cargo xtask fuzz` builds and runs this.

#![no_main]

use std::sync::OnceLock;

use segue_fuzz::Target;

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn choose() {
    let name = std::env::var("SEGUE_FUZZ_TARGET").unwrap_or_default();
    match segue_fuzz::target(&name) {
        Some(target) => {
            let _ = CHOSEN.set(target);
        }
        None => {
            let known: Vec<&str> = segue_fuzz::TARGETS.iter().map(|target| target.name).collect();
            eprintln!("SEGUE_FUZZ_TARGET is `{name}`; it may be one of {}", known.join(", "));
            std::process::exit(2);
        }
    }
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    if let Some(target) = CHOSEN.get() {
        (target.run)(data);
    }
});
