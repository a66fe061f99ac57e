//! The settings file and the phases file.
//! Never here: reading files or the environment.

use segue_config::{Settings, phases};

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
