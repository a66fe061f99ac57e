//! The reference pages that are made from tables in the code: finding codes and refusal codes.
//! Never here: the settings page (see `segue-config`).

use std::fmt::Write;
use std::path::Path;

use segue_rules::contract::Severity;
use segue_rules::contract::codes;
use segue_rules::plan::refusal_codes;

const RENEW: &str = "SEGUE_DOCS=write cargo test -p segue-tests --test reference";

fn head(title: &str, table: &str, text: &str) -> String {
    format!(
        "# {title}\n\nGenerated from the table in `{table}`; do not edit. `{RENEW}` writes it.\n\n{text}\n"
    )
}

fn findings_page() -> String {
    let mut page = head(
        "Findings of the contract check",
        "rules/src/contract/codes.rs",
        "`segue check` reports every finding with its code, the JSON path, a message and a hint. Errors \
         keep the contract from being used; warnings do not.",
    );
    for code in codes::ALL {
        let severity = match code.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // Writing into a String cannot fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n{severity}: {}\n\nRemedy: {}\n",
            code.code, code.meaning, code.remedy
        );
    }
    page
}

fn refusals_page() -> String {
    let mut page = head(
        "Refusals of writes",
        "rules/src/plan/refusal_codes.rs",
        "A refused write still reaches MySQL, unchanged. Its keys cannot be known, so the tables it may \
         have written are swept afterwards. The metric `segue_refusals_total` counts refusals by code.",
    );
    for code in refusal_codes::ALL {
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## `{}`\n\n{}\n\nRemedy: {}\n", code.code, code.meaning, code.hint);
    }
    page
}

/// Compares the page in the tree, or renews it where that is asked for.
fn hold(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var("SEGUE_DOCS").is_ok_and(|value| value == "write") {
        std::fs::write(&path, expected).expect("the reference page can be written");
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, expected, "renew it: {RENEW}");
}

#[test]
fn page_of_findings_is_current() {
    hold("findings.md", &findings_page());
}

#[test]
fn page_of_refusals_is_current() {
    hold("refusals.md", &refusals_page());
}
