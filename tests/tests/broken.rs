//! The tests' own test: a sidecar that is broken on purpose is noticed by the oracle after random changes, and
//! an unbroken one that is started the same way is not.
//! Never here: kills and outages (see `chaos`).
//!
//! Two sidecars serve one database, because conditions only matter between several writers. Both pause
//! at random before they write, broken or not, so that races are likely. The changes are few forms on few
//! rows: statements that Segue cannot follow would be swept, and sweeps mend what a fault broke.
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue::app::AppOptions;
use segue::mirror::MirrorFaults;
use segue::mysql::control::Control;
use segue_tests::harness::{Database, Engine, InsideSegue, Items, SegueConfig, Server};
use segue_tests::on_each_server;
use segue_tests::stage::seed;
use segue_tests::workload::oracle::{self, Differences, Source, Target};
use segue_tests::workload::{self, CONTRACT_B};
use serde_json::json;

/// Workloads on one stage before a fault counts as unnoticed.
const ROUNDS: u64 = 8;
/// Workloads that an unbroken pair must get through.
const ROUNDS_UNBROKEN: u64 = 2;
/// Clients, every other one through the same sidecar.
const CLIENTS: usize = 8;
/// Transactions of each client in one round.
const TRANSACTIONS: usize = 15;
/// How often each sidecar writes each page in one round.
const VIEWS: usize = 5;
const PAUSE_BEFORE_PUT: Duration = Duration::from_millis(250);
/// How long a change that will be rolled back stays open.
const UNDECIDED: Duration = Duration::from_millis(60);
/// Pause between two of them, so that the workload gets on.
const DECIDED: Duration = Duration::from_millis(50);
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

struct Pair {
    sidecars: [InsideSegue; 2],
    database: Database,
    control: Control,
    items: Items,
    keys: Arc<Keys>,
    seed: u64,
    _engine: Engine,
}

impl Pair {
    /// Tables filled, and their items made.
    async fn set(server: &Server, faults: MirrorFaults) -> Pair {
        let seed = seed();
        let database = server.database("broken", "").await.unwrap();
        workload::prepare(&database.url, seed).await.unwrap();
        let mut direct = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
        for code in REGIONS {
            let sql = format!("INSERT IGNORE INTO region (code, title) VALUES ('{code}', 'new')");
            direct.query_drop(sql).await.unwrap();
        }
        let engine = Engine::start().await.unwrap();
        let config = SegueConfig::new(server, &database, CONTRACT_B).with_engine(&engine);
        let mirror_faults = MirrorFaults { pause_before_put: PAUSE_BEFORE_PUT, ..faults };
        let start = async || {
            InsideSegue::start(&config, AppOptions { mirror_faults, ..AppOptions::default() })
                .await
                .unwrap()
        };
        let sidecars = [start().await, start().await];
        sidecars[0].post("/api/sweeps", &json!({"all": true})).await.unwrap();
        let control = Control::connect(&database.url, 4).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let keys = Arc::new(Keys::read(&database).await);
        let pair = Pair { sidecars, database, control, items, keys, seed, _engine: engine };
        let differences = pair.differences().await;
        assert!(differences.is_empty(), "before the workload: {differences}");
        pair
    }

    /// Clients of both sidecars change the same rows, and one client's changes never last.
    async fn play(&self, round: u64) {
        let ended = AtomicBool::new(false);
        let clients = (0..CLIENTS).map(|client| {
            let url = self.sidecars[client % 2].url(&self.database);
            let seed = self.seed.wrapping_add(1_000 * round + client as u64);
            tokio::spawn(change(url, self.keys.clone(), StdRng::seed_from_u64(seed)))
        });
        let clients: Vec<_> = clients.collect();
        let workload = async {
            for client in clients {
                client.await.unwrap();
            }
            ended.store(true, Ordering::Relaxed);
        };
        tokio::join!(workload, self.change_and_undo(&ended));
        self.show_undone_rows().await;
        // Last, on rows that no other item shows: nothing refreshes them again.
        tokio::join!(self.count_views(0), self.count_views(1));
        for sidecar in &self.sidecars {
            let refusals = sidecar.metric("segue_refusals_total").await.unwrap();
            assert_eq!(refusals, 0.0, "a sweep would mend what a fault broke");
        }
    }

