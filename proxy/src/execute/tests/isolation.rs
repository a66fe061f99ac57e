//! Captures of sessions without gap locks, settings that decide about commits, and temporary tables.

use super::stage::{Stage, select};

const LOCK_GAPS: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";

#[tokio::test]
async fn wrapped_writes_lock_gaps_where_the_session_does_not() {
    let mut stage = Stage::at("READ-COMMITTED").await;
    stage.run("UPDATE users SET name = 'x' WHERE UPPER(name) = 'y'").await;
    assert_eq!(stage.events()[..3], [&select(), LOCK_GAPS, "BEGIN"]);
    let mut stage = Stage::new().await;
    stage.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await;
    stage.run("UPDATE users SET name = 'x' WHERE UPPER(name) = 'y'").await;
    stage.run("UPDATE users SET name = 'x' WHERE UPPER(name) = 'z'").await;
    let events = stage.events();
    let own: Vec<&str> =
        events.iter().map(String::as_str).filter(|e| [LOCK_GAPS, "BEGIN"].contains(e)).collect();
    // The level of the next transaction is used up by the first write.
    assert_eq!(own, [LOCK_GAPS, "BEGIN", "BEGIN"]);
}

#[tokio::test]
async fn rows_that_came_in_between_are_swept() {
    for (level, name, owed) in [
        ("READ-COMMITTED", "RACE", "owe sweep of users"),
        ("READ-UNCOMMITTED", "RACE", "owe sweep of users"),
        ("READ-COMMITTED", "calm", "owe users"),
        ("REPEATABLE-READ", "RACE", "owe users"),
        ("SERIALIZABLE", "RACE", "owe users"),
    ] {
        let mut stage = Stage::at(level).await;
        stage.run("BEGIN").await;
        stage.run(&format!("UPDATE users SET name = 'x' WHERE UPPER(name) = '{name}'")).await;
        stage.run("COMMIT").await;
        let events = stage.events();
        assert_eq!(events[events.len() - 3], owed, "{level} {name}");
    }
}

#[tokio::test]
async fn a_level_set_inside_a_transaction_proves_nothing_about_it() {
    let mut stage = Stage::at("REPEATABLE-READ").await;
    stage.run("BEGIN").await;
    stage.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    stage.run("UPDATE users SET name = 'x' WHERE UPPER(name) = 'RACE'").await;
    stage.run("COMMIT").await;
    let events = stage.events();
    assert_eq!(events[events.len() - 3], "owe sweep of users");
}

#[tokio::test]
async fn autocommit_among_other_settings_may_commit() {
    for set in [
        "SET autocommit = 1, sql_mode = 'ANSI'",
        "SET NAMES utf8mb4, autocommit = 1",
        "SET transaction_isolation = 'READ-COMMITTED', @@session.autocommit = ON",
        "SET autocommit = @saved",
    ] {
        let mut stage = Stage::new().await;
        stage.run("BEGIN").await;
        stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
        stage.run(set).await;
        let events = stage.events();
        // The script leaves the transaction open, as the answer's flag says.
        assert_eq!(events[events.len() - 3..], ["owe users", set, "rolled back"], "{set}");
        stage.run("COMMIT").await;
        let events = stage.events();
        assert_eq!(events[events.len() - 3..], ["owe users", "COMMIT", "committed"], "{set}");
    }
}

#[tokio::test]
async fn numbers_of_a_temporary_table_do_not_count_for_the_mapped_one() {
    for (before, raised) in [
        ("SELECT 1", true),
        ("CREATE TEMPORARY TABLE users (id INT PRIMARY KEY AUTO_INCREMENT, name TEXT)", false),
        ("CALL may_create_one()", false),
    ] {
        let mut stage = Stage::new().await;
        stage.run(before).await;
        stage.run("INSERT INTO users (name) VALUES ('z')").await;
        let events = stage.events();
        assert_eq!(events.iter().any(|e| e == "raise users 7"), raised, "{before}");
    }
}
