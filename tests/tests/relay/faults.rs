//! Things that go wrong on either leg: kills, lost servers, clients that leave or send nonsense. Segue
//! passes on what the server does, and goes on serving others.
//! Never here: many clients at once (see `concurrency`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::shop;

const CAPABILITIES: u64 = capability::DEPRECATE_EOF;
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// Nothing more comes from a server that has been silent for so long.
const SILENCE: Duration = Duration::from_secs(2);

async fn open(address: &str, database: &Database) -> Recorder {
    open_with(address, database, CAPABILITIES).await
}

async fn open_with(address: &str, database: &Database, capabilities: u64) -> Recorder {
    Recorder::connect(address, "root", &database.name, capabilities).await.unwrap()
}

/// Segue still serves.
async fn serves(segue: &SegueProcess, database: &Database) {
    assert!(segue.is_alive(), "{}", segue.log());
    assert!(!segue.log().contains("panicked"), "{}", segue.log());
    let mut client = Conn::new(Opts::from_url(&segue.url(database)).unwrap()).await.unwrap();
    let one: Option<i64> = client.query_first("SELECT COUNT(*) FROM users").await.unwrap();
    assert!(one.is_some());
}

/// Waits until the number of clients is that.
async fn clients(segue: &SegueProcess, expected: f64) {
    let begin = Instant::now();
    loop {
        let found = segue.metric("segue_connections").await.unwrap();
        if found == expected {
            return;
        }
        assert!(begin.elapsed() < SOON, "{found} clients, not {expected}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Everything that comes until the end or a silence; the end is told.
async fn all(recorder: &mut Recorder) -> (Vec<u8>, bool) {
    let mut bytes = vec![];
    loop {
        match timeout(SILENCE, recorder.read_some(65536)).await {
            Err(_) => return (bytes, false),
            Ok(Ok(more)) if !more.is_empty() => bytes.extend(more),
            Ok(_) => return (bytes, true),
        }
    }
}

on_each_server!(kill_from_elsewhere, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let slow = "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, \
                information_schema.columns c WHERE a.column_name > b.column_name";
    let compressed = CAPABILITIES | capability::COMPRESS;
    for (kill, sql, capabilities) in [
        ("KILL QUERY", slow, CAPABILITIES),
        ("KILL QUERY", "SELECT SLEEP(60)", CAPABILITIES),
        ("KILL", slow, CAPABILITIES),
        ("KILL", "", CAPABILITIES),
        ("KILL QUERY", slow, compressed),
        ("KILL", "", compressed),
    ] {
        let mut outcomes = vec![];
        for address in [server.address(), shop::address(&segue)] {
            let mut recorder = open_with(&address, &database, capabilities).await;
            if !sql.is_empty() {
                recorder.send(&Step::query(sql)).await.unwrap();
            }
            sleep(Duration::from_millis(500)).await;
            let mut root = server.connect().await.unwrap();
            root.query_drop(format!("{kill} {}", recorder.connection_id)).await.unwrap();
            let mut answer = all(&mut recorder).await;
            let begin = Instant::now();
            while answer == (vec![], false) && begin.elapsed() < SOON {
                answer = all(&mut recorder).await;
            }
            outcomes.push(answer);
        }
        assert_eq!(outcomes[0], outcomes[1], "{kill}: {sql}");
    }
    serves(&segue, &database).await;
});

on_each_server!(server_killed_in_the_middle_of_a_result, |shared: &'static Server| async move {
    let Some(server) = Server::own(shared.kind()).await else { return };
    let database = shop::database(&server).await;
    let segue = shop::segue(&server, &database, "dual-write").await;
    let mut recorder = open(&shop::address(&segue), &database).await;
    let mut waiting = open(&shop::address(&segue), &database).await;
    let compressed = CAPABILITIES | capability::COMPRESS;
    let mut compressed = open_with(&shop::address(&segue), &database, compressed).await;
    let large = "SELECT REPEAT('x', 1000) FROM information_schema.columns a, \
                 information_schema.columns b";
    recorder.send(&Step::query(large)).await.unwrap();
    compressed.send(&Step::query(large)).await.unwrap();
    waiting.send(&Step::query("UPDATE users SET first_name = SLEEP(100)")).await.unwrap();
    assert!(!recorder.read_some(1000).await.unwrap().is_empty());
    assert!(!compressed.read_some(1000).await.unwrap().is_empty());
    server.kill_hard().await.unwrap();
    let ends = async {
        while recorder.read_some(1 << 20).await.is_ok_and(|bytes| !bytes.is_empty()) {}
        while waiting.read_some(1 << 20).await.is_ok_and(|bytes| !bytes.is_empty()) {}
        while compressed.read_some(1 << 20).await.is_ok_and(|bytes| !bytes.is_empty()) {}
    };
    timeout(SOON, ends).await.expect("the clients see that the server has gone");
    let error = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("Segue"), "{error}");
    assert!(segue.is_alive());
    server.restart().await.unwrap();
    serves(&segue, &database).await;
});

