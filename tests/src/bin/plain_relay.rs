//! `plain_relay LISTEN UPSTREAM`: bytes between two TCP connections, nothing read, one thread. The least
//! that a relay in user space can cost; benchmarks compare with it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut addresses = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr> {
        let text = addresses.next().context("usage: plain_relay LISTEN UPSTREAM")?;
        text.parse().with_context(|| format!("`{text}` is no ip:port"))
    };
    let (listen, upstream) = (address()?, address()?);
    let listener = TcpListener::bind(listen).await.context("listen")?;
    loop {
        let (client, _) = listener.accept().await.context("accept")?;
        tokio::spawn(relay(client, upstream));
    }
}

/// Ends with either side; errors are the peers' to notice.
async fn relay(mut client: TcpStream, upstream: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
