//! A connection between a client that only listens and a MySQL that answers by script; both it and the
//! ledger write down what they are asked, in one list.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use segue_rules::catalog::{Catalog, Column, DataType, DefaultValue, ServerKind, Table, TableKind};
use segue_rules::entity::Ruleset;
use segue_rules::phase::{Phase, PhaseMap};
use segue_rules::txn::{Dirty, DirtyEntry};
use tokio::net::{TcpListener, TcpStream};

use crate::execute::command::Command;
use crate::execute::failure::SessionError;
use crate::execute::ledger::{Debt, Ledger};
use crate::execute::planner::{PlanCache, Scope, captured_tables};
use crate::execute::state::{SessionState, settings_query};
use crate::execute::{Connection, Execution};
use crate::mirror::TextRows;
use crate::telemetry::Metrics;
use crate::wire::capability::MULTI_STATEMENTS;
use crate::wire::channel::{Channel, Packet};
use crate::wire::cursor::put_length;
use crate::wire::frame::put_packet;
use crate::wire::query;
use crate::wire::response::{EOF, ErrPacket, OkPacket};
use crate::wire::status::{AUTOCOMMIT, IN_TRANS};
use crate::wire::transport::Transport;

type Events = Arc<Mutex<Vec<String>>>;

const CONTRACT: &str = r#"{"tables": [{"table": "Users", "type": "single-entity",
    "source_table": "users", "pk": "id", "attributes": [
    {"name": "id", "type": "N", "source_table": "users", "source_column": "id"},
    {"name": "name", "type": "S", "source_table": "users", "source_column": "name"}]}]}"#;

pub fn select() -> String {
    settings_query(ServerKind::MySql)
}

pub struct Stage {
    pub connection: Connection,
    application: Channel,
    scope: Scope,
    events: Events,
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::at("REPEATABLE-READ").await
    }

    /// With a session of this isolation level.
    pub async fn at(level: &'static str) -> Stage {
        let events = Events::default();
        let (client, application) = pair().await;
        let (server, mysql) = pair().await;
        tokio::spawn(answer_all(mysql, events.clone(), level));
        let execution = Arc::new(Execution {
            observed: None,
            ledger: Some(Arc::new(Books(events.clone()))),
            plans: PlanCache::default(),
            metrics: Arc::new(Metrics::new()),
        });
        let state = SessionState::new(AUTOCOMMIT, Some("shop".to_owned()));
        Stage {
            connection: Connection::new(client, server, MULTI_STATEMENTS, state, execution),
            application,
            scope: scope(),
            events,
        }
    }

    /// Runs a COM_QUERY and gives the packets that the application gets.
    pub async fn run(&mut self, sql: &str) -> Vec<Packet> {
        self.try_run(sql).await.expect("the connection holds")
    }

    pub async fn try_run(&mut self, sql: &str) -> Result<Vec<Packet>, SessionError> {
        let mut frames = Vec::new();
        put_packet(&mut frames, 0, &query::write(sql, 0));
        let command = Command { frames: BytesMut::from(&frames[..]), rest: None, code: 3 };
        self.connection.query(&self.scope, &command).await?;
        let mut packets = Vec::new();
        // All of the answer is on its way already; loopback delivers it at once.
        tokio::task::yield_now().await;
        while let Ok(packet) = tokio::time::timeout(
            std::time::Duration::from_millis(50),
            self.application.packet(1 << 20),
        )
        .await
        {
            packets.push(packet.expect("the connection holds"));
        }
        Ok(packets)
    }

    pub fn events(&self) -> Vec<String> {
        self.events.lock().clone()
    }
}

async fn pair() -> (Channel, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let channel = |stream| Channel::new(Transport::Plain(stream), 4096);
    (channel(near.expect("it listens")), channel(far.expect("it listens").0))
}

/// Plays MySQL until the connection closes.
async fn answer_all(mut mysql: Channel, events: Events, level: &str) {
    let mut status = AUTOCOMMIT;
    while let Ok(packet) = mysql.packet(1 << 20).await {
        let sql = String::from_utf8_lossy(&packet.payload[1..]).into_owned();
        events.lock().push(sql.clone());
        if sql.contains("HANG UP") {
            return;
        }
        match sql.split(' ').next().unwrap_or_default() {
            "BEGIN" => status |= IN_TRANS,
            "COMMIT" | "ROLLBACK" | "CREATE" => status &= !IN_TRANS,
            _ => {}
        }
        let settings = ["", "1", "utf8mb4", "shop", level, "18446744073709551615", "1", "utf8mb4"];
        let row: Option<&[&str]> = if sql == select() {
            Some(&settings)
        } else if sql.starts_with("SELECT") {
            Some(&["1"])
        } else {
            None
        };
        let mut frames = Vec::new();
        if let Some(row) = row {
            result_set(&mut frames, row, status);
        } else if sql.contains("FAIL") {
            put_packet(&mut frames, 1, &ErrPacket::new(1062, b"23000", "Duplicate").write());
        } else if sql.starts_with("FROB") {
            put_packet(&mut frames, 1, &ErrPacket::new(1064, b"42000", "Syntax").write());
        } else {
            let ok = OkPacket { affected_rows: 1, insert_id: 7, status, warnings: 0 };
            let matched = if sql.contains("RACE") { 2 } else { 1 };
            let info = format!("Rows matched: {matched}  Changed: 1  Warnings: 0");
            put_packet(&mut frames, 1, &[&ok.write(), info.as_bytes()].concat());
        }
        if mysql.send(&frames).await.is_err() {
            return;
        }
    }
}

