//! Shows how far long work is: bars on a terminal, plain lines elsewhere; and hears Ctrl-C.
//! Never here: the work.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use crate::app::{Fault, movement_fault};
use crate::movement::{MovementError, Part, Progress};

const REDRAW: Duration = Duration::from_millis(200);
/// Between lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

const KNOWN: &str = "{prefix:28!} {bar:24} {pos:>10}/{len:10} {percent:>3}% {rate:>12} ETA {eta}";
const UNKNOWN: &str = "{prefix:28!} {spinner} {pos:>10} {rate:>12}";

/// Runs the work and shows its progress. Ctrl-C or SIGTERM asks the work to stop, a second one drops it: `None`.
pub(super) async fn shown<T>(
    progress: &Progress,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<Option<T>, Fault> {
    let (mut display, mut signals) = (Display::new(), Signals::new()?);
    let mut work = std::pin::pin!(work);
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            done = &mut work => {
                display.show(&progress.parts());
                return Ok(Some(done));
            }
            _ = redraw.tick() => display.show(&progress.parts()),
            () = signals.next() => {
                if stop.is_cancelled() {
                    return Ok(None);
                }
                display.note("stopping; a second signal stops at once");
                stop.cancel();
            }
        }
    }
}

/// The same for work that may end early. `None`: interrupted.
pub(super) async fn finished<T>(
    progress: &Progress,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, MovementError>>,
) -> Result<Option<T>, Fault> {
    match shown(progress, stop, work).await? {
        None => Ok(None),
        Some(Ok(done)) => Ok(Some(done)),
        Some(Err(error)) => movement_fault(error).map_or(Ok(None), Err),
    }
}

/// What a piece of work that could not begin ends with.
pub(super) fn not_begun<T>(error: MovementError) -> Result<Option<T>, Fault> {
    movement_fault(error).map_or(Ok(None), Err)
}

struct Display {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    /// `None`: a terminal is there.
    lines: Option<Lines>,
}

struct Lines {
    next: Instant,
    begun: Instant,
}

impl Display {
    fn new() -> Display {
        let lines = (!std::io::stderr().is_terminal())
            .then(|| Lines { next: Instant::now() + LINE_EVERY, begun: Instant::now() });
        Display { all: MultiProgress::new(), bars: Vec::new(), lines }
    }

    fn note(&self, text: &str) {
        match self.lines {
            Some(_) => eprintln!("{text}"),
            None => drop(self.all.println(text)),
        }
    }

    fn show(&mut self, parts: &[Part]) {
        if let Some(lines) = &mut self.lines {
            return lines.show(parts);
        }
        for (place, part) in parts.iter().enumerate() {
            if place == self.bars.len() {
                let bar = self.all.add(ProgressBar::no_length());
                bar.set_prefix(part.name.clone());
                self.bars.push(bar);
            }
            let bar = &self.bars[place];
            bar.set_style(style(if part.total.is_some() { KNOWN } else { UNKNOWN }));
            if let Some(total) = part.total {
                bar.set_length(total.max(part.done));
            }
            bar.set_position(part.done);
            if part.finished && !bar.is_finished() {
                bar.finish();
            }
        }
    }
}

impl Lines {
    fn show(&mut self, parts: &[Part]) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + LINE_EVERY;
        let done = parts.iter().filter(|part| part.finished).count();
        for part in parts.iter().filter(|part| !part.finished && part.done > 0) {
            eprintln!("{}", line(part, done, parts.len(), now - self.begun));
        }
    }
}

fn line(part: &Part, done: usize, parts: usize, elapsed: Duration) -> String {
    let of = part.total.map_or(String::new(), |total| format!(" of about {total}"));
    let (name, seconds) = (&part.name, elapsed.as_secs());
    format!(
        "{name}: {}{of} {} after {seconds} s; {done} of {parts} parts done",
        part.done, part.unit
    )
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // The display has nobody to tell that its own text could not be written.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_right_and_lines_say_how_far_it_is() {
        assert!(ProgressStyle::with_template(KNOWN).is_ok());
        assert!(ProgressStyle::with_template(UNKNOWN).is_ok());
        let part = Part {
            name: "Orders".to_owned(),
            unit: "rows",
            done: 5,
            total: Some(9),
            finished: false,
        };
        assert_eq!(
            line(&part, 1, 3, Duration::from_secs(10)),
            "Orders: 5 of about 9 rows after 10 s; 1 of 3 parts done"
        );
    }
}
