//! The compressed protocol: who asks for it gets it on both legs, and the same answers as directly.
//! Never here: every kind of answer, byte for byte (see `equality`), or ends of sessions (see `faults`, `limits`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use segue_tests::harness::{Kind, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step, capability};
use tokio::time::timeout;

use crate::clients::{Client, Login};
use crate::shop;
use crate::tls_server;

/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

const ROOT: Login<'static> = Login { user: "root", password: "", database: "", tls: false };

/// What the server knows of the connection, and rows that take several packets.
const ASKED: &str = "SHOW STATUS LIKE 'Compression%'; SELECT REPEAT('segue', 20000); SELECT 1; \
                     SHOW STATUS LIKE 'Compression%'";

/// Options of a client that asks for compression or insists on it, and what MySQL says then.
fn options(client: &Client) -> Vec<(&'static [&'static str], &'static str)> {
    match client {
        Client::MySql { .. } => vec![
            (&["--compression-algorithms=zlib"], "Compression_algorithm\tzlib"),
            (
                &["--compression-algorithms=zstd", "--zstd-compression-level=11"],
                "Compression_level\t11",
            ),
            (&["--compression-algorithms=zstd,zlib"], "Compression_algorithm\tzlib"),
            (&["--compression-algorithms=uncompressed,zstd"], "Compression\tO"),
        ],
        _ => vec![(&["--compress"], "Compression\tON"), (&["--skip-compress"], "Compression\tOFF")],
    }
}

on_each_server!(clients_get_what_they_ask_for, |shared: &'static Server| async move {
    let Some(server) = tls_server::start(shared.kind(), &[]).await else { return };
    let database = shop::database(&server).await;
    let mut compressed = 0;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(&server, &database, phase).await;
        for client in Client::command_lines().await {
            for (more, told) in options(&client) {
                for tls in [false, true] {
                    let login = Login { tls, database: &database.name, ..ROOT };
                    let directly = client.session(server.port(), login, more, ASKED).await;
                    let through = client.session(segue.mysql_port(), login, more, ASKED).await;
                    let label = format!("{phase} {} {more:?} tls: {tls}", client.name());
                    assert_eq!(directly, through, "{label}");
                    if server.kind() == Kind::Mysql97 {
                        assert!(directly.contains(told), "{label}: {directly}");
                    }
                    compressed += usize::from(directly.contains("Compression\tON"));
                }
            }
        }
        segue.stop().await.unwrap();
    }
    println!("{compressed} compressed sessions");
    assert!(compressed > 0);
});

async fn driver(url: &str) -> Conn {
    let opts = Opts::from_url(url).unwrap();
    let compression = mysql_async::Compression::default();
    Conn::new(OptsBuilder::from_opts(opts).compression(compression)).await.unwrap()
}

/// Several results of one command, large ones, a command of several compressed packets: a driver that holds to all
/// sequence ids of both kinds.
async fn results(client: &mut Conn, database: &str) -> Vec<String> {
    let large = "x".repeat(100_000);
    let several = format!(
        "SELECT 1 UNION SELECT 2; SELECT REPEAT('y', 300000); \
         INSERT /* {large} */ INTO users (username, email, password_hash) VALUES ('a', 'a', 'h'); \
         INSERT INTO users (username, email, password_hash) VALUES ('b', 'b', 'h'), ('c', 'c', 'h'); \
         UPDATE users SET first_name = 'd' WHERE email LIKE 'b%'; SELECT COUNT(*) FROM users; \
         SELECT TABLE_NAME FROM information_schema.tables WHERE TABLE_SCHEMA = '{database}'"
    );
    let mut seen = vec![];
    for sql in
        [several.as_str(), "SELECT 3; SELECT nonsense", "DELETE FROM users WHERE username = 'c'"]
    {
        let mut answer = match client.query_iter(sql).await {
            Ok(answer) => answer,
            Err(error) => {
                seen.push(error.to_string());
                continue;
            }
        };
        while !answer.is_empty() {
            match answer.collect::<Row>().await {
                Ok(rows) => seen.push(format!("{} {rows:?}", answer.affected_rows())),
                Err(error) => {
                    seen.push(error.to_string());
                    break;
                }
            }
        }
    }
    let rows: Vec<Row> =
        client.exec("SELECT * FROM users WHERE username > ?", ("",)).await.unwrap();
    seen.push(rows.len().to_string());
    seen
}

