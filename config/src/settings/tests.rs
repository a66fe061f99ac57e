//! Facts about reading settings.

use super::*;

const LEAST: &str = r#"[mysql]
address = "127.0.0.1:3306"
control_url = "mysql://segue:secret@127.0.0.1:3306/shop"
[contract]
path = "migrationContract.json"
database = "shop"
"#;

fn none(_: &str) -> Option<String> {
    None
}

fn faults(text: &str) -> Vec<SettingError> {
    Settings::parse(text, "/etc/segue/segue.toml", &none).expect_err("the text is refused")
}

#[test]
fn only_mysql_and_contract_are_needed() {
    let settings = Settings::parse(LEAST, "/etc/segue/segue.toml", &none).expect("accepted");
    assert_eq!(settings.listen.mysql.to_string(), "127.0.0.1:3307");
    assert_eq!(settings.dynamodb.endpoint, Endpoint::Aws);
    assert!(settings.journal.fsync);
    assert_eq!(settings.journal.bytes_max, 1 << 30);
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let settings = Settings::parse(LEAST, "/etc/segue/segue.toml", &none).expect("accepted");
    assert_eq!(settings.contract.path, PathBuf::from("/etc/segue/migrationContract.json"));
    assert_eq!(settings.journal.path, PathBuf::from("/etc/segue/var/journal"));
    let text = LEAST.replace("migrationContract.json", "/srv/contract.json");
    let settings = Settings::parse(&text, "segue.toml", &none).expect("accepted");
    assert_eq!(settings.contract.path, PathBuf::from("/srv/contract.json"));
    assert_eq!(settings.phases_path, PathBuf::from("phases.toml"));
}

#[test]
fn variables_win_over_the_file() {
    let env = |name: &str| match name {
        "SEGUE_LISTEN_MYSQL" => Some("0.0.0.0:0".to_owned()),
        "SEGUE_CONTRACT_PATH" => Some("here.json".to_owned()),
        "SEGUE_MIRROR_WORKERS" => Some("3".to_owned()),
        "SEGUE_LOG_LEVEL" => Some(String::new()),
        _ => None,
    };
    let settings = Settings::parse(LEAST, "/etc/segue/segue.toml", &env).expect("accepted");
    assert_eq!(settings.listen.mysql.to_string(), "0.0.0.0:0");
    assert_eq!(settings.contract.path, PathBuf::from("here.json"));
    assert_eq!(settings.mirror_workers, 3);
    assert_eq!(settings.log.level, "info");
}

#[test]
fn every_fault_is_reported_at_once_in_order_of_lines() {
    let text = "[mysql]\nadress = \"x:1\"\n[dynamo]\n[log]\nlevel = \"loud\"\nformat = 3\n";
    let found = faults(text);
    let lines: Vec<Option<usize>> = found.iter().map(|fault| fault.line).collect();
    assert_eq!(&lines[..4], &[Some(2), Some(3), Some(5), Some(6)]);
    assert!(found[0].remedy.contains("`address`"), "{}", found[0]);
    assert!(found[1].remedy.contains("[dynamodb]"), "{}", found[1]);
    let missing: Vec<&str> =
        found.iter().filter(|fault| fault.line.is_none()).map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        missing,
        ["mysql.address", "mysql.control_url", "contract.path", "contract.database"]
    );
}

#[test]
fn a_key_outside_of_its_section_is_told_where_it_belongs() {
    let found = faults(&format!("region = \"x\"\n{LEAST}"));
    assert_eq!(found.len(), 1);
    assert!(found[0].remedy.contains("[dynamodb]"));
}

#[test]
fn faults_and_debug_output_never_repeat_secrets() {
    let text = LEAST.replace("mysql://segue:secret", "postgres://segue:secret");
    let found = faults(&text);
    assert!(!found[0].to_string().contains("secret"), "{}", found[0]);
    let settings = Settings::parse(LEAST, "segue.toml", &none).expect("accepted");
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn faults_of_variables_name_the_variable() {
    let env = |name: &str| (name == "SEGUE_LISTEN_ADMIN").then(|| "nowhere".to_owned());
    let found = Settings::parse(LEAST, "segue.toml", &env).expect_err("refused");
    assert_eq!(
        (found[0].file.as_str(), found[0].key.as_str()),
        ("environment", "SEGUE_LISTEN_ADMIN")
    );
}

#[test]
fn keys_that_do_nothing_alone_are_refused() {
    let found = faults(&format!("{LEAST}[tls]\nkey = \"k.pem\"\n[dynamodb]\nfile = \"d\"\n"));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].line, Some(8));
    assert_eq!(found[1].line, Some(10));
}

#[test]
fn sizes_are_numbers_or_texts_with_a_unit() {
    for (text, expected) in [("2097152", 2 << 20), ("\"64 MiB\"", 64 << 20), ("\"2GiB\"", 2 << 30)]
    {
        let text = format!("{LEAST}[journal]\nmax_bytes = {text}\n");
        let settings = Settings::parse(&text, "segue.toml", &none).expect("accepted");
        assert_eq!(settings.journal.bytes_max, expected);
    }
    assert_eq!(faults(&format!("{LEAST}[journal]\nmax_bytes = 12\n")).len(), 1);
}

#[test]
fn the_example_in_the_tree_loads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/segue.toml");
    let text = std::fs::read_to_string(path).expect("the example exists");
    Settings::parse(&text, path, &none).expect("the example is accepted");
}

#[test]
fn capacity_units_belong_to_provisioned_billing() {
    assert_eq!(faults(&format!("{LEAST}[dynamodb]\nread_units = 9\n")).len(), 1);
    let text = format!("{LEAST}[dynamodb]\nbilling = \"provisioned\"\nread_units = 9\n");
    let settings = Settings::parse(&text, "segue.toml", &none).expect("accepted");
    assert_eq!(settings.billing, Billing::Provisioned { read_units: 9, write_units: 5 });
}

#[test]
fn proxy_headers_are_off_unless_networks_are_named() {
    let settings = Settings::parse(LEAST, "segue.toml", &none).expect("accepted");
    assert!(settings.listen.proxy_protocol_networks.is_empty());
    assert_eq!(settings.mysql.proxy_protocol, None);
    let text = format!("{LEAST}[listen]\nproxy_protocol_networks = \"10.0.0.0/8, ::1\"\n");
    let settings = Settings::parse(&text, "segue.toml", &none).expect("accepted");
    assert_eq!(settings.listen.proxy_protocol_networks.len(), 2);
    let found = faults(&format!("{LEAST}[listen]\nproxy_protocol_networks = \"10.0.0.0/8 x\"\n"));
    assert!(found[0].message.contains("10.0.0.0/8 x"), "{}", found[0]);
}

#[test]
fn a_fault_script_is_refused_where_faults_are_not_allowed() {
    let found = faults(&format!("{LEAST}[faults]\npath = \"faults.toml\"\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].remedy.contains("faults.injection = \"on\""), "{}", found[0]);
    let settings = Settings::parse(LEAST, "segue.toml", &none).expect("accepted");
    assert_eq!(settings.faults, None);
    let text = format!("{LEAST}[faults]\ninjection = \"on\"\npath = \"f.toml\"\n");
    let settings = Settings::parse(&text, "/etc/segue/segue.toml", &none).expect("accepted");
    let path = Some(PathBuf::from("/etc/segue/f.toml"));
    assert_eq!(settings.faults, Some(FaultInjection { path }));
}