// The flags of a new session say then that it commits by itself.
on_each_server!(autocommit_off_for_the_whole_server, |shared: &'static Server| async move {
    let Some(server) = Server::own(shared.kind()).await else { return };
    let database = shop::database(&server).await;
    let segue = shop::segue(&server, &database, "dual-write").await;
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL autocommit = 0").await.unwrap();
    let mut outcomes = vec![];
    for address in [server.address(), shop::address(&segue)] {
        let mut recorder = open(&address, &database).await;
        let mut answers = vec![];
        for sql in [
            "INSERT INTO users (id, username, email, password_hash) VALUES (1, 'a', 'a', 'h')",
            "UPDATE users SET first_name = 'x' WHERE email LIKE 'a%'",
            "ROLLBACK",
            "SELECT COUNT(*) FROM users",
            "SET autocommit = DEFAULT",
            "DELETE FROM users WHERE email LIKE 'a%'",
            "INSERT INTO users (id, username, email, password_hash) VALUES (1, 'a', 'a', 'h')",
            "UPDATE users SET first_name = 'x' WHERE email LIKE 'a%'",
            "ROLLBACK",
            "SET autocommit = 1",
            "UPDATE users SET first_name = 'x' WHERE email LIKE 'a%'",
            "ROLLBACK",
            "SELECT COUNT(*) FROM users",
        ] {
            answers.push(recorder.run(&Step::query(sql)).await.unwrap());
        }
        outcomes.push(answers);
    }
    assert_eq!(outcomes[0], outcomes[1]);
});

on_each_server!(client_that_leaves_ends_what_it_began, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let mut root = server.connect().await.unwrap();
    let name = &database.name;
    root.query_drop(format!("USE `{name}`")).await.unwrap();
    root.query_drop("INSERT INTO users (username, email, password_hash) VALUES ('a', 'a', 'h')")
        .await
        .unwrap();
    for last in ["SELECT SLEEP(3)", "UPDATE users SET last_name = SLEEP(3)", "SELECT 1"] {
        let mut recorder = open(&shop::address(&segue), &database).await;
        recorder.run(&Step::query("BEGIN")).await.unwrap();
        recorder.run(&Step::query("UPDATE users SET first_name = 'gone'")).await.unwrap();
        recorder.send(&Step::query(last)).await.unwrap();
        sleep(Duration::from_millis(200)).await;
        drop(recorder);
        clients(&segue, 0.0).await;
    }
    let update = "UPDATE users SET last_name = 'here'";
    timeout(SOON, root.query_drop(update)).await.expect("no lock is left").unwrap();
    let row: Option<(Option<String>, String)> =
        root.query_first("SELECT first_name, last_name FROM users").await.unwrap();
    assert_eq!(row, Some((None, "here".to_owned())));
    serves(&segue, &database).await;
    segue.settle(SOON).await.unwrap();
});

