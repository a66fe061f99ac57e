//! Backfill, verify and repair on real servers: what was there before arrives, what is damaged is named and
//! mended, and neither writes, kills nor Ctrl-C in the middle change that.
//! Never here: figures (see `bench_movement`).
#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Value;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Kind, SegueConfig, Server, program};
use segue_tests::stage::{Stage, seed};
use segue_tests::workload::{self, CONTRACT_A, CONTRACT_B};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::Instant;

type Item = HashMap<String, Value>;

/// Something is expected to happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Kills of a backfill in the middle.
const KILLS: u32 = 5;

async fn run(stage: &Stage, words: &[&str]) -> (i32, Json) {
    let output = stage.segue.command(words).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|_| Json::String(told(&output)));
    (output.status.code().unwrap_or(-1), report)
}

fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

async fn verified_clean(stage: &Stage) {
    let (exit, report) = run(stage, &["verify", "--json", "--restart"]).await;
    assert_eq!(exit, 0, "seed {}: {report:#}", stage.seed);
    assert!(report["total"]["rows"].as_u64() > Some(0), "{report:#}");
}

async fn what_was_there_arrives(kind: Kind, contract: &'static str) {
    let Some(server) = Server::shared(kind).await else { return };
    let stage = Stage::set(server, contract, "dual-write", seed()).await.unwrap();
    let (exit, before) = run(&stage, &["verify", "--json"]).await;
    assert_eq!(exit, 1, "{before:#}");
    let missing = before["total"]["missing"].as_u64().unwrap();
    assert!(missing > 500, "{before:#}");
    let (exit, copied) = run(&stage, &["backfill", "--json"]).await;
    assert_eq!(exit, 0, "{copied:#}");
    assert_eq!(copied["total"]["written"].as_u64(), Some(missing), "{copied:#}");
    assert!(copied["write_units"].as_u64() >= Some(missing), "{copied:#}");
    verified_clean(&stage).await;
    stage.converged().await.unwrap();
    // Once more: nothing is written that is right already.
    let (exit, again) = run(&stage, &["backfill", "--json"]).await;
    assert_eq!(exit, 0, "{again:#}");
    assert_eq!(again["total"]["written"].as_u64(), Some(0), "{again:#}");
    assert_eq!(again["total"]["equal"].as_u64(), Some(missing), "{again:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_arrives_on_mysql_by_dialect_a() {
    what_was_there_arrives(Kind::Mysql97, CONTRACT_A).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_arrives_on_mariadb_by_dialect_b() {
    what_was_there_arrives(Kind::MariaDb, CONTRACT_B).await;
}

/// A backfill that is killed again and again, while the application writes.
async fn nothing_is_lost_between(kind: Kind) {
    let Some(server) = Server::shared(kind).await else { return };
    let stage = Stage::set(server, CONTRACT_A, "dual-write", seed()).await.unwrap();
    let mut plan = stage.plan();
    plan.transactions = 150;
    plan.pause = Duration::from_millis(20);
    let writes = workload::run(plan);
    let copies = async {
        for round in 0..KILLS {
            let mut command = tokio::process::Command::new(program("segue").unwrap());
            command.args(["backfill", "--rows-per-second", "400", "--config"]);
            command.arg(stage.segue.folder().join("segue.toml"));
            command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
            command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            let mut child = command.spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(900 + u64::from(round) * 700)).await;
            child.start_kill().ok();
            child.wait().await.unwrap();
        }
        run(&stage, &["backfill", "--json"]).await
    };
    let (written, (exit, copied)) = tokio::join!(writes, copies);
    written.unwrap().check().unwrap();
    assert!(exit == 0 || exit == 1, "seed {}: {copied:#}", stage.seed);
    stage.converged().await.unwrap();
    verified_clean(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_copying_writing_and_kills_on_mysql() {
    nothing_is_lost_between(Kind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_copying_writing_and_kills_on_mariadb() {
    nothing_is_lost_between(Kind::MariaDb).await;
}

/// A transaction that began in `mysql-only` writes without being mirrored: its row is copied after its commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_began_before_the_phase_is_waited_for() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let stage = Stage::set(server, CONTRACT_A, "mysql-only", seed()).await.unwrap();
    let url = stage.segue.url(&stage.database);
    let mut client = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop("UPDATE account SET name = 'before the phase'").await.unwrap();
    let body = serde_json::json!({ "default": "dual-write" });
    stage.segue.put("/api/phases", &body).await.unwrap();
    let mut command = tokio::process::Command::new(program("segue").unwrap());
    command.args(["backfill", "--config"]).arg(stage.segue.folder().join("segue.toml"));
    command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = told.next_line().await.unwrap().expect("it says that it waits");
        if line.contains("waits for 1 transactions") {
            break;
        }
    }
    assert_eq!(stage.segue.get("/api/phases").await.unwrap()["older_work"], 1);
    client.query_drop("COMMIT").await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    stage.converged().await.unwrap();
}

/// What was done to an item, as a comparison should name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Altered(String),
    Removed,
    Invented,
}

async fn items_of(stage: &Stage, table: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut pages = stage.items.client().scan().table_name(table).into_paginator().items().send();
    while let Some(item) = pages.next().await {
        items.push(item.unwrap());
    }
    items
}

/// Another value of the same type.
fn altered(value: &Value) -> Value {
    match value {
        Value::S(text) => Value::S(format!("{text}~")),
        Value::N(number) => Value::N(if number == "7" { "8".into() } else { "7".into() }),
        Value::B(bytes) => Value::B(Blob::new([bytes.as_ref(), b"~"].concat())),
        Value::Bool(flag) => Value::Bool(!flag),
        Value::M(map) => {
            let mut map = map.clone();
            map.insert("~".to_owned(), Value::Null(true));
            Value::M(map)
        }
        Value::L(list) => Value::L(list.iter().cloned().chain([Value::Null(true)]).collect()),
        Value::Ss(set) => Value::Ss(set.iter().cloned().chain(["~".to_owned()]).collect()),
        Value::Ns(set) => Value::Ns(set.iter().cloned().chain(["98765".to_owned()]).collect()),
        Value::Bs(set) => Value::Bs(set.iter().cloned().chain([Blob::new(b"~~")]).collect()),
        _ => Value::S("~".to_owned()),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::S(_) => "S",
        Value::N(_) => "N",
        Value::B(_) => "B",
        Value::Bool(_) => "BOOL",
        Value::M(_) => "M",
        Value::L(_) => "L",
        Value::Ss(_) => "SS",
        Value::Ns(_) => "NS",
        Value::Bs(_) => "BS",
        _ => "NULL",
    }
}

/// A key value, however its number is written.
fn shown(value: &Value) -> String {
    match value {
        Value::N(number) => format!("N{}", number.parse::<f64>().unwrap()),
        Value::B(bytes) => format!("B{:?}", bytes.as_ref()),
        other => format!("S{}", other.as_s().unwrap()),
    }
}

/// The same of a report.
fn shown_json(value: &Json) -> String {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "N" => format!("N{}", value.as_str().unwrap().parse::<f64>().unwrap()),
        "B" => {
            let bytes = value.as_array().unwrap().iter();
            let bytes: Vec<u8> = bytes.map(|byte| byte.as_u64().unwrap() as u8).collect();
            format!("B{bytes:?}")
        }
        _ => format!("S{}", value.as_str().unwrap()),
    }
}

struct Planted {
    /// By table and key.
    damage: BTreeMap<String, Damage>,
    kinds: BTreeSet<&'static str>,
}

/// Alters, removes and invents items of every table, behind everybody's back.
async fn plant(stage: &Stage) -> Planted {
    let client = stage.items.client();
    let mut planted = Planted { damage: BTreeMap::new(), kinds: BTreeSet::new() };
    for table in client.list_tables().send().await.unwrap().table_names() {
        let described = client.describe_table().table_name(table).send().await.unwrap();
        let schema = described.table().unwrap().key_schema().iter();
        let keys: Vec<String> = schema.map(|key| key.attribute_name().to_owned()).collect();
        for (place, mut item) in items_of(stage, table).await.into_iter().enumerate() {
            let named = |item: &Item| {
                let parts: Vec<String> = keys.iter().map(|name| shown(&item[name])).collect();
                format!("{table} {}", parts.join(" "))
            };
            let damage = match place % 3 {
                0 => {
                    let mut names: Vec<String> = item.keys().cloned().collect();
                    names.retain(|name| !keys.contains(name) && name != "_segue");
                    names.sort();
                    if names.is_empty() {
                        continue;
                    }
                    // Kinds of values that were not altered yet come first.
                    let new = |name: &&String| !planted.kinds.contains(kind_of(&item[*name]));
                    let other = &names[place / 3 % names.len()];
                    let name = names.iter().find(new).unwrap_or(other).clone();
                    planted.kinds.insert(kind_of(&item[&name]));
                    item.insert(name.clone(), altered(&item[&name]));
                    Damage::Altered(name)
                }
                1 => {
                    let key = item.iter().filter(|(name, _)| keys.contains(name));
                    let key = key.map(|(name, value)| (name.clone(), value.clone())).collect();
                    let delete = client.delete_item().table_name(table).set_key(Some(key));
                    delete.send().await.unwrap();
                    planted.damage.insert(named(&item), Damage::Removed);
                    continue;
                }
                _ => {
                    // The same item under a key that no row has.
                    let last = keys.last().unwrap();
                    let unheard = match &item[last] {
                        Value::N(_) => Value::N(format!("{}", 9_000_000 + place)),
                        other => altered(other),
                    };
                    item.insert(last.clone(), unheard);
                    if place % 2 == 0 {
                        item.remove("_segue");
                    }
                    Damage::Invented
                }
            };
            planted.damage.insert(named(&item), damage);
            client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
        }
    }
    planted
}

/// What a report of `segue verify` names, in the same words.
fn named(report: &Json) -> BTreeMap<String, Damage> {
    let differences = report["differences"].as_array().unwrap().iter();
    differences
        .map(|difference| {
            let key = &difference["item_key"];
            let parts = [&key["pk"], &key["sk"]].into_iter().filter(|part| !part.is_null());
            let parts: Vec<String> = parts.map(shown_json).collect();
            let damage = match difference["class"].as_str().unwrap() {
                "missing" => Damage::Removed,
                "extra" => Damage::Invented,
                "different" => {
                    let attributes = difference["attributes"].as_array().unwrap();
                    assert_eq!(attributes.len(), 1, "{difference:#}");
                    assert!(attributes[0].get("found").is_none(), "values are not shown");
                    Damage::Altered(attributes[0]["name"].as_str().unwrap().to_owned())
                }
                other => panic!("{other}: {difference:#}"),
            };
            (format!("{} {}", key["table"].as_str().unwrap(), parts.join(" ")), damage)
        })
        .collect()
}

async fn damage_is_named_and_mended(kind: Kind, contract: &'static str, kinds: &[&str]) {
    let Some(server) = Server::shared(kind).await else { return };
    let stage = Stage::mirrored(server, contract, seed()).await.unwrap();
    let planted = plant(&stage).await;
    for kind in kinds {
        assert!(planted.kinds.contains(kind), "{kind} is altered: {:?}", planted.kinds);
    }
    assert!(planted.damage.len() > 500, "{}", planted.damage.len());
    let (exit, report) = run(&stage, &["verify", "--json", "--settle", "0"]).await;
    assert_eq!(exit, 1, "{report:#}");
    let found = named(&report);
    for (key, damage) in &planted.damage {
        assert_eq!(found.get(key), Some(damage), "seed {}: {key}", stage.seed);
    }
    assert_eq!(found.len(), planted.damage.len(), "seed {}", stage.seed);
    // A repair that is not applied changes nothing.
    let file = stage.segue.folder().join("var/movement/verify-report.json");
    let from = ["repair", "--json", "--report", file.to_str().unwrap()];
    let (exit, plan) = run(&stage, &from).await;
    assert_eq!(exit, 1, "{plan:#}");
    let count = |wanted: fn(&Damage) -> bool| planted.damage.values().filter(|d| wanted(d)).count();
    let counted = |name: &str| plan["would_repair"][name].as_u64().unwrap() as usize;
    assert_eq!(counted("add"), count(|damage| *damage == Damage::Removed), "{plan:#}");
    assert_eq!(counted("update"), count(|damage| matches!(damage, Damage::Altered(_))), "{plan:#}");
    assert_eq!(
        counted("delete") + counted("foreign"),
        count(|damage| *damage == Damage::Invented),
        "{plan:#}"
    );
    let (exit, again) = run(&stage, &["verify", "--json", "--settle", "0"]).await;
    assert_eq!((exit, named(&again).len()), (1, planted.damage.len()), "{again:#}");
    // Applied, but what nobody explains is left.
    let (exit, mended) = run(&stage, &[&from[..], &["--apply", "--settle", "0"]].concat()).await;
    assert_eq!(exit, 1, "{mended:#}");
    assert_eq!(mended["left"]["total"]["extra"].as_u64(), Some(counted("foreign") as u64));
    assert_eq!(named(&mended["left"]).len(), counted("foreign"), "{mended:#}");
    let last = ["repair", "--json", "--apply", "--delete-foreign", "--settle", "0"];
    let (exit, mended) = run(&stage, &last).await;
    assert_eq!(exit, 0, "{mended:#}");
    verified_clean(&stage).await;
    stage.converged().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named_and_mended_on_mysql() {
    let kinds = ["S", "N", "B", "BOOL", "M", "SS"];
    damage_is_named_and_mended(Kind::Mysql97, CONTRACT_A, &kinds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_named_and_mended_on_mariadb() {
    damage_is_named_and_mended(Kind::MariaDb, CONTRACT_B, &["S", "N"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_said_and_what_is_interrupted_goes_on() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let stage = Stage::set(server, CONTRACT_A, "mysql-only", seed()).await.unwrap();
    let output = stage.segue.command(&["backfill"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("mysql-only"), "{}", told(&output));
    let output = stage.segue.command(&["verify", "acount"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("did you mean `account`?"), "{}", told(&output));
    let body = serde_json::json!({ "default": "dual-write" });
    stage.segue.put("/api/phases", &body).await.unwrap();
    let slow = async |verb: &str| {
        let mut command = tokio::process::Command::new(program("segue").unwrap());
        command.args([verb, "--rows-per-second", "20", "--config"]);
        command.arg(stage.segue.folder().join("segue.toml")).kill_on_drop(true);
        command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for verb in ["backfill", "verify"] {
        let mut child = slow(verb).await;
        let place = stage.segue.folder().join(format!("var/movement/{verb}.json"));
        while !place.exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if verb == "backfill" {
            let output = stage.segue.command(&["repair", "--apply"]).await.unwrap();
            assert_eq!(output.status.code(), Some(2), "{}", told(&output));
            assert!(told(&output).contains("movement"), "{}", told(&output));
        }
        let pid = child.id().unwrap().to_string();
        let sent = tokio::process::Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().await.unwrap().code(), Some(4), "{verb}");
        assert!(place.exists());
        let (exit, report) = run(&stage, &[verb, "--json"]).await;
        assert_eq!(exit, 0, "{report:#}");
        assert!(!place.exists(), "{verb}");
        assert_eq!(report["complete"], true);
    }
    stage.converged().await.unwrap();
    // A killed run may have created items of rows that went meanwhile: the next one looks for them.
    let mut child = slow("backfill").await;
    let place = stage.segue.folder().join("var/movement/backfill.json");
    while !place.exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let mut direct = Conn::new(Opts::from_url(&stage.database.url).unwrap()).await.unwrap();
    direct.query_drop("DELETE FROM badge LIMIT 1").await.unwrap();
    assert_eq!(direct.affected_rows(), 1);
    let (exit, report) = run(&stage, &["backfill", "--json"]).await;
    assert_eq!((exit, report["complete"].as_bool()), (0, Some(true)), "{report:#}");
    stage.converged().await.unwrap();
}

/// The sidecar's second look at what it has applied: right keys count as equal, damage is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_applied_is_looked_at_again() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let looks = |config: &mut SegueConfig| {
        config.more = "[validation]\nkeys_per_second = 1000\nafter_seconds = 2\n".to_owned();
    };
    let stage = Stage::set_with(server, CONTRACT_A, "dual-write", seed(), looks).await.unwrap();
    let url = stage.segue.url(&stage.database);
    let mut client = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    let found = async || stage.segue.get("/api/validation").await.unwrap();
    let begin = Instant::now();
    client.query_drop("UPDATE region SET tax = IF(tax > 1, 0, tax + 0.001)").await.unwrap();
    while found().await["equal"].as_u64() < Some(3) {
        assert!(begin.elapsed() < PATIENCE, "{}", found().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = found().await;
    assert_eq!((&before["different"], &before["missing"]), (&0.into(), &0.into()), "{before}");
    // An item that is changed between its write and the look, again until the look came after the change.
    let change = stage.items.client().update_item().table_name("Regions");
    let change = change.update_expression("SET #name = :wrong");
    let change = change.expression_attribute_names("#name", "Title");
    let change = change.expression_attribute_values(":wrong", Value::S("wrong".to_owned()));
    let code: String =
        client.query_first("SELECT code FROM region LIMIT 1").await.unwrap().unwrap();
    let change = change.key("Code", Value::S(code.clone()));
    while found().await["different"].as_u64() == Some(0) {
        let touch = "UPDATE region SET tax = IF(tax > 1, 0, tax + 0.001) WHERE code = ?";
        client.exec_drop(touch, (&code,)).await.unwrap();
        stage.segue.settle(PATIENCE).await.unwrap();
        change.clone().send().await.unwrap();
        assert!(begin.elapsed() < PATIENCE, "{}", found().await);
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let after = found().await;
    assert_eq!(after["differences"][0]["attributes"][0]["name"], "Title", "{after}");
    assert!(stage.segue.metric("segue_validated_total").await.unwrap() > 3.0);
}
