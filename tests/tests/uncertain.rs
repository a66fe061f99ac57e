//! Commits whose end nobody told Segue: it was killed, or the client left, while MySQL still worked on
//! the statement. What MySQL commits later must reach DynamoDB all the same.
//! Never here: kills under load (see `chaos`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Engine, Items, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use serde_json::Value;
use tokio::time::{Instant, sleep};

const SCHEMA: &str = include_str!("../fixtures/store/schema.sql");
const CONTRACT: &str = include_str!("../fixtures/store/migrationContract.json");
const SETTLE: Duration = Duration::from_secs(30);
/// Longer than Segue waits where it cannot see connections.
const GRACE: Duration = Duration::from_secs(90);
/// How long a look at MySQL may take until it shows what is waited for.
const LOOK: Duration = Duration::from_secs(15);
/// InnoDB's view of transactions stands still while it is asked more often than every 100 ms.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Time for a Segue that does not wait for the statement's end to refresh too early.
const TOO_EARLY: Duration = Duration::from_millis(1_500);

/// What happens in the middle of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    SegueKilled,
    ClientGone,
}

struct Stage {
    segue: SegueProcess,
    items: Items,
    database: Database,
    /// A direct connection that makes statements wait.
    holder: Conn,
    /// A direct connection that looks.
    observer: Conn,
    _engine: Engine,
}

impl Stage {
    async fn set(server: &Server) -> Stage {
        Stage::set_with(server, |_, _| {}).await
    }

    async fn set_with(server: &Server, change: impl FnOnce(&mut SegueConfig, &Database)) -> Stage {
        let tables: String = SCHEMA
            .split_inclusive(';')
            .filter(|part| !part.contains("DATABASE") && !part.trim_start().starts_with("USE "))
            .collect();
        let database = server.database("uncertain", &tables).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let mut config = SegueConfig::new(server, &database, CONTRACT).with_engine(&engine);
        change(&mut config, &database);
        let segue = SegueProcess::start(&config).await.unwrap();
        let items = Items::at(&engine.endpoint());
        let direct = Opts::from_url(&database.url).unwrap();
        let holder = Conn::new(direct.clone()).await.unwrap();
        let observer = Conn::new(direct).await.unwrap();
        let mut stage = Stage { segue, items, database, holder, observer, _engine: engine };
        let insert = "INSERT INTO users (username, email, password_hash, first_name) \
                      VALUES ('ann', 'ann@x.org', 'h1', 'Ann')";
        let mut client = stage.client().await;
        client.query_drop(insert).await.unwrap();
        // The answer to the next statement comes when the one before it is in the books.
        client.query_drop("DO 0").await.unwrap();
        assert_eq!(stage.item().await["profile_data"]["first_name"], "Ann");
        stage.holder.query_drop("SET SESSION lock_wait_timeout = 20").await.unwrap();
        stage
    }

    async fn client(&self) -> Conn {
        Conn::new(Opts::from_url(&self.segue.url(&self.database)).unwrap()).await.unwrap()
    }

