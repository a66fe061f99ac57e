//! `chaos --rounds N --seed S --server mysql|mariadb`: rounds of random faults; see `cargo xtask chaos`.
//! Never here: what a round is (see `segue_tests::chaos`).

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use segue_tests::chaos::{self, Options};
use segue_tests::harness::Kind;

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Round n has the seed S + n; a random one where it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// mysql or mariadb
    #[arg(long, default_value = "mysql")]
    server: String,
    /// How long clients begin transactions in one round
    #[arg(long, default_value_t = 1_200)]
    load_ms: u64,
    /// Clients of each of the three sidecars
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Go on after a failed round
    #[arg(long)]
    keep_going: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let kind = match arguments.server.as_str() {
        "mariadb" => Kind::MariaDb,
        "mysql" | "mysql97" => Kind::Mysql97,
        other => anyhow::bail!("`{other}` is no server: use mysql or mariadb"),
    };
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut options = Options::new(kind, arguments.rounds, seed);
    options.load = Duration::from_millis(arguments.load_ms);
    options.clients = arguments.clients;
    options.keep_going = arguments.keep_going;
    println!("chaos: {} rounds from seed {seed}", options.rounds);
    match chaos::run(options).await? {
        None => Ok(ExitCode::from(2)),
        Some(summary) => {
            println!("{summary}");
            Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
