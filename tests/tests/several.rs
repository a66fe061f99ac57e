//! Several sidecars on one database, and changes that none of them saw.
//! Never here: broken sidecars (see `broken`), kills (see `chaos`).

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_B, Plan};

/// Transactions of each client.
const TRANSACTIONS: usize = 40;
/// Longest wait until the second sidecar owes nothing.
const SETTLE_LIMIT: std::time::Duration = std::time::Duration::from_secs(180);

on_each_server!(
    items_follow_transactions_through_two_sidecars,
    |server: &'static Server| async move {
        let stage = Stage::mirrored(server, CONTRACT_B, seed()).await.unwrap();
        let config =
            SegueConfig::new(server, &stage.database, CONTRACT_B).with_engine(&stage.engine);
        let second = SegueProcess::start(&config).await.unwrap();
        let plan = |seed: u64, url: &str| {
            let mut plan = Plan::new(seed, url);
            plan.transactions = TRANSACTIONS;
            plan
        };
        let one = plan(stage.seed, &stage.segue.url(&stage.database));
        let two = plan(stage.seed.wrapping_add(1), &second.url(&stage.database));
        let (one, two) = tokio::join!(workload::run(one), workload::run(two));
        one.unwrap().check().unwrap();
        two.unwrap().check().unwrap();
        second.settle(SETTLE_LIMIT).await.unwrap();
        stage.converged().await.unwrap();
        assert!(second.metric("segue_applied_total").await.unwrap() > 0.0, "both had work");
    }
);

on_each_server!(a_sweep_finds_what_nobody_saw, |server: &'static Server| async move {
    let stage = Stage::mirrored(server, CONTRACT_B, seed()).await.unwrap();
    let mut direct = Conn::new(Opts::from_url(&stage.database.url).unwrap()).await.unwrap();
    for sql in [
        "UPDATE account SET name = CONCAT('unseen ', id)",
        "UPDATE account SET email = CONCAT('unseen-', id, '@x.org') WHERE id % 2 = 0",
        "DELETE FROM purchase_line WHERE line_no % 2 = 0",
        "DELETE FROM remark WHERE id % 3 = 0",
    ] {
        direct.query_drop(sql).await.unwrap();
    }
    direct.disconnect().await.unwrap();
    assert!(!stage.differences().await.unwrap().is_empty(), "the changes show");
    stage.refresh_existing().await.unwrap();
    stage.converged().await.unwrap();
});
