//! The built-in DynamoDB engine: an emulator in this process, on a loopback port.
//! Never here: anything that treats it differently from DynamoDB.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use segue_config::limits::DYNAMODB_EMBEDDED_STOP_TIMEOUT;
use tokio::sync::oneshot;

/// A running engine; stops when dropped.
///
/// It has a thread and a runtime of its own: SQLite blocks, and sessions must not wait for that.
pub(super) struct Embedded {
    pub(super) address: SocketAddr,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Embedded {
    /// Starts an engine on a port that the operating system chooses. `file` keeps the data; without it
    /// they live in memory.
    pub(super) async fn start(file: Option<&Path>) -> Result<Embedded, String> {
        let file = file.map(Path::to_owned);
        let (started, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("segue-embedded-dynamodb".into())
            .spawn(move || serve(file.as_deref(), started, stopped))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let address = address.await.map_err(|_| "the engine's thread ended".to_owned())??;
        Ok(Embedded { address, running: Mutex::new(Some(Running { stop, thread })) })
    }

    /// Stops the engine and waits until it has answered its last requests and closed its file.
    pub(super) async fn stop(&self) {
        let Some(running) = self.running.lock().take() else { return };
        let _ = running.stop.send(());
        let joined = tokio::task::spawn_blocking(move || running.thread.join());
        if tokio::time::timeout(DYNAMODB_EMBEDDED_STOP_TIMEOUT, joined).await.is_err() {
            tracing::warn!("the embedded DynamoDB engine did not stop in time");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            // Not joined: a drop must not block a runtime's thread.
            let _ = running.stop.send(());
        }
    }
}

fn serve(
    file: Option<&Path>,
    started: oneshot::Sender<Result<SocketAddr, String>>,
    stopped: oneshot::Receiver<()>,
) {
    let (database, runtime) = match open(file) {
        Ok(parts) => parts,
        Err(reason) => {
            let _ = started.send(Err(reason));
            return;
        }
    };
    runtime.block_on(async move {
        let listener = match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) => {
                let _ = started.send(Err(format!("cannot listen on 127.0.0.1: {error}")));
                return;
            }
        };
        let address = listener.local_addr().map_err(|error| error.to_string());
        if started.send(address).is_err() {
            return;
        }
        let stop = async move {
            let _ = stopped.await;
        };
        if let Err(reason) = dynoxide::server::serve_with_shutdown(listener, database, stop).await {
            tracing::error!(reason, "the embedded DynamoDB engine failed");
        }
    });
}

fn open(file: Option<&Path>) -> Result<(dynoxide::Database, tokio::runtime::Runtime), String> {
    let database = match file {
        None => dynoxide::Database::memory().map_err(|error| error.to_string())?,
        Some(file) => {
            let shown = file.display();
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| format!("{shown}: {error}"))?;
            }
            let path = file.to_str().ok_or_else(|| format!("{shown}: the path is not UTF-8"))?;
            dynoxide::Database::new(path).map_err(|error| format!("{shown}: {error}"))?
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    Ok((database, runtime))
}
