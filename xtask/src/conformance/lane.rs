//! A lane: one server, Segue in front of it where wanted, and tests one batch after the other.
//! Never here: how the parts are started.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::results::{Outcome, Results};
use super::segue::Segue;
use super::server::{Family, Server};
use super::suite::{Mode, Path, Suite};
use super::{Scene, batch, client_test};

/// The runner takes about a second to start: worth sharing among tests, as long as a failure, which costs
/// a new server, does not throw away much.
const BATCH_TESTS: usize = 40;

/// What all lanes share.
struct Work<'a> {
    queue: Mutex<VecDeque<String>>,
    results: Mutex<&'a mut Results>,
    total: usize,
    begin: Instant,
    /// Log of the tests as they pass.
    progress: Mutex<File>,
}

struct Lane<'a> {
    scene: &'a Scene,
    number: usize,
    suite: Suite,
    mode: Mode,
    path: Path,
    /// Segue ends before its server.
    segue: Option<Segue>,
    server: Option<Server>,
    /// The test of which the runner said nothing when it stood first: it gets a second chance, for runners
    /// that start at once may be in each other's way.
    lost: Option<String>,
    /// Tests have run since the server was started.
    used: bool,
}

/// Runs the tests on as many lanes as asked for.
pub fn run_all(
    scene: &Scene,
    suite: Suite,
    mode: Mode,
    path: Path,
    tests: &[String],
    results: &mut Results,
) -> Result<()> {
    let work = Work {
        queue: Mutex::new(tests.iter().cloned().collect()),
        results: Mutex::new(results),
        total: tests.len(),
        begin: Instant::now(),
        progress: Mutex::new(
            File::create(scene.folder.join(format!(
                "{}-{}-{}.log",
                suite.name(),
                mode.name(),
                path.name()
            )))
            .context("make a log")?,
        ),
    };
    let lane = |number: usize| {
        let mut lane = Lane {
            scene,
            number,
            suite,
            mode,
            path,
            segue: None,
            server: None,
            lost: None,
            used: false,
        };
        lane.run(&work)
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> =
            (0..scene.jobs).map(|number| scope.spawn(move || lane(number))).collect();
        for lane in lanes {
            match lane.join() {
                Ok(outcome) => outcome?,
                Err(_) => bail!("a lane panicked"),
            }
        }
        Ok(())
    })
}

impl Work<'_> {
    fn take(&self, count: usize) -> Vec<String> {
        let Ok(mut queue) = self.queue.lock() else { return vec![] };
        let count = count.min(queue.len());
        queue.drain(..count).collect()
    }

    fn give_back(&self, tests: &[String]) {
        let Ok(mut queue) = self.queue.lock() else { return };
        for test in tests.iter().rev() {
            queue.push_front(test.clone());
        }
    }

    /// A sign of life; combinations of the test may still come.
    fn note(&self, test: &str) {
        if let Ok(mut progress) = self.progress.lock() {
            let _ = writeln!(progress, "{} {test}", self.begin.elapsed().as_secs());
        }
    }

    fn put(&self, test: &str, outcome: Outcome) -> Result<()> {
        let left = self.queue.lock().map_or(0, |queue| queue.len());
        if outcome.word != "pass" {
            let seconds = self.begin.elapsed().as_secs();
            let detail = outcome.detail.first().map_or("", String::as_str);
            println!(
                "  {seconds:5} s, {left:4} of {} left: {test} {} {detail}",
                self.total, outcome.word
            );
        }
        match self.results.lock() {
            Ok(mut results) => results.put(test, outcome),
            Err(_) => bail!("a lane panicked"),
        }
    }
}

impl Lane<'_> {
    fn run(&mut self, work: &Work<'_>) -> Result<()> {
        loop {
            let size = if self.scene.jobs > 1 { BATCH_TESTS / 2 } else { BATCH_TESTS };
            let tests = work.take(size);
            if tests.is_empty() {
                return Ok(());
            }
            let rest = self.batch(work, &tests)?;
            work.give_back(&rest);
        }
    }

    /// Runs tests up to a failure; returns those that are left.
    fn batch(&mut self, work: &Work<'_>, tests: &[String]) -> Result<Vec<String>> {
        let port = self.stand()?;
        if self.suite == Suite::Client {
            let server = self.server()?;
            for test in tests {
                work.put(test, client_test::run(server, port, test)?)?;
            }
            return Ok(vec![]);
        }
        let clean = !std::mem::replace(&mut self.used, true);
        let found =
            batch::run(self.server()?, port, self.mode, tests, &mut |test| work.note(test))?;
        for (i, test) in tests.iter().enumerate() {
            let outcome = found.get(test).cloned();
            let lost = outcome.is_none();
            let outcome = outcome.unwrap_or(Outcome { word: "lost".into(), detail: vec![] });
            if outcome.word == "fail" || lost {
                self.drop_all();
                // Earlier tests may be why it fails; only a fresh server's word counts.
                let mut blamed = clean && i == 0;
                if blamed && lost && self.lost.as_deref() != Some(test) {
                    self.lost = Some(test.clone());
                    blamed = false;
                }
                if !blamed {
                    return Ok(tests[i..].to_vec());
                }
                work.put(test, outcome)?;
                return Ok(tests[i + 1..].to_vec());
            }
            work.put(test, outcome)?;
        }
        Ok(vec![])
    }

    /// Starts what is not running; returns the port for clients.
    fn stand(&mut self) -> Result<u16> {
        if self.server.is_none() {
            let family = Family::of(self.suite.kind());
            let server = Server::start(self.scene, family, self.number)?;
            if self.path != Path::Direct {
                // The C API's test insists on TLS: there, plain is the leg to the server.
                let plain = self.suite == Suite::Client && self.mode == Mode::Plain;
                let leg = if plain { "never" } else { "as-client" };
                self.segue = Some(Segue::start(self.scene, &server, self.path, leg, self.number)?);
            }
            self.server = Some(server);
            self.used = false;
        }
        match &self.segue {
            Some(segue) => Ok(segue.port()),
            None => Ok(self.server()?.port()),
        }
    }

    fn server(&self) -> Result<&Server> {
        match &self.server {
            Some(server) => Ok(server),
            None => bail!("the lane has no server"),
        }
    }

    fn drop_all(&mut self) {
        self.segue = None;
        self.server = None;
    }
}
