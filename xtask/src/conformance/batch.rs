//! Many tests in one call of a suite's own runner, and what it says of them.
//! Never here: which tests, or what to do about a failure.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::results::Outcome;
use super::server::{Family, Server};
use super::suite::Mode;

/// The slowest tests take minutes on a busy machine.
const TEST_MINUTES_MAX: u32 = 8;
/// The runner keeps limits of its own; this ends it when it hangs itself.
const BATCH_SECONDS_MAX: u32 = 5400;
/// Between two looks at whether the server is still there.
const SERVER_LOOK: Duration = Duration::from_millis(300);
/// Lines of a difference that are kept.
const DETAIL_LINES_MAX: usize = 14;
const DETAIL_COLUMNS_MAX: usize = 240;

/// Runs `tests` in this order, up to the first that fails. Tests that were not reached have no outcome.
pub fn run(
    server: &Server,
    port: u16,
    mode: Mode,
    tests: &[String],
    seen: &mut dyn FnMut(&str),
) -> Result<HashMap<String, Outcome>> {
    let family = server.family();
    let work = server.work_inside();
    let runner = family.runner();
    let program = family.tests_inside();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &BATCH_SECONDS_MAX.to_string()]);
    if let Some(root) = family.root() {
        command.arg("chroot").arg(root);
    }
    command.args([
        "sh",
        "-c",
        &format!("cd {} && exec perl {runner} \"$@\" 2>&1", program.display()),
    ]);
    command.arg(runner);
    for option in ["host=127.0.0.1", &format!("port={port}"), "user=root"] {
        command.args(["--extern", option]);
    }
    command.arg(format!("--vardir={}/var", work.display()));
    command.args(["--retry=0", &format!("--testcase-timeout={TEST_MINUTES_MAX}")]);
    command.args(["--suite-timeout=300", "--noreorder"]);
    command.args(mode.option());
    let tls = mode == Mode::Tls;
    match family {
        Family::MySql => {
            command.arg(format!("--tmpdir={}/var/tmp", work.display()));
            command.arg(format!("--client-bindir={}/bin", program.display()));
            command.args(["--nounit-tests", "--extern", "loose-default-character-set=utf8mb4"]);
            let word = if tls { "ssl-mode=REQUIRED" } else { "ssl-mode=DISABLED" };
            command.args(["--extern", word]);
        }
        Family::MariaDb => {
            command.args(["--max-test-fail=1", "--extern", if tls { "ssl=1" } else { "ssl=0" }]);
        }
    }
    command.args(tests).env("PERL_BADLANG", "0").env_remove("MYSQLTEST_VARDIR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("run {runner}"))?;
    let output = child.stdout.take().context("the runner has no output")?;
    let mut text = String::new();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| watch(server, &child, &ended));
        // Read to the end whatever comes: the runner must not block on its output.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some((test, "pass", _)) = result_line(&line) {
                seen(test);
            }
            text.push_str(&line);
            text.push('\n');
        }
        ended.store(true, Ordering::Relaxed);
    });
    child.wait().with_context(|| format!("wait for {runner}"))?;
    let log = server.runner_log();
    std::fs::write(&log, &text).with_context(|| format!("write {}", log.display()))?;
    Ok(outcomes(&text))
}

/// Ends the runner when its server has gone: it would try to connect for minutes, test after test.
fn watch(server: &Server, runner: &Child, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        sleep(SERVER_LOOK);
        if !server.is_alive() {
            // `timeout` passes it on to everything it started.
            let _ = Command::new("kill").arg(runner.id().to_string()).status();
            return;
        }
    }
}

/// Reads the runner's output. A test with combinations passes if all of them do.
fn outcomes(text: &str) -> HashMap<String, Outcome> {
    let mut found: HashMap<String, Outcome> = HashMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((test, word, rest)) = result_line(line) else { continue };
        let mut detail: Vec<String> = vec![];
        if word == "fail" {
            while let Some(next) = lines.next_if(|next| result_line(next).is_none()) {
                if is_telling(next) && detail.len() < DETAIL_LINES_MAX {
                    detail.push(next.chars().take(DETAIL_COLUMNS_MAX).collect());
                }
            }
        } else if word != "pass" && !rest.is_empty() {
            detail.push(rest.to_owned());
        }
        let outcome = Outcome { word: word.to_owned(), detail };
        match found.get(test) {
            Some(known) if known.word == "fail" || outcome.word != "fail" => {}
            _ => drop(found.insert(test.to_owned(), outcome)),
        }
    }
    found
}

/// `[ 12%] main.alias 'combination' [ pass ]   69`, or the same without the percentage.
fn result_line(line: &str) -> Option<(&str, &str, &str)> {
    let line = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("%]")?.1,
        None => line,
    };
    let test = line.split_whitespace().next()?;
    let (suite, name) = test.split_once('.')?;
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    if !is_name(suite) || !is_name(name) {
        return None;
    }
    let (_, rest) = line.split_once("[ ")?;
    let (word, rest) = rest.split_once(" ]")?;
    let known = ["pass", "fail", "skipped", "disabled"].contains(&word);
    known.then(|| (test, word, rest.trim()))
}

/// Lines of a failure's report that say what differs.
fn is_telling(line: &str) -> bool {
    let changed = (line.starts_with('+') || line.starts_with('-'))
        && !line.starts_with("+++")
        && !line.starts_with("---");
    let said = ["mysqltest: ", "Query: ", "Returned error: ", "mysql-test-run: *** ERROR"];
    changed || said.iter().any(|start| line.starts_with(start)) || line.contains("imeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_with_what_differs() {
        let text = "\
[ 25%] main.select_all                           [ pass ]   3180
[ 50%] main.alias 'innodb'                       [ fail ]
        Test ended at 2026-11-20 12:44:06

--- /r/alias.result
+++ /var/alias.reject
@@ -5,7 +5,7 @@
 1
-2
+3
[ 75%] main.windows                              [ skipped ]  Needs windows
";
        let found = outcomes(text);
        assert_eq!(found["main.select_all"].word, "pass");
        assert_eq!(found["main.alias"].word, "fail");
        assert_eq!(found["main.alias"].detail, ["-2", "+3"]);
        assert_eq!(found["main.windows"].detail, ["Needs windows"]);
    }

    #[test]
    fn a_test_fails_with_any_of_its_combinations() {
        let text = "main.alias 'a' [ fail ]\nmain.alias 'b' [ pass ] 3\n";
        assert_eq!(outcomes(text)["main.alias"].word, "fail");
    }
}
