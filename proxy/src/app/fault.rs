//! Why something could not start or be done: what, where, what to do, and how the process exits.
//! Never here: printing, exiting.

use std::fmt;
use std::path::Path;

use segue_config::SettingError;
use segue_rules::contract::{Finding, Severity};

use crate::console::TokenError;
use crate::control::PhaseChangeRefused;
use crate::dynamo::StoreError;
use crate::journal::JournalError;
use crate::mysql::control::ControlError;
use crate::mysql::upstream::AuthoritiesError;
use crate::session::tls::TlsError;

/// What kind of fault it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The work was done and found differences, or something is in the way.
    Differences,
    /// Usage, settings, contract, grants, ports, files.
    Configuration,
    /// MySQL, DynamoDB or the running sidecar did not answer.
    Unreachable,
}

/// One clear fault. `details` holds further lines, one finding each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub what: String,
    /// File, key, address; empty where `what` says it.
    pub place: String,
    pub help: String,
    pub details: Vec<String>,
}

/// Why a sidecar did not start.
pub type StartError = Fault;

impl Fault {
    pub fn new(
        kind: FaultKind,
        what: impl Into<String>,
        place: impl Into<String>,
        help: impl Into<String>,
    ) -> Fault {
        Fault {
            kind,
            what: what.into(),
            place: place.into(),
            help: help.into(),
            details: Vec::new(),
        }
    }

    pub fn configuration(
        what: impl Into<String>,
        place: impl Into<String>,
        help: impl Into<String>,
    ) -> Fault {
        Fault::new(FaultKind::Configuration, what, place, help)
    }

    pub fn with_details(mut self, details: Vec<String>) -> Fault {
        self.details = details;
        self
    }

    /// Every fault of a settings file.
    pub fn settings(faults: &[SettingError]) -> Fault {
        let what = match faults {
            [one] => format!("{}: {}", one.key, one.message),
            _ => format!("the settings have {} faults", faults.len()),
        };
        let (place, help) = match faults {
            [one] => (one.place(), one.remedy.clone()),
            [first, ..] => (first.file.clone(), "correct each of them".to_owned()),
            [] => (String::new(), String::new()),
        };
        let details = match faults {
            [_] => Vec::new(),
            _ => faults.iter().map(ToString::to_string).collect(),
        };
        Fault::configuration(what.trim_start_matches(": "), place, help).with_details(details)
    }

    /// Every finding of a contract.
    pub fn contract(path: &Path, findings: &[Finding]) -> Fault {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        Fault::configuration(
            format!("the contract has {errors} fault(s)"),
            path.display().to_string(),
            "correct the contract or the schema; `segue check` repeats the findings",
        )
        .with_details(findings.iter().map(finding_line).collect())
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: &std::io::Error, help: &str) -> Fault {
        Fault::configuration(error.to_string(), path.display().to_string(), help)
    }
}

/// A finding on one line.
pub fn finding_line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let Finding { code, path, message, hint, .. } = finding;
    let mut line = format!("{severity} {code} at {path}: {message}");
    if !hint.is_empty() {
        line.push_str(&format!("; {hint}"));
    }
    line
}

/// What, then place, details and remedy: on lines of their own, or on one line with `{:#}`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = if f.alternate() { "; " } else { "\n  " };
        f.write_str(&self.what)?;
        if !self.place.is_empty() {
            write!(f, "{next}{}", self.place)?;
        }
        for detail in &self.details {
            write!(f, "{next}{detail}")?;
        }
        if !self.help.is_empty() {
            write!(f, "{next}help: {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl From<ControlError> for Fault {
    fn from(error: ControlError) -> Fault {
        match error {
            ControlError::Transient(reason) => Fault::new(
                FaultKind::Unreachable,
                format!("MySQL cannot be reached: {reason}"),
                "[mysql] control_url",
                "start MySQL, or correct the address",
            ),
            ControlError::Rejected(reason) => Fault::configuration(
                format!("MySQL refused the control account: {reason}"),
                "[mysql] control_url",
                "check user, password, database and grants (docs/reference/grants.md)",
            ),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        match error {
            StoreError::Transient { operation, table, reason, .. } => Fault::new(
                FaultKind::Unreachable,
                format!("DynamoDB cannot be reached: {reason}"),
                format!("{operation} on {table}, [dynamodb] endpoint"),
                "start DynamoDB, or correct endpoint and region",
            ),
            StoreError::Rejected { operation, table, code, reason } => Fault::configuration(
                format!("DynamoDB refused {operation} on {table}: {code}: {reason}"),
                "[dynamodb]",
                "check region, credentials and permissions (docs/reference/iam.md)",
            ),
        }
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Fault {
        let help = match &error {
            JournalError::InUse { .. } => {
                "stop the other sidecar, or give each its own journal.path"
            }
            JournalError::Io { .. } => "make the folder writable, or change journal.path",
            JournalError::Full { .. } => "free disk space, or raise journal.max_bytes",
        };
        Fault::configuration(error.to_string(), "[journal] path", help)
    }
}

impl From<TlsError> for Fault {
    fn from(error: TlsError) -> Fault {
        Fault::configuration(error.to_string(), "[tls]", "give a readable PEM certificate and key")
    }
}

impl From<AuthoritiesError> for Fault {
    fn from(error: AuthoritiesError) -> Fault {
        let help = "give a PEM file with the certificates of authorities";
        Fault::configuration(error.to_string(), "[mysql] upstream_ca", help)
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Fault {
        Fault::file(&error.path, &error.source, "make the folder writable, or set admin.token")
    }
}

impl From<PhaseChangeRefused> for Fault {
    fn from(refused: PhaseChangeRefused) -> Fault {
        if let PhaseChangeRefused::Faults(faults) = &refused {
            return Fault::settings(faults);
        }
        let help = refused.remedy();
        Fault::configuration(refused.to_string(), "", help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_then_where_then_the_remedy() {
        let fault = Fault::configuration("the port is taken", "[listen] mysql", "choose another")
            .with_details(vec!["one".to_owned()]);
        let lines = "the port is taken\n  [listen] mysql\n  one\n  help: choose another";
        assert_eq!(fault.to_string(), lines);
        let line = "the port is taken; [listen] mysql; one; help: choose another";
        assert_eq!(format!("{fault:#}"), line);
    }

    #[test]
    fn a_single_settings_fault_is_the_message_itself_and_several_are_listed() {
        let one = SettingError {
            file: "segue.toml".to_owned(),
            line: Some(3),
            key: "log.level".to_owned(),
            message: "`loud` is not one of its values".to_owned(),
            remedy: "use info".to_owned(),
        };
        let fault = Fault::settings(std::slice::from_ref(&one));
        assert_eq!(
            fault.to_string(),
            "log.level: `loud` is not one of its values\n  segue.toml:3\n  help: use info"
        );
        assert_eq!(Fault::settings(&[one.clone(), one]).details.len(), 2);
    }
}
