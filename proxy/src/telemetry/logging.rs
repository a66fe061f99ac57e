//! Log lines to standard error, as text or JSON.
//! Never here: what is logged; statement literals, rows and credentials never are.

use segue_config::settings::{Log, LogFormat};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

/// Installs the process's log writer. `rust_log` (the variable `RUST_LOG`) wins over the level of the
/// settings, module by module. A second call (tests start several sidecars) changes nothing.
pub fn init_logging(log: &Log, rust_log: Option<&str>) {
    let filter = match rust_log.filter(|text| !text.is_empty()) {
        Some(directives) => EnvFilter::new(directives),
        // Libraries below `warn` tell nothing an operator of Segue can act on. The built-in engine
        // warns of every failed condition.
        None => EnvFilter::new(format!("warn,dynoxide=error,segue={}", log.level)),
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_target(false).with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = registry().with(lines.with_filter(filter_fn(tells_no_values))).with(filter);
    // The only error is that a writer is installed already.
    drop(subscriber.try_init());
}

/// Keeps the libraries' chatter out, whatever `RUST_LOG` says: the AWS SDK and HTTP libraries print
/// requests with whole items, the MySQL driver prints packets.
fn tells_no_values(event: &Metadata<'_>) -> bool {
    let own = event.target() == "segue" || event.target().starts_with("segue::");
    own || *event.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn libraries_stay_quiet_below_info_whatever_is_asked_for() {
        let written = Written::default();
        let sink = written.clone();
        let lines = fmt::layer().with_writer(move || sink.clone());
        let subscriber = registry()
            .with(lines.with_filter(filter_fn(tells_no_values)))
            .with(EnvFilter::new("trace"));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "aws_smithy_runtime::client", "an item");
            tracing::trace!(target: "hyper_util::client", "an item");
            tracing::warn!(target: "aws_config", "no region");
            tracing::debug!(target: "segue::mirror", "own news");
        });
        let text =
            String::from_utf8_lossy(&written.0.lock().expect("no writer panicked")).into_owned();
        assert!(!text.contains("an item"), "{text}");
        assert!(text.contains("no region") && text.contains("own news"), "{text}");
    }
}
