//! Limits of Segue's own: clients at a time, idle time, statements that run too long or are cancelled.
//! Each looks to the client as the server's own limit does.
//! Never here: the stop of the process (see `stop`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Kind, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::shop;

const CAPABILITIES: u64 = capability::DEPRECATE_EOF;
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn open(address: &str, database: &Database) -> Recorder {
    Recorder::connect(address, "root", &database.name, CAPABILITIES).await.unwrap()
}

/// Every byte up to the end of the connection.
async fn rest(recorder: &mut Recorder) -> Vec<u8> {
    let mut bytes = vec![];
    let read = async {
        while let Ok(more) = recorder.read_some(65536).await
            && !more.is_empty()
        {
            bytes.extend(more);
        }
    };
    timeout(SOON, read).await.expect("the connection ends");
    bytes
}

/// What a server says before it ends a connection, if anything.
async fn last_word(recorder: &mut Recorder) -> String {
    let word = timeout(SOON, recorder.unasked()).await.expect("the connection ends");
    assert!(rest(recorder).await.is_empty());
    word.unwrap_or_default().escape_ascii().to_string()
}

/// Connects until somebody is sent away at once; all that this one hears.
async fn refused(address: &str) -> Vec<u8> {
    let mut waiting = vec![];
    loop {
        assert!(waiting.len() < 20, "{address}: nobody is refused");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = [0; 5];
        timeout(SOON, stream.read_exact(&mut head)).await.unwrap().unwrap();
        if head[4] == 0xff {
            let mut bytes = head.to_vec();
            timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
            return bytes;
        }
        waiting.push(stream);
    }
}

on_each_server!(too_many_clients_hear_the_servers_words, |shared: &'static Server| async move {
    // Fewer are not possible on MariaDB.
    let small = Server::start_with(shared.kind(), &["--max-connections=10"]).await.unwrap();
    let directly = refused(&small.address()).await;
    drop(small);
    let database = shop::database(shared).await;
    let limit = [("SEGUE_LISTEN_MAX_CONNECTIONS", "3")];
    let segue = shop::segue_with(shared, &database, "dual-write", &limit).await;
    let address = shop::address(&segue);
    assert_eq!(
        refused(&address).await.escape_ascii().to_string(),
        directly.escape_ascii().to_string()
    );
    assert_eq!(segue.metric("segue_connections_cut_total").await.unwrap(), 1.0);
    // Places are given back.
    let begin = Instant::now();
    while Recorder::connect(&address, "root", &database.name, CAPABILITIES).await.is_err() {
        assert!(begin.elapsed() < SOON);
        sleep(Duration::from_millis(50)).await;
    }
});

on_each_server!(
    idle_clients_are_let_go_as_the_server_would,
    |server: &'static Server| async move {
        let database = shop::database(server).await;
        let limit = [("SEGUE_LISTEN_IDLE_TIMEOUT", "2")];
        let segue = shop::segue_with(server, &database, "dual-write", &limit).await;
        let unlimited = shop::segue(server, &database, "dual-write").await;
        for capabilities in [CAPABILITIES, CAPABILITIES | capability::COMPRESS] {
            let mut ends = vec![];
            for (address, first) in [
                (server.address(), "SET SESSION wait_timeout = 1"),
                (shop::address(&unlimited), "SET SESSION wait_timeout = 1"),
                (shop::address(&segue), "SET SESSION wait_timeout = 1000"),
            ] {
                let name = &database.name;
                let client = Recorder::connect(&address, "root", name, capabilities).await;
                let mut client = client.unwrap();
                client.run(&Step::query(first)).await.unwrap();
                client.run(&Step::query("BEGIN")).await.unwrap();
                client.run(&Step::query("UPDATE users SET first_name = 'idle'")).await.unwrap();
                ends.push(last_word(&mut client).await);
            }
            assert_eq!(ends[0].is_empty(), server.kind() == Kind::MariaDb, "{}", ends[0]);
            assert_eq!(ends[0], ends[1], "the server's own limit");
            assert_eq!(ends[0], ends[2], "Segue's limit");
        }
        // A statement may take longer than a client may be idle.
        let mut busy = open(&shop::address(&segue), &database).await;
        busy.run(&Step::query("SELECT SLEEP(4)")).await.unwrap();
        busy.run(&Step::query("SELECT 1")).await.unwrap();
        // What was open has been rolled back, and holds no lock.
        let mut root = server.connect().await.unwrap();
        let update = format!("UPDATE `{}`.users SET last_name = 'free'", database.name);
        timeout(SOON, root.query_drop(update)).await.expect("no lock is left").unwrap();
    }
);

