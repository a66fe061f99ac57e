//! A child process that never outlives its parent, whatever kills the parent.
//! Never here: what the child is.
//!
//! The child is started by a small shell that reads commands from a pipe. When the parent ends, even by
//! `kill -9`, the pipe closes, the shell kills the child and removes its folder.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};

/// `$1` log file, `$2` folder to remove at the end (may be empty), the rest is the command.
const KEEPER: &str = r#"
log=$1; folder=$2; shift 2; child=
while read -r verb; do
  case $verb in
    start)  "$@" </dev/null >>"$log" 2>&1 & child=$!; echo "$child" ;;
    stop)   kill -TERM "$child"; wait "$child"; echo "$?"; child= ;;
    kill)   kill -KILL "$child"; wait "$child"; echo "$?"; child= ;;
    pause)  kill -STOP "$child"; echo 0 ;;
    resume) kill -CONT "$child"; echo 0 ;;
  esac 2>/dev/null
done
[ -z "$child" ] || { kill -CONT "$child"; kill -KILL "$child"; wait "$child"; } 2>/dev/null
[ -z "$folder" ] || rm -rf -- "$folder"
"#;

/// What remains of the child's folder when the keeper ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftovers {
    Keep,
    /// Removed once the child is dead.
    Remove(PathBuf),
}

/// Program, arguments and environment of the child.
#[derive(Clone, Debug, Default)]
pub struct ChildCommand {
    pub words: Vec<OsString>,
    pub environment: Vec<(String, String)>,
}

/// Owns one child process: starts, stops and kills it, any number of times.
#[derive(Debug)]
pub struct Keeper {
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: Option<u32>,
}

impl ChildCommand {
    pub fn new(words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        ChildCommand { words: words.into_iter().map(Into::into).collect(), environment: vec![] }
    }
}

impl Keeper {
    /// Prepares the child; [`Keeper::start`] starts it. Its output is appended to `log`.
    pub fn new(command: &ChildCommand, log: &Path, leftovers: Leftovers) -> Result<Self> {
        let folder = match leftovers {
            Leftovers::Keep => PathBuf::new(),
            Leftovers::Remove(folder) => folder,
        };
        let mut shell = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(log)
            .arg(folder)
            .args(&command.words)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // An own process group: Ctrl-C in a terminal is for the parent alone.
            .process_group(0)
            .spawn()
            .context("start /bin/sh")?;
        let commands = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().context("the shell has no output")?);
        Ok(Keeper { shell, commands, answers, pid: None })
    }

    /// Process id of the running child.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub fn start(&mut self) -> Result<u32> {
        if self.pid.is_some() {
            bail!("the process runs already");
        }
        let pid = self.ask("start")?.parse().context("read the child's process id")?;
        self.pid = Some(pid);
        Ok(pid)
    }

    /// SIGTERM, then waits for the end. Returns the exit status as a shell gives it.
    pub fn stop(&mut self) -> Result<i32> {
        self.end("stop")
    }

    /// SIGKILL, then waits for the end.
    pub fn kill(&mut self) -> Result<i32> {
        self.end("kill")
    }

    /// SIGSTOP: the child keeps its sockets open and answers nothing.
    pub fn pause(&mut self) -> Result<()> {
        self.ask("pause").map(|_| ())
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        self.ask("resume").map(|_| ())
    }

    fn end(&mut self, verb: &str) -> Result<i32> {
        if self.pid.take().is_none() {
            bail!("the process does not run");
        }
        self.ask(verb)?.parse().context("read the child's exit status")
    }

    fn ask(&mut self, verb: &str) -> Result<String> {
        let commands = self.commands.as_mut().context("the keeper was closed")?;
        writeln!(commands, "{verb}").context("tell the keeper")?;
        commands.flush().context("tell the keeper")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("hear from the keeper")?;
        if answer.is_empty() {
            bail!("the keeper ended");
        }
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Closing the pipe makes the shell kill the child.
        self.commands = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}/stat")).exists()
    }

    #[test]
    fn child_dies_with_its_keeper_and_its_folder_goes() {
        let folder = std::env::temp_dir().join(format!("segue-keeper-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let command = ChildCommand::new(["sleep", "60"]);
        let leftovers = Leftovers::Remove(folder.clone());
        let mut keeper = Keeper::new(&command, &folder.join("log"), leftovers).unwrap();
        let pid = keeper.start().unwrap();
        assert!(alive(pid));
        drop(keeper);
        assert!(!alive(pid));
        assert!(!folder.exists());
    }

    #[test]
    fn killed_child_starts_again() {
        let command = ChildCommand::new(["sleep", "60"]);
        let mut keeper = Keeper::new(&command, Path::new("/dev/null"), Leftovers::Keep).unwrap();
        let first = keeper.start().unwrap();
        assert_eq!(keeper.kill().unwrap(), 128 + 9);
        let second = keeper.start().unwrap();
        assert_ne!(first, second);
        assert_eq!(keeper.stop().unwrap(), 128 + 15);
    }
}