    /// Changes rows that many items show, and rolls back, until `ended`.
    async fn change_and_undo(&self, ended: &AtomicBool) {
        let mut client = self.client(0).await;
        while !ended.load(Ordering::Relaxed) {
            client.query_drop("BEGIN").await.unwrap();
            for code in REGIONS {
                let sql = format!("UPDATE region SET title = 'undone' WHERE code = '{code}'");
                // A deadlock with the others is no matter: it rolls back as well.
                let _ = client.query_drop(sql).await;
            }
            tokio::time::sleep(UNDECIDED).await;
            client.query_drop("ROLLBACK").await.unwrap();
            tokio::time::sleep(DECIDED).await;
        }
    }

    /// Both sidecars write the same items at the same time.
    async fn count_views(&self, sidecar: usize) {
        let mut client = self.client(sidecar).await;
        for turn in 0..VIEWS {
            for slug in &self.keys.pages {
                let views = 2 * turn + sidecar;
                let sql = format!("UPDATE page SET views = {views} WHERE slug = '{slug}'");
                client.query_drop(sql).await.unwrap();
            }
        }
        client.disconnect().await.unwrap();
    }

    /// Items are refreshed while rows that they show are changed and then rolled back.
    async fn show_undone_rows(&self) {
        let (mut undone, mut lasting) = (self.client(0).await, self.client(1).await);
        undone.query_drop("BEGIN").await.unwrap();
        undone.query_drop("UPDATE region SET title = 'undone again'").await.unwrap();
        for id in &self.keys.accounts {
            let sql =
                format!("UPDATE account SET name = CONCAT(LEFT(name, 50), '.') WHERE id = {id}");
            lasting.query_drop(sql).await.unwrap();
        }
        for sidecar in &self.sidecars {
            sidecar.settle(SETTLE_LIMIT).await.unwrap();
        }
        undone.query_drop("ROLLBACK").await.unwrap();
    }

    async fn client(&self, sidecar: usize) -> Conn {
        let url = self.sidecars[sidecar].url(&self.database);
        Conn::new(Opts::from_url(&url).unwrap()).await.unwrap()
    }

    async fn differences(&self) -> Differences {
        for sidecar in &self.sidecars {
            sidecar.settle(SETTLE_LIMIT).await.unwrap();
        }
        let (control, database) = (&self.control, &self.database.name);
        let source = Source { control, contract: CONTRACT_B, database };
        let target = Target { client: self.items.client(), prefix: "" };
        oracle::compare(source, target).await.unwrap()
    }

    async fn stop(self) {
        for sidecar in self.sidecars {
            sidecar.stop().await;
        }
    }
}

const REGIONS: [&str; 6] = ["north", "south", "east", "west", "mid", "far"];

/// Keys of the rows that are changed.
struct Keys {
    accounts: Vec<u64>,
    purchases: Vec<String>,
    products: Vec<u64>,
    pages: Vec<String>,
    remarks: Vec<u64>,
}

impl Keys {
    async fn read(database: &Database) -> Keys {
        let mut client = Conn::new(Opts::from_url(&database.url).unwrap()).await.unwrap();
        let keys = Keys {
            accounts: client.query("SELECT id FROM account LIMIT 8").await.unwrap(),
            purchases: client.query("SELECT HEX(uid) FROM purchase LIMIT 8").await.unwrap(),
            products: client.query("SELECT id FROM product LIMIT 8").await.unwrap(),
            pages: client.query("SELECT slug FROM page LIMIT 8").await.unwrap(),
            remarks: client.query("SELECT id FROM remark LIMIT 8").await.unwrap(),
        };
        client.disconnect().await.unwrap();
        keys
    }

