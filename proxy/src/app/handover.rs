//! A restart without refused clients: the process that serves gives its listening sockets to the one
//! that follows. Clients that come meanwhile wait in the sockets, which are never closed.
//! Never here: what a process does before it asks (`rehearse` in `app`).
//!
//! The successor connects to a Unix socket in the journal's folder and gets the sockets. The giver
//! drains as on SIGTERM; that it has ended, and the journal is free, is the end of the connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use segue_config::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::fault::{Fault, FaultKind};
use super::sockets::Given;

/// Sent with the sockets, so that an unlike version is told from a passing fault.
const GREETING: &[u8] = b"segue-handover-1\n";

/// What a successor asks with.
const ASK: &[u8] = b"take-over-1\n";

/// The one of the MySQL side and the one of the HTTP side.
const SOCKETS: usize = 2;

/// Only the process's user may take its clients.
const SOCKET_MODE: u32 = 0o600;

/// What the giver keeps until it has ended: its end of the connection.
pub(super) type Successor = oneshot::Receiver<UnixStream>;

/// The other process, as long as it is there.
pub(super) struct Predecessor(UnixStream);

/// Waits for a successor and gives it the sockets.
pub(super) struct Giver {
    listener: UnixListener,
    sockets: Vec<TcpListener>,
    path: PathBuf,
}

fn path(journal: &Path) -> PathBuf {
    journal.join("handover.sock")
}

/// The same file by a name that is short enough for a socket's address, as long as the folder is held.
fn address(folder: &std::fs::File, path: &Path) -> PathBuf {
    use std::os::fd::AsRawFd;
    let name = path.file_name().unwrap_or_default();
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}

impl Giver {
    /// Only for the process that holds the journal: an old socket file is nobody else's.
    pub fn new(journal: &Path, sockets: [&TcpListener; SOCKETS]) -> io::Result<Giver> {
        let path = path(journal);
        let _ = std::fs::remove_file(&path);
        let folder = std::fs::File::open(journal)?;
        let listener = UnixListener::bind(address(&folder, &path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
        let sockets = sockets.into_iter().map(TcpListener::try_clone);
        Ok(Giver { listener, sockets: sockets.collect::<io::Result<_>>()?, path })
    }

    /// Ends when a successor has the sockets. To be dropped when a stop begins for another reason: the
    /// sockets are open as long as this is.
    pub async fn give(self, held: oneshot::Sender<UnixStream>) {
        loop {
            match self.listener.accept().await {
                Ok((mut stream, _)) => match answer(&mut stream, &self.sockets).await {
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::info!("another process takes over");
                        let _ = held.send(stream);
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the sockets could not be handed over"),
                },
                Err(error) => {
                    tracing::warn!(%error, "no hand-over is possible any more");
                    return std::future::pending().await;
                }
            }
        }
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Gives the sockets to one that asks. False: it only looked.
async fn answer(stream: &mut UnixStream, sockets: &[TcpListener]) -> io::Result<bool> {
    let mut asked = [0; ASK.len()];
    let limit = Duration::from_secs(limits::START_ANSWER_SECONDS_MAX);
    match tokio::time::timeout(limit, stream.read_exact(&mut asked)).await? {
        Ok(_) if asked == ASK => send(stream, sockets).await.map(|()| true),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(_) => Ok(false),
    }
}

async fn send(stream: &UnixStream, sockets: &[TcpListener]) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != rustix::process::geteuid().as_raw() && peer != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let fds: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
    stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&fds));
            let text = [IoSlice::new(GREETING)];
            Ok(sendmsg(stream, &text, &mut control, SendFlags::empty()).map(|_| ())?)
        })
        .await
}

async fn receive(stream: &UnixStream) -> io::Result<Vec<TcpListener>> {
    stream
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut text = [0; GREETING.len()];
            let mut into = [IoSliceMut::new(&mut text)];
            let got = recvmsg(stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            let mut sockets: Vec<OwnedFd> = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    sockets.extend(fds);
                }
            }
            if got.bytes != GREETING.len() || text != GREETING || sockets.len() != SOCKETS {
                return Err(io::ErrorKind::InvalidData.into());
            }
            Ok(sockets.into_iter().map(TcpListener::from).collect())
        })
        .await
}

async fn connect(journal: &Path) -> io::Result<UnixStream> {
    let folder = std::fs::File::open(journal)?;
    UnixStream::connect(address(&folder, &path(journal))).await
}

/// Whether a process is there to take over from.
pub(super) async fn is_possible(journal: &Path) -> bool {
    connect(journal).await.is_ok()
}

impl Predecessor {
    /// Takes the sockets. From here on the other process drains.
    pub async fn take(journal: &Path) -> Result<(Predecessor, Given), Fault> {
        let exchange = async {
            let mut stream = connect(journal).await?;
            stream.write_all(ASK).await?;
            let sockets = receive(&stream).await?;
            Ok::<_, io::Error>((Predecessor(stream), Given(sockets)))
        };
        let limit = Duration::from_secs(limits::START_ANSWER_SECONDS_MAX);
        let taken = tokio::time::timeout(limit, exchange).await;
        let taken = taken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        taken.map_err(|error| fault(format!("gave no sockets: {error}")))
    }

    /// Waits until the other process has ended.
    pub async fn gone(mut self, drain: Duration) -> Result<(), Fault> {
        let limit = drain + Duration::from_secs(limits::HANDOVER_GRACE_SECONDS);
        let mut nothing = [0];
        match tokio::time::timeout(limit, self.0.read(&mut nothing)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(fault(format!("did not end within {} s", limit.as_secs()))),
        }
    }
}

fn fault(what: String) -> Fault {
    Fault::new(
        FaultKind::Configuration,
        format!("the process that serves now {what}"),
        "",
        "look at its log; without --take-over, stop it first",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::listener::listen;

    #[tokio::test]
    async fn a_connection_that_waits_survives_the_giver() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_possible(folder.path()).await, "nobody serves");
        let mysql = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let admin = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let giver = Giver::new(folder.path(), [&mysql, &admin]).unwrap();
        let (held, successor) = oneshot::channel();
        let giving = tokio::spawn(giver.give(held));
        let client = std::net::TcpStream::connect(mysql.local_addr().unwrap()).unwrap();

        assert!(is_possible(folder.path()).await, "a look takes nothing");
        let (predecessor, given) = Predecessor::take(folder.path()).await.unwrap();
        giving.await.unwrap();
        let address = mysql.local_addr().unwrap();
        drop((mysql, admin));
        assert!(!is_possible(folder.path()).await, "nobody can take over twice");
        assert_eq!(given.0[0].local_addr().unwrap(), address);
        let (accepted, _) = given.0[0].accept().unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
        drop(successor);
        predecessor.gone(Duration::ZERO).await.unwrap();
    }
}
