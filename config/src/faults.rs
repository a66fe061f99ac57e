//! The fault script: which requests to DynamoDB are made to fail, for tests and game days.
//! Never here: making anything fail.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::document::{line_of, syntax};
use crate::{SettingError, limits, nearest};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// `ThrottlingException`; the request is not passed on.
    Throttle,
    /// `ProvisionedThroughputExceededException`; not passed on.
    Throughput,
    /// `RequestLimitExceeded`; not passed on.
    RequestLimit,
    /// `TransactionConflictException`, or a transaction that is cancelled for a conflict; not passed on.
    Conflict,
    /// Every part of a batch comes back as unprocessed; not passed on.
    Unprocessed,
    /// 500 `InternalServerError`; not passed on.
    ServerError,
    /// 503 from something in front of DynamoDB, without JSON; not passed on.
    Unavailable,
    /// The connection breaks before the request is sent.
    Reset,
    /// The request is passed on, and its answer lost.
    AnswerLost,
    /// The connection breaks, and the request arrives all the same, after the delay.
    Late,
    /// The first answer is lost and the request sent again after the delay, as something between would.
    Twice,
    /// The answer comes after the delay.
    Slow,
    /// Nothing is passed on and no answer comes, until the caller gives up.
    Silent,
    /// A read that does not ask for strong consistency gets the answer of an earlier one.
    Stale,
}

impl FaultKind {
    pub const ALL: [FaultKind; 14] = [
        FaultKind::Throttle,
        FaultKind::Throughput,
        FaultKind::RequestLimit,
        FaultKind::Conflict,
        FaultKind::Unprocessed,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::Reset,
        FaultKind::AnswerLost,
        FaultKind::Late,
        FaultKind::Twice,
        FaultKind::Slow,
        FaultKind::Silent,
        FaultKind::Stale,
    ];

    /// As scripts and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Throttle => "throttle",
            FaultKind::Throughput => "throughput",
            FaultKind::RequestLimit => "request-limit",
            FaultKind::Conflict => "conflict",
            FaultKind::Unprocessed => "unprocessed",
            FaultKind::ServerError => "server-error",
            FaultKind::Unavailable => "unavailable",
            FaultKind::Reset => "reset",
            FaultKind::AnswerLost => "answer-lost",
            FaultKind::Late => "late",
            FaultKind::Twice => "twice",
            FaultKind::Slow => "slow",
            FaultKind::Silent => "silent",
            FaultKind::Stale => "stale",
        }
    }

    /// Whether the fault is nothing without a delay.
    fn needs_delay(self) -> bool {
        matches!(self, FaultKind::Late | FaultKind::Slow)
    }
}

/// One rule. A request is met by the first rule that fits it and whose chance falls.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    pub kind: FaultKind,
    /// Full name of a DynamoDB table; `None`: all of them.
    pub table: Option<String>,
    /// `PutItem`, `Scan`, ...; empty: all of them.
    pub operations: Vec<String>,
    /// Attribute and value of a key.
    pub partition: Option<(String, String)>,
    /// 0 to 1.
    pub probability: f64,
    /// Most requests that the rule meets.
    pub count: Option<u64>,
    /// How long the rule holds, from the moment the script is taken.
    pub duration: Option<Duration>,
    /// Before the fault shows; see the kinds.
    pub delay: Duration,
}

/// A checked script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultScript {
    /// Same seed, same requests: same faults.
    pub seed: u64,
    pub rules: Vec<FaultRule>,
}

