//! Finds an installed server: the private Debian root, programs on PATH, or a given URL.
//! Never here: installing one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Kind;

/// Overrides the folder of the private Debian root that holds MySQL.
pub const UNSTABLE_ROOT_VARIABLE: &str = "SEGUE_TEST_MYSQL_ROOT";
/// URL of a running MySQL whose account may create databases and users.
pub const URL_VARIABLE: &str = "SEGUE_TEST_MYSQL_URL";

/// A server that can be started, or one that runs already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installation {
    /// `mysqld` inside a Debian root, run by chroot. Needs root.
    Chroot { root: PathBuf },
    /// MySQL's own `mysqld` on this machine.
    Mysqld { program: PathBuf },
    /// `mariadbd` and its `mariadb-install-db` on this machine.
    Mariadbd { program: PathBuf, install: PathBuf },
    /// A running server: it cannot be stopped or restarted by tests.
    Running { url: String },
}

impl Installation {
    /// The installation for `kind`, or a sentence that says what is missing.
    pub fn find(kind: Kind) -> Result<Installation, String> {
        match kind {
            Kind::Mysql97 => find_mysql(),
            Kind::MariaDb => find_mariadb(),
        }
    }

    /// Its version line, for people.
    pub fn version(&self) -> String {
        let output = match self {
            Installation::Chroot { root } => {
                Command::new("chroot").arg(root).args(["/usr/sbin/mysqld", "--version"]).output()
            }
            Installation::Mysqld { program } | Installation::Mariadbd { program, .. } => {
                Command::new(program).arg("--version").output()
            }
            Installation::Running { .. } => return "a running server".to_owned(),
        };
        match output {
            Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

/// Folder of the private Debian root: `$SEGUE_TEST_MYSQL_ROOT`, else `~/.cache/segue/unstable`.
pub fn unstable_root() -> PathBuf {
    if let Some(root) = env::var_os(UNSTABLE_ROOT_VARIABLE) {
        return PathBuf::from(root);
    }
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/segue/unstable")
}

fn find_mysql() -> Result<Installation, String> {
    if let Ok(url) = env::var(URL_VARIABLE) {
        return Ok(Installation::Running { url });
    }
    let root = unstable_root();
    if root.join("usr/sbin/mysqld").exists() && is_root() {
        return Ok(Installation::Chroot { root });
    }
    if let Some(program) = on_path("mysqld").filter(|program| is_mysql(program)) {
        return Ok(Installation::Mysqld { program });
    }
    Err(format!(
        "no MySQL: neither {} (made by `cargo xtask test` on Debian as root), nor MySQL's mysqld on \
         PATH, nor {URL_VARIABLE}",
        root.display()
    ))
}

fn find_mariadb() -> Result<Installation, String> {
    let program = on_path("mariadbd").ok_or("no MariaDB: mariadbd is not on PATH")?;
    let install =
        on_path("mariadb-install-db").ok_or("no MariaDB: mariadb-install-db is not on PATH")?;
    Ok(Installation::Mariadbd { program, install })
}

/// `mysqld` may be MariaDB under MySQL's name.
fn is_mysql(program: &Path) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout);
        output.status.success() && text.contains("Ver ") && !text.contains("MariaDB")
    })
}

/// Whether this process runs as root (needed for chroot; `id` spares us unsafe code).
pub(super) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program on PATH, or in the folders for daemons that a user's PATH leaves out.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
