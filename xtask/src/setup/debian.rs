//! Debian: packages by apt-get, and a private root of unstable that holds MySQL.
//! Never here: other systems.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::answers;
use crate::steps::Steps;

/// Whether this is a Debian-like machine on which we may install packages.
pub fn can_install() -> bool {
    let root = Command::new("id").arg("-u").output();
    answers("apt-get", "--version")
        && Path::new("/etc/debian_version").exists()
        && root.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs packages; the index is fetched only if they cannot be had without.
pub fn install(steps: &Steps, packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-q"]).args(arguments);
        command
    };
    let install = ["install", "--no-install-recommends"];
    let arguments: Vec<&str> = install.iter().chain(packages).copied().collect();
    // A stale or absent package index is the usual state of a fresh machine.
    // One broken third-party source must not stop us: the install says whether it mattered.
    if let Err(error) = steps.quietly("apt-get update", &mut apt(&["update"])) {
        steps.note(&format!("{error:#}"));
    }
    steps.quietly(&format!("apt-get install {}", packages.join(" ")), &mut apt(&arguments))
}

/// Makes a minimal root of Debian unstable with MySQL's server and client programs in it.
pub fn make_unstable_root(steps: &Steps, root: &Path) -> Result<()> {
    let mut missing = vec![];
    if !answers("debootstrap", "--version") {
        missing.push("debootstrap");
    }
    let own = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_debian = own.lines().any(|line| line == "ID=debian");
    if !is_debian && !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        missing.push("debian-archive-keyring");
    }
    if !missing.is_empty() {
        install(steps, &missing)?;
    }
    let making = root.with_extension("making");
    if making.exists() {
        fs::remove_dir_all(&making).with_context(|| format!("remove {}", making.display()))?;
    }
    fs::create_dir_all(&making).with_context(|| format!("create {}", making.display()))?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", "--include=mysql-server-core,mysql-client-core", "sid"]);
    command.arg(&making);
    if is_debian && let Some(mirror) = own_mirror(&own) {
        command.arg(mirror);
    }
    steps.quietly("fetch MySQL 9.7 from Debian unstable (debootstrap)", &mut command)?;
    let user = ["useradd", "--system", "--user-group", "--no-create-home", "mysql"];
    if !chroot(&making, &["id", "mysql"])?.success() {
        chroot(&making, &user)?;
    }
    fs::create_dir_all(making.join("var/lib/segue-test")).context("make the data folder")?;
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("remove {}", root.display()))?;
    }
    fs::rename(&making, root).with_context(|| format!("rename to {}", root.display()))
}

/// Installs a further package in the private root.
pub fn install_in_root(steps: &Steps, root: &Path, package: &str) -> Result<()> {
    let mut command = Command::new("chroot");
    command.arg(root).env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["apt-get", "-y", "-q", "install", "--no-install-recommends", package]);
    steps.quietly(&format!("install {package} in {}", root.display()), &mut command)
}

fn chroot(root: &Path, words: &[&str]) -> Result<std::process::ExitStatus> {
    let output = Command::new("chroot").arg(root).args(words).output();
    Ok(output.with_context(|| format!("chroot {}", root.display()))?.status)
}

/// The mirror that apt itself uses for this release, from any of its source files.
fn own_mirror(os_release: &str) -> Option<String> {
    let codename = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "sources" => mirror_of_stanzas(&text, codename),
            "list" => mirror_of_lines(&text, codename),
            _ => None,
        }
    })
}

/// deb822 format: `Types`, `URIs`, `Suites` in stanzas parted by empty lines.
fn mirror_of_stanzas(text: &str, codename: &str) -> Option<String> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(name)).map(str::split_whitespace)
        };
        let names_release = field("Suites:")?.any(|suite| suite == codename);
        let binary = field("Types:")?.any(|kind| kind == "deb");
        let mut mirrors = field("URIs:")?;
        if names_release && binary { mirrors.next().map(str::to_owned) } else { None }
    })
}

/// One-line format: `deb [options] URI suite component...`.
fn mirror_of_lines(text: &str, codename: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let mirror = words.next()?;
        (words.next()? == codename).then(|| mirror.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_comes_from_the_stanza_of_the_own_release() {
        let text = "Types: deb\nURIs: https://other.example/apt\nSuites: nodistro\n\n\
                    Types: deb\n# a comment\nURIs: http://mirror.example/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n";
        let mirror = mirror_of_stanzas(text, "bookworm");
        assert_eq!(mirror.as_deref(), Some("http://mirror.example/debian"));
    }

    #[test]
    fn mirror_comes_from_the_line_of_the_own_release() {
        let text = "# deb http://no.example bookworm main\n\
                    deb http://security.example bookworm-security main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main\n";
        let mirror = mirror_of_lines(text, "bookworm");
        assert_eq!(mirror.as_deref(), Some("http://mirror.example/debian"));
    }
}
