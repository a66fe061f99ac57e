//! Bad contracts, settings, grants, schemas and stores: one clear line and the documented exit code.
//! Never here: what a good start does.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::process::Output;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Kind, SegueConfig, SegueProcess, Server, program};
use segue_tests::on_each_server;

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL)";

const CONTRACT: &str = r#"[{ "table": "Books", "type": "Table", "source_table": "book", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "book", "source_column": "id" },
    "Title": { "type": "S", "source_table": "book", "source_column": "title" } },
  "satisfies": ["get a book"], "estimated_item_size_bytes": 100 }]"#;

/// Settings are right; each test spoils one thing.
async fn good(server: &Server) -> (Database, SegueConfig) {
    let database = server.database("bad_input", SCHEMA).await.unwrap();
    let config = SegueConfig::new(server, &database, CONTRACT);
    (database, config)
}

/// Runs `segue WORDS --config FILE` to its end.
async fn run(process: &SegueProcess, words: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(program("segue").unwrap());
    command.args(words).arg("--config").arg(process.folder().join("segue.toml"));
    command.env("AWS_ACCESS_KEY_ID", "tests").env("AWS_SECRET_ACCESS_KEY", "tests");
    command.env("AWS_EC2_METADATA_DISABLED", "true").kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(60), command.output())
        .await
        .expect("the command ends by itself")
        .unwrap()
}

/// The command fails with this exit code, and what it prints holds every one of `words`.
async fn refused(config: &SegueConfig, command: &[&str], code: i32, words: &[&str]) {
    let process = SegueProcess::prepare(config).unwrap();
    let output = run(&process, command).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let shown = format!("{}{errors}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{shown}");
    for word in words {
        assert!(shown.contains(word), "`{word}` is missing in:\n{shown}");
    }
    assert!(!shown.contains("panicked"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_fault_names_file_line_and_key() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, mut config) = good(server).await;
    config.more = "[journal2]\npath = \"x\"\n".to_owned();
    refused(&config, &["serve"], 2, &["segue.toml", "journal2", "journal"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contract_faults_are_all_named_with_their_paths() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, mut config) = good(server).await;
    config.contract = CONTRACT
        .replace("\"source_column\": \"title\"", "\"source_column\": \"name\"")
        .replace("\"pk\": \"Id\"", "\"pk\": \"Key\"");
    for command in ["check", "serve"] {
        refused(
            &config,
            &[command],
            2,
            &["C040-key-missing", "`Key`", "$[0].attributes.Title", "name"],
        )
        .await;
    }
    config.contract = "[{ \"table\": ".to_owned();
    refused(&config, &["check"], 2, &["line 1"]).await;
}

on_each_server!(missing_grant_is_named, |server: &'static Server| async move {
    let (database, mut config) = good(server).await;
    let mut root = server.connect().await.unwrap();
    let user = format!("poor{}", database.name.replace(|c: char| !c.is_ascii_digit(), ""));
    let user = &user[..user.len().min(30)];
    root.query_drop(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await.unwrap();
    root.query_drop(format!("GRANT INSERT ON `{}`.* TO '{user}'@'%'", database.name))
        .await
        .unwrap();
    config.control_url = format!("mysql://{user}:secret@{}/{}", server.address(), database.name);
    refused(&config, &["check"], 2, &["SELECT", "GRANT"]).await;
});

on_each_server!(schema_that_does_not_fit_is_refused, |server: &'static Server| async move {
    let (database, config) = good(server).await;
    let mut root = server.connect().await.unwrap();
    // Where the schema is empty, the message is another one: the account may just not see it.
    root.query_drop(format!("RENAME TABLE `{0}`.book TO `{0}`.leaflet", database.name))
        .await
        .unwrap();
    refused(&config, &["serve"], 2, &["book"]).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_mysql_is_exit_code_3() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, mut config) = good(server).await;
    let port = segue_tests::harness::free_port().unwrap();
    config.control_url = format!("mysql://root@127.0.0.1:{port}/shop");
    config.mysql_address = format!("127.0.0.1:{port}");
    for command in ["check", "serve"] {
        refused(&config, &[command], 3, &["MySQL", &port.to_string()]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_dynamodb_is_exit_code_3() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, mut config) = good(server).await;
    let port = segue_tests::harness::free_port().unwrap();
    config.store = segue_tests::harness::Store::Endpoint(format!("http://127.0.0.1:{port}"));
    for command in [&["check"][..], &["tables", "create"]] {
        refused(&config, command, 3, &["DynamoDB", &port.to_string()]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn port_in_use_is_named() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, config) = good(server).await;
    let process = SegueProcess::prepare(&config).unwrap();
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", process.mysql_port())).await.unwrap();
    let output = run(&process, &["serve"]).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(&process.mysql_port().to_string()), "{errors}");
    assert!(errors.contains("in use"), "{errors}");
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_phases_file_stops_the_start_and_a_later_one_keeps_the_old_state() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let (_, config) = good(server).await;
    let bad = SegueConfig { phases: "default = \"dual-wriet\"\n".to_owned(), ..config.clone() };
    refused(&bad, &["serve"], 2, &["phases.toml", "dual-wriet", "dual-write"]).await;

    let segue = SegueProcess::start(&config).await.unwrap();
    std::fs::write(segue.folder().join("phases.toml"), "default = 7\n").unwrap();
    let begin = tokio::time::Instant::now();
    while segue.metric("segue_reloads_total").await.unwrap() < 1.0 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{}", segue.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let phases = segue.get("/api/phases").await.unwrap();
    assert_eq!(phases["default"], "dual-write", "{phases}");
    assert!(segue.log().contains("phases.toml"), "{}", segue.log());
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_settings_file_is_exit_code_2() {
    let output = tokio::process::Command::new(program("segue").unwrap())
        .arg("serve")
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("segue.toml"), "{errors}");
}
