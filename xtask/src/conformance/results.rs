//! Outcomes of tests, kept in a file: a run can be resumed, and the direct results used again.
//! Never here: what the outcomes mean for Segue.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The runner's word: `pass`, `fail`, `skipped`, `disabled`; or `lost`, where it said nothing.
    pub word: String,
    /// First lines of the difference, or the reason for skipping.
    pub detail: Vec<String>,
}

/// Outcomes by test.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    outcomes: BTreeMap<String, Outcome>,
}

impl Results {
    pub fn open(path: &Path) -> Result<Results> {
        let mut outcomes = BTreeMap::new();
        if let Ok(text) = fs::read(path) {
            let read: BTreeMap<String, Value> = serde_json::from_slice(&text)
                .with_context(|| format!("{} is no file of results", path.display()))?;
            for (test, value) in read {
                let word = value["outcome"].as_str().unwrap_or("lost").to_owned();
                let lines = value["detail"].as_array().into_iter().flatten();
                let detail = lines.filter_map(Value::as_str).map(str::to_owned).collect();
                outcomes.insert(test, Outcome { word, detail });
            }
        }
        Ok(Results { path: path.to_path_buf(), outcomes })
    }

    pub fn get(&self, test: &str) -> Option<&Outcome> {
        self.outcomes.get(test)
    }

    pub fn passed(&self, test: &str) -> bool {
        self.get(test).is_some_and(|outcome| outcome.word == "pass")
    }

    pub fn forget(&mut self, tests: &[String]) {
        for test in tests {
            self.outcomes.remove(test);
        }
    }

    /// Takes an outcome and writes the file.
    pub fn put(&mut self, test: &str, outcome: Outcome) -> Result<()> {
        self.outcomes.insert(test.to_owned(), outcome);
        let values: BTreeMap<&String, Value> = self
            .outcomes
            .iter()
            .map(|(test, outcome)| {
                (test, json!({ "outcome": outcome.word, "detail": outcome.detail }))
            })
            .collect();
        let text = serde_json::to_vec_pretty(&values).context("write results as JSON")?;
        let making = self.path.with_extension("making");
        fs::write(&making, text).with_context(|| format!("write {}", making.display()))?;
        fs::rename(&making, &self.path).with_context(|| format!("write {}", self.path.display()))
    }
}
