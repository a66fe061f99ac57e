//! From document and variables to `Settings`: collects every fault before it answers.
//! Never here: the list of keys, checks of single values (`value`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::value::{bytes, check, listen};
use super::*;
use crate::document::{Document, Entry, Raw};
use crate::keys::{Absent, KEYS, Key, Kind};
use crate::nearest;
use crate::network::{Network, networks};

/// Name of the place of faults in variables.
const ENVIRONMENT: &str = "environment";

/// A value with the place it came from.
#[derive(Clone)]
pub(super) struct Given {
    pub text: String,
    file: String,
    line: Option<usize>,
    /// How messages name the key: `section.key` or the variable.
    name: String,
    /// Where a relative path starts.
    base: PathBuf,
}

impl Given {
    pub fn fault(&self, message: impl Into<String>, remedy: impl Into<String>) -> SettingError {
        SettingError {
            file: self.file.clone(),
            line: self.line,
            key: self.name.clone(),
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

pub(super) fn settings(
    text: &str,
    file_name: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, Vec<SettingError>> {
    let document = Document::read(text, file_name)?;
    let mut faults = unknown_names(&document, file_name);
    let mut values = BTreeMap::new();
    for key in KEYS {
        let Some(given) = given(key, &document, file_name, env, &mut faults) else { continue };
        match check(key, &given) {
            Ok(()) => {
                values.insert(key.path(), given);
            }
            Err(fault) => faults.push(fault),
        }
    }
    together(&values, &mut faults);
    if faults.is_empty() {
        return Ok(build(&Values(values)));
    }
    faults.sort_by_key(|fault| (fault.file == ENVIRONMENT, fault.line.is_none(), fault.line));
    Err(faults)
}

/// Sections and keys that do not exist.
fn unknown_names(document: &Document, file: &str) -> Vec<SettingError> {
    let sections = || KEYS.iter().map(|key| key.section);
    let fault = |line: usize, key: String, message: &str, remedy: String| SettingError {
        file: file.to_owned(),
        line: Some(line),
        key,
        message: message.to_owned(),
        remedy,
    };
    let mut faults = Vec::new();
    for (name, line) in &document.sections {
        if !sections().any(|known| known == name) {
            let remedy = match nearest(name, sections()) {
                Some(known) => format!("did you mean [{known}]?"),
                None => "remove it; docs/reference/settings.md lists every section".to_owned(),
            };
            faults.push(fault(*line, format!("[{name}]"), "there is no such section", remedy));
        }
    }
    for Entry { section, key, line, .. } in &document.entries {
        if section.is_empty() {
            let remedy = match KEYS.iter().find(|known| known.name == key) {
                Some(known) => format!("put it under [{}]", known.section),
                None => "put it under its [section]".to_owned(),
            };
            faults.push(fault(*line, key.clone(), "keys stand in a section", remedy));
        } else if sections().any(|known| known == section)
            && !KEYS.iter().any(|known| known.section == section && known.name == key)
        {
            let of_section = || KEYS.iter().filter(|known| known.section == section);
            let remedy = match nearest(key, of_section().map(|known| known.name)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => {
                    let names: Vec<&str> = of_section().map(|known| known.name).collect();
                    format!("[{section}] has: {}", names.join(", "))
                }
            };
            faults.push(fault(*line, format!("{section}.{key}"), "there is no such key", remedy));
        }
    }
    faults
}

/// The value of a key: variable, file, default; or `None` with a fault where it is required.
fn given(
    key: &Key,
    document: &Document,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
    faults: &mut Vec<SettingError>,
) -> Option<Given> {
    let variable = key.variable();
    if let Some(text) = env(&variable).filter(|text| !text.is_empty()) {
        return Some(Given {
            text,
            file: ENVIRONMENT.to_owned(),
            line: None,
            name: variable,
            base: PathBuf::new(),
        });
    }
    let base = Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default();
    let of_file = |text: &str, line| Given {
        text: text.to_owned(),
        file: file.to_owned(),
        line,
        name: key.path(),
        base: base.clone(),
    };
    let entry =
        document.entries.iter().find(|entry| entry.section == key.section && entry.key == key.name);
    if let Some(entry) = entry {
        let numeric = matches!(key.kind, Kind::Integer { .. } | Kind::Bytes { .. });
        return match &entry.raw {
            Raw::Text(text) => Some(of_file(text, Some(entry.line))),
            Raw::Integer(number) if numeric => Some(of_file(&number.to_string(), Some(entry.line))),
            Raw::Integer(_) | Raw::Other(_) => {
                let wanted = if numeric { "a number" } else { "a text in double quotes" };
                faults.push(
                    of_file("", Some(entry.line))
                        .fault("has the wrong type", format!("give {wanted}")),
                );
                None
            }
        };
    }
    match key.absent {
        Absent::Default(text) => Some(of_file(text, None)),
        Absent::Unset(_) => None,
        Absent::Required => {
            faults.push(of_file("", None).fault(
                "is required and missing",
                format!("add `{}` under [{}], or set {variable}", key.name, key.section),
            ));
            None
        }
    }
}

/// Faults of keys that only make sense together.
fn together(values: &BTreeMap<String, Given>, faults: &mut Vec<SettingError>) {
    for (one, other) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
        if let (Some(given), None) = (values.get(one), values.get(other)) {
            faults.push(given.fault(format!("{other} is missing"), "give both, or neither"));
        }
    }
    let verified = values.get("mysql.upstream_verify").filter(|given| given.text != "off");
    match (verified, values.get("mysql.upstream_ca")) {
        (Some(given), None) => faults.push(
            given.fault("mysql.upstream_ca is missing", "name the PEM file of the authorities"),
        ),
        (None, Some(given)) => faults.push(given.fault(
            "is not looked at without mysql.upstream_verify",
            "set mysql.upstream_verify = \"ca\" or \"identity\", or remove it",
        )),
        _ => {}
    }
    let provisioned =
        values.get("dynamodb.billing").is_some_and(|given| given.text == "provisioned");
    for units in ["dynamodb.read_units", "dynamodb.write_units"] {
        if let (Some(given), false) = (values.get(units), provisioned) {
            faults.push(given.fault(
                "is only for provisioned capacity",
                "remove it, or set dynamodb.billing = \"provisioned\"",
            ));
        }
    }
    let injected = values.get("faults.injection").is_some_and(|given| given.text == "on");
    if let (Some(given), false) = (values.get("faults.path"), injected) {
        faults.push(given.fault(
            "faults on purpose are not allowed here",
            "remove it, or set faults.injection = \"on\" where requests may be made to fail",
        ));
    }
    let embedded = values.get("dynamodb.endpoint").is_some_and(|given| given.text == "embedded");
    if let (Some(given), false) = (values.get("dynamodb.file"), embedded) {
        faults.push(given.fault(
            "is only for the built-in engine",
            "remove it, or set dynamodb.endpoint = \"embedded\"",
        ));
    }
}

/// Checked values; every key with a default or `Required` is present.
struct Values(BTreeMap<String, Given>);

impl Values {
    fn text(&self, path: &str) -> String {
        self.optional(path).expect("required keys and defaults are always present")
    }

    fn optional(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|given| given.text.clone())
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        self.0.get(path).map(|given| given.base.join(&given.text))
    }

    fn listen(&self, path: &str) -> SocketAddr {
        listen(&self.text(path)).expect("addresses were checked")
    }

    fn networks(&self, path: &str) -> Vec<Network> {
        let given = self.optional(path);
        given.map(|text| networks(&text).expect("networks were checked")).unwrap_or_default()
    }

    fn number(&self, path: &str) -> u64 {
        bytes(&self.text(path)).expect("numbers were checked")
    }

    fn seconds(&self, path: &str) -> Duration {
        Duration::from_secs(self.number(path))
    }
}

fn mysql(values: &Values) -> Mysql {
    let authorities =
        || values.path("mysql.upstream_ca").expect("it is there with mysql.upstream_verify");
    Mysql {
        address: values.text("mysql.address"),
        control_url: values.text("mysql.control_url"),
        upstream_tls: match values.text("mysql.upstream_tls").as_str() {
            "always" => UpstreamTls::Always,
            "never" => UpstreamTls::Never,
            _ => UpstreamTls::AsClient,
        },
        upstream_verify: match values.text("mysql.upstream_verify").as_str() {
            "ca" => UpstreamVerify::Authority(authorities()),
            "identity" => UpstreamVerify::Identity(authorities()),
            _ => UpstreamVerify::Nothing,
        },
        proxy_protocol: match values.text("mysql.proxy_protocol").as_str() {
            "v1" => Some(ProxyProtocol::V1),
            "v2" => Some(ProxyProtocol::V2),
            _ => None,
        },
        connect_timeout: values.seconds("mysql.connect_timeout"),
    }
}

fn build(values: &Values) -> Settings {
    let required_path = |path| values.path(path).expect("required keys and defaults are present");
    Settings {
        listen: Listen {
            mysql: values.listen("listen.mysql"),
            proxy_protocol_networks: values.networks("listen.proxy_protocol_networks"),
            compression: values.text("listen.compression") != "off",
            admin: values.listen("listen.admin"),
            clients_max: values.number("listen.max_connections") as usize,
            login_timeout: values.seconds("listen.login_timeout"),
            idle_timeout: Some(values.seconds("listen.idle_timeout")).filter(|t| !t.is_zero()),
            workers: values.optional("listen.workers").and_then(|text| text.parse().ok()),
        },
        mysql: mysql(values),
        tls: Tls { certificate: values.path("tls.certificate"), key: values.path("tls.key") },
        dynamodb: Dynamodb {
            region: values.optional("dynamodb.region"),
            endpoint: match values.text("dynamodb.endpoint").as_str() {
                "aws" => Endpoint::Aws,
                "embedded" => Endpoint::Embedded { file: values.path("dynamodb.file") },
                url => Endpoint::Url(url.to_owned()),
            },
            table_prefix: values.text("dynamodb.table_prefix"),
        },
        billing: billing(values),
        contract: Contract {
            path: required_path("contract.path"),
            database: values.text("contract.database"),
        },
        movement_path: required_path("movement.path"),
        validation: Validation {
            keys_per_second: values.number("validation.keys_per_second") as u32,
            after: Duration::from_secs(values.number("validation.after_seconds")),
        },
        journal: Journal {
            path: required_path("journal.path"),
            fsync: values.text("journal.durability") == "fsync",
            bytes_max: values.number("journal.max_bytes"),
        },
        phases_path: required_path("phases.path"),
        late_write: values.seconds("dynamodb.late_write_seconds"),
        mirror_workers: values.number("mirror.workers") as usize,
        whole_transactions: values.text("mirror.transactions") == "whole",
        faults: (values.text("faults.injection") == "on")
            .then(|| FaultInjection { path: values.path("faults.path") }),
        observe_statements: values.text("observe.statements") == "on",
        admin_token: values.optional("admin.token"),
        shutdown: Shutdown {
            drain: values.seconds("shutdown.drain_seconds"),
            idle: Duration::from_millis(values.number("shutdown.idle_milliseconds")),
        },
        log: Log {
            format: match values.text("log.format").as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            level: values.text("log.level"),
        },
    }
}

fn billing(values: &Values) -> Billing {
    // Five units are the least that a console-made table gets.
    let units = |path| values.optional(path).and_then(|text| text.parse().ok()).unwrap_or(5);
    match values.text("dynamodb.billing").as_str() {
        "provisioned" => Billing::Provisioned {
            read_units: units("dynamodb.read_units"),
            write_units: units("dynamodb.write_units"),
        },
        _ => Billing::OnDemand,
    }
}