fn result_set(frames: &mut Vec<u8>, row: &[&str], status: u16) {
    let [low, high] = status.to_le_bytes();
    let mut sequence = put_packet(frames, 1, &[row.len() as u8]);
    for _ in row {
        sequence = put_packet(frames, sequence, b"\x03def");
    }
    sequence = put_packet(frames, sequence, &[EOF, 0, 0, low, high]);
    let mut values = Vec::new();
    for value in row {
        put_length(&mut values, value.len() as u64);
        values.extend_from_slice(value.as_bytes());
    }
    sequence = put_packet(frames, sequence, &values);
    put_packet(frames, sequence, &[EOF, 0, 0, low, high]);
}

fn scope() -> Scope {
    let column = |name: &str, data_type: DataType, auto_increment: bool| Column {
        name: name.to_owned(),
        data_type,
        type_text: String::new(),
        nullable: false,
        default: DefaultValue::None,
        auto_increment,
        generated: false,
        on_update_now: false,
        invisible: false,
        charset: (!auto_increment).then(|| "utf8mb4".to_owned()),
        collation: (!auto_increment).then(|| "utf8mb4_bin".to_owned()),
    };
    let id = DataType::Integer { bits: 32, unsigned: false, display_one: false };
    let users = Table {
        name: "users".into(),
        kind: TableKind::Base,
        engine: "InnoDB".to_owned(),
        columns: vec![
            column("id", id, true),
            column("name", DataType::Varchar { length: 40 }, false),
        ],
        primary_key: vec![0],
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
    };
    let catalog = Catalog {
        database: "shop".to_owned(),
        server: ServerKind::MySql,
        version: "9.7.0".to_owned(),
        lower_case_table_names: 0,
        tables: [(users.name.clone(), users)].into(),
    };
    let ruleset = Arc::new(Ruleset::compile(CONTRACT, catalog).expect("the contract is sound"));
    let phases = PhaseMap { default: Phase::DualWrite, ..PhaseMap::default() };
    let tables = Arc::new(captured_tables(&ruleset, &phases));
    Scope { generation: 1, ruleset, phases, tables }
}

/// Writes down what is owed and how it ends.
struct Books(Events);

struct Page {
    events: Events,
    settled: bool,
}

fn describe(entry: &DirtyEntry) -> String {
    match &entry.dirty {
        Dirty::Range { table, from, .. } => format!("{table} from {from}"),
        Dirty::Sweep { table, .. } => format!("sweep of {table}"),
        other => other.table().to_string(),
    }
}

impl Ledger for Books {
    fn owe(
        &self,
        _: Arc<Ruleset>,
        entries: Vec<DirtyEntry>,
        _: u32,
    ) -> BoxFuture<'_, Box<dyn Debt>> {
        let all: Vec<String> = entries.iter().map(describe).collect();
        self.0.lock().push(format!("owe {}", all.join(" ")));
        let page: Box<dyn Debt> = Box::new(Page { events: self.0.clone(), settled: false });
        async move { page }.boxed()
    }

    fn committed_keys<'a>(&'a self, sql: &'a str) -> BoxFuture<'a, Result<TextRows, &'static str>> {
        self.0.lock().push(format!("read {sql}"));
        let rows = if sql.contains("'GONE'") {
            Err("no control connection")
        } else {
            Ok(vec![vec![Some(b"1".to_vec())]])
        };
        async { rows }.boxed()
    }

    fn auto_increment_watermark<'a>(
        &'a self,
        _: &'a Arc<Ruleset>,
        _: &'a str,
    ) -> BoxFuture<'a, u64> {
        async { 41 }.boxed()
    }

    fn raise_watermark(&self, table: &str, value: u64) {
        self.0.lock().push(format!("raise {table} {value}"));
    }

    fn forget_watermark(&self, table: &str) {
        self.0.lock().push(format!("forget {table}"));
    }
}

impl Debt for Page {
    fn committed(mut self: Box<Self>, narrowed: Option<Vec<Dirty>>) {
        self.settled = true;
        self.events.lock().push(match narrowed {
            Some(keys) => format!("committed, narrowed to {}", keys.len()),
            None => "committed".to_owned(),
        });
    }

    fn rolled_back(mut self: Box<Self>) {
        self.settled = true;
        self.events.lock().push("rolled back".to_owned());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !self.settled {
            self.events.lock().push("dropped".to_owned());
        }
    }
}
