//! Clients that others wrote, run as programs: what one prints is what its user sees.
//! Never here: which logins are tried.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use segue_tests::harness::skip;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use xtask::servers::{Installation, Kind};

/// A client program.
#[derive(Clone, Debug)]
pub enum Client {
    /// The command line client of MariaDB.
    MariaDb,
    /// The command line client of MySQL 9.7, in its Debian root.
    MySql { root: PathBuf },
    /// A Python driver.
    Python { python: PathBuf, driver: &'static str },
}

/// How to log in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub database: &'a str,
    pub tls: bool,
}

const SQL: &str = "SELECT CURRENT_USER(), DATABASE(); SELECT COUNT(*) FROM information_schema.tables \
                   WHERE table_schema = DATABASE(); SELECT * FROM nowhere";

/// Those that this machine has. The others are recorded as skipped.
pub async fn all() -> Vec<Client> {
    let mut found = vec![];
    match Command::new("mariadb").arg("--version").output().await {
        Ok(_) => found.push(Client::MariaDb),
        Err(error) => skip(&format!("no `mariadb` client: {error}")),
    }
    match Installation::find(Kind::Mysql97) {
        Ok(Installation::Chroot { root }) if root.join("usr/bin/mysql").exists() => {
            found.push(Client::MySql { root });
        }
        _ => skip("no `mysql` client of MySQL 9.7"),
    }
    let scratch = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/segue-test");
    let python = move || xtask::python::with_drivers(&scratch);
    match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => {
            for driver in ["pymysql", "connector"] {
                found.push(Client::Python { python: python.clone(), driver });
            }
        }
        Err(reason) => skip(&reason),
    }
    found
}

impl Client {
    /// The command line clients that this machine has.
    pub async fn command_lines() -> Vec<Client> {
        let clients = all().await;
        clients.into_iter().filter(|client| !matches!(client, Client::Python { .. })).collect()
    }

    pub fn name(&self) -> &'static str {
        match self {
            Client::MariaDb => "mariadb",
            Client::MySql { .. } => "mysql",
            Client::Python { driver, .. } => driver,
        }
    }

    /// Exit code, output and errors of a command line client that runs `sql`; `more` are its options.
    pub async fn session(&self, port: u16, login: Login<'_>, more: &[&str], sql: &str) -> String {
        let mut command = self.command_line(port, login).expect("a command line client");
        command.args(more).args(["--execute", sql]);
        outcome(command).await
    }

    /// Exit code, output and errors of one run.
    pub async fn outcome(&self, port: u16, login: Login<'_>) -> String {
        let Client::Python { python, driver } = self else {
            return self.session(port, login, &[], SQL).await;
        };
        let Login { user, password, database, tls } = login;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/driver.py");
        let mut command = Command::new(python);
        command.arg(script).arg(driver).arg(port.to_string());
        command.args([user, password, database, if tls { "tls" } else { "plain" }]);
        outcome(command).await
    }

    fn command_line(&self, port: u16, login: Login<'_>) -> Option<Command> {
        let Login { user, password, database, tls } = login;
        let mut command = match self {
            Client::MariaDb => {
                let mut command = Command::new("mariadb");
                command.args(["--no-defaults", "--skip-ssl-verify-server-cert"]);
                command.arg(if tls { "--ssl" } else { "--skip-ssl" });
                command
            }
            Client::MySql { root } => {
                let mut command = Command::new("chroot");
                command.arg(root).args(["/usr/bin/mysql", "--no-defaults"]);
                command.arg("--get-server-public-key");
                command.arg(if tls { "--ssl-mode=REQUIRED" } else { "--ssl-mode=DISABLED" });
                command
            }
            Client::Python { .. } => return None,
        };
        command.args(["--protocol=tcp", "--host=127.0.0.1", "--batch", "--force"]);
        command.arg(format!("--port={port}")).arg(format!("--user={user}"));
        command.arg(format!("--password={password}"));
        if !database.is_empty() {
            command.arg(format!("--database={database}"));
        }
        Some(command)
    }
}

async fn outcome(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Many logins by Python drivers, in one program.
pub struct Logins {
    python: PathBuf,
}

impl Logins {
    /// `None` and a recorded skip where there is no Python.
    pub async fn find() -> Option<Logins> {
        all().await.into_iter().find_map(|client| match client {
            Client::Python { python, .. } => Some(Logins { python }),
            _ => None,
        })
    }

    /// What comes of each case at a port; `tests/clients/login.py` says what a case is.
    pub async fn outcomes(&self, port: u16, cases: &[Value]) -> Vec<String> {
        let mut cases = cases.to_vec();
        for case in &mut cases {
            case["port"] = port.into();
        }
        let mut command = Command::new(&self.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/login.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = Value::from(cases.clone()).to_string();
        input.write_all(text.as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), cases.len(), "{errors}");
        lines
    }
}
