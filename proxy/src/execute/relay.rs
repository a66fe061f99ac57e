//! Streaming between the legs: a command to MySQL, its answer to the client, in pieces of bounded size.
//! Never here: what a statement means.

use segue_config::limits;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::Legs;
use super::failure::{SessionError, client_io, server_io};
use crate::wire::WireError;
use crate::wire::channel::Channel;
use crate::wire::frame::FrameWalker;
use crate::wire::scan::{Next, Scanner};
use crate::wire::transport::Transport;

impl Legs<'_> {
    /// Streams MySQL's answer to the client: the same bytes, written as they come. A client that is slow
    /// to read slows MySQL down; a client that goes away ends it.
    pub async fn answer(&mut self, scanner: &mut Scanner) -> Result<(), SessionError> {
        let mut walker = FrameWalker::default();
        while !scanner.is_done() {
            if self.server.buffered().is_empty() {
                self.server_bytes().await?;
            }
            let (used, next) = scan(self.server.buffered(), &mut walker, scanner)?;
            self.client.pass(self.server, used).await.map_err(client_io)?;
            self.server.consume(used);
            if next == Next::Client {
                self.client_file().await?;
            }
        }
        Ok(())
    }

    /// Waits for bytes from MySQL and notices meanwhile that the client has gone.
    pub async fn server_bytes(&mut self) -> Result<(), SessionError> {
        loop {
            let watch_client = self.client.buffered().len() < limits::CLIENT_READ_AHEAD_BYTES;
            tokio::select! {
                biased;
                read = self.server.fill() => {
                    return match read {
                        Ok(0) => Err(SessionError::Server(WireError::Closed)),
                        Ok(_) => Ok(()),
                        Err(e) => Err(server_io(e)),
                    };
                }
                read = self.client.fill(), if watch_client => match read {
                    Ok(0) => return Err(SessionError::Client(WireError::Closed)),
                    Ok(_) => {}
                    Err(e) => return Err(client_io(e)),
                },
            }
        }
    }

    /// Streams one packet of the client on to MySQL, from where `walker` stands to the packet's end.
    pub async fn rest_of_packet(&mut self, walker: &mut FrameWalker) -> Result<u64, SessionError> {
        loop {
            if self.client.buffered().is_empty()
                && self.client.fill().await.map_err(client_io)? == 0
            {
                return Err(SessionError::Client(WireError::Closed));
            }
            let (used, packet) = walker.take(self.client.buffered());
            let ended = packet.map(|p| p.length);
            self.server.pass(self.client, used).await.map_err(server_io)?;
            self.client.consume(used);
            if let Some(length) = ended {
                return Ok(length);
            }
        }
    }

    /// The file of a LOAD DATA LOCAL: packets of the client up to an empty one, or until the server speaks
    /// or goes: then it wants no more of it.
    async fn client_file(&mut self) -> Result<(), SessionError> {
        let mut walker = FrameWalker::default();
        loop {
            if self.client.buffered().is_empty() {
                tokio::select! {
                    biased;
                    read = self.server.fill() => match read {
                        Ok(0) => return Err(SessionError::Server(WireError::Closed)),
                        Ok(_) => return Ok(()),
                        Err(error) => return Err(server_io(error)),
                    },
                    read = self.client.fill() => match read {
                        Ok(0) => return Err(SessionError::Client(WireError::Closed)),
                        Ok(_) => {}
                        Err(error) => return Err(client_io(error)),
                    },
                }
            }
            if self.rest_of_packet(&mut walker).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// Walks buffered bytes up to the end of the answer or the client's turn.
fn scan(
    bytes: &[u8],
    walker: &mut FrameWalker,
    scanner: &mut Scanner,
) -> Result<(usize, Next), SessionError> {
    let mut at = 0;
    while at < bytes.len() {
        let (used, packet) = walker.take(&bytes[at..]);
        at += used;
        if let Some(packet) = packet {
            let next = scanner.packet(packet).map_err(SessionError::Server)?;
            if next != Next::Server {
                return Ok((at, next));
            }
        }
    }
    Ok((at, Next::Server))
}

/// Copies bytes both ways until either side ends: replication streams and the like.
///
/// They are not read any more, so compressed packets go on as they come, their numbers included: both legs count
/// alike, and semi-synchronous replication has rules of its own for numbers.
pub async fn duplex(mut client: Channel, mut server: Channel) -> std::io::Result<()> {
    server.pass_all(&mut client).await?;
    client.pass_all(&mut server).await?;
    let (mut client, from_client) = client.into_parts();
    let (mut server, from_server) = server.into_parts();
    write(&mut server, &from_client).await?;
    write(&mut client, &from_server).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn write(transport: &mut Transport, bytes: &[u8]) -> std::io::Result<()> {
    transport.write_all(bytes).await?;
    transport.flush().await
}
