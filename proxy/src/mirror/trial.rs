//! The mirror on real engines: random transactions, then every item compared with its row.
//! Never here: SQL capture; the test says itself what each transaction made dirty.
//!
//! Needs `SEGUE_TEST_MYSQL_URL`, `SEGUE_TEST_CONTRACT` and `SEGUE_TEST_SCHEMA`; without them the
//! tests say that they were skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_config::settings::{Dynamodb, Endpoint};
use segue_rules::entity::{BOOKKEEPING, BuildError, Change, Ruleset};
use segue_rules::txn::{Dirty, DirtyEntry, OldImage};
use segue_rules::value::{Cell, Item, ItemKey, SourceKey};

use super::{Mirror, MirrorFaults, MirrorParts, MirrorSettings};
use crate::dynamo::{Billing, Store, key_of, plan};
use crate::journal::{Durability, Journal, JournalOptions};
use crate::movement::Sweeper;
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

struct World {
    pool: mysql_async::Pool,
    control: Control,
    store: Store,
    ruleset: Arc<Ruleset>,
    folder: tempfile::TempDir,
    metrics: Arc<Metrics>,
}

async fn world(database: &str) -> Option<World> {
    let read = |name: &str| std::env::var(name).ok();
    let (Some(url), Some(contract), Some(schema)) =
        (read("SEGUE_TEST_MYSQL_URL"), read("SEGUE_TEST_CONTRACT"), read("SEGUE_TEST_SCHEMA"))
    else {
        eprintln!("skipped: no MySQL to test with");
        return None;
    };
    let mut root = mysql_async::Conn::from_url(&url).await.unwrap();
    root.query_drop(format!("DROP DATABASE IF EXISTS {database}")).await.unwrap();
    root.query_drop(format!("CREATE DATABASE {database}")).await.unwrap();
    let url = format!("{}/{database}", url.trim_end_matches('/'));
    let pool = mysql_async::Pool::new(url.as_str());
    let mut conn = pool.get_conn().await.unwrap();
    let schema = std::fs::read_to_string(schema).unwrap();
    for statement in schema.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        let code: String =
            statement.lines().filter(|line| !line.trim().starts_with("--")).collect();
        if code.trim().is_empty() || code.contains("CREATE DATABASE") || code.contains("USE ") {
            continue;
        }
        conn.query_drop(statement).await.unwrap();
    }
    let control = Control::connect(&url, 16).await.unwrap();
    let catalog = control.catalog(database).await.unwrap();
    let contract = std::fs::read_to_string(contract).unwrap();
    let ruleset = Ruleset::compile(&contract, catalog).unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = Dynamodb {
        region: None,
        endpoint: Endpoint::Embedded { file: None },
        table_prefix: String::new(),
    };
    let store = Store::connect(&settings, metrics.clone()).await.unwrap();
    for table in plan(&ruleset.tables, "", Billing::OnDemand) {
        store.create(&table).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    Some(World { pool, control, store, ruleset: Arc::new(ruleset), folder, metrics })
}

impl World {
    async fn mirror(&self, faults: MirrorFaults) -> (Mirror, super::Recovered, Journal) {
        self.sidecar("one", faults).await
    }

    async fn sidecar(
        &self,
        name: &str,
        faults: MirrorFaults,
    ) -> (Mirror, super::Recovered, Journal) {
        let options = JournalOptions { durability: Durability::Write, bytes_max: 1 << 28 };
        let folder = self.folder.path().join(name);
        let metrics = self.metrics.clone();
        let (journal, recovery) = Journal::open(&folder, options, metrics).await.unwrap();
        let ruleset = self.ruleset.clone();
        let parts = MirrorParts {
            served: Arc::new(|_| true),
            control: self.control.clone(),
            store: self.store.clone(),
            journal: journal.clone(),
            recovery,
            metrics: self.metrics.clone(),
            rulesets: Arc::new(move || ruleset.clone()),
            settings: MirrorSettings::default(),
            faults,
        };
        let (mirror, recovered) = Mirror::start(parts).await;
        (mirror, recovered, journal)
    }

