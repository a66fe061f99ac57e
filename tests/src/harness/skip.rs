//! Tests that cannot run here: said aloud, and recorded so that `cargo xtask test` counts them.
//! Never here: deciding that a server is missing.

use std::fs::OpenOptions;
use std::io::Write;

/// Set by `cargo xtask test`: the file that takes one line per skipped test.
const SKIPS_VARIABLE: &str = "SEGUE_TEST_SKIPS";

/// Records that the running test is skipped. The test must then return.
///
/// The test's name is the thread's, so call this on the test's own thread (as `#[tokio::test]` does).
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed test");
    let binary = std::env::current_exe().unwrap_or_default();
    let binary = binary.file_name().unwrap_or_default().to_string_lossy();
    let binary = binary.split('-').next().unwrap_or_default();
    println!("SKIPPED: {binary}: {test}: {reason}");
    let Some(path) = std::env::var_os(SKIPS_VARIABLE) else { return };
    let line = format!("{binary}: {test}\t{}\n", reason.replace(['\n', '\t'], " "));
    // One short write in append mode: lines of parallel tests do not mix.
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the skip can be recorded");
}
