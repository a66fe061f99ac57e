//! The commands: arguments in, text or JSON out, an exit code. One file a command.
//! Never here: building parts (`app`), or deciding.

mod admin;
mod backfill;
mod check;
pub mod demo;
mod exit;
mod output;
mod owed;
mod phase;
mod progress;
mod repair;
mod serve;
mod signals;
mod tables;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use segue_config::Settings;

use crate::app::{self, Fault};
use crate::telemetry::init_logging;
pub use exit::Exit;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  differences were found, or a change was refused
  2  bad usage, settings, contract, grants, tables, port or file; every error of `segue check`
  3  MySQL, DynamoDB or the running sidecar was unreachable
  4  long work was interrupted; started again it goes on";

/// A sidecar that speaks MySQL and keeps DynamoDB in step.
#[derive(Parser)]
#[command(name = "segue", version, about, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the sidecar
    Serve(serve::Arguments),
    /// Check contract, schema, grants, DynamoDB, journal and phases; report every finding
    Check(check::Arguments),
    /// Plan, create or compare the contract's DynamoDB tables
    #[command(subcommand)]
    Tables(tables::Tables),
    /// Show or change the phases of tables
    #[command(subcommand)]
    Phase(phase::PhaseCommand),
    /// Copy the rows that were there before the first mirrored write, while the application runs
    Backfill(backfill::Arguments),
    /// Mend what a comparison found; without --apply show what that would be
    Repair(repair::Arguments),
    /// Compare both stores, row by row and item by item, while they are in use; change nothing
    Verify(verify::Arguments),
    /// Show what a running sidecar still owes to DynamoDB
    Owed(owed::Arguments),
    /// Show everything on one machine, on the built-in DynamoDB engine
    Demo(demo::Arguments),
}

/// What every command takes.
#[derive(clap::Args, Clone, Debug)]
struct Common {
    /// Settings file; the environment (SEGUE_...) overrides it
    #[arg(long, value_name = "FILE", default_value = "segue.toml")]
    config: PathBuf,
}

impl Common {
    /// Reads the settings and sets logging up as they say.
    fn settings(&self) -> Result<Settings, Fault> {
        let settings = app::load_settings(&self.config)?;
        init_logging(&settings.log, std::env::var("RUST_LOG").ok().as_deref());
        Ok(settings)
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no faults. A closed pipe cannot be reported anyway.
            let _ = error.print();
            return if error.use_stderr() { Exit::BadConfiguration } else { Exit::Done }.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::fault(&Fault::configuration(
                error.to_string(),
                "",
                "raise the limit of threads",
            ));
            return Exit::BadConfiguration.into();
        }
    };
    let exit = match runtime.block_on(run(arguments.command)) {
        Ok(exit) => exit,
        Err(fault) => {
            output::fault(&fault);
            Exit::from(fault.kind)
        }
    };
    // Threads that still block (a name being resolved) must not hold up the exit.
    runtime.shutdown_background();
    exit.into()
}

async fn run(command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments).await,
        Command::Check(arguments) => check::run(&arguments).await,
        Command::Tables(tables) => tables::run(&tables).await,
        Command::Phase(phase) => phase::run(&phase).await,
        Command::Backfill(arguments) => backfill::run(&arguments).await,
        Command::Repair(arguments) => repair::run(&arguments).await,
        Command::Verify(arguments) => verify::run(&arguments).await,
        Command::Owed(arguments) => owed::run(&arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_name_every_exit_code() {
        Arguments::command().debug_assert();
        let help = Arguments::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("\n  {}  ", exit.code())), "{help}");
        }
    }
}
