//! The drivers and how each is run.
//! Never here: what their scripts do (see `tests/drivers`), or setting them up (see `cargo xtask drivers`).

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::servers::{Installation, Kind, unstable_root};

/// One driver with its script.
#[derive(Clone, Debug)]
pub struct Driver {
    pub name: String,
    /// Program and arguments up to the login. `@tls@` is an option that depends on TLS.
    words: Vec<String>,
}

/// How to log in.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub port: u16,
    pub user: &'a str,
    pub password: &'a str,
    pub database: &'a str,
    pub tls: bool,
}

impl Driver {
    fn new(name: &str, words: &[&str]) -> Driver {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Driver { name: name.to_owned(), words }
    }

    pub fn command(&self, scripts: &Path, prepared: &Path, login: Login<'_>) -> Command {
        let client_option = match (self.name.as_str(), login.tls) {
            ("mariadb command line", true) => "--ssl --skip-ssl-verify-server-cert",
            ("mariadb command line", false) => "--skip-ssl",
            (_, true) => "--ssl-mode=REQUIRED --get-server-public-key",
            (_, false) => "--ssl-mode=DISABLED --get-server-public-key",
        };
        let words = self.words.iter().map(|word| word.replace("@tls@", client_option));
        let words: Vec<String> = words.collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(login.port.to_string());
        command.args([login.user, login.password, login.database]);
        command.arg(if login.tls { "tls" } else { "plain" }).arg(scripts);
        command.arg(prepared.join("node/node_modules"));
        command
    }
}

/// All drivers. `scripts`: `tests/drivers`; `prepared`: what the set-up made.
pub fn all(scripts: &Path, prepared: &Path) -> Vec<Driver> {
    let text = |path: PathBuf| path.display().to_string();
    let script = |name: &str| text(scripts.join(name));
    let venv = text(prepared.join("venv/bin/python"));
    let (python, node) = (script("python/driver.py"), script("node/driver.js"));
    let java = ["java", "-cp", "/usr/share/java/mariadb-java-client.jar"];
    let java_script = script("java/Driver.java");
    let mut drivers = vec![];
    for name in ["pymysql", "connector", "connector-c", "sqlalchemy-pymysql"] {
        drivers.push(Driver::new(&format!("Python {name}"), &[&venv, &python, name]));
    }
    // Debian's package, for Debian's Python.
    drivers.push(Driver::new("Python mysqldb", &["/usr/bin/python3", &python, "mysqldb"]));
    for name in ["mysql2", "mysql2-old", "mysql", "mariadb"] {
        drivers.push(Driver::new(&format!("Node.js {name}"), &["node", &node, name]));
    }
    let go = text(prepared.join("go/driver"));
    drivers.push(Driver::new("Go go-sql-driver", &[&go, "go-sql-driver"]));
    for name in ["mysqli", "pdo"] {
        drivers
            .push(Driver::new(&format!("PHP {name}"), &["php", &script("php/driver.php"), name]));
    }
    for name in ["mysql", "MariaDB"] {
        let words = ["perl", &script("perl/driver.pl"), name];
        drivers.push(Driver::new(&format!("Perl DBD::{name}"), &words));
    }
    drivers.push(Driver::new("Ruby mysql2", &["ruby", &script("ruby/driver.rb"), "mysql2"]));
    for name in ["text", "bulk"] {
        let words = [java[0], java[1], java[2], &java_script, name];
        drivers.push(Driver::new(&format!("Java MariaDB Connector/J {name}"), &words));
    }
    let shell = script("shell/driver.sh");
    let client = "mariadb --no-defaults @tls@";
    drivers.push(Driver::new("mariadb command line", &["sh", &shell, client]));
    if let Ok(Installation::Chroot { root }) = Installation::find(Kind::Mysql97) {
        let client = format!("chroot {} /usr/bin/mysql --no-defaults @tls@", root.display());
        drivers.push(Driver::new("mysql command line", &["sh", &shell, &client]));
    }
    drivers
}

/// The client in MySQL's Debian root sees the files under the same name.
pub fn share_scripts(scripts: &Path) -> std::io::Result<()> {
    let root = unstable_root();
    if !root.exists() {
        return Ok(());
    }
    let inside = root.join(scripts.strip_prefix("/").unwrap_or(scripts));
    std::fs::create_dir_all(&inside)?;
    std::fs::copy(scripts.join("rows.tsv"), inside.join("rows.tsv")).map(|_| ())
}
