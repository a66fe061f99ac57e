//! One private server: its data folder, its port, its life.
//! Never here: databases, users or anything said over a connection.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::installation::is_root;
use super::{Installation, Kind};
use crate::keeper::{ChildCommand, Keeper, Leftovers};

/// A loaded machine of two cores recovers a killed server in seconds; a minute means it is stuck.
const START_SECONDS_MAX: u64 = 90;

/// Tells the servers of one process apart.
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A running (or stopped) server that ends with this process. Its data goes with it.
#[derive(Debug)]
pub struct ServerProcess {
    kind: Kind,
    port: u16,
    /// `None`: a server that runs by itself.
    keeper: Option<Keeper>,
    url: String,
    log: PathBuf,
}

/// Where a server's files are, as this process and as the server sees them.
struct Place {
    outside: PathBuf,
    inside: PathBuf,
}

impl ServerProcess {
    /// Starts a fresh server. `scratch` is a folder for data and logs; a server in a Debian root keeps
    /// its data inside that root. `options` are added to the command line.
    pub fn start(
        kind: Kind,
        installation: &Installation,
        scratch: &Path,
        options: &[String],
    ) -> Result<ServerProcess> {
        if let Installation::Running { url } = installation {
            let url = url.trim_end_matches('/').to_owned();
            let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(3306);
            return Ok(ServerProcess { kind, port, keeper: None, url, log: PathBuf::new() });
        }
        fs::create_dir_all(scratch).with_context(|| format!("create {}", scratch.display()))?;
        let scratch = scratch.canonicalize().context("resolve the scratch folder")?;
        let data = place(installation, &scratch, &unique(kind));
        let template = template(kind, installation, &scratch)?;
        copy_folder(&template, &data.outside)?;
        // The copy is another server: it makes an identity of its own.
        let _ = fs::remove_file(data.outside.join("auto.cnf"));
        let port = free_port().context("find a free port")?;
        let command = server_command(installation, &data.inside, port, options);
        let log = scratch.join(format!("{}-{port}.log", kind.slug()));
        let mut keeper = Keeper::new(&command, &log, Leftovers::Remove(data.outside))?;
        keeper.start()?;
        let url = format!("mysql://root@127.0.0.1:{port}");
        let mut server = ServerProcess { kind, port, keeper: Some(keeper), url, log };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mysql://root@127.0.0.1:PORT`, without a database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Process id of a server that was started here and runs.
    pub fn pid(&self) -> Option<u32> {
        self.keeper.as_ref().and_then(Keeper::pid)
    }

    /// The server's error log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Orderly shutdown.
    pub fn stop(&mut self) -> Result<()> {
        self.keeper()?.stop().map(|_| ())
    }

    /// `kill -9`.
    pub fn kill_hard(&mut self) -> Result<()> {
        self.keeper()?.kill().map(|_| ())
    }

    /// Starts it again after a stop or a kill, on the same port and data.
    pub fn restart(&mut self) -> Result<()> {
        self.keeper()?.start()?;
        self.wait_until_it_listens()
    }

    fn keeper(&mut self) -> Result<&mut Keeper> {
        self.keeper.as_mut().context("this server was not started here")
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            // MySQL listens only once it is ready for connections.
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            let pid = self.keeper()?.pid().context("the server was not started")?;
            let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if Path::new("/proc/self").exists() && (state.is_empty() || state.contains(") Z ")) {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        bail!("{} did not start on port {}: {}", self.kind.name(), self.port, last_lines(&self.log))
    }
}

/// Ports below those that Linux gives to outgoing connections (32768 on), so that no client takes one
/// between the look here and the server's start.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A loopback port that was free a moment ago. One process never gives the same port twice in a row, and
/// processes begin at different places.
pub fn free_port() -> std::io::Result<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let width = u32::from(PORTS.end - PORTS.start);
    for _ in 0..width {
        let step = TAKEN.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(211).wrapping_add(step) % width;
        let port = PORTS.start + u16::try_from(place).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn unique(kind: Kind) -> String {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{serial}", kind.slug(), std::process::id())
}

fn place(installation: &Installation, scratch: &Path, name: &str) -> Place {
    match installation {
        Installation::Chroot { root } => {
            let inside = PathBuf::from("/var/lib/segue-test").join(name);
            Place { outside: root.join("var/lib/segue-test").join(name), inside }
        }
        _ => Place { outside: scratch.join(name), inside: scratch.join(name) },
    }
}

/// The initialised data folder that every server of this kind starts from; made once.
fn template(kind: Kind, installation: &Installation, scratch: &Path) -> Result<PathBuf> {
    let finished = place(installation, scratch, &format!("{}-template", kind.slug()));
    if finished.outside.exists() {
        return Ok(finished.outside);
    }
    // Made under another name and renamed: several processes may do this at once.
    let making = place(installation, scratch, &format!("{}-making", unique(kind)));
    fs::create_dir_all(&making.outside)
        .with_context(|| format!("create {}", making.outside.display()))?;
    let data = format!("--datadir={}", making.inside.display());
    let mut command = match installation {
        Installation::Chroot { root } => {
            let mut owner = Command::new("chroot");
            run(owner.arg(root).args(["chown", "mysql:mysql"]).arg(&making.inside))?;
            let mut command = Command::new("chroot");
            command.arg(root).args(["/usr/sbin/mysqld", "--no-defaults", "--initialize-insecure"]);
            command.args(["--user=mysql", "--innodb-redo-log-capacity=8M"]);
            command
        }
        Installation::Mysqld { program } => {
            let mut command = Command::new(program);
            command.args(["--no-defaults", "--initialize-insecure"]);
            command.args(["--innodb-redo-log-capacity=8M"]).args(user_option());
            command
        }
        Installation::Mariadbd { install, .. } => {
            let mut command = Command::new(install);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
            command.args(["--skip-test-db"]).args(user_option());
            // In the common one a server that starts would remove our temporary tables.
            command.arg(format!("--tmpdir={}", making.inside.display()));
            command
        }
        Installation::Running { .. } => bail!("a running server has no template"),
    };
    run(command.arg(data))?;
    if fs::rename(&making.outside, &finished.outside).is_err() {
        // Another process was first.
        let _ = fs::remove_dir_all(&making.outside);
    }
    Ok(finished.outside)
}

/// Both servers refuse to run as root unless told so.
fn user_option() -> Option<&'static str> {
    is_root().then_some("--user=root")
}

fn server_command(
    installation: &Installation,
    data: &Path,
    port: u16,
    options: &[String],
) -> ChildCommand {
    let mut words: Vec<std::ffi::OsString> = match installation {
        Installation::Chroot { root } => {
            vec!["chroot".into(), root.into(), "/usr/sbin/mysqld".into()]
        }
        Installation::Mysqld { program } | Installation::Mariadbd { program, .. } => {
            vec![program.into()]
        }
        Installation::Running { .. } => vec![],
    };
    let data = data.display();
    words.push("--no-defaults".into());
    words.push(format!("--datadir={data}").into());
    // A server that starts removes temporary tables that it finds, also those of a server at work.
    words.push(format!("--tmpdir={data}").into());
    words.push(format!("--socket={data}/s.sock").into());
    words.push(format!("--pid-file={data}/server.pid").into());
    words.push(format!("--port={port}").into());
    let fast = [
        "--bind-address=127.0.0.1",
        "--secure-file-priv=",
        "--local-infile=ON",
        "--max-connections=400",
        "--innodb-buffer-pool-size=128M",
        // Tests kill processes, not machines: the operating system's cache is durable enough.
        "--innodb-flush-log-at-trx-commit=2",
        "--sync-binlog=0",
        "--character-set-server=utf8mb4",
        "--server-id=7",
    ];
    words.extend(fast.map(Into::into));
    match installation {
        Installation::Chroot { .. } => {
            words.extend(["--user=mysql".into(), "--mysqlx=OFF".into()]);
            words.push("--innodb-redo-log-capacity=64M".into());
        }
        Installation::Mysqld { .. } => {
            words.push("--mysqlx=OFF".into());
            words.extend(user_option().map(Into::into));
        }
        _ => words.extend(user_option().map(Into::into)),
    }
    words.extend(options.iter().map(Into::into));
    ChildCommand::new(words)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {}", output.status, errors.trim());
    }
    Ok(())
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
