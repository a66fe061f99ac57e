//! mysql_client_test: cases of MySQL's C API, each a process of its own.
//! Never here: servers.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::results::Outcome;
use super::server::{Family, Server};

const PROGRAM: &str = "/usr/lib/mysql-test/bin/mysql_client_test";
const CASE_SECONDS_MAX: u32 = 120;
/// Last lines of a failed case's output that are kept.
const DETAIL_LINES: usize = 4;

/// Names of all cases. The program knows no option for TLS: it insists on it.
pub fn cases() -> Result<Vec<String>> {
    let mut command = Family::MySql.command(PROGRAM);
    let output = command.args(["--no-defaults", "--show-tests"]).output();
    let output = output.context("run mysql_client_test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_name = |line: &&str| !line.is_empty() && !line.contains(' ');
    let cases: Vec<String> =
        text.lines().map(str::trim).filter(is_name).map(str::to_owned).collect();
    if cases.is_empty() {
        bail!("mysql_client_test lists no cases");
    }
    Ok(cases)
}

pub fn run(server: &Server, port: u16, case: &str) -> Result<Outcome> {
    let Some(root) = server.family().root() else { bail!("mysql_client_test is MySQL's") };
    let vardir = format!("{}/var", server.work_inside().display());
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &CASE_SECONDS_MAX.to_string(), "chroot"]).arg(root);
    command.args(["sh", "-c", &format!("cd /usr/lib/mysql-test && exec {PROGRAM} \"$@\""), "case"]);
    command.args(["--no-defaults", "--host=127.0.0.1", &format!("--port={port}"), "--user=root"]);
    command.args(["--testcase", &format!("--vardir={vardir}"), "--silent"]);
    command.arg(case);
    command.env("MYSQL_TEST_DIR", "/usr/lib/mysql-test").env("MYSQLTEST_VARDIR", &vardir);
    command.env("MYSQL_TMP_DIR", format!("{vardir}/tmp"));
    let output = command.stdin(Stdio::null()).output().context("run mysql_client_test")?;
    if output.status.success() {
        return Ok(Outcome { word: "pass".into(), detail: vec![] });
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut detail: Vec<String> =
        lines[lines.len().saturating_sub(DETAIL_LINES)..].iter().map(|&l| l.to_owned()).collect();
    detail.push(output.status.to_string());
    Ok(Outcome { word: "fail".into(), detail })
}
