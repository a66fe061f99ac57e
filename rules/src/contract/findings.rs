//! Collects findings so that a contract's faults are told all at once.
//! Never here: what a code means (see `codes`).

use super::{Code, Finding, Severity};

/// Findings in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding with the code's own remedy as hint.
    pub(crate) fn report(&mut self, code: &'static Code, path: &str, message: String) {
        self.report_with_hint(code, path, message, code.remedy.to_owned());
    }

    /// Adds a finding whose hint names the very thing to write.
    pub(crate) fn report_with_hint(
        &mut self,
        code: &'static Code,
        path: &str,
        message: String,
        hint: String,
    ) {
        let finding = Finding {
            severity: code.severity,
            code: code.code,
            path: path.to_owned(),
            message,
            hint,
        };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
