//! A server as the suites' own runners would start it: their data, their keys, their options.
//! Never here: tests, or Segue.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask::keeper::{ChildCommand, Keeper, Leftovers};
use xtask::servers::{Kind, free_port, unstable_root};

use super::Scene;

const START_SECONDS_MAX: u64 = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    MySql,
    MariaDb,
}

/// A running server; its data goes with it.
pub struct Server {
    family: Family,
    port: u16,
    /// Folder for data, variable files and sockets.
    work: PathBuf,
    log: PathBuf,
    keeper: Keeper,
}

impl Family {
    pub fn of(kind: Kind) -> Family {
        match kind {
            Kind::Mysql97 => Family::MySql,
            Kind::MariaDb => Family::MariaDb,
        }
    }

    /// MySQL and its tests live in a root of their own.
    pub fn root(self) -> Option<PathBuf> {
        (self == Family::MySql).then(unstable_root)
    }

    /// Where the suite is, as server and runner see it.
    pub fn tests_inside(self) -> &'static Path {
        Path::new(match self {
            Family::MySql => "/usr/lib/mysql-test",
            Family::MariaDb => "/usr/share/mysql/mysql-test",
        })
    }

    pub fn tests_outside(self) -> PathBuf {
        self.outside(self.tests_inside())
    }

    pub fn runner(self) -> &'static str {
        match self {
            Family::MySql => "mysql-test-run.pl",
            Family::MariaDb => "mariadb-test-run.pl",
        }
    }

    fn outside(self, inside: &Path) -> PathBuf {
        match (self.root(), inside.strip_prefix("/")) {
            (Some(root), Ok(relative)) => root.join(relative),
            _ => inside.to_path_buf(),
        }
    }

    /// A program beside the server, in its root.
    pub fn command(self, program: &str) -> Command {
        match self.root() {
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    fn client(self) -> &'static str {
        match self {
            Family::MySql => "/usr/bin/mysql",
            Family::MariaDb => "/usr/bin/mariadb",
        }
    }
}

impl Server {
    /// Starts a server on a copy of freshly made data.
    pub fn start(scene: &Scene, family: Family, lane: usize) -> Result<Server> {
        // Its port may be taken between the look and the start.
        match Server::start_once(scene, family, lane) {
            Ok(server) => Ok(server),
            Err(_) => Server::start_once(scene, family, lane),
        }
    }

