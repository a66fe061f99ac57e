//! From document and variables to `Settings`: collects every fault before it answers.
//! Never here: the list of keys.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::*;
use crate::document::{Document, Entry, Raw};
use crate::keys::{Absent, KEYS, Key, Kind};
use crate::{limits, nearest};

/// Name of the place of faults in variables.
const ENVIRONMENT: &str = "environment";

/// A value with the place it came from.
#[derive(Clone)]
struct Given {
    text: String,
    file: String,
    line: Option<usize>,
    /// How messages name the key: `section.key` or the variable.
    name: String,
    /// Where a relative path starts.
    base: PathBuf,
}

impl Given {
    fn fault(&self, message: impl Into<String>, remedy: impl Into<String>) -> SettingError {
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

/// Checks one value by its kind.
fn check(key: &Key, given: &Given) -> Result<(), SettingError> {
    let text = given.text.as_str();
    match key.kind {
        Kind::Listen => listen(text).map(drop).ok_or_else(|| {
            given.fault(
                format!("`{text}` is no address to listen on"),
                "give ip:port, for example 127.0.0.1:3307",
            )
        }),
        Kind::HostPort => host_port(text).then_some(()).ok_or_else(|| {
            given.fault(format!("`{text}` is not host:port"), "give for example 127.0.0.1:3306")
        }),
        Kind::MysqlUrl => mysql_url(text).map_err(|reason| {
            // The value holds a password and is not repeated.
            given.fault(
                reason,
                "give mysql://user:password@host:3306/database; escape special characters with %XX",
            )
        }),
        Kind::Endpoint => endpoint(text).then_some(()).ok_or_else(|| {
            given.fault(
                format!("`{text}` is no endpoint"),
                "give \"aws\", \"embedded\" or http://host:port",
            )
        }),
        Kind::Text if key.section == "admin" => {
            if text.chars().count() < limits::ADMIN_TOKEN_CHARACTERS_MIN {
                let least = limits::ADMIN_TOKEN_CHARACTERS_MIN;
                return Err(
                    given.fault("is too short", format!("give at least {least} characters"))
                );
            }
            Ok(())
        }
        Kind::Text | Kind::Path => {
            if text.is_empty() && key.absent != Absent::Default("") {
                return Err(given.fault("is empty", "give a value, or leave the key out"));
            }
            Ok(())
        }
        Kind::Choice(names) => names.contains(&text).then_some(()).ok_or_else(|| {
            given.fault(
                format!("`{text}` is not one of its values"),
                format!("use {}", names.join(", ")),
            )
        }),
        Kind::Integer { min, max } => {
            match text.parse::<u64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(given
                    .fault(format!("`{text}` is out of range"), format!("give {min} to {max}"))),
            }
        }
        Kind::Bytes { min } => match bytes(text) {
            Some(number) if number >= min => Ok(()),
            _ => Err(given.fault(
                format!("`{text}` is no size of at least {min} bytes"),
                "give a number of bytes or for example \"512 MiB\"",
            )),
        },
    }
}

/// Faults of keys that only make sense together.
fn together(values: &BTreeMap<String, Given>, faults: &mut Vec<SettingError>) {
    for (one, other) in [("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")] {
        if let (Some(given), None) = (values.get(one), values.get(other)) {
            faults.push(given.fault(format!("{other} is missing"), "give both, or neither"));
        }
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

    fn number(&self, path: &str) -> u64 {
        bytes(&self.text(path)).expect("numbers were checked")
    }
}

fn build(values: &Values) -> Settings {
    let required_path = |path| values.path(path).expect("required keys and defaults are present");
    Settings {
        listen: Listen {
            mysql: values.listen("listen.mysql"),
            admin: values.listen("listen.admin"),
        },
        mysql: Mysql {
            address: values.text("mysql.address"),
            control_url: values.text("mysql.control_url"),
            upstream_tls: match values.text("mysql.upstream_tls").as_str() {
                "always" => UpstreamTls::Always,
                "never" => UpstreamTls::Never,
                _ => UpstreamTls::AsClient,
            },
        },
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
        contract: Contract {
            path: required_path("contract.path"),
            database: values.text("contract.database"),
        },
        journal: Journal {
            path: required_path("journal.path"),
            fsync: values.text("journal.durability") == "fsync",
            bytes_max: values.number("journal.max_bytes"),
        },
        phases_path: required_path("phases.path"),
        mirror_workers: values.number("mirror.workers") as usize,
        admin_token: values.optional("admin.token"),
        log: Log {
            format: match values.text("log.format").as_str() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
            level: values.text("log.level"),
        },
    }
}

fn listen(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

fn host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

fn mysql_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
    if url.scheme() != "mysql" {
        return Err(format!("has the scheme `{}`", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host".to_owned());
    }
    if url.username().is_empty() {
        return Err("names no user".to_owned());
    }
    Ok(())
}

fn endpoint(text: &str) -> bool {
    matches!(text, "aws" | "embedded")
        || url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}

/// `1048576`, `"64 MiB"`, `"1GiB"`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(text.trim().len());
    let (number, unit) = text.trim().split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
