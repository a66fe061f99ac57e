//! Contracts in both dialects, read and compiled against a catalog.
//! Never here: what a good contract says.

use segue_rules::contract;
use segue_rules::entity::Ruleset;

use crate::shop;

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (_, findings) = contract::parse(&text);
    for finding in &findings {
        assert!(!finding.code.is_empty() && finding.path.starts_with('$'), "{finding:?}");
    }
    match Ruleset::compile(&text, shop::catalog()) {
        Ok(ruleset) => {
            let again =
                Ruleset::compile(&text, shop::catalog()).expect("it has just been compiled");
            assert_eq!(ruleset.fingerprint, again.fingerprint);
        }
        Err(findings) => assert!(!findings.is_empty()),
    }
}
