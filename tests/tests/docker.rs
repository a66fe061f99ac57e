//! The files in `docker/`, checked as far as that goes without docker: instructions, sources, ports,
//! settings.
//! Never here: building or running an image.

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::fs;
use std::path::{Path, PathBuf};

use segue_config::Settings;
use serde_json::Value;

/// Instructions of a Dockerfile.
const INSTRUCTIONS: [&str; 17] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// (instruction, arguments) with continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut current = String::new();
    for line in text.lines() {
        if current.is_empty() && (line.trim().is_empty() || line.starts_with('#')) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => current.push_str(part),
            None => {
                current.push_str(line);
                let (name, rest) = current.split_once(' ').unwrap_or((&current, ""));
                found.push((name.to_owned(), rest.trim().to_owned()));
                current.clear();
            }
        }
    }
    found
}

/// Faults of a Dockerfile. `exists` says whether a path of the context is there.
fn faults(text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = vec![];
    let mut stages: Vec<String> = vec![];
    let mut user = "root".to_owned();
    for (name, rest) in instructions(text) {
        if !INSTRUCTIONS.contains(&name.as_str()) {
            found.push(format!("{name}: no instruction"));
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        match name.as_str() {
            "FROM" => {
                if !words[0].contains(':') && !stages.iter().any(|stage| stage == words[0]) {
                    found.push(format!("FROM {rest}: the image has no tag"));
                }
                stages.push(words.last().copied().unwrap_or_default().to_owned());
                user = "root".to_owned();
            }
            "USER" => user = rest.clone(),
            "COPY" => match words[0].strip_prefix("--from=") {
                Some(stage) if !stages.iter().any(|known| known == stage) => {
                    found.push(format!("COPY {rest}: no stage `{stage}`"));
                }
                Some(_) => {}
                None => {
                    let sources = &words[..words.len() - 1];
                    let missing = sources.iter().filter(|source| !exists(source));
                    found.extend(missing.map(|source| format!("COPY: {source} is not there")));
                }
            },
            "CMD" | "ENTRYPOINT" if serde_json::from_str::<Vec<String>>(&rest).is_err() => {
                found.push(format!("{name} {rest}: not in the exec form"));
            }
            "HEALTHCHECK" => {
                let command = rest.split_once("CMD ").map_or("", |(_, command)| command);
                if serde_json::from_str::<Vec<String>>(command).is_err() {
                    found.push(format!("{name} {rest}: not in the exec form"));
                }
            }
            _ => {}
        }
    }
    if user == "root" || user == "0" {
        found.push("the image runs as root".to_owned());
    }
    found
}

fn of_dockerfile(name: &str) -> String {
    let mut all = instructions(&read("docker/Dockerfile")).into_iter().rev();
    all.find(|(instruction, _)| instruction == name).map(|(_, rest)| rest).unwrap_or_default()
}

fn settings() -> Settings {
    let token = |name: &str| (name == "SEGUE_ADMIN_TOKEN").then(|| "0123456789abcdef".to_owned());
    Settings::parse(&read("docker/segue.toml"), "/etc/segue/segue.toml", &token)
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn dockerfile_has_no_fault() {
    let ignored = read(".dockerignore");
    // `.dockerignore` ignores everything but what it names.
    let exists = |path: &str| {
        repository().join(path).exists() && ignored.lines().any(|line| line == format!("!{path}"))
    };
    let found = faults(&read("docker/Dockerfile"), &exists);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn faulty_dockerfile_is_found() {
    let text = "FROM debian\nCOPIE a b\nCOPY gone here\nCOPY --from=none /a /b\nCMD run it\n";
    assert_eq!(faults(text, &|_| false).len(), 6);
    let fine = "FROM debian:12 AS base\nFROM base\nCOPY --from=base /a /b\nUSER app\nCMD [\"a\"]\n";
    assert_eq!(faults(fine, &|_| true), Vec::<String>::new());
}

#[test]
fn every_member_of_the_workspace_is_copied() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let text = read("docker/Dockerfile");
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        assert!(text.contains(&format!("COPY {member} {member}\n")), "{member} is not copied");
    }
}

#[test]
fn toolchain_of_the_image_is_that_of_the_repository() {
    let toolchain: toml::Table = toml::from_str(&read("rust-toolchain.toml")).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let minor = channel.rsplit_once('.').unwrap().0;
    assert!(read("docker/Dockerfile").contains(&format!("FROM rust:{minor}-")));
}

#[test]
fn ports_agree() {
    let (settings, compose) = (settings(), yaml("docker/compose.yaml"));
    let exposed: Vec<u16> =
        of_dockerfile("EXPOSE").split_whitespace().map(|port| port.parse().unwrap()).collect();
    let listening = [settings.listen.mysql.port(), settings.listen.admin.port()];
    assert_eq!(exposed, listening);
    let published = compose["services"]["segue"]["ports"].as_array().unwrap();
    let expected = listening.map(|port| format!("127.0.0.1:{port}:{port}"));
    assert_eq!(published.iter().map(|port| port.as_str().unwrap()).collect::<Vec<_>>(), expected);
    let target =
        &yaml("docker/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"];
    assert_eq!(target[0], format!("segue:{}", listening[1]));
    assert!(of_dockerfile("HEALTHCHECK").contains(&format!("/127.0.0.1/{}", listening[1])));
}

#[test]
fn everything_published_is_on_loopback() {
    let compose = yaml("docker/compose.yaml");
    for (name, service) in compose["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

#[test]
fn mounted_files_and_volumes_are_there() {
    let compose = yaml("docker/compose.yaml");
    let volumes = compose["volumes"].as_object().unwrap();
    let secrets = compose["secrets"].as_object().unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let source = mount.as_str().unwrap().split(':').next().unwrap();
            let there = match source.starts_with('.') {
                true => repository().join("docker").join(source).is_file(),
                false => volumes.contains_key(source),
            };
            assert!(there, "{name}: {source} is not there");
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(secrets.contains_key(secret.as_str().unwrap()), "{name}: {secret}");
        }
        for other in service["depends_on"].as_object().into_iter().flat_map(|map| map.keys()) {
            assert!(compose["services"].get(other).is_some(), "{name}: {other}");
        }
    }
    let build = &compose["services"]["segue"]["build"];
    let context = repository().join("docker").join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
}

#[test]
fn settings_point_at_what_compose_mounts() {
    let (settings, compose) = (settings(), yaml("docker/compose.yaml"));
    let mounts = compose["services"]["segue"]["volumes"].as_array().unwrap();
    let mounts: Vec<&str> = mounts.iter().map(|mount| mount.as_str().unwrap()).collect();
    let inside = |path: &Path| {
        let text = path.display().to_string();
        mounts.iter().any(|mount| text.starts_with(mount.split(':').nth(1).unwrap()))
    };
    assert!(inside(&settings.contract.path));
    assert!(inside(&settings.journal.path));
    assert!(inside(&settings.phases_path));
    assert_eq!(settings.mysql.address, "mysql:3306");
    assert!(compose["services"].get("mysql").is_some());
    let database = compose["services"]["mysql"]["environment"]["MYSQL_DATABASE"].as_str();
    assert_eq!(database, Some(settings.contract.database.as_str()));
    let command: Vec<String> = serde_json::from_str(&of_dockerfile("CMD")).unwrap();
    assert_eq!(command, ["serve", "--config", "/etc/segue/segue.toml"]);
    assert!(inside(Path::new(&command[2])));
}