    fn start_once(scene: &Scene, family: Family, lane: usize) -> Result<Server> {
        let base = Path::new("/var/lib/segue-conformance").join(match family {
            Family::MySql => "mysql",
            Family::MariaDb => "mariadb",
        });
        let pristine = base.join("pristine");
        if lane == 0 && !family.outside(&pristine.join("mysql")).exists() {
            make_pristine(scene, family, &base)?;
        }
        wait_for(&family.outside(&pristine.join("mysql")))?;
        // The runner's rules of where things are: data in mysqld.1, the variable folder beside it.
        sweep_out(&family.outside(&base));
        let work = base.join(format!("lane-{}-{lane}", std::process::id()));
        let outside = family.outside(&work);
        remove(&outside)?;
        for folder in ["mysqld.1", "tmp", "var/log", "var/tmp"] {
            let folder = outside.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let keys = family.tests_inside().join("std_data");
        for link in ["std_data", "var/std_data"] {
            symlink(&keys, outside.join(link)).context("link the suite's files")?;
        }
        let data = outside.join("mysqld.1/data");
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(family.outside(&pristine)).arg(data);
        well("copy the data", &mut copy)?;
        let port = free_port().context("find a free port")?;
        let mut command = ChildCommand::new(words(family, &work, port));
        // The suites' results are those of this time zone.
        command.environment.push(("TZ".into(), "GMT-3".into()));
        let log = scene.folder.join(format!("lane-{}-{lane}-server.log", std::process::id()));
        let mut keeper = Keeper::new(&command, &log, Leftovers::Keep)?;
        keeper.start()?;
        let mut server = Server { family, port, work, log, keeper };
        server.wait()?;
        if family == Family::MariaDb {
            server.sql("CREATE DATABASE mtr; CREATE DATABASE test CHARACTER SET latin1")?;
            for file in ["mtr_warnings.sql", "mtr_check.sql"] {
                let path = family.tests_outside().join("include").join(file);
                // Parts of them need what a server of the runner's own has.
                let text = fs::read_to_string(&path).context("read the suite's set-up")?;
                // Its client reads these two lines differently from ours.
                let text = text.replace("use mtr||", "use mtr ||");
                let _ = server.sql(&text.replace("delimiter ||;", "delimiter ||"));
            }
        }
        Ok(server)
    }

    pub fn family(&self) -> Family {
        self.family
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the suite's runner talks at length.
    pub fn runner_log(&self) -> PathBuf {
        self.log.with_extension("runner.log")
    }

    /// A test may have killed it.
    pub fn is_alive(&self) -> bool {
        let Some(pid) = self.keeper.pid() else { return false };
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    /// Folder of the lane, as server and runner see it.
    pub fn work_inside(&self) -> &Path {
        &self.work
    }

    /// Runs statements as root, not through Segue.
    pub fn sql(&self, text: &str) -> Result<()> {
        self.sql_by(&[format!("--socket={}/s", self.work.display())], text)
    }

    /// Runs statements through whatever listens at this port.
    pub fn sql_through(&self, port: u16, text: &str) -> Result<()> {
        self.sql_by(&["--host=127.0.0.1".to_owned(), format!("--port={port}")], text)
    }

    fn sql_by(&self, way: &[String], text: &str) -> Result<()> {
        if !self.pipe(way, text)? {
            bail!("the server refuses: {text}");
        }
        Ok(())
    }

    fn pipe(&self, way: &[String], text: &str) -> Result<bool> {
        use std::io::Write as _;
        let mut command = self.family.command(self.family.client());
        command.args(["--no-defaults", "--user=root", "--force"]);
        command.args(way);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("run the client program")?;
        let mut input = child.stdin.take().context("the client program has no input")?;
        input.write_all(text.as_bytes()).context("talk to the client program")?;
        drop(input);
        Ok(child.wait().context("wait for the client program")?.success())
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            // The port alone could be another server's, if this one could not have it.
            let socket = self.family.outside(&self.work.join("s"));
            if UnixStream::connect(socket).is_ok()
                && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            {
                return Ok(());
            }
            if !self.is_alive() {
                break;
            }
            sleep(Duration::from_millis(50));
        }
        bail!("the server did not start: see {}", self.work.join("error.log").display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data is thrown away, so it need not shut down in order.
        let _ = self.keeper.kill();
        let _ = remove(&self.family.outside(&self.work));
    }
}

/// Removes what runs left that were killed.
fn sweep_out(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("lane-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = remove(&entry.path());
        }
    }
}

/// The other lanes wait for the first to make the data.
fn wait_for(path: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    while !path.exists() {
        if Instant::now() > deadline {
            bail!("{} was not made", path.display());
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Initialises data as the runner would: its tables of time zones and warnings, its accounts.
fn make_pristine(scene: &Scene, family: Family, base: &Path) -> Result<()> {
    let outside = family.outside(base);
    fs::create_dir_all(&outside).with_context(|| format!("create {}", outside.display()))?;
    let making = base.join("making");
    remove(&family.outside(&making))?;
    let log = scene.folder.join("initialise.log");
    let errors = fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = match family {
        Family::MySql => {
            fs::write(outside.join("first.sql"), first_statements(family)?).context("write SQL")?;
            prepare_root(&unstable_root())?;
            let mut command = family.command("/usr/sbin/mysqld");
            command.args(["--no-defaults", "--user=root", "--initialize-insecure"]);
            command.args(["--innodb_buffer_pool_size=24M", "--innodb-redo-log-capacity=10M"]);
            command.args(["--innodb_autoextend_increment=8", "--auto_generate_certs=OFF"]);
            command.arg("--caching_sha2_password_auto_generate_rsa_keys=OFF");
            command.arg(format!("--init-file={}/first.sql", base.display()));
            command.arg(format!("--datadir={}", making.display()));
            command
        }
        Family::MariaDb => {
            let mut command = family.command("mariadb-install-db");
            command.args(["--no-defaults", "--user=root", "--skip-test-db"]);
            command.arg("--auth-root-authentication-method=normal");
            command.arg(format!("--datadir={}", making.display()));
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let status = command.status().context("initialise the server's data")?;
    if !status.success() {
        bail!("the server's data cannot be initialised: see {}", log.display());
    }
    let _ = fs::remove_file(family.outside(&making.join("auto.cnf")));
    fs::rename(family.outside(&making), family.outside(&base.join("pristine")))
        .context("put the server's data in place")
}

/// Files of a system that a minimal root lacks and the tests read.
fn prepare_root(root: &Path) -> Result<()> {
    let hosts = root.join("etc/hosts");
    if !hosts.exists() {
        fs::write(&hosts, "127.0.0.1 localhost\n").context("write the root's hosts file")?;
    }
    let protocols = root.join("etc/protocols");
    if !protocols.exists() && Path::new("/etc/protocols").exists() {
        fs::copy("/etc/protocols", &protocols).context("copy /etc/protocols")?;
    }
    Ok(())
}

fn first_statements(family: Family) -> Result<String> {
    let include = family.tests_outside().join("include");
    let read = |name: &str| {
        fs::read_to_string(include.join(name)).with_context(|| format!("read the suite's {name}"))
    };
    let zones = read("mtr_test_data_timezone.sql")?;
    let accounts = "DELETE FROM mysql.user WHERE user = '';\n\
        CREATE DATABASE test;\n\
        CREATE DATABASE mtr;\n\
        INSERT INTO mysql.db VALUES ('%', 'test', '', 'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'N', 'Y', 'Y', \
        'Y', 'Y', 'Y', 'Y', 'Y', 'Y', 'N', 'N', 'Y', 'Y');\n\
        DELETE FROM mysql.proxies_priv WHERE user = 'root';\n\
        INSERT INTO mysql.proxies_priv VALUES ('localhost', 'root', '', '', TRUE, '', NOW());\n";
    let (warnings, check) = (read("mtr_warnings.sql")?, read("mtr_check.sql")?);
    Ok(format!("USE mysql;\n{zones}\n{accounts}{warnings}\n{check}"))
}

fn words(family: Family, work: &Path, port: u16) -> Vec<String> {
    let tests = family.tests_inside().display();
    let work = work.display();
    let keys = format!("{tests}/std_data");
    let mut words: Vec<String> = match family.root() {
        Some(root) => vec!["chroot".into(), root.display().to_string(), "/usr/sbin/mysqld".into()],
        None => vec!["/usr/sbin/mariadbd".into()],
    };
    words.extend([
        format!("--defaults-file={tests}/include/default_mysqld.cnf"),
        "--user=root".into(),
        format!("--datadir={work}/mysqld.1/data"),
        "--bind-address=127.0.0.1".into(),
        format!("--port={port}"),
        format!("--socket={work}/s"),
        format!("--pid-file={work}/mysqld.pid"),
        format!("--log-error={work}/error.log"),
        format!("--tmpdir={work}/tmp"),
        "--server-id=1".into(),
        "--secure-file-priv=".into(),
        "--log-bin=binlog".into(),
        "--core-file".into(),
        format!("--ssl-ca={keys}/cacert.pem"),
        format!("--ssl-cert={keys}/server-cert.pem"),
        format!("--ssl-key={keys}/server-key.pem"),
    ]);
    match family {
        Family::MySql => words.extend([
            "--mysqlx=OFF".into(),
            "--local-infile=ON".into(),
            // The data is thrown away: nothing need reach the disk.
            "--innodb-flush-method=nosync".into(),
            "--innodb-flush-log-at-trx-commit=2".into(),
            "--sync-binlog=0".into(),
            "--innodb-redo-log-capacity=100M".into(),
            "--log-output=file".into(),
            "--general-log=1".into(),
            "--slow-query-log=1".into(),
            "--explain-format=TRADITIONAL_STRICT".into(),
            format!("--caching-sha2-password-private-key-path={keys}/rsa_private_key.pem"),
            format!("--caching-sha2-password-public-key-path={keys}/rsa_public_key.pem"),
        ]),
        Family::MariaDb => words.push("--lc-messages-dir=/usr/share/mysql".into()),
    }
    words
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove {}", folder.display())),
    }
}

fn well(what: &str, command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| what.to_owned())?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}