    /// The user's item once nothing is owed.
    async fn item(&self) -> Value {
        self.segue.settle(SETTLE).await.unwrap_or_else(|e| panic!("{e}\n{}", self.segue.log()));
        let found = self.items.having("Users", "PK", "ann@x.org").await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// Waits until a query of the observer has a row.
    async fn look(&mut self, sql: &str) {
        let began = Instant::now();
        loop {
            let rows: Vec<mysql_async::Row> = self.observer.query(sql).await.unwrap();
            if !rows.is_empty() {
                return;
            }
            assert!(began.elapsed() < LOOK, "nothing after {LOOK:?}: {sql}");
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Interrupts a running statement and lets MySQL end it by `release`.
    async fn interrupt(&mut self, running: Conversation, how: Interruption, release: &str) {
        match how {
            Interruption::SegueKilled => {
                self.segue.kill_hard().await.unwrap();
                let _ = running.await;
                self.segue.start_again().await.unwrap();
            }
            Interruption::ClientGone => {
                running.abort();
                let _ = running.await;
            }
        }
        sleep(TOO_EARLY).await;
        self.look("SELECT 1 FROM users WHERE id = 1 AND first_name = 'Ann'").await;
        self.holder.query_drop(release).await.unwrap();
    }

    /// The change was committed late, and has reached the item.
    async fn expect_late(&mut self) {
        self.look("SELECT 1 FROM users WHERE id = 1 AND first_name = 'late'").await;
        assert_eq!(self.item().await["profile_data"]["first_name"], "late");
    }
}

type Conversation = tokio::task::JoinHandle<()>;

/// Sends statements one after the other; how they end is nobody's business.
fn converse(mut client: Conn, statements: &[&str]) -> Conversation {
    let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
    tokio::spawn(async move {
        for sql in statements {
            let _ = client.query_drop(sql).await;
        }
    })
}

const CHANGE: &str = "UPDATE users SET first_name = 'late' WHERE id = 1";

async fn autocommitted(server: &Server, how: Interruption) {
    interrupt_autocommitted(Stage::set(server).await, how).await.expect_late().await;
}

async fn interrupt_autocommitted(mut stage: Stage, how: Interruption) -> Stage {
    stage.holder.query_drop("BEGIN").await.unwrap();
    stage.holder.query_drop("SELECT * FROM users WHERE id = 1 FOR UPDATE").await.unwrap();
    let running = converse(stage.client().await, &[CHANGE]);
    // The shared server may work on other tests' statements too.
    let waits = format!(
        "SELECT 1 FROM information_schema.innodb_trx t JOIN information_schema.processlist p \
         ON p.id = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.db = '{}'",
        stage.database.name
    );
    stage.look(&waits).await;
    stage.interrupt(running, how, "COMMIT").await;
    stage
}

on_each_server!(
    statement_that_outlives_segue_is_mirrored,
    |server: &'static Server| autocommitted(server, Interruption::SegueKilled)
);

on_each_server!(statement_that_outlives_its_client_is_mirrored, |server: &'static Server| {
    autocommitted(server, Interruption::ClientGone)
});

on_each_server!(
    account_without_process_is_named_and_makes_do,
    |server: &'static Server| async move {
        let mut root = server.connect().await.unwrap();
        let user = "without_process";
        root.query_drop(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")).await.unwrap();
        root.query_drop(format!("GRANT SELECT, TRIGGER ON `uncertain\\_%`.* TO '{user}'@'%'"))
            .await
            .unwrap();
        let stage = Stage::set_with(server, |config, database| {
            config.control_url =
                format!("mysql://{user}:secret@{}/{}", server.address(), database.name);
        })
        .await;
        assert!(stage.segue.log().contains("lacks PROCESS"), "{}", stage.segue.log());
        let check = stage.segue.command(&["check"]).await.unwrap();
        let text = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
        assert!(check.status.success(), "a warning is no error: {text}");
        assert!(text.contains(&format!("GRANT PROCESS ON *.* TO '{user}'@'%'")), "{text}");
        let mut stage = interrupt_autocommitted(stage, Interruption::SegueKilled).await;
        stage.segue.settle(GRACE).await.unwrap();
        stage.expect_late().await;
    }
);

/// On a server of its own: the lock that makes a COMMIT wait stops the whole server.
async fn committed(kind: Kind, how: Interruption) {
    let Some(server) = Server::own(kind).await else { return };
    let mut stage = Stage::set(&server).await;
    let mut client = stage.client().await;
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop(CHANGE).await.unwrap();
    stage.holder.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    let running = converse(client, &["COMMIT"]);
    stage
        .look("SELECT 1 FROM information_schema.processlist WHERE info = 'COMMIT' AND state LIKE 'Waiting for %lock'")
        .await;
    stage.interrupt(running, how, "UNLOCK TABLES").await;
    match kind {
        Kind::Mysql97 => stage.expect_late().await,
        // MariaDB looks at the connection while a COMMIT waits for this lock, and rolls back.
        Kind::MariaDb => {
            assert_eq!(stage.item().await["profile_data"]["first_name"], "Ann");
            stage.look("SELECT 1 FROM users WHERE id = 1 AND first_name = 'Ann'").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_that_outlives_segue_is_mirrored_on_mysql() {
    committed(Kind::Mysql97, Interruption::SegueKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_given_up_with_segue_is_not_mirrored_on_mariadb() {
    committed(Kind::MariaDb, Interruption::SegueKilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_that_outlives_its_client_is_mirrored_on_mysql() {
    committed(Kind::Mysql97, Interruption::ClientGone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_given_up_with_its_client_is_not_mirrored_on_mariadb() {
    committed(Kind::MariaDb, Interruption::ClientGone).await;
}
