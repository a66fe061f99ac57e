//! `bench_relay`: what a query costs through Segue in `mysql-only`, against a plain TCP relay and other
//! people's proxies. Rounds of all peers alternate in one run, so that the machine's moods meet all.
//! Never here: dual-write (see `bench_write`).

mod load;
mod peers;
mod report;

use anyhow::{Context, Result};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use segue_tests::harness::{Kind, Server, scratch};

use load::Workload;
use report::{Cell, Report};

#[derive(Parser)]
struct Arguments {
    /// Rounds of each cell
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Seconds of one run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    clients: Vec<u32>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = ["--max-connections=500", "--innodb-flush-log-at-trx-commit=2"];
    let server = Server::start_with(Kind::Mysql97, &options).await?;
    let server_pids: Vec<u32> = server.pid().into_iter().collect();
    let database = server.database("bench", "").await?;
    load::prepare(server.port(), &database).await?;
    let peers = peers::start(&server, &database, &scratch("bench-relay")?).await?;
    let mut report = Report::default();
    for round in 1..=arguments.rounds {
        for workload in Workload::ALL {
            for &clients in &arguments.clients {
                eprintln!("round {round} of {}: {}, {clients}", arguments.rounds, workload.name());
                let mut order: Vec<_> = peers.iter().collect();
                order.shuffle(&mut StdRng::seed_from_u64(round));
                for peer in order {
                    let way = (peer.port, peer.pid);
                    let what = (workload, clients);
                    let figures = load::run(way, &server_pids, &database, what, arguments.seconds);
                    let figures = figures.await.with_context(|| peer.name.to_owned())?;
                    report.add(Cell { workload, clients, peer: peer.name }, figures);
                }
            }
        }
    }
    println!("{} rounds of {} s, one thread each", arguments.rounds, arguments.seconds);
    report.print();
    Ok(())
}
