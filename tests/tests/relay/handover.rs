//! A restart under load: one process gives its sockets to the next, and no client is refused.
//! Never here: a stop without a successor (see `stop`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Clients that connect again and again.
const CLIENTS: usize = 4;
/// Connections that each of them makes after a hand-over.
const AFTERWARDS: u64 = 5;

const SCHEMA: &str = "CREATE TABLE notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, word VARCHAR(40))";
const CONTRACT: &str = r#"{"tables": [
    {"table": "Notes", "type": "single-entity", "source_table": "notes", "pk": "id", "attributes": [
        {"name": "id", "type": "S", "source_table": "notes", "source_column": "id"},
        {"name": "word", "type": "S", "source_table": "notes", "source_column": "word"}]}]}"#;

/// Clients that connect, write, read and leave, all the time. Any error fails the test.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(url: &str) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (url, stop, done) = (url.to_owned(), stop.clone(), done.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    once(&url).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Load { stop, done, clients }
    }

    /// Waits until further connections have been made and used.
    async fn goes_on(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + CLIENTS as u64 * AFTERWARDS;
        let begin = Instant::now();
        while self.done.load(Ordering::Relaxed) < wanted {
            assert!(begin.elapsed() < SOON, "clients are stuck");
            assert!(self.clients.iter().all(|client| !client.is_finished()), "a client failed");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("no client is refused");
        }
    }
}

async fn once(url: &str) {
    let mut client = Conn::new(Opts::from_url(url).unwrap()).await.expect("connects");
    client.query_drop("INSERT INTO notes (word) VALUES ('load')").await.expect("writes");
    let count: Option<i64> = client.query_first("SELECT COUNT(*) FROM notes").await.expect("reads");
    assert!(count.is_some());
    client.disconnect().await.expect("leaves");
}

async fn stage(server: &Server) -> (Engine, Database, SegueProcess) {
    let database = server.database("handover", SCHEMA).await.unwrap();
    let engine = Engine::start().await.unwrap();
    let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
    // A client that a busy machine holds up in between two statements is none that is idle.
    for (name, value) in [("DRAIN_SECONDS", "600"), ("IDLE_MILLISECONDS", "30000")] {
        config.environment.push((format!("SEGUE_SHUTDOWN_{name}"), value.to_owned()));
    }
    let segue = SegueProcess::start(&config).await.unwrap();
    (engine, database, segue)
}

async fn logs(segue: &SegueProcess, text: &str) {
    let begin = Instant::now();
    while !segue.log().contains(text) {
        assert!(begin.elapsed() < SOON && segue.is_alive(), "no `{text}` in:\n{}", segue.log());
        sleep(Duration::from_millis(20)).await;
    }
}

on_each_server!(no_client_is_refused_during_a_restart, |server: &'static Server| async move {
    let (engine, database, mut segue) = stage(server).await;
    let url = segue.url(&database);
    let load = Load::begin(&url);
    load.goes_on().await;
    for round in 0..2 {
        // Its transaction holds the old process for a while.
        let mut busy = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
        busy.query_drop("START TRANSACTION").await.unwrap();
        busy.query_drop(format!("INSERT INTO notes (word) VALUES ('kept {round}')")).await.unwrap();
        let next = segue.successor(&[]).unwrap();
        next.launch().await.unwrap();
        logs(&next, "has the sockets").await;
        busy.query_drop("INSERT INTO notes (word) VALUES ('kept too')").await.unwrap();
        busy.query_drop("COMMIT").await.unwrap();
        busy.disconnect().await.unwrap();
        logs(&next, "segue serves").await;
        load.goes_on().await;
        assert!(!segue.is_alive());
        assert_eq!(segue.stop().await.unwrap(), 0, "{}", segue.log());
        segue = next;
    }
    load.end().await;
    segue.settle(SOON).await.unwrap();
    let mut root = server.connect().await.unwrap();
    let sql = format!("SELECT COUNT(*), SUM(word LIKE 'kept%') FROM `{}`.notes", database.name);
    let (rows, kept): (usize, usize) = root.query_first(sql).await.unwrap().unwrap();
    assert_eq!(kept, 4);
    let items = Items::at(&engine.endpoint()).all("Notes").await.unwrap().len();
    assert_eq!(items, rows);
});

on_each_server!(
    a_successor_that_cannot_serve_leaves_all_as_it_is,
    |server: &'static Server| async move {
        let (_engine, database, segue) = stage(server).await;
        let bad = segue.successor(&[("SEGUE_CONTRACT_DATABASE", "nowhere_to_be_found")]).unwrap();
        bad.launch().await.unwrap();
        let begin = Instant::now();
        while bad.is_alive() {
            assert!(begin.elapsed() < SOON);
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(bad.stop().await.unwrap(), 2, "{}", bad.log());
        timeout(SOON, once(&segue.url(&database))).await.unwrap();
        assert!(segue.is_alive());
        assert_eq!(segue.stop().await.unwrap(), 0);
    }
);

on_each_server!(
    an_ordinary_start_beside_a_running_process_is_refused,
    |server: &'static Server| async move {
        let (_engine, database, segue) = stage(server).await;
        let second = segue.command(&["serve"]).await.unwrap();
        assert_eq!(second.status.code(), Some(2));
        timeout(SOON, once(&segue.url(&database))).await.unwrap();
    }
);
