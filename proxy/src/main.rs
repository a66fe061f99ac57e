//! The `segue` program. Never here: anything but handing over to the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    segue::cli::main()
}