    /// A statement whose keys Segue knows, so that nothing is ever swept.
    fn statement(&self, random: &mut StdRng) -> String {
        fn one<'a, T>(of: &'a [T], random: &mut StdRng) -> &'a T {
            &of[random.random_range(0..of.len())]
        }
        let number = random.random_range(0..100_000);
        let account = *one(&self.accounts, random);
        match random.random_range(0..8) {
            0 => {
                let code = one(&REGIONS, random);
                format!("UPDATE region SET title = 'Region {number}' WHERE code = '{code}'")
            }
            1 => format!("UPDATE account SET name = 'Name {number}' WHERE id = {account}"),
            2 => {
                let code = one(&REGIONS, random);
                format!("UPDATE account SET region_code = '{code}' WHERE id = {account}")
            }
            // The item's key moves, and with it those of all that hang on it.
            3 => format!("UPDATE account SET email = 'm{number}@x.org' WHERE id = {account}"),
            4 => {
                let purchase = one(&self.purchases, random);
                format!("UPDATE purchase SET account_id = {account} WHERE uid = X'{purchase}'")
            }
            5 => {
                let product = one(&self.products, random);
                format!("UPDATE product SET name = 'Product {number}' WHERE id = {product}")
            }
            6 => {
                let page = one(&self.pages, random);
                format!("UPDATE page SET owner_id = {account} WHERE slug = '{page}'")
            }
            _ => {
                let (page, remark) = (one(&self.pages, random), one(&self.remarks, random));
                format!("UPDATE remark SET page_slug = '{page}', stars = 3 WHERE id = {remark}")
            }
        }
    }
}

/// Transactions of one client: some autocommitted statements, some committed, some rolled back.
async fn change(url: String, keys: Arc<Keys>, mut random: StdRng) {
    let mut client = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    for _ in 0..TRANSACTIONS {
        let end = match random.random_range(0..5) {
            0 | 1 => None,
            2 | 3 => Some("COMMIT"),
            _ => Some("ROLLBACK"),
        };
        if end.is_some() {
            client.query_drop("BEGIN").await.unwrap();
        }
        for _ in 0..random.random_range(1..=3) {
            match client.query_drop(keys.statement(&mut random)).await {
                // A deadlock, a lock that took too long, a mail address that is taken, a price grown too large.
                Err(mysql_async::Error::Server(error)) => {
                    assert!([1205, 1213, 1062, 1020, 1264].contains(&error.code), "{error}");
                }
                answer => answer.unwrap(),
            }
        }
        if let Some(end) = end {
            client.query_drop(end).await.unwrap();
        }
    }
    client.disconnect().await.unwrap();
}

async fn is_noticed(server: &Server, faults: MirrorFaults) {
    let pair = Pair::set(server, faults).await;
    for round in 0..ROUNDS {
        pair.play(round).await;
        let differences = pair.differences().await;
        println!("round {round}: {} differences", differences.mismatches.len());
        if !differences.is_empty() {
            return pair.stop().await;
        }
    }
    panic!("seed {}: {ROUNDS} rounds did not notice {faults:?}", pair.seed);
}

on_each_server!(an_unbroken_pair_differs_in_nothing, |server: &'static Server| async move {
    let pair = Pair::set(server, MirrorFaults::default()).await;
    for round in 0..ROUNDS_UNBROKEN {
        pair.play(round).await;
        let differences = pair.differences().await;
        assert!(differences.is_empty(), "seed {}, round {round}: {differences}", pair.seed);
        assert!(differences.expected_items > 0, "there is something to compare");
    }
    pair.stop().await;
});

on_each_server!(writing_without_conditions_is_noticed, |server: &'static Server| is_noticed(
    server,
    MirrorFaults { ignore_conditions: true, ..MirrorFaults::default() }
));

on_each_server!(skipping_joined_items_is_noticed, |server: &'static Server| is_noticed(
    server,
    MirrorFaults { skip_fan_out: true, ..MirrorFaults::default() }
));

on_each_server!(mirroring_what_is_rolled_back_is_noticed, |server: &'static Server| is_noticed(
    server,
    MirrorFaults { read_uncommitted: true, ..MirrorFaults::default() }
));

on_each_server!(forgetting_the_state_before_is_noticed, |server: &'static Server| is_noticed(
    server,
    MirrorFaults { skip_old_image: true, ..MirrorFaults::default() }
));