    /// What MySQL says the items should be, against what they are.
    async fn differences(&self) -> Vec<String> {
        let mut wanted: BTreeMap<ItemKey, Item> = BTreeMap::new();
        for entity in &self.ruleset.entities {
            let keys = self.control.scan_keys(entity, None, 100_000).await.unwrap();
            for row in self.control.view(entity, &keys).await.unwrap() {
                match entity.build(&row.main, &row.children) {
                    Ok(built) => drop(wanted.insert(built.key, built.item)),
                    Err(BuildError::KeyAbsent { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        let mut differences = Vec::new();
        for table in &self.ruleset.tables {
            let mut from = None;
            loop {
                let page = self.store.scan(table, from, (0, 1)).await.unwrap();
                for mut item in page.items {
                    let key = key_of(table, &item).unwrap();
                    item.remove(BOOKKEEPING);
                    match wanted.remove(&key) {
                        None => differences.push(format!("no row for {key:?}")),
                        Some(right) if right != item => {
                            differences.push(format!("{key:?}: {item:?} is not {right:?}"));
                        }
                        Some(_) => {}
                    }
                }
                match page.next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
        }
        differences.extend(wanted.into_keys().map(|key| format!("no item for {key:?}")));
        differences
    }
}

/// One random statement: its text and what it makes dirty.
fn statement(random: &mut StdRng, ruleset: &Ruleset) -> (String, Vec<DirtyEntry>) {
    let id = random.random_range(1..8u32);
    let other = random.random_range(1..8u32);
    let number = random.random_range(1..1_000u32);
    let columns = |table: &str, names: &[&str]| -> Change {
        let table = ruleset.catalog.table(table).unwrap();
        let named = names.iter().map(|name| table.column_index(name).unwrap());
        Change::Update(named.collect::<BTreeSet<usize>>())
    };
    let (table, sql, change) = match random.random_range(0..14) {
        0 => (
            "users",
            format!(
                "INSERT INTO users (id, username, email, password_hash) VALUES ({id}, 'u{number}', 'e{number}', 'x')"
            ),
            Change::Insert,
        ),
        1 => (
            "users",
            format!("UPDATE users SET username = 'U{number}' WHERE id = {id}"),
            columns("users", &["username", "updated_at"]),
        ),
        2 if number < 150 => {
            ("users", format!("DELETE FROM users WHERE id = {id}"), Change::Delete)
        }
        3 => (
            "categories",
            format!(
                "INSERT INTO categories (id, name, parent_id) VALUES ({id}, 'c{number}', NULL)"
            ),
            Change::Insert,
        ),
        4 => (
            "categories",
            format!(
                "UPDATE categories SET name = 'C{number}', parent_id = {other} WHERE id = {id}"
            ),
            columns("categories", &["name", "parent_id"]),
        ),
        5 if number < 300 => {
            ("categories", format!("DELETE FROM categories WHERE id = {id}"), Change::Delete)
        }
        6 => (
            "products",
            format!(
                "INSERT INTO products (id, seller_id, category_id, name, price) VALUES ({id}, {other}, {other}, 'p{number}', {number}.5)"
            ),
            Change::Insert,
        ),
        7 => (
            "products",
            format!(
                "UPDATE products SET price = {number}, name = 'P{number}', category_id = {other} WHERE id = {id}"
            ),
            columns("products", &["price", "name", "category_id", "updated_at"]),
        ),
        8 if number < 300 => {
            ("products", format!("DELETE FROM products WHERE id = {id}"), Change::Delete)
        }
        9 => (
            "shopping_carts",
            format!(
                "INSERT INTO shopping_carts (id, user_id, product_id, quantity) VALUES ({id}, {other}, {other}, {number})"
            ),
            Change::Insert,
        ),
        10 => (
            "shopping_carts",
            format!(
                "UPDATE shopping_carts SET quantity = {number}, user_id = {other} WHERE id = {id}"
            ),
            columns("shopping_carts", &["quantity", "user_id", "updated_at"]),
        ),
        11 => (
            "orders",
            format!(
                "INSERT INTO orders (id, user_id, total_amount) VALUES ({id}, {other}, {number})"
            ),
            Change::Insert,
        ),
        12 => (
            "orders",
            format!("UPDATE orders SET status = 'completed', user_id = {other} WHERE id = {id}"),
            columns("orders", &["status", "user_id", "updated_at"]),
        ),
        _ => (
            "order_items",
            format!(
                "INSERT INTO order_items (id, order_id, product_id, quantity, price_at_time) VALUES ({id}, {other}, {other}, 1, {number}) ON DUPLICATE KEY UPDATE quantity = {number}, order_id = {other}"
            ),
            Change::Any,
        ),
    };
    let Some(source) = ruleset.sources.get(table) else { return (sql, Vec::new()) };
    let old_image = match source.needs_old_image(&change, ruleset) {
        true => OldImage::Needed,
        false => OldImage::NotNeeded,
    };
    let key = SourceKey { table: source.name.clone(), key: vec![Cell::Int(i64::from(id))] };
    (sql, vec![DirtyEntry { dirty: Dirty::Key(key), old_image }])
}

/// Transactions of one session through one of the mirrors.
async fn session(world: &World, mirrors: &[Mirror], seed: u64, transactions: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut conn = world.pool.get_conn().await.unwrap();
    for _ in 0..transactions {
        let mirror = &mirrors[random.random_range(0..mirrors.len())];
        conn.query_drop("BEGIN").await.unwrap();
        let mut entries = Vec::new();
        for _ in 0..random.random_range(1..4) {
            let (sql, dirty) = statement(&mut random, &world.ruleset);
            match conn.query_drop(&sql).await {
                Ok(()) => entries.extend(dirty),
                // Deadlock: MySQL rolled the transaction back.
                Err(mysql_async::Error::Server(error)) if error.code == 1213 => entries.clear(),
                // Duplicate key, missing parent: nothing changed, but nobody need know.
                Err(mysql_async::Error::Server(_)) => entries.extend(dirty),
                Err(error) => panic!("{error}"),
            }
        }
        let owed = mirror.owe(world.ruleset.clone(), entries).await;
        if random.random_range(0..8) == 0 {
            conn.query_drop("ROLLBACK").await.unwrap();
            owed.rolled_back();
        } else {
            conn.query_drop("COMMIT").await.unwrap();
            owed.committed(None);
        }
    }
}

async fn play(world: &World, mirrors: &[Mirror], seed: u64, transactions: usize) {
    let sessions = (0..4).map(|number| session(world, mirrors, seed + number, transactions));
    futures_util::future::join_all(sessions).await;
}

fn balanced(mirror: &Mirror) {
    for table in mirror.owed().tables {
        let counts = table.counts;
        assert_eq!(
            counts.seen,
            counts.applied + counts.superseded + counts.owed,
            "{}",
            table.table
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_random_transactions() {
    let Some(world) = world("mirror_random").await else { return };
    let seed = rand::random::<u64>() >> 8;
    eprintln!("seed {seed}");
    let (mirror, _, _journal) = world.mirror(MirrorFaults::default()).await;
    for round in 0..5 {
        let begun = std::time::Instant::now();
        play(&world, std::slice::from_ref(&mirror), seed + 100 * round, 60).await;
        balanced(&mirror);
        let played = begun.elapsed();
        assert!(mirror.wait_idle(Duration::from_secs(30)).await, "{:?}", mirror.owed());
        balanced(&mirror);
        assert_eq!(world.differences().await, Vec::<String>::new(), "seed {seed} round {round}");
        eprintln!("round {round}: played {played:?}, idle after {:?}", begun.elapsed());
    }
    for table in mirror.owed().tables {
        eprintln!("{}: {:?}", table.table, table.counts);
    }
    assert!(mirror.owed().tables.iter().all(|table| table.counts.owed == 0));
    mirror.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_follow_transactions_through_several_sidecars() {
    let Some(world) = world("mirror_several").await else { return };
    let seed = rand::random::<u64>() >> 8;
    eprintln!("seed {seed}");
    let mut mirrors = Vec::new();
    for name in ["one", "two", "three"] {
        mirrors.push(world.sidecar(name, MirrorFaults::default()).await.0);
    }
    for round in 0..5 {
        play(&world, &mirrors, seed + 100 * round, 60).await;
        for mirror in &mirrors {
            assert!(mirror.wait_idle(Duration::from_secs(30)).await, "{:?}", mirror.owed());
            balanced(mirror);
        }
        assert_eq!(world.differences().await, Vec::<String>::new(), "seed {seed} round {round}");
    }
    for mirror in &mirrors {
        mirror.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_owed_at_a_crash_is_applied_after_it() {
    let Some(world) = world("mirror_crash").await else { return };
    for round in 0..4 {
        let (mirror, _, journal) = world.mirror(MirrorFaults::default()).await;
        play(&world, std::slice::from_ref(&mirror), 7_000 + 100 * round, 25).await;
        // As close to a crash as one process comes: everything under way is dropped.
        mirror.shared.stop.cancel();
        mirror.shared.abort.cancel();
        mirror.stop().await;
        journal.close().await.unwrap();
        drop((mirror, journal));
        let (mirror, recovered, journal) = world.mirror(MirrorFaults::default()).await;
        eprintln!("recovered {recovered:?}");
        let sweeping = tokio::spawn(Sweeper::without_barrier(mirror.clone()).run());
        assert!(mirror.wait_idle(Duration::from_secs(30)).await, "{:?}", mirror.owed());
        assert_eq!(world.differences().await, Vec::<String>::new(), "round {round}");
        balanced(&mirror);
        mirror.stop().await;
        sweeping.await.unwrap();
        journal.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_finds_what_was_never_captured() {
    let Some(world) = world("mirror_sweep").await else { return };
    let (mirror, _, _journal) = world.mirror(MirrorFaults::default()).await;
    play(&world, std::slice::from_ref(&mirror), 11, 60).await;
    assert!(mirror.wait_idle(Duration::from_secs(30)).await);
    // Changes that nobody tells the mirror of.
    let mut conn = world.pool.get_conn().await.unwrap();
    for sql in [
        "UPDATE products SET name = 'unseen', price = 1",
        "UPDATE users SET username = CONCAT('seen-', username)",
        "DELETE FROM shopping_carts WHERE id % 2 = 0",
        "UPDATE categories SET name = CONCAT(name, '!')",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    assert!(!world.differences().await.is_empty());
    mirror.sweep_everything("test").await;
    let sweeper = Sweeper::without_barrier(mirror.clone());
    let running = tokio::spawn(sweeper.run());
    assert!(mirror.wait_idle(Duration::from_secs(60)).await, "{:?}", mirror.owed());
    assert_eq!(world.differences().await, Vec::<String>::new());
    balanced(&mirror);
    mirror.stop().await;
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_mirror_is_noticed() {
    let Some(world) = world("mirror_broken").await else { return };
    let faults = [
        MirrorFaults { skip_fan_out: true, ..MirrorFaults::default() },
        MirrorFaults { skip_old_image: true, ..MirrorFaults::default() },
    ];
    for fault in faults {
        let (mirror, _, journal) = world.mirror(fault).await;
        play(&world, std::slice::from_ref(&mirror), 31, 60).await;
        assert!(mirror.wait_idle(Duration::from_secs(30)).await);
        assert!(!world.differences().await.is_empty(), "{fault:?} went unnoticed");
        mirror.sweep_everything("test").await;
        let running = tokio::spawn(Sweeper::without_barrier(mirror.clone()).run());
        assert!(mirror.wait_idle(Duration::from_secs(60)).await);
        assert_eq!(world.differences().await, Vec::<String>::new(), "{fault:?}");
        mirror.stop().await;
        running.await.unwrap();
        journal.close().await.unwrap();
    }
}