/// A statement that runs for minutes and looks at being cancelled.
const SLOW: &str = "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, \
                    information_schema.columns c WHERE a.column_name > b.column_name";

/// An answer from its error's SQLSTATE on: whether columns went before it is a matter of the moment.
fn from_error(answer: Vec<u8>) -> Vec<u8> {
    let at = answer.iter().position(|&b| b == b'#').unwrap_or(0);
    answer[at..].to_vec()
}

on_each_server!(a_query_timeout_is_the_servers, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let limit = match server.kind() {
        Kind::Mysql97 => "SET SESSION max_execution_time = 500",
        Kind::MariaDb => "SET SESSION max_statement_time = 0.5",
    };
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let mut answers = vec![];
        for address in [server.address(), shop::address(&segue)] {
            let mut client = open(&address, &database).await;
            let mut bytes = vec![];
            for step in [
                Step::query(limit),
                Step::query(SLOW),
                Step::Prepare(SLOW.to_owned()),
                Step::Execute { cursor: 0, parameters: vec![] },
                Step::query("SELECT 1"),
            ] {
                let answer = timeout(SOON, client.run(&step)).await.expect("the limit holds");
                bytes.push(answer.unwrap());
            }
            let [_, query, _, execution, alive] = <[Vec<u8>; 5]>::try_from(bytes).unwrap();
            answers.push([from_error(query), from_error(execution), alive]);
        }
        assert_eq!(answers[0], answers[1], "{phase}");
    }
});

on_each_server!(
    a_client_cancels_by_the_number_in_its_greeting,
    |server: &'static Server| async move {
        let database = shop::database(server).await;
        for phase in ["mysql-only", "dual-write"] {
            let segue = shop::segue(server, &database, phase).await;
            for by_command in [false, true] {
                let mut ends = vec![];
                for address in [server.address(), shop::address(&segue)] {
                    let mut busy = open(&address, &database).await;
                    busy.send(&Step::query(SLOW)).await.unwrap();
                    let id = busy.connection_id;
                    runs(server, id).await;
                    let mut other = open(&address, &database).await;
                    let kill = if by_command {
                        // COM_PROCESS_KILL ends the connection. MySQL has dropped it.
                        Step::Unknown([&[0x0c][..], &id.to_le_bytes()].concat())
                    } else {
                        Step::query(format!("KILL QUERY {id}"))
                    };
                    let killed = other.run(&kill).await.unwrap();
                    if by_command && killed.get(4) == Some(&0xff) {
                        other.run(&Step::query(format!("KILL {id}"))).await.unwrap();
                    }
                    let mut told = timeout(SOON, busy.read_some(65536)).await.unwrap().unwrap();
                    if by_command {
                        told.extend(rest(&mut busy).await);
                    } else {
                        told.extend(busy.run(&Step::query("SELECT 'alive'")).await.unwrap());
                    }
                    ends.push((killed, from_error(told)));
                }
                assert_eq!(ends[0], ends[1], "{phase}, command: {by_command}");
            }
        }
    }
);

/// Whether a connection works on a statement now; `None`: it has ended.
async fn state(server: &Server, id: u32) -> Option<bool> {
    let mut root = server.connect().await.unwrap();
    let sql = format!("SELECT COMMAND FROM information_schema.processlist WHERE id = {id}");
    let command: Option<String> = root.query_first(sql).await.unwrap();
    root.disconnect().await.unwrap();
    command.map(|command| command == "Query")
}

async fn runs(server: &Server, id: u32) {
    let begin = Instant::now();
    while state(server, id).await != Some(true) {
        assert!(begin.elapsed() < SOON, "connection {id} does nothing");
        sleep(Duration::from_millis(50)).await;
    }
}