/// Reads a script. `Err` holds every fault of its text.
pub fn parse(text: &str, file: &str) -> Result<FaultScript, Vec<SettingError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax(text, file, error)).collect());
    }
    let mut reader = Reader { text, file, faults: Vec::new() };
    let mut script = FaultScript::default();
    for (name, value) in table.get_ref().iter() {
        let line = line_of(text, name.span().start);
        match (&**name.get_ref(), value.get_ref()) {
            ("seed", value) => script.seed = reader.integer("seed", line, value).unwrap_or(0),
            ("rule", DeValue::Array(rules)) => {
                for rule in rules.iter() {
                    let line = line_of(text, rule.span().start);
                    match rule.get_ref() {
                        DeValue::Table(table) => script.rules.extend(reader.rule(table, line)),
                        _ => reader.fault(line, "rule", "is no table", "write [[rule]]"),
                    }
                }
            }
            ("rule", _) => reader.fault(line, "rule", "is no list of tables", "write [[rule]]"),
            (other, _) => {
                let remedy = "a script has `seed` and any number of [[rule]]";
                reader.fault(line, other, "there is no such key", remedy);
            }
        }
    }
    if script.rules.len() > limits::FAULT_RULES_MAX {
        let message = format!("{} rules", script.rules.len());
        let remedy = format!("at most {} are taken", limits::FAULT_RULES_MAX);
        reader.fault(1, "rule", &message, &remedy);
    }
    let mut faults = reader.faults;
    if faults.is_empty() {
        return Ok(script);
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

const RULE_KEYS: [&str; 8] =
    ["kind", "table", "operation", "partition", "probability", "count", "seconds", "delay_ms"];

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    faults: Vec<SettingError>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, key: &str, message: &str, remedy: &str) {
        self.faults.push(SettingError {
            file: self.file.to_owned(),
            line: Some(line),
            key: key.to_owned(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn rule(&mut self, table: &DeTable<'_>, begin: usize) -> Option<FaultRule> {
        let mut kind = None;
        let mut rule = FaultRule {
            kind: FaultKind::Throttle,
            table: None,
            operations: Vec::new(),
            partition: None,
            probability: 1.0,
            count: None,
            duration: None,
            delay: Duration::ZERO,
        };
        for (name, value) in table.iter() {
            let line = line_of(self.text, name.span().start);
            let (key, value) = (&**name.get_ref(), value.get_ref());
            match key {
                "kind" => kind = self.kind(line, value),
                "table" => rule.table = self.string(key, line, value),
                "operation" => rule.operations = self.strings(key, line, value),
                "partition" => rule.partition = self.partition(line, value),
                "probability" => {
                    rule.probability = self.probability(line, value).unwrap_or_default();
                }
                "count" => rule.count = self.integer(key, line, value),
                "seconds" => {
                    rule.duration = self.integer(key, line, value).map(Duration::from_secs);
                }
                "delay_ms" => {
                    rule.delay = self
                        .integer(key, line, value)
                        .map(Duration::from_millis)
                        .unwrap_or_default();
                    if rule.delay > limits::FAULT_DELAY_MAX {
                        let most = format!("at most {}", limits::FAULT_DELAY_MAX.as_millis());
                        self.fault(line, key, "is too long", &most);
                    }
                }
                other => {
                    let remedy = match nearest(other, RULE_KEYS) {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => format!("a rule has: {}", RULE_KEYS.join(", ")),
                    };
                    self.fault(line, other, "there is no such key", &remedy);
                }
            }
        }
        if kind.is_none() && !table.keys().any(|name| name.get_ref() == "kind") {
            self.fault(begin, "kind", "is required and missing", &kinds());
        }
        rule.kind = kind?;
        if rule.kind.needs_delay() && rule.delay.is_zero() {
            let message = format!("kind \"{}\" does nothing without it", rule.kind.name());
            self.fault(begin, "delay_ms", &message, "give milliseconds");
        }
        Some(rule)
    }

    fn kind(&mut self, line: usize, value: &DeValue<'_>) -> Option<FaultKind> {
        let text = self.string("kind", line, value)?;
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == text);
        if kind.is_none() {
            self.fault(line, "kind", &format!("`{text}` is no kind of fault"), &kinds());
        }
        kind
    }

    fn partition(&mut self, line: usize, value: &DeValue<'_>) -> Option<(String, String)> {
        let text = self.string("partition", line, value)?;
        let parts = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        if parts.is_none() {
            self.fault(line, "partition", "names no attribute", "write \"ATTRIBUTE=VALUE\"");
        }
        parts
    }

    fn probability(&mut self, line: usize, value: &DeValue<'_>) -> Option<f64> {
        let number = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.fault(line, "probability", "is no probability", "give a number from 0 to 1");
        }
        number
    }

    fn integer(&mut self, key: &str, line: usize, value: &DeValue<'_>) -> Option<u64> {
        let number = match value {
            DeValue::Integer(integer) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        if number.is_none() {
            self.fault(line, key, "has the wrong type", "give a whole number that is not negative");
        }
        number
    }

    fn string(&mut self, key: &str, line: usize, value: &DeValue<'_>) -> Option<String> {
        match value {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.fault(line, key, "has the wrong type", "give a text in double quotes");
                None
            }
        }
    }

    fn strings(&mut self, key: &str, line: usize, value: &DeValue<'_>) -> Vec<String> {
        match value {
            DeValue::Array(array) => {
                array.iter().filter_map(|item| self.string(key, line, item.get_ref())).collect()
            }
            other => self.string(key, line, other).into_iter().collect(),
        }
    }
}

fn kinds() -> String {
    let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    format!("use one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_whom_how_often_and_how_long() {
        let text = "seed = 7\n[[rule]]\nkind = \"throughput\"\ntable = \"Orders\"\n\
                    operation = [\"PutItem\", \"DeleteItem\"]\npartition = \"pk=a=b\"\n\
                    probability = 0.25\ncount = 3\nseconds = 60\ndelay_ms = 5\n\
                    [[rule]]\nkind = \"reset\"\noperation = \"Scan\"\n";
        let script = parse(text, "faults.toml").expect("accepted");
        assert_eq!(script.seed, 7);
        assert_eq!(
            script.rules[0],
            FaultRule {
                kind: FaultKind::Throughput,
                table: Some("Orders".into()),
                operations: vec!["PutItem".into(), "DeleteItem".into()],
                partition: Some(("pk".into(), "a=b".into())),
                probability: 0.25,
                count: Some(3),
                duration: Some(Duration::from_secs(60)),
                delay: Duration::from_millis(5),
            }
        );
        assert_eq!(script.rules[1].operations, ["Scan"]);
        assert_eq!(script.rules[1].probability, 1.0);
        assert_eq!(parse("", "faults.toml"), Ok(FaultScript::default()));
    }

    #[test]
    fn every_fault_is_reported_with_its_line_and_remedy() {
        let text = "sed = 1\n[[rule]]\nkind = \"thottle\"\n[[rule]]\nkind = \"slow\"\n\
                    [[rule]]\nprobability = 2\ntabel = \"x\"\n[[rule]]\nkind = \"reset\"\n\
                    partition = \"pk\"\ncount = -1\n";
        let found = parse(text, "faults.toml").expect_err("refused");
        let lines: Vec<_> = found.iter().map(|fault| fault.line.expect("a line")).collect();
        assert_eq!(lines, [1, 3, 4, 6, 7, 8, 11, 12], "{found:?}");
        assert!(found[1].remedy.contains("throttle"));
        assert!(found[2].message.contains("without it"));
        assert!(found[5].remedy.contains("`table`"));
    }
}
