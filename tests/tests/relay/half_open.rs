//! Logins that stop half way, on either side: nothing of them is left, and what the server says of them
//! is passed on. Never here: nonsense in place of a login (see `faults`).

use std::time::Duration;

use mysql_async::prelude::Queryable;
use segue_tests::harness::{SegueProcess, Server};
use segue_tests::on_each_server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::scripted;
use crate::shop;

/// Something is expected to happen soon, on a busy machine; below Segue's own limit for logins.
const SOON: Duration = Duration::from_secs(40);

async fn none_is_left(segue: &SegueProcess) {
    let begin = Instant::now();
    while segue.metric("segue_connections").await.unwrap() != 0.0 {
        assert!(begin.elapsed() < SOON, "a client is left");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What follows the greeting when a client says only this.
async fn heard_after(address: &str, said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.unwrap();
    let mut greeting = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut rest = vec![];
    // MariaDB may reset the connection.
    let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("the server loses patience");
    rest
}

on_each_server!(server_that_loses_patience_is_heard, |shared: &'static Server| async move {
    let Some(server) = Server::own(shared.kind()).await else { return };
    let database = shop::database(&server).await;
    let segue = shop::segue(&server, &database, "mysql-only").await;
    let mut root = server.connect().await.unwrap();
    root.query_drop("SET GLOBAL connect_timeout = 2").await.unwrap();
    let directly = heard_after(&server.address(), b"").await;
    let through = heard_after(&shop::address(&segue), b"").await;
    assert_eq!(directly, through);
    none_is_left(&segue).await;
    // Half a packet, and then silence.
    heard_after(&shop::address(&segue), &[0x40, 0, 0, 1, 0x8d]).await;
    none_is_left(&segue).await;
});

on_each_server!(client_that_leaves_is_not_waited_for, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let (segue, listener) = scripted::behind(server, &database).await;
    let mut upstream = vec![];
    for _ in 0..20 {
        let client = scripted::client(&segue).await;
        // A server that accepts and says nothing.
        upstream.push(listener.accept().await.unwrap().0);
        drop(client);
    }
    none_is_left(&segue).await;
    for mut stream in upstream {
        let mut said = vec![];
        let _ = timeout(SOON, stream.read_to_end(&mut said)).await.expect("its leg is closed too");
        assert!(said.starts_with(b"PROXY TCP4 ") && said.ends_with(b"\r\n"));
    }
});

on_each_server!(server_that_ends_during_a_login_ends_it, |server: &'static Server| async move {
    let database = shop::database(server).await;
    let (segue, listener) = scripted::behind(server, &database).await;
    // As long as a greeting of MySQL 9, and with what every server offers.
    let mut greeting = b"\x0a9.7.0\0\x07\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15".to_vec();
    greeting.extend_from_slice(&[0; 10]);
    greeting.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
    let greeting = [&[greeting.len() as u8, 0, 0, 0], &greeting[..]].concat();
    for word in [&b""[..], b"\x09\0\0\x01\xff\x28\x04#HY000", b"\x09\0\0"] {
        let mut client = scripted::client(&segue).await;
        let (mut upstream, _) = listener.accept().await.unwrap();
        upstream.write_all(&greeting).await.unwrap();
        let mut heard = vec![0; greeting.len()];
        client.read_exact(&mut heard).await.unwrap();
        upstream.write_all(word).await.unwrap();
        upstream.shutdown().await.unwrap();
        let mut heard = vec![];
        timeout(SOON, client.read_to_end(&mut heard)).await.unwrap().unwrap();
        let whole = if word.len() > 4 { word } else { b"" };
        assert_eq!(heard, whole);
    }
    none_is_left(&segue).await;
});
