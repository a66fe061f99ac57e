//! Log lines to standard error, as text or JSON.
//! Never here: what is logged; statement literals, rows and credentials never are.

use segue_config::settings::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Installs the process's log writer. `rust_log` (the variable `RUST_LOG`) wins over the level of the
/// settings, module by module. A second call (tests start several sidecars) changes nothing.
pub fn init_logging(log: &Log, rust_log: Option<&str>) {
    let filter = match rust_log.filter(|text| !text.is_empty()) {
        Some(directives) => EnvFilter::new(directives),
        // Libraries below `warn` tell nothing an operator of Segue can act on, and some print
        // statements at `debug`. The built-in engine warns of every failed condition.
        None => EnvFilter::new(format!("warn,dynoxide=error,segue={}", log.level)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match log.format {
        LogFormat::Text => builder.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // The only error is that a writer is installed already.
    drop(installed);
}
