//! Legs that differ in TLS, and each kind of account over them: a client has the same success and the
//! same error as directly. Never here: alike legs with every client (see `logins`).

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Kind, SegueConfig, SegueProcess, Server, scratch};
use segue_tests::on_each_server;
use serde_json::{Value, json};

use crate::clients::{Client, Login, Logins};
use crate::shop;
use crate::tls_server;

const PASSWORD: &str = "pass'word-of-the-legs";
const WHO: &str = "SELECT CURRENT_USER(), DATABASE()";

/// One account of each plugin that a password can be given to here, and one without a password.
async fn accounts(server: &Server, name: &str) -> Vec<String> {
    let plugins: &[(&str, &str)] = match server.kind() {
        Kind::Mysql97 => {
            &[("caching", "WITH caching_sha2_password BY"), ("sha256", "WITH sha256_password BY")]
        }
        Kind::MariaDb => {
            &[("native", "VIA mysql_native_password USING"), ("ed", "VIA ed25519 USING")]
        }
    };
    let mut root = server.connect().await.unwrap();
    let mut users = vec![];
    for (plugin, how) in plugins.iter().chain([&("empty", "")]) {
        let user = format!("{plugin}{name}");
        let password = PASSWORD.replace('\'', "''");
        let how = match (*plugin, server.kind()) {
            ("empty", _) => String::new(),
            (_, Kind::Mysql97) => format!("IDENTIFIED {how} '{password}'"),
            (_, Kind::MariaDb) => format!("IDENTIFIED {how} PASSWORD('{password}')"),
        };
        root.query_drop(format!("CREATE USER '{user}'@'%' {how}")).await.unwrap();
        root.query_drop(format!("GRANT ALL ON `{name}`.* TO '{user}'@'%'")).await.unwrap();
        users.push(user);
    }
    root.disconnect().await.unwrap();
    users
}

/// What is tried with each account: password, database, and whether the server has forgotten passwords.
fn attempts<'a>(user: &str, database: &'a str) -> Vec<(&'static str, &'a str, bool)> {
    if user.starts_with("empty") {
        return vec![("", database, false), ("wrong", "", false)];
    }
    vec![
        (PASSWORD, database, true),
        (PASSWORD, "", false),
        ("wrong", database, true),
        ("wrong", "", false),
        ("", "", true),
        (PASSWORD, "no_such_database", true),
    ]
}

async fn segue(
    server: &Server,
    database: &segue_tests::harness::Database,
    policy: &'static str,
) -> SegueProcess {
    let mut config = SegueConfig::new(server, database, shop::CONTRACT).with_phase("mysql-only");
    config.upstream_tls = policy;
    SegueProcess::start(&config).await.unwrap()
}

on_each_server!(unlike_legs_are_as_one, |shared: &'static Server| async move {
    let Some(server) = tls_server::start(shared.kind(), &[]).await else { return };
    let database = shop::database(&server).await;
    let users = accounts(&server, &database.name).await;
    let always = segue(&server, &database, "always").await;
    let never = segue(&server, &database, "never").await;
    let mut logged_in = vec![];
    for client in Client::command_lines().await {
        for tls in [false, true] {
            for user in &users {
                for (password, database, cold) in attempts(user, &database.name) {
                    let login = Login { user, password, database, tls };
                    let mut outcomes = vec![];
                    for port in [server.port(), always.mysql_port(), never.mysql_port()] {
                        if cold {
                            server.forget_passwords().await.unwrap();
                        }
                        outcomes.push(client.session(port, login, &[], WHO).await);
                    }
                    let label = format!("{client:?} {login:?} cold: {cold}");
                    assert_eq!(outcomes[0], outcomes[1], "always, {label}");
                    assert_eq!(outcomes[0], outcomes[2], "never, {label}");
                    if outcomes[0].contains(&format!("{user}@%")) {
                        logged_in.push((client.name(), user.clone(), tls, cold));
                    }
                }
            }
        }
    }
    // Each account gets in, with and without TLS, by one client at least; else nothing was compared.
    for user in &users {
        for tls in [false, true] {
            let found = logged_in.iter().any(|(_, who, with, _)| who == user && *with == tls);
            assert!(found, "{user} tls: {tls}: {logged_in:?}");
        }
    }
    println!("{} logins succeed", logged_in.len());
});

