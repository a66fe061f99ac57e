//! A server that does what a test tells it, behind a Segue that believes it is MySQL.
//! Never here: what it does.

use segue_tests::harness::{Database, SegueConfig, SegueProcess, Server};
use tokio::net::{TcpListener, TcpStream};

use crate::shop;

/// Segue with its control account at `server`, and its clients at the listener that is returned. Each of their
/// connections there begins with a PROXY header of version 1.
pub async fn behind(server: &Server, database: &Database) -> (SegueProcess, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let mut config = SegueConfig::new(server, database, shop::CONTRACT).with_phase("mysql-only");
    config.mysql_address = listener.local_addr().unwrap().to_string();
    // Without it Segue would find out that this is another server.
    config.environment.push(("SEGUE_MYSQL_PROXY_PROTOCOL".into(), "v1".into()));
    (SegueProcess::start(&config).await.unwrap(), listener)
}

/// A client of Segue.
pub async fn client(segue: &SegueProcess) -> TcpStream {
    TcpStream::connect(shop::address(segue)).await.unwrap()
}
