//! The database that the relay's tests use: the store's tables, mapped, and some that are not.
//! Never here: statements.

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, SegueConfig, SegueProcess, Server};
pub use segue_tests::shop::{CONTRACT, refill};

/// An empty store.
pub async fn database(server: &Server) -> Database {
    let database = server.database("relay", "").await.unwrap();
    // Statistics renewed in the background change plans, and with them flags and estimates in answers.
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL innodb_stats_auto_recalc = OFF").await.unwrap();
    root.disconnect().await.unwrap();
    refill(server, &database).await.unwrap();
    database
}

/// Segue before a store, in a phase.
pub async fn segue(server: &Server, database: &Database, phase: &str) -> SegueProcess {
    segue_with(server, database, phase, &[]).await
}

/// The same with settings of the environment.
pub async fn segue_with(
    server: &Server,
    database: &Database,
    phase: &str,
    environment: &[(&str, &str)],
) -> SegueProcess {
    let mut config = SegueConfig::new(server, database, CONTRACT).with_phase(phase);
    let given = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    config.environment.extend(given);
    SegueProcess::start(&config).await.unwrap()
}

/// `HOST:PORT` of Segue.
pub fn address(segue: &SegueProcess) -> String {
    format!("127.0.0.1:{}", segue.mysql_port())
}