/// Segue that takes only certificates of this authority.
async fn verifying(
    server: &Server,
    database: &segue_tests::harness::Database,
    verify: &str,
    authority: &std::path::Path,
) -> SegueProcess {
    let mut config = SegueConfig::new(server, database, shop::CONTRACT).with_phase("mysql-only");
    config.upstream_tls = "always";
    let set = |key: &str, value: &str| (format!("SEGUE_MYSQL_UPSTREAM_{key}"), value.to_owned());
    let authority = authority.to_str().unwrap();
    config.environment.extend([set("VERIFY", verify), set("CA", authority)]);
    SegueProcess::start(&config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_server_with_the_right_certificate_is_logged_in_to() {
    let folder = scratch("certificates").unwrap().canonicalize().unwrap();
    let made = |name: &str, host: &str| {
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        let certificate = folder.join(format!("{name}.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        (certificate, made.signing_key.serialize_pem())
    };
    // MySQL is reached as 127.0.0.1.
    for (host, by_name) in [("127.0.0.1", true), ("database.example", false)] {
        let ((other, _), (own, key)) = (made("other", host), made("own", host));
        std::fs::write(folder.join("key.pem"), key).unwrap();
        let options = [
            format!("--ssl-cert={}", own.display()),
            format!("--ssl-key={}", folder.join("key.pem").display()),
        ];
        let Some(server) = Server::own_with(Kind::MariaDb, &options).await else { return };
        let database = shop::database(&server).await;
        for (verify, authority, success) in
            [("ca", &own, true), ("identity", &own, by_name), ("ca", &other, false)]
        {
            let segue = verifying(&server, &database, verify, authority).await;
            let outcome = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await;
            let told = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let label = format!("{host} {verify} {}: {told}", authority.display());
            assert_eq!(outcome.is_ok(), success, "{label}");
            if let Ok(client) = outcome {
                client.disconnect().await.unwrap();
            } else {
                assert!(told.contains("TLS to MySQL") && told.contains("certificate"), "{label}");
            }
            segue.stop().await.unwrap();
        }
    }
}

/// Cases for the Python drivers, with a place for the port.
fn python_cases(users: &[String], server: &Server, database: &str) -> Vec<Value> {
    let mut cases = vec![];
    for driver in ["pymysql", "connector"] {
        for tls in [false, true] {
            for user in users {
                for (password, database, cold) in attempts(user, database) {
                    let flush = cold.then(|| server.port());
                    cases.push(json!({ "driver": driver, "user": user, "password": password,
                        "database": database, "tls": tls, "flush": flush }));
                }
            }
        }
    }
    let without = users.last().expect("there are accounts");
    for tls in [false, true] {
        for user in users {
            for (password, database, cold) in attempts(user, database) {
                let flush = cold.then(|| server.port());
                cases.push(json!({ "driver": "connector", "user": without, "password": "",
                    "database": "", "tls": tls, "flush": flush,
                    "change": [user, password, database] }));
            }
        }
    }
    cases
}

on_each_server!(drivers_and_changed_users_on_unlike_legs, |shared: &'static Server| async move {
    let Some(server) = tls_server::start(shared.kind(), &[]).await else { return };
    let Some(logins) = Logins::find().await else { return };
    let database = shop::database(&server).await;
    let users = accounts(&server, &database.name).await;
    let cases = python_cases(&users, &server, &database.name);
    let expected = logins.outcomes(server.port(), &cases).await;
    for policy in ["as-client", "always", "never"] {
        let segue = segue(&server, &database, policy).await;
        let found = logins.outcomes(segue.mysql_port(), &cases).await;
        for ((case, expected), found) in cases.iter().zip(&expected).zip(&found) {
            assert_eq!(expected, found, "{policy}: {case}");
        }
        assert!(!segue.log().contains("panicked"), "{}", segue.log());
        segue.stop().await.unwrap();
    }
    let changed = cases.iter().zip(&expected).filter(|(case, outcome)| {
        let user = case["change"][0].as_str().unwrap_or("nobody");
        outcome.contains(&format!("{user}@%"))
    });
    let changed = changed.count();
    println!("{} cases, {changed} changed users", cases.len());
    assert!(changed > 2, "users were changed: {changed}");
});
