//! The oracle against an embedded engine that is filled by hand: it agrees with a true copy, and
//! finds what was taken away, added and changed.
//! Never here: Segue's own mirroring.

use std::sync::Arc;

use segue::dynamo::{Billing, Expect, Store, plan};
use segue::mysql::control::Control;
use segue::telemetry::Metrics;
use segue_config::settings::{Dynamodb, Endpoint};
use segue_rules::entity::Ruleset;
use segue_rules::value::Attribute;
use segue_tests::harness::Server;
use segue_tests::on_each_server;
use segue_tests::workload::oracle::{self, Mismatch, Target};
use segue_tests::workload::{self, CONTRACT_A, CONTRACT_B, Plan};

const PREFIX: &str = "w-";

/// An engine with the ruleset's tables and every expected item.
async fn true_copy(ruleset: &Ruleset, control: &Control) -> anyhow::Result<Store> {
    let endpoint = Endpoint::Embedded { file: None };
    let settings = Dynamodb { region: None, endpoint, table_prefix: PREFIX.to_owned() };
    let store = Store::connect(&settings, Arc::new(Metrics::new())).await?;
    for wanted in plan(&ruleset.tables, PREFIX, Billing::OnDemand) {
        store.create(&wanted).await?;
    }
    for (key, item) in oracle::expected_items(ruleset, control).await? {
        let table = ruleset.tables.iter().find(|table| table.name == key.table);
        let table = table.ok_or_else(|| anyhow::anyhow!("no table {}", key.table))?;
        store.put(table, &item, &Expect::Absent).await?;
    }
    Ok(store)
}

async fn check(ruleset: &Ruleset, control: &Control) -> anyhow::Result<()> {
    let store = true_copy(ruleset, control).await?;
    let client = oracle::local_client(store.endpoint_url());
    let target = Target { client: &client, prefix: PREFIX };
    let differences = oracle::compare_ruleset(ruleset, control, target).await?;
    println!("{differences}");
    differences.check()?;
    anyhow::ensure!(differences.expected_items > 300, "there is something to compare");

    let items = oracle::expected_items(ruleset, control).await?;
    let of_first = |position: usize| {
        let table = &ruleset.tables[0];
        let found = items.iter().filter(|(key, _)| key.table == table.name).nth(position);
        found.map(|(key, item)| (table, key.clone(), item.clone()))
    };
    let (Some((table, gone, _)), Some((_, _, mut changed))) = (of_first(0), of_first(1)) else {
        anyhow::bail!("the first table has two items");
    };
    store.delete(table, &gone, &Expect::Untagged).await?;
    changed.insert("surplus".to_owned(), Attribute::Bool(true));
    store.put(table, &changed, &Expect::Untagged).await?;
    let mut extra = changed.clone();
    extra.insert(table.pk.name.clone(), Attribute::S("nobody".to_owned()));
    store.put(table, &extra, &Expect::Absent).await?;

    let differences = oracle::compare_ruleset(ruleset, control, target).await?;
    println!("{differences}");
    let count = |test: fn(&Mismatch) -> bool| {
        differences.mismatches.iter().filter(|mismatch| test(mismatch)).count()
    };
    assert_eq!(differences.mismatches.len(), 3);
    assert_eq!(count(|mismatch| matches!(mismatch, Mismatch::Missing { .. })), 1);
    assert_eq!(count(|mismatch| matches!(mismatch, Mismatch::Extra { .. })), 1);
    assert_eq!(count(|mismatch| matches!(mismatch, Mismatch::Different { .. })), 1);
    store.close().await;
    Ok(())
}

async fn agrees_and_finds_every_change(server: &Server) -> anyhow::Result<()> {
    let database = server.database("oracle", "").await?;
    let url = database.url;
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let seed = number("SEGUE_TEST_SEED", 5);
    workload::prepare(&url, seed).await?;
    let mut plan = Plan::new(seed, &url);
    plan.transactions = number("SEGUE_TEST_TRANSACTIONS", 100) as usize;
    workload::run(plan).await?.check()?;
    let control = Control::connect(&url, 4).await?;
    for contract in [CONTRACT_A, CONTRACT_B] {
        let catalog = control.catalog(&database.name).await?;
        check(&oracle::compile(contract, catalog)?, &control).await?;
    }
    Ok(())
}

on_each_server!(
    the_oracle_agrees_with_a_true_copy_and_finds_every_change,
    |server: &'static Server| async move { agrees_and_finds_every_change(server).await.unwrap() }
);
