//! Clients that others wrote, run as programs: what one prints is what its user sees.
//! Never here: which logins are tried.

use std::path::{Path, PathBuf};

use segue_tests::harness::skip;
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
    /// Exit code, output and errors of one run.
    pub async fn outcome(&self, port: u16, login: Login<'_>) -> String {
        let mut command = self.command(port, login);
        let output = command.stdin(std::process::Stdio::null()).output().await.unwrap();
        format!(
            "{:?}\n{}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    fn command(&self, port: u16, login: Login<'_>) -> Command {
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
            Client::Python { python, driver } => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/driver.py");
                let mut command = Command::new(python);
                command.arg(script).arg(driver).arg(port.to_string());
                command.args([user, password, database, if tls { "tls" } else { "plain" }]);
                return command;
            }
        };
        command.args(["--protocol=tcp", "--host=127.0.0.1", "--batch", "--force"]);
        command.arg(format!("--port={port}")).arg(format!("--user={user}"));
        command.arg(format!("--password={password}")).args(["--execute", SQL]);
        if !database.is_empty() {
            command.arg(database);
        }
        command
    }
}
