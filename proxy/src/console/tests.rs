//! Facts about the HTTP side, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use segue_config::faults::FaultScript;
use segue_rules::phase::{Phase, PhaseMap};
use segue_rules::value::TableName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;

use crate::control::testing::ruleset;
use crate::mirror::ParkedFilter;

#[derive(Default)]
struct Recorded(Mutex<Vec<TableName>>);

impl Operations for Recorded {
    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            Health {
                frozen: Default::default(),
                mysql: Part::well(),
                dynamodb: Part::ill("refused"),
                journal: Part::well(),
                faults: None,
                generation: 1,
                ruleset: "f".to_owned(),
            }
        })
    }
    fn owed(&self, filter: &ParkedFilter) -> Value {
        let parked = json!([{"key": "[S(\"a@b\")]", "reason": "a@b again"}]);
        let asked = json!([filter.table, filter.entity, filter.limit]);
        json!({"parked_total": 1, "parked": parked, "asked": asked})
    }
    fn retry_parked(&self) -> usize {
        3
    }
    fn sweep(&self, tables: Vec<TableName>) -> BoxFuture<'_, ()> {
        self.0.lock().extend(tables);
        Box::pin(async {})
    }
    fn sweeps(&self) -> Value {
        json!([])
    }
    fn validation(&self) -> Value {
        json!({ "equal": 0, "differences": [{ "row_key": ["secret"], "item_key": "secret" }] })
    }

    fn faults(&self) -> Option<Value> {
        None
    }
    fn take_faults(&self, _: FaultScript) {}
}

struct Served {
    address: SocketAddr,
    console: Arc<Console>,
    operations: Arc<Recorded>,
    _folder: tempfile::TempDir,
}

async fn served(listen: &str) -> Served {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let live = Arc::new(Live::new(Arc::new(ruleset("a", &["users"])), PhaseMap::default()));
    let metrics = Arc::new(Metrics::new());
    let path = folder.path().join("phases.toml");
    let operations = Arc::new(Recorded::default());
    let console = Arc::new(Console {
        observed: Some(Arc::new(Digests::default())),
        phases: Arc::new(PhaseControl::new(live.clone(), path, metrics.clone())),
        live,
        metrics,
        operations: operations.clone(),
        token: Token::new("a-good-long-token".to_owned()),
    });
    let listener = TcpListener::bind(listen).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, console.clone(), CancellationToken::new()));
    Served { address, console, operations, _folder: folder }
}

impl Served {
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let port = self.address.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let host = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: localhost:{port}\r\n")
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        let status = answer[9..12].parse().expect("a status");
        let body = answer.split_once("\r\n\r\n").expect("a body").1.to_owned();
        (status, body)
    }
}

const TOKEN: &str = "Authorization: Bearer a-good-long-token\r\n";

#[tokio::test]
async fn reading_on_loopback_needs_no_token_and_writing_does() {
    let served = served("127.0.0.1:0").await;
    let (status, body) = served.ask("GET", "/metrics", "", "").await;
    assert_eq!(status, 200);
    assert!(body.contains("segue_phase{table=\"users\"} 1"), "{body}");
    let (status, body) = served.ask("GET", "/healthz", "", "").await;
    assert_eq!(status, 200);
    assert!(body.contains("degraded"), "{body}");
    let change = "{\"table\":\"users\",\"phase\":\"dual-write\"}";
    assert_eq!(served.ask("PUT", "/api/phases", "", change).await.0, 401);
    let wrong = "Authorization: Bearer a-good-long-tokem\r\n";
    assert_eq!(served.ask("PUT", "/api/phases", wrong, change).await.0, 401);
    assert_eq!(served.ask("PUT", "/api/phases", TOKEN, change).await.0, 200);
    assert_eq!(served.console.live.current().phases.of("users"), Phase::DualWrite);
}

