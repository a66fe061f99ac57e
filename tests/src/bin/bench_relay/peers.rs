//! The relays that are compared: started on free ports in front of one server, one thread each.
//! Never here: load, figures.

use std::path::Path;

use anyhow::{Context, Result};
use segue_tests::harness::{Database, SegueConfig, SegueProcess, Server};
use xtask::keeper::{ChildCommand, Keeper, Leftovers};
use xtask::servers::{free_port, on_path, unstable_root};

/// The first of the tables that sysbench makes is mapped.
const CONTRACT: &str = r##"{"tables":[{"table":"Rows","type":"single-entity","source_table":"sbtest1",
  "pk":"Id","sk":"Kind","gsis":[],"attributes":[
  {"name":"Id","type":"S","source_table":"sbtest1","source_column":"id"},
  {"name":"Kind","type":"S","source_table":"sbtest1","source_column":"id",
   "transformation":{"type":"string-format","format":"#ROW"}},
  {"name":"k","type":"N","source_table":"sbtest1","source_column":"k"},
  {"name":"c","type":"S","source_table":"sbtest1","source_column":"c"}],
  "satisfies":["a row"],"estimated_item_size_bytes":300}]}"##;

/// One way from the load to the server.
pub struct Peer {
    pub name: &'static str,
    pub port: u16,
    /// `None`: no process in between.
    pub pid: Option<u32>,
    _process: Process,
}

/// Held so that it ends with the peer.
enum Process {
    None,
    Segue { _process: Box<SegueProcess> },
    Other { _process: Keeper },
}

/// Names of the peers that bars speak of.
pub const PLAIN: &str = "plain relay";
pub const HAPROXY: &str = "HAProxy";
pub const ROUTER: &str = "MySQL Router";
pub const PROXYSQL: &str = "ProxySQL";
pub const SEGUE: &str = "Segue";
pub const OBSERVING: &str = "Segue, observing";

/// Starts all peers that the machine has; says which it has not.
pub async fn start(server: &Server, database: &Database, scratch: &Path) -> Result<Vec<Peer>> {
    let direct = Peer { name: "direct", port: server.port(), pid: None, _process: Process::None };
    let mut peers = vec![direct, plain(server, scratch)?];
    match on_path("haproxy") {
        Some(program) => peers.push(haproxy(&program, server, scratch)?),
        None => eprintln!("HAProxy is not on PATH: left out"),
    }
    match router_root() {
        Some(root) => peers.push(router(&root, server, scratch)?),
        None => eprintln!("MySQL Router is not installed: left out"),
    }
    match on_path("proxysql") {
        Some(program) => peers.push(proxysql(&program, server, database, scratch)?),
        None => eprintln!("ProxySQL is not on PATH: left out"),
    }
    peers.push(segue(SEGUE, server, database, "off").await?);
    peers.push(segue(OBSERVING, server, database, "on").await?);
    Ok(peers)
}

async fn segue(
    name: &'static str,
    server: &Server,
    database: &Database,
    observe: &str,
) -> Result<Peer> {
    let mut config = SegueConfig::new(server, database, CONTRACT).with_phase("mysql-only");
    config.environment.push(("SEGUE_LISTEN_WORKERS".to_owned(), "1".to_owned()));
    config.environment.push(("SEGUE_OBSERVE_STATEMENTS".to_owned(), observe.to_owned()));
    let segue = SegueProcess::start(&config).await?;
    let (port, pid) = (segue.mysql_port(), segue.pid());
    Ok(Peer { name, port, pid, _process: Process::Segue { _process: Box::new(segue) } })
}

fn plain(server: &Server, scratch: &Path) -> Result<Peer> {
    let program = std::env::current_exe()?.with_file_name("plain_relay");
    let port = free_port()?;
    let words = [
        program.into_os_string(),
        format!("127.0.0.1:{port}").into(),
        format!("127.0.0.1:{}", server.port()).into(),
    ];
    kept(PLAIN, port, ChildCommand::new(words), scratch)
}

fn haproxy(program: &Path, server: &Server, scratch: &Path) -> Result<Peer> {
    let port = free_port()?;
    let text = format!(
        "global\n  maxconn 2000\n  nbthread 1\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         listen mysql\n  bind 127.0.0.1:{port}\n  server mysql 127.0.0.1:{}\n",
        server.port()
    );
    let path = scratch.join("haproxy.cfg");
    std::fs::write(&path, text)?;
    let words = [program.as_os_str(), "-db".as_ref(), "-f".as_ref(), path.as_os_str()];
    kept(HAPROXY, port, ChildCommand::new(words), scratch)
}

/// The Debian root with MySQL, if Router was added to it.
fn router_root() -> Option<std::path::PathBuf> {
    let root = unstable_root();
    root.join("usr/bin/mysqlrouter").exists().then_some(root)
}

fn router(root: &Path, server: &Server, scratch: &Path) -> Result<Peer> {
    let port = free_port()?;
    let text = format!(
        "[DEFAULT]\nlogging_folder=\nuser=root\n[logger]\nlevel=WARNING\n[io]\nthreads=1\n\
         [routing:bench]\nbind_address=127.0.0.1\nbind_port={port}\n\
         destinations=127.0.0.1:{}\nrouting_strategy=first-available\nprotocol=classic\n\
         client_ssl_mode=PASSTHROUGH\nserver_ssl_mode=AS_CLIENT\n",
        server.port()
    );
    let inside = format!("tmp/segue-router-{port}.conf");
    std::fs::write(root.join(&inside), text).context("write Router's settings")?;
    let words = [
        "chroot".to_owned(),
        root.display().to_string(),
        "/usr/bin/mysqlrouter".to_owned(),
        "-c".to_owned(),
        format!("/{inside}"),
    ];
    kept(ROUTER, port, ChildCommand::new(words), scratch)
}

/// Statements go through it unchanged; its accounts are the server's.
fn proxysql(program: &Path, server: &Server, database: &Database, scratch: &Path) -> Result<Peer> {
    let (port, admin) = (free_port()?, free_port()?);
    let text = format!(
        "datadir=\"{0}\"\nadmin_variables={{ mysql_ifaces=\"127.0.0.1:{admin}\" }}\n\
         mysql_variables={{ threads=1 interfaces=\"127.0.0.1:{port}\" monitor_enabled=false }}\n\
         mysql_servers=({{ address=\"127.0.0.1\" port={1} hostgroup=0 }})\n\
         mysql_users=({{ username=\"root\" password=\"\" default_hostgroup=0 default_schema=\"{2}\" }})\n",
        scratch.display(),
        server.port(),
        database.name
    );
    let path = scratch.join("proxysql.cnf");
    std::fs::write(&path, text)?;
    let words =
        [program.as_os_str(), "-f".as_ref(), "--initial".as_ref(), "-c".as_ref(), path.as_os_str()];
    kept(PROXYSQL, port, ChildCommand::new(words), scratch)
}

fn kept(name: &'static str, port: u16, command: ChildCommand, scratch: &Path) -> Result<Peer> {
    let log = scratch.join(format!("{}.log", name.replace(' ', "-")));
    let mut keeper = Keeper::new(&command, &log, Leftovers::Keep)?;
    let pid = keeper.start().with_context(|| format!("start {name}"))?;
    Ok(Peer { name, port, pid: Some(pid), _process: Process::Other { _process: keeper } })
}
