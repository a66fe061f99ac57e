//! Checks of single values by their kind.
//! Never here: which key has which kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::read::Given;
use crate::keys::{Absent, Key, Kind};
use crate::network::networks;
use crate::{SettingError, limits};

/// Checks one value by its kind.
pub(super) fn check(key: &Key, given: &Given) -> Result<(), SettingError> {
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
        Kind::Networks => networks(text).map(drop).map_err(|part| {
            given.fault(
                format!("`{part}` is no network"),
                "give addresses or networks parted by commas, for example 10.1.0.0/16, 10.2.0.7",
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

pub(super) fn listen(text: &str) -> Option<SocketAddr> {
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
pub(super) fn bytes(text: &str) -> Option<u64> {
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
