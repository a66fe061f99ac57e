//! Gets the servers that tests and demo need onto this machine, or says plainly what is missing.
//! Never here: starting them (see `xtask::servers`).

mod container;
mod debian;

use std::process::Command;

use anyhow::Result;
use xtask::servers::{Installation, Kind, URL_VARIABLE, on_path, unstable_root};

use crate::steps::Steps;

pub use container::Container;

/// What set-up left behind.
#[derive(Default)]
pub struct Prepared {
    /// Environment for the tests.
    pub environment: Vec<(&'static str, String)>,
    /// One sentence per server that cannot be had.
    pub missing: Vec<String>,
    /// A MySQL container that ends with this value.
    pub container: Option<Container>,
}

/// Makes the servers of `kinds` available.
pub fn servers(steps: &Steps, kinds: &[Kind]) -> Prepared {
    let mut prepared = Prepared::default();
    for kind in kinds {
        if Installation::find(*kind).is_err()
            && let Err(error) = install(steps, *kind)
        {
            steps.note(&format!("{}: {error:#}", kind.name()));
        }
        match Installation::find(*kind) {
            Ok(installation) => {
                steps.note(&format!("{}: {}", kind.name(), installation.version()));
            }
            Err(reason) => without(steps, *kind, reason, &mut prepared),
        }
    }
    prepared
}

/// Makes the load program and the peers of the relay benchmark available, as far as packages have them.
pub fn peers(steps: &Steps) {
    let mut packages = vec![];
    for (program, package) in [("sysbench", "sysbench"), ("haproxy", "haproxy")] {
        if on_path(program).is_none() {
            packages.push(package);
        }
    }
    let router = unstable_root().join("usr/bin/mysqlrouter").exists();
    if !debian::can_install() {
        if !packages.is_empty() {
            steps.note(&format!("not on PATH, and not installed here: {}", packages.join(", ")));
        }
        return;
    }
    let mut attempts = vec![];
    if !packages.is_empty() {
        attempts.push(debian::install(steps, &packages));
    }
    if !router && unstable_root().exists() {
        attempts.push(debian::install_in_root(steps, &unstable_root(), "mysql-router"));
    }
    for error in attempts.into_iter().filter_map(Result::err) {
        steps.note(&format!("{error:#}"));
    }
}

/// The last resort for MySQL is docker; for MariaDB there is none.
fn without(steps: &Steps, kind: Kind, reason: String, prepared: &mut Prepared) {
    if kind == Kind::Mysql97 && container::available() {
        let started = steps.step("start MySQL in docker", Container::start);
        match started {
            Ok(container) => {
                prepared.environment.push((URL_VARIABLE, container.url()));
                prepared.container = Some(container);
                return;
            }
            Err(error) => steps.note(&format!("{}: {error:#}", kind.name())),
        }
    }
    let missing = format!("{} is missing: {reason}; its tests are skipped", kind.name());
    steps.note(&missing);
    prepared.missing.push(missing);
}

fn install(steps: &Steps, kind: Kind) -> Result<()> {
    if !debian::can_install() {
        anyhow::bail!("not a Debian machine with root rights, so nothing is installed");
    }
    match kind {
        // The `-core` packages bring the programs without a service that starts by itself.
        Kind::MariaDb => debian::install(steps, &["mariadb-server-core", "mariadb-client-core"]),
        Kind::Mysql97 => debian::make_unstable_root(steps, &unstable_root()),
    }
}

/// Makes the regression suite of a server available, the server with it.
pub fn suite(steps: &Steps, kind: Kind) -> Result<()> {
    let present = match kind {
        Kind::Mysql97 => unstable_root().join("usr/lib/mysql-test/mysql-test-run.pl"),
        Kind::MariaDb => "/usr/share/mysql/mysql-test/mariadb-test-run.pl".into(),
    };
    if present.exists() {
        return Ok(());
    }
    if !debian::can_install() {
        anyhow::bail!("not a Debian machine with root rights, so no regression suite is installed");
    }
    match kind {
        Kind::MariaDb => debian::install(steps, &["mariadb-server-core", "mariadb-test"]),
        Kind::Mysql97 => {
            let root = unstable_root();
            if !root.join("usr/sbin/mysqld").exists() {
                debian::make_unstable_root(steps, &root)?;
            }
            debian::install_in_root(steps, &root, "mysql-testsuite")
        }
    }
}

/// Installs Debian's packages, where that is possible.
pub fn install_packages(steps: &Steps, packages: &[&str]) -> Result<()> {
    if !debian::can_install() {
        anyhow::bail!("not a Debian machine with root rights, so nothing is installed");
    }
    debian::install(steps, packages)
}

/// A compiler for C++, which libFuzzer is written in.
pub fn compiler(steps: &Steps) -> Result<()> {
    if ["c++", "g++", "clang++"].iter().any(|program| answers(program, "--version")) {
        return Ok(());
    }
    if !debian::can_install() {
        anyhow::bail!(
            "no C++ compiler is here (libFuzzer needs one), and nothing can be installed"
        );
    }
    debian::install(steps, &["g++"])
}

/// Whether a program answers at all.
fn answers(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}
