//! Commands that few clients send, raw: each gives through Segue what it gives directly, and what follows it is
//! captured. Never here: statements (see `equality`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Database, Kind, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::recorder::{Parameter, Recorder, Step, capability};
use tokio::time::timeout;

use crate::shop;

/// Both capabilities change which packets make up an answer.
const MODERN: u64 = capability::DEPRECATE_EOF | capability::SESSION_TRACK;
/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// Everything owed is done by then.
const SETTLED: Duration = Duration::from_secs(60);

async fn open(address: &str, user: &str, database: &Database) -> Recorder {
    Recorder::connect(address, user, &database.name, MODERN).await.unwrap()
}

/// Bytes of one piece at least, until `count` are there.
async fn exactly(recorder: &mut Recorder, count: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while bytes.len() < count {
        let more = timeout(SOON, recorder.read_some(count - bytes.len())).await;
        let more = more.expect("an answer comes").unwrap();
        assert!(!more.is_empty(), "the connection ended after {bytes:?}");
        bytes.extend(more);
    }
    bytes
}

fn framed(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    frame.push(sequence);
    frame.extend_from_slice(payload);
    frame
}

/// An account without a password and without any privilege beyond the database.
async fn account(server: &Server, database: &Database) -> String {
    let mut root = server.connect().await.unwrap();
    let user = format!("p{}", database.name);
    root.query_drop(format!("CREATE USER '{user}'@'%'")).await.unwrap();
    root.query_drop(format!("GRANT ALL ON `{}`.* TO '{user}'@'%'", database.name)).await.unwrap();
    user
}

/// Users, as the DynamoDB items show them.
async fn users(segue: &SegueProcess, database: &Database, server: &Server) -> i64 {
    segue.settle(SETTLED).await.unwrap();
    let mut root = server.connect().await.unwrap();
    let count = format!("SELECT COUNT(*) FROM `{}`.users", database.name);
    root.query_first(count).await.unwrap().unwrap()
}

on_each_server!(greeting_is_the_servers, |server: &'static Server| async move {
    let database = shop::database(server).await;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let directly = open(&server.address(), "root", &database).await;
        let through = open(&shop::address(&segue), "root", &database).await;
        let version_end = directly.greeting.iter().position(|&b| b == 0).unwrap() + 1;
        let is_mariadb = server.kind() == Kind::MariaDb;
        let masked = |recorder: &Recorder| {
            let mut greeting = recorder.greeting.clone();
            // Connection id and the first part of the scramble, then its second part.
            greeting[version_end..version_end + 12].fill(0);
            greeting[version_end + 31..version_end + 43].fill(0);
            // The extension that nobody knows; and on MariaDB progress reports and COM_MULTI.
            greeting[version_end + 19] &= !0x20;
            if is_mariadb {
                greeting[version_end + 27] &= !0x03;
            }
            greeting
        };
        assert_eq!(masked(&directly), masked(&through), "{phase}");
        let own = &through.greeting[version_end..];
        assert_eq!(own[19] & 0x20, 0, "what is not relayed is narrowed");
        assert_ne!(own[13] & 0x20, 0, "compression is offered");
        segue.stop().await.unwrap();
    }
});

on_each_server!(file_that_a_client_does_not_send, |server: &'static Server| async move {
    let database = shop::database(server).await;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let mut outcomes = vec![];
        for address in [server.address(), shop::address(&segue)] {
            let mut recorder = open(&address, "root", &database).await;
            let load = "LOAD DATA LOCAL INFILE 'x' INTO TABLE scratch";
            recorder.send(&Step::query(load)).await.unwrap();
            let request = exactly(&mut recorder, 6).await;
            assert_eq!(request[4], 0xfb);
            // Some drivers go on with the next commands instead of an empty file.
            recorder.send_raw(&[framed(0, b"\x1f"), framed(0, b"\x0e")].concat()).await.unwrap();
            let mut answer = exactly(&mut recorder, 4).await;
            let length = u32::from_le_bytes([answer[0], answer[1], answer[2], 0]) as usize;
            answer.extend(exactly(&mut recorder, length).await);
            outcomes.push(answer);
        }
        assert_eq!(outcomes[0], outcomes[1], "{phase}");
        segue.stop().await.unwrap();
    }
});

on_each_server!(refused_stream_leaves_the_session_captured, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let user = account(server, &database).await;
    let segue = shop::segue(server, &database, "dual-write").await;
    let dump = [&[0x12, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0][..], b"no-such-file"].concat();
    let mut answers = vec![];
    for address in [server.address(), shop::address(&segue)] {
        let mut recorder = open(&address, &user, &database).await;
        let mut seen = vec![];
        for step in [
            Step::Unknown(dump.clone()),
            Step::query("DELETE FROM users"),
            Step::query(
                "INSERT INTO users (username, email, password_hash) VALUES ('s', 's', 'h')",
            ),
            Step::Ping,
        ] {
            seen.push(timeout(SOON, recorder.run(&step)).await.unwrap().unwrap());
        }
        assert_eq!(seen[0][4], 0xff, "the dump is refused");
        answers.push(seen);
        let mut root = server.connect().await.unwrap();
        let name = &database.name;
        root.query_drop(format!("ALTER TABLE `{name}`.users AUTO_INCREMENT = 1")).await.unwrap();
    }
    assert_eq!(answers[0][0], answers[1][0]);
    assert_eq!(answers[0][3], answers[1][3]);
    assert!(segue.metric("segue_statements_total").await.unwrap() >= 2.0);
});

