//! The HTTP API of a running sidecar: metrics, health, phases, and who may ask for what.
//! Never here: the phases file (see `phases_file`), or what the mirror does.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use reqwest::{Client, RequestBuilder};
use segue_tests::harness::{ADMIN_TOKEN, Database, Kind, SegueConfig, SegueProcess, Server, Store};
use serde_json::{Value, json};

const SCHEMA: &str = "CREATE TABLE book (id INT PRIMARY KEY, title VARCHAR(40) NOT NULL)";

const CONTRACT: &str = r#"[{ "table": "Books", "type": "Table", "source_table": "book", "pk": "Id",
  "attributes": {
    "Id": { "type": "N", "source_table": "book", "source_column": "id" },
    "Title": { "type": "S", "source_table": "book", "source_column": "title" } },
  "satisfies": ["get a book"], "estimated_item_size_bytes": 100 }]"#;

const METRICS_PAGE: &str = include_str!("../../docs/reference/metrics.md");

const SETTLE: Duration = Duration::from_secs(30);

async fn started(phase: &str) -> Option<(SegueProcess, Database)> {
    let server = Server::shared(Kind::MariaDb).await?;
    let database = server.database("http", SCHEMA).await.unwrap();
    let config = SegueConfig::new(server, &database, CONTRACT).with_phase(phase);
    Some((SegueProcess::start(&config).await.unwrap(), database))
}

async fn client(segue: &SegueProcess, database: &Database) -> Conn {
    Conn::new(Opts::from_url(&segue.url(database)).unwrap()).await.unwrap()
}

