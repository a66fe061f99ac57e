//! A TCP relay between Segue and MySQL that can be slow, stand still, or break.
//! Never here: when it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes passed on in one go.
const CHUNK: usize = 16 * 1024;

/// How one side's end is told to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Both sides see the connection end at once.
    Both,
    /// Segue sees it end; MySQL hears nothing for so long, as behind a dead router.
    HalfOpen(Duration),
    /// Neither side is told, and whatever they send is swallowed, until the next cut.
    Silent,
}

/// What the connections go by; a new value concerns those that are open.
#[derive(Clone, Copy, Debug)]
struct State {
    frozen: bool,
    delay: Duration,
    /// Counts the breaks: connections of an earlier number end.
    broken: u64,
    how: Break,
}

/// A relay on a free loopback port. It ends when dropped.
pub struct Wire {
    port: u16,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Relays to `upstream`, `HOST:PORT`.
    pub async fn to(upstream: &str) -> Result<Wire> {
        let upstream: SocketAddr = upstream.parse().context("read the address of MySQL")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let port = listener.local_addr()?.port();
        let state = State { frozen: false, delay: Duration::ZERO, broken: 0, how: Break::Both };
        let (state, seen) = watch::channel(state);
        let connections = Arc::new(AtomicU64::new(0));
        let count = connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(client, upstream, seen.clone()));
            }
        });
        Ok(Wire { port, state, connections, accepting })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Every chunk waits for so long.
    pub fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Nothing is passed on until [`Wire::thaw`]; nobody is told.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    pub fn thaw(&self) {
        self.state.send_modify(|state| state.frozen = false);
    }

    /// Ends every open connection.
    pub fn cut(&self, how: Break) {
        self.state.send_modify(|state| {
            state.broken += 1;
            state.how = how;
        });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut(Break::Both);
    }
}

async fn relay(client: TcpStream, upstream: SocketAddr, mut state: watch::Receiver<State>) {
    let born = state.borrow().broken;
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = tokio::spawn(pass(from_client, to_server, state.clone(), born));
    let back = tokio::spawn(pass(from_server, to_client, state.clone(), born));
    let (mut there, mut back) = (there, back);
    let broken = async {
        let ends = |state: &State| state.broken != born && state.how != Break::Silent;
        let changed = state.wait_for(ends).await;
        changed.map(|state| state.how).unwrap_or(Break::Both)
    };
    tokio::select! {
        ended = &mut there => drop((ended, back.await)),
        ended = &mut back => drop((ended, there.await)),
        how = broken => {
            if let Break::HalfOpen(silence) = how {
                // What goes to MySQL keeps its half of that socket open.
                back.abort();
                tokio::time::sleep(silence).await;
            }
            there.abort();
            back.abort();
        }
    }
}

/// One direction, until its reader ends; then the other side hears of it. `born`: the breaks before it.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    born: u64,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let Ok(read) = from.read(&mut chunk).await else { return };
        let delay = state.borrow_and_update().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if state.wait_for(|state| !state.frozen).await.is_err() {
            return;
        }
        // Whatever broke it, this side is dead now.
        if state.borrow().broken != born {
            match read {
                0 => std::future::pending().await,
                _ => continue,
            }
        }
        if read == 0 || to.write_all(&chunk[..read]).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with itself.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_frozen_wire_says_nothing_and_a_cut_one_ends() {
        let wire = Wire::to(&echo().await).await.unwrap();
        let mut client = TcpStream::connect(wire.address()).await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        wire.freeze();
        client.write_all(b"b").await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(100), client.read(&mut byte)).await;
        assert!(silent.is_err());
        wire.thaw();
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        wire.cut(Break::Both);
        assert_eq!(client.read(&mut byte).await.unwrap_or(0), 0);
        let mut next = TcpStream::connect(wire.address()).await.unwrap();
        next.write_all(b"c").await.unwrap();
        next.read_exact(&mut byte).await.unwrap();
        assert_eq!(wire.connections(), 2);
        wire.cut(Break::Silent);
        next.write_all(b"d").await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(100), next.read(&mut byte)).await;
        assert!(silent.is_err());
        wire.cut(Break::Both);
        assert_eq!(next.read(&mut byte).await.unwrap_or(0), 0);
    }
}
