//! `cargo xtask drivers`: the set-up of drivers of many languages, then the matrix of what each sees directly
//! and through Segue. Never here: running and comparing (see the program `drivers` of the tests).

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::servers::Kind;

use crate::steps::Steps;
use crate::{cargo, setup, target_folder};

/// Debian's packages: interpreters, and drivers that come with them.
const PACKAGES: [&str; 14] = [
    "python3",
    "python3-venv",
    "python3-mysqldb",
    "nodejs",
    "npm",
    "golang-go",
    "golang-github-go-sql-driver-mysql-dev",
    "php-cli",
    "php-mysql",
    "libdbd-mysql-perl",
    "libdbd-mariadb-perl",
    "ruby-mysql2",
    "libmariadb-java",
    "default-jdk-headless",
];

/// Python's, with what PyMySQL needs for the key exchange of caching_sha2_password. The C extension of later
/// mysql-connector-python asks for a newer OpenSSL than Debian 12 has.
const PYTHON: [&str; 4] =
    ["PyMySQL==1.*", "mysql-connector-python==9.1.*", "SQLAlchemy==2.*", "cryptography"];

/// Node's. The older mysql2 sends every number as a DOUBLE, the newer one query attributes.
const NODE: [&str; 4] = ["mysql2-old@npm:mysql2@3.14", "mysql2@3.24", "mysql@2", "mariadb@3"];

/// Where Debian keeps Go's libraries.
const GO_PATH: &str = "/usr/share/gocode";

#[derive(Args)]
pub struct Arguments {
    /// Use what is installed; install nothing
    #[arg(long)]
    no_setup: bool,
    /// Passed to the program (`--only NAME`, `--server mysql97|mariadb`)
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(steps: &Steps, repository: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let folder = steps.folder().join("drivers");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut prepared = setup::Prepared::default();
    if !arguments.no_setup {
        prepared = setup::servers(steps, &Kind::ALL);
        // What cannot be had is a missing driver in the table, and no more than that.
        for outcome in [
            packages(steps),
            python(steps, &folder),
            node(steps, &folder),
            go(steps, repository, &folder),
        ] {
            if let Err(error) = outcome {
                steps.note(&format!("{error:#}"));
            }
        }
    }
    let mut build = cargo(repository);
    build.args(["build", "--workspace", "--bins"]);
    if !steps.openly("build", &mut build)? {
        bail!("the programs do not build");
    }
    let mut command = Command::new(target_folder(repository).join("debug/drivers"));
    command.current_dir(repository);
    command.arg(&folder).args(&arguments.rest);
    command.envs(prepared.environment.iter().map(|(name, value)| (name, value)));
    let well = steps.openly("drivers", &mut command)?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Packages that are not there yet. A program that answers is as good as Debian's package of it.
fn packages(steps: &Steps) -> Result<()> {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let wanted = PACKAGES.into_iter().filter(|package| match *package {
        "nodejs" | "npm" => !there(if *package == "npm" { "npm" } else { "node" }),
        "default-jdk-headless" => !there("javac"),
        package => !installed(package),
    });
    let wanted: Vec<&str> = wanted.collect();
    if wanted.is_empty() { Ok(()) } else { setup::install_packages(steps, &wanted) }
}

fn installed(package: &str) -> bool {
    let output =
        Command::new("dpkg-query").args(["--show", "--showformat=${Status}", package]).output();
    output.is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}

fn python(steps: &Steps, folder: &Path) -> Result<()> {
    let place = folder.join("venv");
    if place.join("finished").exists() {
        return Ok(());
    }
    let mut make = Command::new("python3");
    steps.quietly("make a Python environment", make.args(["-m", "venv"]).arg(&place))?;
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON);
    steps.quietly("install Python's drivers", &mut pip)?;
    fs::write(place.join("finished"), "").context("mark the environment")
}

fn node(steps: &Steps, folder: &Path) -> Result<()> {
    let place = folder.join("node");
    if NODE.iter().all(|name| place.join("node_modules").join(module(name)).exists()) {
        return Ok(());
    }
    fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&place).args(["install", "--no-save", "--no-audit", "--no-fund"]).args(NODE);
    steps.quietly("install Node's drivers", &mut npm)
}

/// The folder that a package's name with its version goes to.
fn module(package: &str) -> &str {
    package.split('@').next().unwrap_or(package)
}

fn go(steps: &Steps, repository: &Path, folder: &Path) -> Result<()> {
    let place = folder.join("go");
    fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
    let mut build = Command::new("go");
    build.current_dir(&place).env("GO111MODULE", "off").env("GOPATH", GO_PATH);
    build.args(["build", "-o", "driver"]).arg(repository.join("tests/drivers/go/driver.go"));
    steps.quietly("build the Go script", &mut build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_by_what_stands_before_the_version() {
        assert_eq!(NODE.map(module), ["mysql2-old", "mysql2", "mysql", "mariadb"]);
    }
}
