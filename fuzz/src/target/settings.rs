//! The settings file, the phases file and the fault script.
//! Never here: reading files or the environment.

use segue_config::{Settings, faults, phases};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Settings::parse(&text, "segue.toml", &|_| None) {
        Ok(settings) => {
            // Never fails, and never shows a credential; that it does not is tested elsewhere.
            let _ = format!("{settings:?}");
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                let _ = (fault.to_string(), fault.place());
            }
        }
    }
}

pub fn phases(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let known = ["orders".into(), "users".into(), "a.b".into(), "\"".into(), "é\n".into()];
    match phases::parse(&text, "phases.toml", &known) {
        Ok(map) => {
            let again = phases::parse(&phases::render(&map), "phases.toml", &known);
            assert_eq!(again.expect("what was written can be read"), map);
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}

pub fn fault_script(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match faults::parse(&text, "faults.toml") {
        Ok(script) => {
            assert!(script.rules.iter().all(|rule| (0.0..=1.0).contains(&rule.probability)));
        }
        Err(found) => {
            assert!(!found.is_empty(), "a refusal has its reasons");
            assert!(found.iter().all(|fault| !fault.remedy.is_empty()));
        }
    }
}
