//! `segue check`: every finding of the preflight, as text or JSON.
//! Never here: looking (`app::preflight`).

use segue_rules::contract::Severity;
use serde_json::json;

use super::{Common, Exit, output};
use crate::app::Fault;
use crate::app::preflight::{self, CheckFinding, Scope};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Only the contract against the live schema
    #[arg(long)]
    schema_only: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let settings = arguments.common.settings()?;
    let scope = if arguments.schema_only { Scope::Schema } else { Scope::Everything };
    let findings = preflight::check(&settings, scope).await;
    let count = |severity| findings.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if arguments.json {
        output::json(&json!({ "errors": errors, "warnings": warnings, "findings": findings }));
    } else {
        findings.iter().for_each(print);
        output::line(format!("{errors} error(s), {warnings} warning(s)"));
    }
    Ok(exit(&findings))
}

fn print(finding: &CheckFinding) {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let code = finding.code.map(|code| format!(" {code}")).unwrap_or_default();
    output::line(format!("{severity}{code}: {}", finding.message));
    if !finding.place.is_empty() {
        output::line(format!("  {}", finding.place));
    }
    if !finding.hint.is_empty() {
        output::line(format!("  help: {}", finding.hint));
    }
}

fn exit(findings: &[CheckFinding]) -> Exit {
    if findings.iter().any(|finding| finding.unreachable) {
        Exit::Unreachable
    } else if findings.iter().any(|finding| finding.severity == Severity::Error) {
        // Each of them keeps `segue serve` from starting or an item from being written.
        Exit::BadConfiguration
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::preflight::Area;

    #[test]
    fn warnings_alone_exit_0_errors_2_and_silence_3() {
        let mut finding = CheckFinding {
            area: Area::Contract,
            severity: Severity::Warning,
            code: None,
            place: String::new(),
            message: String::new(),
            hint: String::new(),
            unreachable: false,
        };
        assert_eq!(exit(&[]), Exit::Done);
        assert_eq!(exit(std::slice::from_ref(&finding)), Exit::Done);
        finding.severity = Severity::Error;
        assert_eq!(exit(std::slice::from_ref(&finding)), Exit::BadConfiguration);
        finding.unreachable = true;
        assert_eq!(exit(&[finding]), Exit::Unreachable);
    }
}
