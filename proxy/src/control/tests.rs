//! Facts about generations and phase changes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use segue_rules::phase::{Phase, PhaseMap};
use segue_rules::value::TableName;

use super::testing::ruleset;
use super::*;
use crate::telemetry::Metrics;

fn live() -> Arc<Live> {
    Arc::new(Live::new(Arc::new(ruleset("a", &["users", "orders"])), PhaseMap::default()))
}

fn control(folder: &Path) -> (Arc<Live>, Arc<Metrics>, PhaseControl) {
    let (live, metrics) = (live(), Arc::new(Metrics::new()));
    let control = PhaseControl::new(live.clone(), folder.join("phases.toml"), metrics.clone());
    (live, metrics, control)
}

#[tokio::test]
async fn a_replaced_generation_is_drained_when_its_last_pin_drops() {
    let live = live();
    let pinned = live.pin();
    let second = pinned.clone();
    let number = live.replace_phases(PhaseMap::default());
    assert_eq!((pinned.number, live.pin().number), (number - 1, number));
    drop(pinned);
    assert!(!live.is_drained(number - 1));
    assert_eq!(live.active(), 1);
    let waiting = live.clone();
    let wait = tokio::spawn(async move { waiting.drained(number - 1).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(second);
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("drained").expect("joined");
}

#[tokio::test]
async fn new_work_does_not_hold_up_draining_of_older_generations() {
    let live = live();
    let number = live.replace_phases(PhaseMap::default());
    let _pinned = live.pin();
    live.drained(number - 1).await;
}

#[tokio::test]
async fn a_change_is_audited_written_and_live() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (live, _, control) = control(folder.path());
    let target = Target::Table("users".to_owned());
    let change = control.set(&target, Phase::DualWrite, "ann").await.expect("accepted");
    assert_eq!(change.tables, vec![TableName::from("users")]);
    assert_eq!(live.current().phases.of("users"), Phase::DualWrite);
    assert_eq!(live.current().number, change.generation);
    let known = [TableName::from("users"), TableName::from("orders")];
    let file = read_file(control.path(), &known).expect("the file is valid");
    assert_eq!(file, live.current().phases);
    let audit = std::fs::read_to_string(folder.path().join("phases.audit.jsonl")).expect("audit");
    let line: serde_json::Value = serde_json::from_str(audit.trim()).expect("one JSON line");
    assert_eq!((&line["who"], &line["from"]), (&"ann".into(), &"mysql-only".into()));
    // The watcher then sees our own file.
    assert_eq!(control.reload().await.expect("readable"), Reloaded::Same);
    assert_eq!(live.current().number, change.generation);
}

#[tokio::test]
async fn unknown_tables_and_unserved_phases_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (live, _, control) = control(folder.path());
    let unknown = Target::Table("user".to_owned());
    let refused = control.set(&unknown, Phase::DualWrite, "ann").await.expect_err("refused");
    assert_eq!(refused.remedy(), "did you mean `users`?");
    assert!(control.set(&Target::Default, Phase::DualRead, "ann").await.is_err());
    assert!(!control.path().exists());
    assert_eq!(live.current().number, 1);
}

#[tokio::test]
async fn a_bad_or_missing_file_leaves_the_live_phases() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (live, metrics, control) = control(folder.path());
    assert!(control.reload().await.is_err());
    write_atomically(control.path(), "default = \"dual-wrote\"\n").expect("written");
    assert!(control.reload().await.is_err());
    assert_eq!(live.current().number, 1);
    assert_eq!(metrics.reloads.with_label_values(&["phases", "refused"]).get(), 2);
    write_atomically(control.path(), "default = \"dual-write\"\n").expect("written");
    assert!(matches!(control.reload().await, Ok(Reloaded::Changed { generation: 2, .. })));
    assert_eq!(metrics.phase.with_label_values(&["users"]).get(), 2);
}

#[tokio::test]
async fn a_ruleset_that_drops_a_named_table_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (live, _, control) = control(folder.path());
    let target = Target::Table("users".to_owned());
    control.set(&target, Phase::DualWrite, "ann").await.expect("accepted");
    assert!(control.accept_ruleset(ruleset("b", &["orders"])).await.is_err());
    assert_eq!(control.accept_ruleset(ruleset("a", &["users"])).await.expect("same"), None);
    let number = control.accept_ruleset(ruleset("c", &["users"])).await.expect("accepted");
    assert_eq!((number, live.current().ruleset.fingerprint.as_str()), (Some(3), "c"));
}

#[tokio::test]
async fn a_frozen_table_goes_no_phase_further_and_may_go_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, metrics, control) = control(folder.path());
    let table = |name: &str| Target::Table(name.to_owned());
    control.set(&table("users"), Phase::DualWrite, "ann").await.expect("accepted");
    let mut frozen = ruleset("b", &["users", "orders"]);
    for name in ["users", "orders"] {
        frozen.frozen.insert(name.into(), "the table is gone".to_owned());
    }
    control.accept_ruleset(frozen).await.expect("accepted");
    assert_eq!(metrics.frozen.with_label_values(&["users"]).get(), 1);
    let refused = control.set(&table("orders"), Phase::DualWrite, "ann").await;
    assert!(matches!(refused, Err(PhaseChangeRefused::Frozen { .. })));
    control.set(&table("users"), Phase::MysqlOnly, "ann").await.expect("back is allowed");
}

#[test]
fn a_stopped_sidecars_file_changes_under_the_same_checks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("phases.toml");
    let known = [TableName::from("users")];
    let change = change_file(&path, &known, &Target::Default, Phase::DualWrite, "cli");
    assert_eq!(change.expect("accepted").tables.len(), 1);
    let jump = change_file(&path, &known, &Target::Default, Phase::DynamodbPrimary, "cli");
    assert!(matches!(jump, Err(PhaseChangeRefused::NotServed(_))));
}
