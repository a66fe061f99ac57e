//! Keys that the control account reads after the statement: when it is asked, and when the session is instead.

use super::stage::Stage;

const READ: &str = "read SELECT `id` FROM `users` WHERE `name` = 'y'";
const WRITE: &str = "UPDATE users SET name = 'x' WHERE name = 'y'";

fn reads(stage: &Stage) -> usize {
    stage.events().iter().filter(|event| event.starts_with("read ")).count()
}

fn preselects(stage: &Stage) -> usize {
    stage.events().iter().filter(|event| event.ends_with(" FOR UPDATE")).count()
}

#[tokio::test]
async fn an_autocommitted_write_is_wrapped_at_its_own_level() {
    let mut stage = Stage::at("READ-COMMITTED").await;
    stage.run(WRITE).await;
    let expected =
        ["BEGIN", WRITE, READ, "owe users", "COMMIT AND NO CHAIN NO RELEASE", "committed"];
    assert_eq!(stage.events()[1..], expected);
}

#[tokio::test]
async fn the_first_write_of_a_table_in_a_transaction_is_read_after_it() {
    let mut stage = Stage::new().await;
    stage.run("BEGIN").await;
    stage.run(WRITE).await;
    let events = stage.events();
    assert_eq!(events[events.len() - 2..], [WRITE, READ]);
    stage.run(WRITE).await;
    assert_eq!((reads(&stage), preselects(&stage)), (1, 1), "{:?}", stage.events());
    stage.run("COMMIT").await;
    stage.run("BEGIN").await;
    stage.run(WRITE).await;
    assert_eq!((reads(&stage), preselects(&stage)), (2, 1), "{:?}", stage.events());
}

#[tokio::test]
async fn what_may_have_been_changed_or_locked_is_selected_before() {
    for before in [
        "INSERT INTO users (name) VALUES ('y')",
        "UPDATE users SET name = 'y' WHERE id = 1",
        "DELETE FROM users WHERE id = 1",
        "CALL may_write()",
        "LOCK TABLES users WRITE",
        "SET NAMES binary, sql_select_limit = 5",
    ] {
        let mut stage = Stage::new().await;
        stage.run("BEGIN").await;
        stage.run(before).await;
        stage.run(WRITE).await;
        // The script answers every question for settings alike.
        let expected = if before.starts_with("SET") { (1, 0) } else { (0, 1) };
        assert_eq!((reads(&stage), preselects(&stage)), expected, "{before}: {:?}", stage.events());
    }
}

#[tokio::test]
async fn keys_that_are_missing_or_cannot_be_read_are_swept() {
    for (name, owed) in [
        ("RACE", "owe users sweep of users"),
        ("GONE", "owe sweep of users"),
        ("calm", "owe users"),
    ] {
        let mut stage = Stage::at("READ-COMMITTED").await;
        stage.run(&format!("UPDATE users SET name = 'x' WHERE name = '{name}'")).await;
        let events = stage.events();
        assert_eq!(events[events.len() - 3], owed, "{name}: {events:?}");
        stage.run("BEGIN").await;
        stage.run(&format!("UPDATE users SET name = 'x' WHERE name = '{name}'")).await;
        stage.run("COMMIT").await;
        let events = stage.events();
        let last = &events[events.len() - 3];
        assert_eq!(last.contains("sweep"), name != "calm", "{name}: {last}");
    }
}

#[tokio::test]
async fn a_failed_write_has_no_keys() {
    let mut stage = Stage::new().await;
    stage.run("UPDATE users SET name = 'FAIL' WHERE name = 'y'").await;
    assert_eq!(reads(&stage), 0);
    assert_eq!(stage.events().last().map(String::as_str), Some("ROLLBACK AND NO CHAIN NO RELEASE"));
}
