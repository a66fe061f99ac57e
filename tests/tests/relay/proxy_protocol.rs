//! The client's address: told to the server, believed from load balancers that are named, and from nobody
//! else. Never here: what a header may look like (see `wire::proxy_header`).

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Database, Kind, SegueConfig, SegueProcess, Server, scratch};
use segue_tests::on_each_server;
use segue_tests::recorder::{Recorder, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::scripted;
use crate::shop;
use crate::tls_server;

/// Something is expected to happen soon, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Version 2's beginning.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn text(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 40001 3306\r\n").into_bytes()
}

fn binary(client: [u8; 4], command: u8) -> Vec<u8> {
    let addresses =
        [&client[..], &[198, 51, 100, 1], &40001_u16.to_be_bytes(), &3306_u16.to_be_bytes()];
    // And an extension: a no-op of one byte.
    let body = [&addresses.concat()[..], &[4, 0, 1, 0]].concat();
    [SIGNATURE, &[command, 0x11, 0, body.len() as u8], &body].concat()
}

/// What a client sees that begins with a header and logs in as an account without a password.
async fn who(address: &str, header: &[u8], user: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(header).await.unwrap();
    match timeout(SOON, Recorder::log_in(stream, user, "", 0)).await.expect("an answer") {
        Err(error) => format!("{error:#}"),
        Ok(mut recorder) => {
            let answer = recorder.run(&Step::query("SELECT USER(), CURRENT_USER()")).await.unwrap();
            answer.escape_ascii().to_string()
        }
    }
}

/// MariaDB that believes headers, with accounts that are bound to addresses.
async fn believing() -> Option<Server> {
    let folder = scratch("proxy-protocol").unwrap().canonicalize().unwrap();
    let first = folder.join("first.sql");
    let sql = "CREATE USER IF NOT EXISTS root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n\
               CREATE USER visitor@'192.0.2.7';\nCREATE USER visitor@'2001:db8::7';\n";
    std::fs::write(&first, sql).unwrap();
    let first = format!("--init-file={}", first.display());
    let options = [first.as_str(), "--skip-name-resolve", "--proxy-protocol-networks=127.0.0.1"];
    tls_server::start(Kind::MariaDb, &options).await
}

async fn segue(
    server: &Server,
    database: &Database,
    version: &str,
    networks: &str,
) -> SegueProcess {
    let mut config = SegueConfig::new(server, database, shop::CONTRACT).with_phase("mysql-only");
    config.environment.push(("SEGUE_MYSQL_PROXY_PROTOCOL".into(), version.into()));
    config.environment.push(("SEGUE_LISTEN_PROXY_PROTOCOL_NETWORKS".into(), networks.into()));
    SegueProcess::start(&config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_sees_the_client_behind_both() {
    let Some(server) = believing().await else { return };
    let database = shop::database(&server).await;
    for version in ["v1", "v2"] {
        let segue = segue(&server, &database, version, "127.0.0.0/8").await;
        for header in [
            text("192.0.2.7"),
            binary([192, 0, 2, 7], 0x21),
            b"PROXY TCP6 2001:db8::7 ::1 40001 3306\r\n".to_vec(),
        ] {
            let directly = who(&server.address(), &header, "visitor").await;
            let through = who(&shop::address(&segue), &header, "visitor").await;
            assert_eq!(directly, through, "{version}: {}", header.escape_ascii());
            let named =
                through.contains("visitor@192.0.2.7") || through.contains("visitor@2001:db8::7");
            assert!(named, "{through}");
        }
        // Addresses without an account: refused by name, before and after the greeting.
        for (address, user) in [("192.0.2.8", "visitor"), ("192.0.2.7", "root")] {
            let directly = who(&server.address(), &text(address), user).await;
            let through = who(&shop::address(&segue), &text(address), user).await;
            assert_eq!(directly, through);
            assert!(through.contains(address), "{through}");
        }
        // The load balancer itself: its connection's own address.
        for header in [binary([192, 0, 2, 7], 0x20), b"PROXY UNKNOWN\r\n".to_vec()] {
            let through = who(&shop::address(&segue), &header, "root").await;
            assert!(through.contains("root@127.0.0.1"), "{through}");
        }
        segue.stop().await.unwrap();
    }
}

on_each_server!(only_named_load_balancers_are_believed, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let strange = segue(server, &database, "off", "192.0.2.0/24, 2001:db8::/32").await;
    // Its clients need no header, and theirs is nonsense.
    let mut client = Conn::new(Opts::from_url(&strange.url(&database)).unwrap()).await.unwrap();
    let one: Option<i64> = client.query_first("SELECT 1").await.unwrap();
    assert_eq!(one, Some(1));
    let mut stream = TcpStream::connect(shop::address(&strange)).await.unwrap();
    stream.write_all(&text("192.0.2.7")).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = vec![];
    // The greeting, and no more.
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(!strange.log().contains("PROXY"), "nothing was read as a header: {}", strange.log());
    strange.stop().await.unwrap();

    let named = segue(server, &database, "off", "127.0.0.1").await;
    let cut = text("192.0.2.7");
    let begin = &cut[..20];
    let greedy = [&cut[..], b"\x20\0\0\x01"].concat();
    let huge = [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat();
    let cases: [(&str, &[u8]); 6] = [
        ("a login without a header", b"\x20\0\0\x01\x85\xa6\xff\x01"),
        ("a web request", b"GET / HTTP/1.1\r\n\r\n"),
        ("half of a header", begin),
        ("bytes behind the header", &greedy),
        ("a huge header", &huge),
        ("a header of text that does not end", &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat()),
    ];
    for (count, (name, bytes)) in cases.into_iter().enumerate() {
        let mut stream = TcpStream::connect(shop::address(&named)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = vec![];
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("it is closed");
        assert!(rest.is_empty(), "{name}: {}", rest.escape_ascii());
        // The line is written a moment after the end of the connection.
        let begin = Instant::now();
        while named.log().matches("proxy_protocol_networks has to send one").count() != count + 1 {
            assert!(begin.elapsed() < SOON, "{name}: {}", named.log());
            sleep(Duration::from_millis(50)).await;
        }
    }
    // A look at the port is no fault.
    drop(TcpStream::connect(shop::address(&named)).await.unwrap());
    let through = who(&shop::address(&named), &text("192.0.2.7"), "root").await;
    assert!(through.contains("root@"), "{through}");
});

on_each_server!(header_comes_before_all_else, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let (segue, listener) = scripted::behind(server, &database).await;
    let mut client = scripted::client(&segue).await;
    let (mut upstream, _) = listener.accept().await.unwrap();
    let local: SocketAddr = client.local_addr().unwrap();
    let header =
        format!("PROXY TCP4 {} 127.0.0.1 {} {}\r\n", local.ip(), local.port(), segue.mysql_port());
    let mut found = vec![0; header.len()];
    timeout(SOON, upstream.read_exact(&mut found)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&found), header);
    // A host that is blocked is told so in place of a greeting.
    let blocked = b"Host '192.0.2.7' is blocked because of many connection errors";
    let mut refusal = vec![blocked.len() as u8 + 3, 0, 0, 0, 0xff, 0x69, 0x04];
    refusal.extend_from_slice(blocked);
    upstream.write_all(&refusal).await.unwrap();
    drop(upstream);
    let mut heard = vec![];
    timeout(SOON, client.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, refusal);
});
