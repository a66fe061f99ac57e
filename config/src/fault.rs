//! One fault of a configuration file: where it is, what is wrong, what to do.
//! Never here: deciding what is a fault.

use std::fmt;

/// One fault of a settings or phases file, or of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// File name as the operator gave it, or `environment`.
    pub file: String,
    /// Line in the file, counted from 1; `None` where the fault is that something is absent.
    pub line: Option<usize>,
    /// `section.key`, or the variable's name.
    pub key: String,
    pub message: String,
    pub remedy: String,
}

impl SettingError {
    /// `file:line` or `file`.
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

impl std::error::Error for SettingError {}