#[tokio::test]
async fn values_of_parked_rows_are_shown_only_with_the_token() {
    let served = served("127.0.0.1:0").await;
    let (status, body) = served.ask("GET", "/api/owed", "", "").await;
    assert_eq!(status, 200);
    assert!(!body.contains("a@b") && body.contains("\"parked_total\":1"), "{body}");
    assert!(served.ask("GET", "/api/owed", TOKEN, "").await.1.contains("a@b"));
    assert!(!served.ask("GET", "/api/validation", "", "").await.1.contains("secret"));
    assert!(served.ask("GET", "/api/validation", TOKEN, "").await.1.contains("secret"));
}

#[tokio::test]
async fn parked_keys_are_listed_as_asked_and_tried_again_on_demand() {
    let served = served("127.0.0.1:0").await;
    let path = "/api/owed?table=a%20b&limit=5";
    let (status, body) = served.ask("GET", path, TOKEN, "").await;
    assert_eq!(status, 200);
    assert!(body.contains("\"asked\":[\"a b\",null,5]"), "{body}");
    for wrong in ["/api/owed?limit=-1", "/api/owed?limt=5"] {
        let (status, body) = served.ask("GET", wrong, TOKEN, "").await;
        assert!(status == 400 && body.contains("limit=..."), "{status} {body}");
    }
    let (status, body) = served.ask("POST", "/api/owed/retry", TOKEN, "").await;
    assert_eq!((status, body.as_str()), (202, "{\"retried\":3}"));
    assert_eq!(served.ask("POST", "/api/owed/retry", "", "").await.0, 401);
}

#[tokio::test]
async fn every_request_on_a_network_address_needs_the_token() {
    let served = served("0.0.0.0:0").await;
    assert_eq!(served.ask("GET", "/healthz", "", "").await.0, 401);
    assert_eq!(served.ask("GET", "/healthz", TOKEN, "").await.0, 200);
}

#[tokio::test]
async fn requests_from_foreign_sites_are_refused_on_loopback() {
    let served = served("127.0.0.1:0").await;
    assert_eq!(served.ask("GET", "/metrics", "Host: evil.example\r\n", "").await.0, 403);
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(served.ask("GET", "/metrics", origin, "").await.0, 403);
    let own = format!("Origin: http://localhost:{}\r\n", served.address.port());
    assert_eq!(served.ask("GET", "/metrics", &own, "").await.0, 200);
}

#[tokio::test]
async fn errors_are_json_with_a_hint() {
    let served = served("127.0.0.1:0").await;
    for (method, path, body, expected) in [
        ("GET", "/nowhere", "", 404),
        ("DELETE", "/api/phases", "", 405),
        ("PUT", "/api/phases", "{\"phase\":1}", 400),
        ("PUT", "/api/phases", "{\"default\":\"dual-read\"}", 409),
        ("PUT", "/api/phases", "{\"table\":\"user\",\"phase\":\"dual-write\"}", 404),
        ("POST", "/api/sweeps", "{\"table\":\"users\"}", 409),
        ("POST", "/api/sweeps", "{}", 400),
    ] {
        let (status, body) = served.ask(method, path, TOKEN, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        let fault: Value = serde_json::from_str(&body).expect("JSON");
        assert!(fault["error"].is_string() && fault["hint"].is_string(), "{body}");
    }
    let large = " ".repeat(segue_config::limits::HTTP_BODY_BYTES_MAX + 1);
    assert_eq!(served.ask("PUT", "/api/phases", TOKEN, &large).await.0, 413);
}

#[tokio::test]
async fn a_sweep_of_a_mirrored_table_is_accepted() {
    let served = served("127.0.0.1:0").await;
    served
        .console
        .phases
        .set(&crate::control::Target::Default, Phase::DualWrite, "t")
        .await
        .expect("set");
    let (status, body) = served.ask("POST", "/api/sweeps", TOKEN, "{\"table\":\"users\"}").await;
    assert_eq!((status, body.as_str()), (202, "{\"owed\":[\"users\"]}"));
    assert_eq!(*served.operations.0.lock(), vec![TableName::from("users")]);
}