on_each_server!(a_driver_that_checks_sequence_ids, |server: &'static Server| async move {
    let mut outcomes = vec![];
    for phase in [None, Some("mysql-only"), Some("dual-write")] {
        let database = shop::database(server).await;
        let segue = match phase {
            Some(phase) => Some(shop::segue(server, &database, phase).await),
            None => None,
        };
        let url = segue.as_ref().map_or(database.url.clone(), |segue| segue.url(&database));
        let mut client = driver(&url).await;
        let mut seen = results(&mut client, &database.name).await;
        let status: Row =
            client.query_first("SHOW STATUS LIKE 'Compression'").await.unwrap().unwrap();
        seen.push(status.get::<String, _>(1).unwrap());
        client.disconnect().await.unwrap();
        outcomes.push(seen);
        if let (Some(segue), Some("dual-write")) = (&segue, phase) {
            assert!(segue.metric("segue_statements_total").await.unwrap() >= 3.0);
        }
    }
    println!("{:.300}", outcomes[0].join("; ").replace("yyyyyyyy", ""));
    assert_eq!(outcomes[0].last().map(String::as_str), Some("ON"));
    assert_eq!(outcomes[0], outcomes[1], "mysql-only");
    assert_eq!(outcomes[0], outcomes[2], "dual-write");
});

on_each_server!(a_changed_user_stays_compressed, |server: &'static Server| async move {
    let database = shop::database(server).await;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let mut outcomes = vec![];
        for address in [server.address(), shop::address(&segue)] {
            let mut recorder = compressed(&address, capability::COMPRESS).await;
            recorder.run(&Step::query("SELECT REPEAT('x', 100)")).await.unwrap();
            recorder.change_user("root", &database.name).await.unwrap();
            let mut seen = vec![];
            for sql in ["SELECT DATABASE(), REPEAT('y', 100)", "SHOW STATUS LIKE 'Compression'"] {
                seen.push(recorder.run(&Step::query(sql)).await.unwrap());
            }
            assert!(seen[1].windows(2).any(|part| part == b"ON"), "{}", seen[1].escape_ascii());
            outcomes.push(seen);
        }
        assert_eq!(outcomes[0], outcomes[1], "{phase}");
        segue.stop().await.unwrap();
    }
});

async fn compressed(address: &str, capabilities: u64) -> Recorder {
    let capabilities = capabilities | capability::DEPRECATE_EOF;
    Recorder::connect(address, "root", "", capabilities).await.unwrap()
}

/// All that follows such bytes.
async fn end_after(address: &str, capabilities: u64, bytes: &[u8]) -> Vec<u8> {
    let mut recorder = compressed(address, capabilities).await;
    recorder.run(&Step::Ping).await.unwrap();
    recorder.send_raw(bytes).await.unwrap();
    let mut end = vec![];
    let read = async {
        while let Ok(more) = recorder.read_some(65_536).await
            && !more.is_empty()
        {
            end.extend(more);
        }
    };
    timeout(SOON, read).await.expect("the session ends");
    end
}

async fn serves(segue: &SegueProcess) {
    assert!(segue.is_alive() && !segue.log().contains("panicked"), "{}", segue.log());
    let mut recorder = compressed(&shop::address(segue), capability::COMPRESS).await;
    recorder.run(&Step::Ping).await.unwrap();
}

on_each_server!(packets_that_lie_end_the_session, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let content = b"\x78\x9c\x4b\x4c\x1c\x05\xa3\x60";
    let packet = |number: u8, plain: u32| {
        [&[content.len() as u8, 0, 0, number], &plain.to_le_bytes()[..3], content].concat()
    };
    for (capabilities, packet, code) in [
        (capability::COMPRESS, packet(0, 0xff_ffff), 1157_u16),
        (capability::COMPRESS, packet(0, 60), 1157),
        (capability::COMPRESS, packet(5, 0), 1156),
        (capability::ZSTD, packet(0, 0xff_ffff), 1157),
    ] {
        if capabilities == capability::ZSTD && server.kind() == Kind::MariaDb {
            continue;
        }
        let through = end_after(&shop::address(&segue), capabilities, &packet).await;
        let [low, high] = code.to_le_bytes();
        let error = [0xff, low, high];
        let label = format!("{packet:x?}: {}", through.escape_ascii());
        assert!(through.windows(3).any(|part| part == error), "{label}");
        serves(&segue).await;
    }
});

on_each_server!(what_is_switched_off_is_not_offered, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let off = [("SEGUE_LISTEN_COMPRESSION", "off")];
    let segue = shop::segue_with(server, &database, "mysql-only", &off).await;
    let mut client = driver(&segue.url(&database)).await;
    let status: Row = client.query_first("SHOW STATUS LIKE 'Compression'").await.unwrap().unwrap();
    assert_eq!(status.get::<String, _>(1).as_deref(), Some("OFF"));
    client.disconnect().await.unwrap();
});