on_each_server!(commands_sent_before_the_first_answer, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let insert = |i: u32| {
        format!("INSERT INTO users (username, email, password_hash) VALUES ('u{i}', 'u{i}', 'h')")
    };
    for phase in ["mysql-only", "dual-write"] {
        shop::refill(server, &database).await.unwrap();
        let mut expected = vec![];
        let mut recorder = open(&server.address(), "root", &database).await;
        let steps: Vec<Step> = (0..200)
            .flat_map(|i| {
                let update =
                    format!("UPDATE users SET first_name = 'x{i}' WHERE username = 'u{i}'");
                [Step::query(insert(i)), Step::query(update), Step::query(format!("SELECT {i}"))]
            })
            .collect();
        for step in &steps {
            expected.extend(recorder.run(step).await.unwrap());
        }
        shop::refill(server, &database).await.unwrap();
        let segue = shop::segue(server, &database, phase).await;
        let mut recorder = open(&shop::address(&segue), "root", &database).await;
        let mut all = vec![];
        for step in &steps {
            let Step::Query(sql) = step else { unreachable!() };
            all.extend(framed(0, &[b"\x03", &sql[..]].concat()));
        }
        recorder.send_raw(&all).await.unwrap();
        let found = exactly(&mut recorder, expected.len()).await;
        assert!(found == expected, "{phase}: the answers come in order");
        assert_eq!(users(&segue, &database, server).await, 200);
        segue.stop().await.unwrap();
    }
});

on_each_server!(query_attributes_and_types_kept, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let wanted = MODERN | capability::QUERY_ATTRIBUTES;
    for phase in ["mysql-only", "dual-write"] {
        shop::refill(server, &database).await.unwrap();
        let segue = shop::segue(server, &database, phase).await;
        let mut outcomes = vec![];
        for address in [server.address(), shop::address(&segue)] {
            shop::refill(server, &database).await.unwrap();
            let connected = Recorder::connect(&address, "root", &database.name, wanted).await;
            let mut recorder = connected.unwrap();
            let mut seen = vec![];
            if server.kind() == Kind::Mysql97 {
                // One attribute `n` = 'v', then the text.
                let sql = b"UPDATE users SET first_name = 'a'";
                let attributed = [&b"\x03\x01\x01\x00\x01\xfd\x00\x01n\x01v"[..], sql].concat();
                seen.push(recorder.run(&Step::Unknown(attributed)).await.unwrap());
            }
            let insert = "INSERT INTO users (username, email, password_hash) VALUES (?, ?, 'h')";
            let prepared = recorder.run(&Step::Prepare(insert.into())).await.unwrap();
            let id = &prepared[5..9];
            let text = |text: &str| Parameter::Text(text.to_owned());
            let first = Step::Execute { cursor: 0, parameters: vec![text("a"), text("a@x")] };
            seen.push(recorder.run(&first).await.unwrap());
            // The same types again, not sent.
            let count: &[u8] = if server.kind() == Kind::Mysql97 { &[2] } else { &[] };
            let again = [&[0x17], id, &[0, 1, 0, 0, 0], count, &[0, 0], b"\x01b\x03b@x"].concat();
            seen.push(recorder.run(&Step::Unknown(again)).await.unwrap());
            outcomes.push(seen);
        }
        assert_eq!(outcomes[0], outcomes[1], "{phase}");
        assert_eq!(users(&segue, &database, server).await, 2);
        segue.stop().await.unwrap();
    }
});

on_each_server!(rare_commands, |server: &'static Server| async move {
    let database = shop::database(server).await;
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(server, &database, phase).await;
        let mut outcomes = vec![];
        for address in [server.address(), shop::address(&segue)] {
            let mut recorder = open(&address, "root", &database).await;
            let mut victim = open(&address, "root", &database).await;
            let kill = [&[0x0c][..], &victim.connection_id.to_le_bytes()].concat();
            let replica = [&[0x15, 99, 0, 0, 0][..], &[0; 3], &[0, 0], &[0; 8]].concat();
            let mut seen = vec![];
            // COM_REFRESH of status, COM_DEBUG, COM_PROCESS_KILL of nobody, COM_REGISTER_SLAVE, COM_TIME
            // and others that only servers' own threads use, and codes that mean nothing.
            for payload in [
                vec![0x07, 0x10],
                vec![0x0d],
                vec![0x0c, 0xff, 0xff, 0xff, 0x7f],
                replica,
                vec![0x00],
                vec![0x0b],
                vec![0x0f],
                vec![0x10],
                vec![0x14],
                vec![0x1d],
                vec![0x22],
            ] {
                let step = Step::Unknown(payload.clone());
                let answer = timeout(SOON, recorder.run(&step)).await;
                let answer = answer.unwrap_or_else(|_| panic!("{address}: {payload:x?}"));
                seen.push(answer.map_err(|error| error.to_string()));
            }
            let mut recorder = open(&address, "root", &database).await;
            let statistics = recorder.run(&Step::Statistics).await.unwrap();
            assert!(statistics.ends_with(b".") || statistics.len() > 50, "{statistics:?}");
            seen.push(recorder.run(&Step::Unknown(kill)).await.map_err(|error| error.to_string()));
            if seen.last().is_some_and(|last| last.as_ref().is_ok_and(|last| last[4] == 0)) {
                let end = timeout(SOON, victim.read_some(1)).await.expect("the victim ends");
                assert!(
                    end.is_err() || end.is_ok_and(|bytes| bytes.is_empty() || bytes.len() == 1)
                );
            }
            seen.push(recorder.run(&Step::Ping).await.map_err(|error| error.to_string()));
            outcomes.push(seen);
        }
        assert_eq!(outcomes[0], outcomes[1], "{phase}");
        segue.stop().await.unwrap();
    }
});
