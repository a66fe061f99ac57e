//! Replication streams through Segue, read by the servers' own programs.
//! Never here: streams that are refused (see `protocol`).

use mysql_async::prelude::Queryable;
use segue_tests::harness::{Kind, Server, skip};
use segue_tests::on_each_server;
use tokio::process::Command;
use xtask::servers::Installation;

use crate::shop;

/// The program that reads a server's binary log over the network.
fn reader(kind: Kind) -> Option<Command> {
    match (kind, Installation::find(kind)) {
        (Kind::Mysql97, Ok(Installation::Chroot { root })) => {
            let mut command = Command::new("chroot");
            command.arg(root).arg("/usr/bin/mysqlbinlog");
            Some(command)
        }
        (Kind::MariaDb, Ok(Installation::Mariadbd { .. })) => Some(Command::new("mariadb-binlog")),
        _ => None,
    }
}

/// Everything in the log file, as the program shows it.
async fn dump(kind: Kind, port: u16, file: &str, compression: &str) -> Option<String> {
    let mut command = reader(kind)?;
    command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root"]);
    command.arg(format!("--port={port}")).args(["--read-from-remote-server", file]);
    if !compression.is_empty() {
        command.arg(format!("--compression-algorithms={compression}"));
    }
    let output = command.stdin(std::process::Stdio::null()).output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{kind:?}: {} {errors}", output.status);
    Some(text)
}

on_each_server!(binary_log_is_read, |shared: &'static Server| async move {
    let kind = shared.kind();
    if reader(kind).is_none() {
        return skip("no server of one's own, or no program that reads binary logs");
    }
    let server = Server::start_with(kind, &["--log-bin=changes"]).await.unwrap();
    let database = shop::database(&server).await;
    let mut root = server.connect().await.unwrap();
    root.query_drop("FLUSH BINARY LOGS").await.unwrap();
    for phase in ["mysql-only", "dual-write"] {
        let segue = shop::segue(&server, &database, phase).await;
        let directly = dump(kind, server.port(), "changes.000001", "").await;
        let Some(directly) = directly else { return skip("the program cannot be run") };
        assert!(directly.contains("shopping_carts"), "{phase}: there is something in the log");
        // MariaDB's program knows no compression.
        let algorithms: &[&str] = if kind == Kind::Mysql97 { &["", "zlib", "zstd"] } else { &[""] };
        for algorithm in algorithms {
            let through = dump(kind, segue.mysql_port(), "changes.000001", algorithm).await;
            assert!(directly == through.unwrap(), "{phase} {algorithm}: the logs differ");
        }
        segue.stop().await.unwrap();
    }
});