on_each_server!(nonsense_after_the_login, |server: &'static Server| async move {
    let database = shop::database(server).await;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let cases: [(&str, &[u8]); 9] = [
            ("an empty packet", &[0, 0, 0, 0]),
            ("a wrong sequence id", b"\x09\0\0\x05\x03SELECT 1"),
            ("an unknown command", &[1, 0, 0, 0, 0xee]),
            ("a query without text", &[1, 0, 0, 0, 3]),
            ("text that is no text", b"\x06\0\0\0\x03\xff\xfe\0\x80\xc0"),
            ("an execution of nothing", &[1, 0, 0, 0, 0x17]),
            ("a close of nothing", &[1, 0, 0, 0, 0x19]),
            ("a cut execution", &[5, 0, 0, 0, 0x17, 1, 0, 0, 0]),
            ("a fetch of nothing", &[9, 0, 0, 0, 0x1c, 1, 0, 0, 0, 1, 0, 0, 0]),
        ];
        for (name, bytes) in cases {
            let outcome = async |address: String| {
                let mut recorder = open(&address, &database).await;
                recorder.send_raw(bytes).await.unwrap();
                all(&mut recorder).await
            };
            let (directly, through) =
                tokio::join!(outcome(server.address()), outcome(shop::address(&segue)));
            assert_eq!(directly, through, "{phase}: {name}");
        }
        // A length and nothing behind it: nobody waits for it longer than its sender does.
        let mut recorder = open(&shop::address(&segue), &database).await;
        recorder.send_raw(&[0xff, 0xff, 0xff, 0, 3, b'S']).await.unwrap();
        drop(recorder);
        clients(&segue, 0.0).await;
        serves(&segue, &database).await;
        segue.stop().await.unwrap();
    }
});

on_each_server!(nonsense_in_place_of_a_login, |server: &'static Server| async move {
    let database = shop::database(server).await;
    // Long enough for those that send something, on a busy machine.
    let limit = [("SEGUE_LISTEN_LOGIN_TIMEOUT", "5")];
    let segue = shop::segue_with(server, &database, "dual-write", &limit).await;
    let half = [&[0x40, 0, 0, 1, 0x8d, 0xa2, 0x0b, 0][..], &[0; 10]].concat();
    let cut_ssl_request = [&[32, 0, 0, 1, 0x8d, 0xaa, 0x0b, 0][..], &[0; 28]].concat();
    let cases: [(&str, Vec<u8>); 8] = [
        ("garbage", (0..=255).cycle().take(5000).collect()),
        ("a huge length", vec![0xff, 0xff, 0xff, 1, 1, 2, 3]),
        ("a web request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("an empty packet", vec![0, 0, 0, 1]),
        ("zeros", vec![0; 10_000]),
        ("half a login", half.clone()),
        ("a login of nothing", [&[64, 0, 0, 1][..], &[0xff; 64]].concat()),
        ("garbage in place of TLS", [cut_ssl_request, vec![0x55; 500]].concat()),
    ];
    for (name, bytes) in cases {
        let mut stream = TcpStream::connect(shop::address(&segue)).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut rest = vec![];
        let read = timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "{name}: the connection is closed");
    }
    clients(&segue, 0.0).await;
    serves(&segue, &database).await;

    // Those that say nothing, or half of it, are sent away some time.
    let mut waiting = vec![];
    for bytes in [&[][..], &half] {
        let mut stream = TcpStream::connect(shop::address(&segue)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        waiting.push(stream);
    }
    for mut stream in waiting {
        let mut rest = vec![];
        let read = timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "a client without login is sent away");
    }
    // They are counted when their connections are closed already, before they count as gone.
    clients(&segue, 0.0).await;
    assert_eq!(segue.metric("segue_connections_cut_total").await.unwrap(), 2.0);
    serves(&segue, &database).await;
});
