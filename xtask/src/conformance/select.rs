//! Which tests of a suite are run: those that can do with a server that somebody else has started.
//! Never here: running them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::client_test;
use super::server::Family;
use super::suite::Suite;

/// Tests that bring options for the server have files with these endings beside them.
const OPTION_FILES: [&str; 5] = ["-master.opt", ".opt", ".cnf", "-master.sh", "-slave.opt"];

/// Include files that start or stop the server, or that want one of another kind.
const WANTS_ANOTHER_SERVER: [&str; 20] = [
    "have_debug",
    "have_debug_sync",
    "restart_mysqld",
    "start_mysqld",
    "shutdown_mysqld",
    "kill_mysqld",
    "kill_and_restart",
    "have_log_bin_off",
    "not_log_bin",
    "have_case_insensitive",
    "have_windows",
    "windows",
    "have_udf",
    "have_mysqlx",
    "have_lowercase",
    "not_root",
    "expect_crash",
    "force_restart",
    "force_stop",
    "count_sessions_x",
];

/// Tests of MariaDB's suite: select, insert, types, prepared statements, and what touches the protocol.
const MARIADB: &str = include_str!("mariadb-tests.txt");

pub fn tests(suite: Suite, patterns: &[String], sample: Option<usize>) -> Result<Vec<String>> {
    let all = match suite {
        Suite::Mysql => runnable(&Family::MySql.tests_outside().join("t"))?,
        Suite::Client => client_test::cases()?,
        Suite::Mariadb => MARIADB.split_whitespace().map(str::to_owned).collect(),
    };
    let named = |test: &String| patterns.is_empty() || patterns.iter().any(|p| test.contains(p));
    let all: Vec<String> = all.into_iter().filter(named).collect();
    Ok(match sample {
        Some(count) if count < all.len() => spread(&all, count),
        _ => all,
    })
}

/// `count` of them, evenly spread.
fn spread(all: &[String], count: usize) -> Vec<String> {
    (0..count).map(|i| all[i * all.len() / count].clone()).collect()
}

fn runnable(folder: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    let entries =
        fs::read_dir(folder).with_context(|| format!("read the tests in {}", folder.display()))?;
    for entry in entries.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".test") else { continue };
        let own_options =
            OPTION_FILES.iter().any(|end| folder.join(format!("{name}{end}")).exists());
        // Tests are not all UTF-8.
        let text = fs::read(entry.path()).unwrap_or_default();
        if !own_options && !wants_another_server(&String::from_utf8_lossy(&text)) {
            names.push(format!("main.{name}"));
        }
    }
    names.sort();
    Ok(names)
}

fn wants_another_server(test: &str) -> bool {
    test.lines().any(|line| {
        let line = line.trim().trim_start_matches("--").trim_start().to_ascii_lowercase();
        let stops = ["shutdown_server", "shutdown;", "restart;", "exec $mysqld ", "exec $mysqld_"];
        if stops.iter().any(|word| line.starts_with(word)) {
            return true;
        }
        let Some(file) = line.strip_prefix("source") else { return false };
        let file = file.trim().trim_start_matches("./");
        let Some(name) = file.strip_prefix("include/") else { return false };
        let parts = ["restart", "shutdown", "kill_"];
        WANTS_ANOTHER_SERVER.iter().any(|word| name.starts_with(word))
            || parts.iter().any(|word| name.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_restart_the_server_are_left_out() {
        assert!(wants_another_server("SELECT 1;\n--source include/restart_mysqld.inc\n"));
        assert!(wants_another_server("  source include/have_debug.inc;\n"));
        assert!(!wants_another_server("--source include/count_sessions.inc\nSELECT 1;\n"));
        assert!(!wants_another_server("# restart_mysqld\n"));
    }

    #[test]
    fn a_sample_is_spread_over_all() {
        let all: Vec<String> = (0..10).map(|i| i.to_string()).collect();
        assert_eq!(spread(&all, 3), ["0", "3", "6"]);
    }
}
