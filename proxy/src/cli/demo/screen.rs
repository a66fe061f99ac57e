//! What the demo shows while it runs: bars on a terminal, plain lines elsewhere. All on standard
//! error, so that the result alone is on standard output.
//! Never here: the result (see `report`).

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::sidecar::Progress;
use super::tally::Tally;

/// Without a terminal one line this often.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The counters that have a line of their own on a terminal.
const LINES: [&str; 4] = ["clients", "captured", "applied", "owed"];

pub struct Screen {
    bars: Option<Bars>,
    last: Progress,
    last_statements: u64,
    last_update: Instant,
    last_line: Instant,
    begin: Instant,
}

struct Bars {
    all: MultiProgress,
    time: ProgressBar,
    lines: Vec<ProgressBar>,
}

impl Screen {
    pub fn new(length: Duration) -> Screen {
        let now = Instant::now();
        let bars = std::io::stderr().is_terminal().then(|| bars(length));
        Screen {
            bars,
            last: Progress::default(),
            last_statements: 0,
            last_update: now,
            last_line: now,
            begin: now,
        }
    }

    /// An event, told once.
    pub fn say(&self, text: &str) {
        let line = format!("{:5.1} s  {text}", self.begin.elapsed().as_secs_f64());
        match &self.bars {
            // Fails only where there is no terminal any more.
            Some(bars) => drop(bars.all.println(line)),
            None => eprintln!("{line}"),
        }
    }

    /// The counters now.
    pub fn show(&mut self, phase: &str, tally: &Tally, progress: &Progress) {
        let seconds = self.last_update.elapsed().as_secs_f64().max(0.001);
        let statements = Tally::of(&tally.statements);
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let rate = per_second(statements, self.last_statements);
        let applied = per_second(progress.applied, self.last.applied);
        let count = progress.lag_count.saturating_sub(self.last.lag_count);
        let lag_ms = match count {
            0 => 0.0,
            count => (progress.lag_seconds - self.last.lag_seconds) / count as f64 * 1000.0,
        };
        let texts = [
            format!("{statements} statements, {rate:.0}/s, {} failed", Tally::of(&tally.failed)),
            format!("{} changes captured", progress.captured),
            format!(
                "{} applied, {applied:.0}/s, {} superseded",
                progress.applied, progress.superseded
            ),
            format!("{} owed, {} sweeps, lag {lag_ms:.1} ms", progress.owed, progress.sweeps_owed),
        ];
        match &self.bars {
            Some(bars) => {
                bars.time.set_position(self.begin.elapsed().as_millis() as u64);
                bars.time.set_message(phase.to_owned());
                for (line, text) in bars.lines.iter().zip(texts) {
                    line.set_message(text);
                }
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.say(&format!("{phase}: {}", texts.join("; ")));
            }
            None => {}
        }
        self.last = progress.clone();
        self.last_statements = statements;
        self.last_update = Instant::now();
    }

    /// Leaves the last state on the screen.
    pub fn close(&self) {
        let Some(bars) = &self.bars else { return };
        bars.time.finish();
        bars.lines.iter().for_each(ProgressBar::finish);
    }
}

fn bars(length: Duration) -> Bars {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let all = MultiProgress::new();
    let time = all.add(ProgressBar::new(length.as_millis() as u64));
    time.set_style(style("    phase  [{bar:40}] {msg}"));
    let lines = LINES.map(|name| {
        let line = all.add(ProgressBar::new_spinner());
        line.set_style(style("{prefix:>9}  {msg}"));
        line.set_prefix(name);
        line
    });
    Bars { all, time, lines: lines.to_vec() }
}