/// Status and text.
async fn answer(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// `error` and `hint` in one text; both must be there.
fn fault(text: &str) -> String {
    let fault: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    format!("{} / {}", fault["error"].as_str().unwrap(), fault["hint"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_metric_is_served_and_none_else() {
    let Some((segue, database)) = started("dual-write").await else { return };
    let mut client = client(&segue, &database).await;
    client.query_drop("INSERT INTO book VALUES (1, 'one'), (2, 'two')").await.unwrap();
    // Keys that cannot be known: a refusal and a sweep.
    client.query_drop("ALTER TABLE book COMMENT = 'x'").await.unwrap();
    segue.settle(SETTLE).await.unwrap();

    let (status, text) = answer(Client::new().get(segue.admin_url("/metrics"))).await;
    assert_eq!(status, 200);
    let documented: Vec<(&str, &str)> = METRICS_PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            (cells.next().unwrap().trim_end_matches('`'), cells.next().unwrap())
        })
        .collect();
    let served: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for family in documented.iter().filter(|(name, _)| !name.starts_with("segue_hot_key_")) {
        assert!(served.contains(family), "{family:?} is not served:\n{text}");
    }
    for family in &served {
        assert!(documented.contains(family), "{family:?} is not documented");
    }
    assert_eq!(segue.metric("segue_seen_total").await.unwrap(), {
        segue.metric("segue_applied_total").await.unwrap()
            + segue.metric("segue_superseded_total").await.unwrap()
    });
    assert!(text.contains("segue_phase{table=\"book\"} 2"), "{text}");
    assert_eq!(segue.metric("segue_connections").await.unwrap(), 1.0);
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_names_each_part_and_stays_200_when_one_is_ill() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let database = server.database("http", SCHEMA).await.unwrap();
    let engine = segue_tests::harness::Engine::start().await.unwrap();
    let config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
    let segue = SegueProcess::start(&config).await.unwrap();
    let health = segue.get("/healthz").await.unwrap();
    assert_eq!(health["status"], "ok", "{health}");
    for part in ["mysql", "dynamodb", "journal"] {
        assert_eq!(health["parts"][part]["ok"], true, "{health}");
    }
    engine.stop().await.unwrap();
    let health = segue.get("/healthz").await.unwrap();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["parts"]["dynamodb"]["ok"], false, "{health}");
    assert_eq!(health["parts"]["mysql"]["ok"], true, "{health}");
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phases_change_only_with_the_token_and_leave_a_trace() {
    let Some((segue, _)) = started("mysql-only").await else { return };
    let phases_file = segue.folder().join("phases.toml");
    let audit_file = segue.folder().join("phases.audit.jsonl");
    let before = std::fs::read_to_string(&phases_file).unwrap();
    let body = json!({"table": "book", "phase": "dual-write", "who": "the tests"});
    let put = || Client::new().put(segue.admin_url("/api/phases")).json(&body);

    assert_eq!(answer(put()).await.0, 401);
    assert_eq!(answer(put().bearer_auth("not-the-token")).await.0, 401);
    assert_eq!(answer(put().basic_auth(ADMIN_TOKEN, None::<&str>)).await.0, 401);
    assert_eq!(std::fs::read_to_string(&phases_file).unwrap(), before);
    assert!(!audit_file.exists());

    let (status, text) = answer(put().bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!(status, 200, "{text}");
    let change: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&change["from"], &change["to"]), (&json!("mysql-only"), &json!("dual-write")));
    assert_eq!(change["tables"], json!(["book"]));
    let file: toml::Table = std::fs::read_to_string(&phases_file).unwrap().parse().unwrap();
    assert_eq!(file["tables"]["book"].as_str(), Some("dual-write"));
    assert_eq!(segue.metric("segue_phase").await.unwrap(), 2.0);

    let audit = std::fs::read_to_string(&audit_file).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert!(last["who"].as_str().unwrap().contains("the tests"), "{last}");
    assert!(last["what"].as_str().unwrap().contains("book"), "{last}");
    assert!(last["when"].as_str().unwrap().ends_with('Z'), "{last}");
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phases_not_served_and_jumps_are_refused_with_a_reason() {
    let Some((segue, _)) = started("mysql-only").await else { return };
    for (body, status, words) in [
        (json!({"default": "dual-read"}), 409, &["dual-read", "dual-write"][..]),
        (json!({"table": "book", "phase": "dynamodb-only"}), 409, &["dynamodb-only"]),
        (json!({"table": "bok", "phase": "dual-write"}), 404, &["bok", "book"]),
        (json!({"table": "book", "phase": "dual-wriet"}), 400, &["dual-wriet", "dual-write"]),
        (json!({"table": "book"}), 400, &["table", "phase"]),
    ] {
        let put = Client::new().put(segue.admin_url("/api/phases")).json(&body);
        let (found, text) = answer(put.bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(found, status, "{body}: {text}");
        let fault = fault(&text);
        assert!(words.iter().all(|word| fault.contains(word)), "{body}: {fault}");
    }
    assert_eq!(segue.get("/api/phases").await.unwrap()["default"], "mysql-only");
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_sites_are_refused_even_with_the_token() {
    let Some((segue, _)) = started("mysql-only").await else { return };
    let get = || Client::new().get(segue.admin_url("/metrics")).bearer_auth(ADMIN_TOKEN);
    assert_eq!(answer(get().header("Host", "evil.example")).await.0, 403);
    assert_eq!(answer(get().header("Host", "127.0.0.1.evil.example")).await.0, 403);
    assert_eq!(answer(get().header("Origin", "http://evil.example")).await.0, 403);
    assert_eq!(answer(get().header("Origin", "null")).await.0, 403);
    assert_eq!(answer(get().header("Host", "localhost")).await.0, 200);
    let own = segue.admin_url("");
    assert_eq!(answer(get().header("Origin", own)).await.0, 200);
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_address_needs_the_token_for_everything() {
    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let database = server.database("http", SCHEMA).await.unwrap();
    let mut config = SegueConfig::new(server, &database, CONTRACT);
    let port = segue_tests::harness::free_port().unwrap();
    config.environment.push(("SEGUE_LISTEN_ADMIN".into(), format!("0.0.0.0:{port}")));
    let segue = SegueProcess::prepare(&config).unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let answers = async {
        loop {
            if Client::new().get(url("/healthz")).send().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // The harness waits at another address; the sidecar is up when this one answers.
    tokio::select! {
        failed = segue.start_again() => panic!("{failed:?}\n{}", segue.log()),
        () = answers => {}
    }
    for path in ["/metrics", "/healthz", "/api/phases", "/api/owed", "/api/sweeps"] {
        let (status, text) = answer(Client::new().get(url(path))).await;
        assert_eq!(status, 401, "{path}: {text}");
        assert!(fault(&text).contains("Bearer"), "{text}");
        let (status, text) = answer(Client::new().get(url(path)).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(status, 200, "{path}: {text}");
    }
    segue.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_is_made_where_none_is_configured_and_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let Some(server) = Server::shared(Kind::MariaDb).await else { return };
    let database = server.database("http", SCHEMA).await.unwrap();
    let config =
        SegueConfig { store: Store::EmbeddedFile, ..SegueConfig::new(server, &database, CONTRACT) };
    let segue = SegueProcess::prepare(&config).unwrap();
    let settings = segue.folder().join("segue.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.split("[admin]").next().unwrap()).unwrap();
    segue.start_again().await.unwrap();
    let path = segue.folder().join("admin.token");
    let token = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(token.trim().len() >= 64);
    assert!(!segue.log().contains(token.trim()));
    let put =
        Client::new().put(segue.admin_url("/api/phases")).json(&json!({"default": "mysql-only"}));
    assert_eq!(answer(put.bearer_auth(token.trim())).await.0, 200);
    // The command finds the file by itself.
    let output = segue.command(&["phase", "set", "default", "dual-write"]).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    segue.stop().await.unwrap();
}

/// The digests of a sidecar in `phase` after the same few statements.
async fn digests(phase: &str) -> Option<(u16, Value)> {
    let server = Server::shared(Kind::MariaDb).await?;
    let database = server.database("http", SCHEMA).await.unwrap();
    let mut config = SegueConfig::new(server, &database, CONTRACT).with_phase(phase);
    config.more = "[observe]\nstatements = \"on\"\n".to_owned();
    let segue = SegueProcess::start(&config).await.unwrap();
    let mut client = client(&segue, &database).await;
    for id in 0..3 {
        client.query_drop(format!("INSERT INTO book VALUES ({id}, 'a secret')")).await.unwrap();
        client.exec_drop("SELECT title FROM book WHERE id = ?", (id,)).await.unwrap();
    }
    client.query_drop("INSERT INTO book VALUES (1, 'twice')").await.unwrap_err();
    let (status, text) = answer(Client::new().get(segue.admin_url("/api/digests"))).await;
    assert!(!text.contains("secret"), "{text}");
    Some((status, serde_json::from_str(&text).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observed_statements_are_counted_by_digest_in_every_phase() {
    for phase in ["mysql-only", "dual-write"] {
        let Some((status, report)) = digests(phase).await else { return };
        assert_eq!(status, 200, "{report}");
        let counts = |text: &str| {
            let rows = report["digests"].as_array().unwrap();
            let row = rows.iter().find(|row| row["text"] == text);
            let row = row.unwrap_or_else(|| panic!("{phase}: no `{text}` in {report}"));
            (row["executions"].as_u64().unwrap(), row["errors"].as_u64().unwrap())
        };
        assert_eq!(counts("INSERT INTO book VALUES ( ? , ? )"), (4, 1), "{phase}");
        assert_eq!(counts("SELECT title FROM book WHERE id = ?"), (3, 0), "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_of_a_sidecar_that_does_not_observe_are_refused() {
    let Some((segue, _)) = started("mysql-only").await else { return };
    let (status, text) = answer(Client::new().get(segue.admin_url("/api/digests"))).await;
    assert_eq!(status, 409);
    assert!(fault(&text).contains("observe.statements"), "{text}");
}
