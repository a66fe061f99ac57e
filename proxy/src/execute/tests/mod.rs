//! Captures against a scripted MySQL: what is owed, when, and what the client sees.

mod isolation;
mod preimage;
mod stage;

use stage::{Stage, select};

use crate::wire::response::{ErrPacket, OkPacket};
use crate::wire::status::{AUTOCOMMIT, IN_TRANS, MORE_RESULTS_EXISTS};

#[tokio::test]
async fn keys_are_owed_before_an_autocommitted_write_is_sent() {
    let mut stage = Stage::new().await;
    stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
    assert_eq!(
        stage.events(),
        [&select(), "owe users", "UPDATE users SET name = 'x' WHERE id = 1", "committed"]
    );
}

#[tokio::test]
async fn a_predicate_write_is_wrapped_and_its_answer_says_autocommit() {
    let mut stage = Stage::new().await;
    let answers = stage.run("UPDATE users SET name = 'x' WHERE UPPER(name) = 'y'").await;
    let events = stage.events();
    assert_eq!(events[1], "BEGIN");
    assert!(events[2].ends_with("FOR UPDATE"), "{events:?}");
    assert_eq!(
        events[3..],
        [
            "UPDATE users SET name = 'x' WHERE UPPER(name) = 'y'",
            "owe users",
            "COMMIT AND NO CHAIN NO RELEASE",
            "committed"
        ]
    );
    assert_eq!(answers.len(), 1);
    assert_eq!(OkPacket::parse(&answers[0].payload).unwrap().status, AUTOCOMMIT);
    assert_eq!(answers[0].sequence, 1);
}

#[tokio::test]
async fn a_failed_wrapped_write_is_rolled_back_and_owes_nothing() {
    let mut stage = Stage::new().await;
    let answers = stage.run("UPDATE users SET name = 'FAIL' WHERE UPPER(name) = 'y'").await;
    let events = stage.events();
    assert_eq!(events.last().map(String::as_str), Some("ROLLBACK AND NO CHAIN NO RELEASE"));
    assert!(!events.iter().any(|e| e.starts_with("owe")), "{events:?}");
    assert_eq!(ErrPacket::parse(&answers[0].payload).unwrap().code, 1062);
}

#[tokio::test]
async fn a_transaction_owes_everything_before_its_commit() {
    let mut stage = Stage::new().await;
    stage.run("BEGIN").await;
    stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
    stage.run("INSERT INTO users (name) VALUES ('z')").await;
    assert!(!stage.connection.is_idle());
    stage.run("COMMIT").await;
    assert!(stage.connection.is_idle());
    let events = stage.events();
    assert_eq!(events[events.len() - 3..], ["owe users users from 7", "COMMIT", "committed"]);
}

#[tokio::test]
async fn rollback_discards_recorded_changes() {
    let mut stage = Stage::new().await;
    stage.run("BEGIN").await;
    stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
    stage.run("ROLLBACK").await;
    assert!(stage.connection.is_idle());
    assert!(!stage.events().iter().any(|e| e.starts_with("owe")));
}

#[tokio::test]
async fn definitions_commit_what_is_open() {
    let mut stage = Stage::new().await;
    stage.run("BEGIN").await;
    stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
    stage.run("CREATE TABLE other (i INT)").await;
    let events = stage.events();
    assert_eq!(
        events[events.len() - 3..],
        ["owe users", "CREATE TABLE other (i INT)", "committed"]
    );
}

#[tokio::test]
async fn generated_keys_are_intended_first_and_told_after() {
    let mut stage = Stage::new().await;
    stage.run("INSERT INTO users (name) VALUES ('z')").await;
    let events = stage.events();
    assert_eq!(
        events[1..],
        [
            "owe users from 42",
            "INSERT INTO users (name) VALUES ('z')",
            "raise users 7",
            // It was to be 42 or more: somebody has set the counter back.
            "forget users",
            "committed, narrowed to 1"
        ]
    );
}

#[tokio::test]
async fn several_statements_become_one_answer() {
    let mut stage = Stage::new().await;
    let text = "UPDATE users SET name = 'x' WHERE id = 1; UPDATE users SET name = 'x' WHERE id = 2";
    let answers = stage.run(text).await;
    let status = |i: usize| OkPacket::parse(&answers[i].payload).unwrap().status;
    assert_eq!(answers.iter().map(|a| a.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((status(0), status(1)), (AUTOCOMMIT | MORE_RESULTS_EXISTS, AUTOCOMMIT));
    assert_eq!(stage.events().iter().filter(|e| *e == "owe users").count(), 2);
}

#[tokio::test]
async fn a_client_that_may_send_one_statement_gets_no_second_one_run() {
    let mut stage = Stage::new().await;
    let text = "FROB name; UPDATE users SET name = 'x' WHERE id = 2";
    stage.connection.set_option(b"\x1b\x01\0");
    let answers = stage.run(text).await;
    assert_eq!(ErrPacket::parse(&answers[0].payload).unwrap().code, 1064);
    assert_eq!(stage.events().iter().filter(|e| e.contains("UPDATE")).count(), 1);
    assert!(stage.events().contains(&text.to_owned()), "{:?}", stage.events());
    assert_eq!(stage.events().last().map(String::as_str), Some("rolled back"));
    stage.connection.set_option(b"\x1b\0\0");
    stage
        .run("UPDATE users SET name = 'x' WHERE id = 1; UPDATE users SET name = 'y' WHERE id = 2")
        .await;
    assert_eq!(stage.events().iter().filter(|e| *e == "owe users").count(), 2);
}

#[tokio::test]
async fn an_error_stops_the_statements_that_follow() {
    let mut stage = Stage::new().await;
    let text =
        "UPDATE users SET name = 'FAIL' WHERE id = 1; UPDATE users SET name = 'x' WHERE id = 2";
    let answers = stage.run(text).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(stage.events().iter().filter(|e| e.starts_with("UPDATE")).count(), 1);
    assert_eq!(stage.events().last().map(String::as_str), Some("rolled back"));
}

#[tokio::test]
async fn an_unknown_statement_sweeps_and_a_parse_error_does_not() {
    let mut stage = Stage::new().await;
    stage.run("CALL tidy_up()").await;
    assert!(stage.events().contains(&"owe sweep of users".to_owned()));
    assert_eq!(stage.events().last().map(String::as_str), Some("committed"));
    stage.run("FROBNICATE").await;
    assert_eq!(stage.events().last().map(String::as_str), Some("rolled back"));
}

#[tokio::test]
async fn an_unknown_statement_in_a_transaction_sweeps_once_after_its_end() {
    for end in ["COMMIT", "ROLLBACK"] {
        let mut stage = Stage::new().await;
        stage.run("BEGIN").await;
        stage.run("CALL tidy_up()").await;
        assert!(!stage.connection.is_idle());
        assert!(!stage.events().contains(&"committed".to_owned()), "it is kept");
        stage.run(end).await;
        assert!(stage.connection.is_idle());
        let count = |event: &str| stage.events().iter().filter(|e| *e == event).count();
        assert_eq!((count("owe sweep of users"), count("committed")), (1, 1), "{end}");
    }
}

#[tokio::test]
async fn a_lost_commit_counts_as_committed() {
    let mut stage = Stage::new().await;
    stage.run("BEGIN").await;
    stage.run("UPDATE users SET name = 'x' WHERE id = 1").await;
    assert!(stage.try_run("COMMIT /* HANG UP */").await.is_err());
    let events = stage.events();
    assert_eq!(events.last().map(String::as_str), Some("dropped"));
    assert_eq!(stage.connection.state.status & IN_TRANS, IN_TRANS);
}
