//! Python with MySQL drivers in a folder of its own, made once.
//! Never here: what the drivers are tried with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The drivers and what PyMySQL needs for the key exchange of caching_sha2_password.
const PACKAGES: [&str; 3] = ["PyMySQL", "mysql-connector-python", "cryptography"];

/// Python that can import the drivers, in `scratch`; or a sentence that says what is missing.
pub fn with_drivers(scratch: &Path) -> Result<PathBuf, String> {
    let finished = scratch.join("venv");
    let python = finished.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    // Made under another name and renamed: several processes may do this at once. A venv's python
    // works from anywhere; only its scripts know their place.
    let making = scratch.join(format!("venv-{}", std::process::id()));
    std::fs::create_dir_all(scratch).map_err(|error| error.to_string())?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&making))
        .map_err(|error| format!("no Python: {error}"))?;
    let mut pip = Command::new(making.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]);
    let installed = run(pip.args(["--only-binary", ":all:"]).args(PACKAGES));
    if let Err(error) = installed {
        let _ = std::fs::remove_dir_all(&making);
        return Err(format!("no Python drivers: {error}"));
    }
    if std::fs::rename(&making, &finished).is_err() {
        // Another process was first.
        let _ = std::fs::remove_dir_all(&making);
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(errors.lines().last().unwrap_or("it failed").to_owned())
}
