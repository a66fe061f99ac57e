//! Logins that the server refuses or treats in a way of its own: the client hears the server's words.
//! Never here: passwords and plugins (see `logins`, `legs`).

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue_tests::harness::{Kind, SegueConfig, SegueProcess, Server, scratch};
use segue_tests::on_each_server;
use serde_json::json;

use crate::clients::{Client, Login, Logins};
use crate::shop;
use crate::tls_server;

/// One account, made anew before each login.
struct Case {
    label: &'static str,
    /// Behind `CREATE USER ...`.
    account: &'static str,
    password: &'static str,
    tls: bool,
    more: &'static [&'static str],
    sql: &'static str,
    /// Which number an error has, where there must be one.
    refused: Option<&'static str>,
}

const WHO: &str = "SELECT CURRENT_USER()";

const fn case(label: &'static str, account: &'static str, refused: Option<&'static str>) -> Case {
    Case { label, account, password: "secret", tls: false, more: &[], sql: WHO, refused }
}

fn cases(kind: Kind) -> Vec<Case> {
    let sandbox: &[&str] =
        if kind == Kind::Mysql97 { &["--connect-expired-password"] } else { &[] };
    let new_password = "SELECT 1; SET PASSWORD = 'new'; SELECT CURRENT_USER()";
    let locked = if kind == Kind::Mysql97 { "3118" } else { "4151" };
    let mut cases = vec![
        case("plain account", "IDENTIFIED BY 'secret'", None),
        case("locked account", "IDENTIFIED BY 'secret' ACCOUNT LOCK", Some(locked)),
        case("expired password", "IDENTIFIED BY 'secret' PASSWORD EXPIRE", Some("")),
        Case {
            more: sandbox,
            sql: if kind == Kind::Mysql97 { new_password } else { WHO },
            ..case("sandbox", "IDENTIFIED BY 'secret' PASSWORD EXPIRE", Some("1820"))
        },
        case("TLS required", "IDENTIFIED BY 'secret' REQUIRE SSL", Some("1045")),
        Case { tls: true, ..case("TLS given", "IDENTIFIED BY 'secret' REQUIRE SSL", None) },
        Case {
            tls: true,
            ..case("certificate required", "IDENTIFIED BY 'secret' REQUIRE X509", Some("1045"))
        },
        case("none this hour", "IDENTIFIED BY 'secret' WITH MAX_CONNECTIONS_PER_HOUR 1", None),
        case("no such password", "IDENTIFIED BY 'other'", Some("1045")),
        Case {
            more: &["--database=mysql"],
            ..case("a database of others", "IDENTIFIED BY 'secret'", Some("1044"))
        },
        Case {
            more: &["--database=nowhere_at_all"],
            ..case("no database", "IDENTIFIED BY 'secret'", Some("10"))
        },
    ];
    if kind == Kind::Mysql97 {
        let often = "IDENTIFIED BY 'other' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1";
        cases.push(case("locked by failures", often, Some("3955")));
    }
    cases
}

/// The command line client that belongs to the server.
async fn client_of(kind: Kind) -> Option<Client> {
    let name = if kind == Kind::Mysql97 { "mysql" } else { "mariadb" };
    Client::command_lines().await.into_iter().find(|client| client.name() == name)
}

async fn segue(server: &Server, database: &segue_tests::harness::Database) -> SegueProcess {
    let config = SegueConfig::new(server, database, shop::CONTRACT).with_phase("mysql-only");
    SegueProcess::start(&config).await.unwrap()
}

/// The server's own command line, a server with TLS of its own, Segue before it, and a direct connection as root.
async fn scene(kind: Kind) -> Option<(Client, Server, SegueProcess, Conn)> {
    let client = client_of(kind).await?;
    let server = tls_server::start(kind, &[]).await?;
    let database = shop::database(&server).await;
    let segue = segue(&server, &database).await;
    let root = server.connect().await.unwrap();
    Some((client, server, segue, root))
}

/// Without the numbers of connections, which are never the same.
fn comparable(outcome: &str) -> String {
    let mut text = String::new();
    let mut rest = outcome;
    while let Some(at) = rest.find("onnection ") {
        let (before, after) = rest.split_at(at + "onnection ".len());
        text.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    text + rest
}

on_each_server!(accounts_that_are_refused, |shared: &'static Server| async move {
    let Some((client, server, segue, mut root)) = scene(shared.kind()).await else { return };
    for case in cases(server.kind()) {
        let mut outcomes = vec![];
        for port in [server.port(), segue.mysql_port()] {
            // Both servers count the logins of an hour by name.
            root.query_drop("FLUSH USER_RESOURCES").await.unwrap();
            root.query_drop("DROP USER IF EXISTS somebody").await.unwrap();
            root.query_drop(format!("CREATE USER somebody {}", case.account)).await.unwrap();
            let login =
                Login { user: "somebody", password: case.password, database: "", tls: case.tls };
            // Twice: some are refused from the second time on.
            let first = client.session(port, login, case.more, case.sql).await;
            let second = client.session(port, login, case.more, case.sql).await;
            outcomes.push((comparable(&first), comparable(&second)));
        }
        assert_eq!(outcomes[0], outcomes[1], "{}", case.label);
        let first = &outcomes[0].0;
        match case.refused {
            None => assert!(first.contains("somebody@%"), "{}: {first}", case.label),
            // The client itself says so, without a number.
            Some("") => assert!(first.starts_with("Some(1)"), "{}: {first}", case.label),
            Some(number) => {
                let error = format!("ERROR {number}");
                assert!(first.contains(&error), "{}: {first}", case.label);
            }
        }
    }
});

on_each_server!(states_of_the_server, |shared: &'static Server| async move {
    let Some((client, server, segue, mut root)) = scene(shared.kind()).await else { return };
    root.query_drop("CREATE USER somebody IDENTIFIED BY 'secret'").await.unwrap();
    let mut states = vec![
        ("init_connect", "'SET @greeting = 7, autocommit = 0'", "''", "7\t0"),
        ("init_connect", "'SELECT * FROM nowhere.nothing'", "''", "ERROR"),
        ("require_secure_transport", "ON", "OFF", "ERROR "),
    ];
    if server.kind() == Kind::Mysql97 {
        states.push(("offline_mode", "ON", "OFF", "ERROR 3032"));
    }
    for (variable, value, normal, expected) in states {
        root.query_drop(format!("SET GLOBAL {variable} = {value}")).await.unwrap();
        let mut outcomes = vec![];
        for port in [server.port(), segue.mysql_port()] {
            let login = Login { user: "somebody", password: "secret", database: "", tls: false };
            let outcome = client.session(port, login, &[], "SELECT @greeting, @@autocommit").await;
            outcomes.push(comparable(&outcome));
        }
        root.query_drop(format!("SET GLOBAL {variable} = {normal}")).await.unwrap();
        assert_eq!(outcomes[0], outcomes[1], "{variable}");
        assert!(outcomes[0].contains(expected), "{variable}: {}", outcomes[0]);
    }
});

on_each_server!(too_many_connections, |shared: &'static Server| async move {
    let Some((client, server, segue, mut root)) = scene(shared.kind()).await else { return };
    root.query_drop("CREATE USER somebody IDENTIFIED BY 'secret'").await.unwrap();
    root.query_drop("SET GLOBAL max_connections = 20").await.unwrap();
    let mut held = vec![];
    let full = loop {
        match Conn::new(Opts::from_url(server.url()).unwrap()).await {
            Ok(connection) => held.push(connection),
            Err(error) => break error.to_string(),
        }
        assert!(held.len() < 100, "max_connections is in force");
    };
    assert!(full.contains("1040"), "{full}");
    for tls in [false, true] {
        let login = Login { user: "somebody", password: "secret", database: "", tls };
        let directly = client.session(server.port(), login, &[], WHO).await;
        let through = client.session(segue.mysql_port(), login, &[], WHO).await;
        assert_eq!(directly, through);
        assert!(through.contains("1040"), "{through}");
    }
    root.query_drop("SET GLOBAL max_connections = 150").await.unwrap();
    let login = Login { user: "somebody", password: "secret", database: "", tls: false };
    let outcome = client.session(segue.mysql_port(), login, &[], WHO).await;
    assert!(outcome.contains("somebody@%"), "{outcome}");
});

on_each_server!(certificates_of_clients_are_not_passed_on, |shared: &'static Server| async move {
    let Some(logins) = Logins::find().await else { return };
    let folder = scratch("client-certificate").unwrap().canonicalize().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let Some(server) = tls_server::start(shared.kind(), &[]).await else { return };
    let database = shop::database(&server).await;
    let segue = segue(&server, &database).await;
    let mut root = server.connect().await.unwrap();
    root.query_drop("CREATE USER strict IDENTIFIED BY 'secret' REQUIRE X509").await.unwrap();
    root.query_drop("CREATE USER lax IDENTIFIED BY 'secret' REQUIRE SSL").await.unwrap();
    let case = |user, password, certificate: Option<_>| {
        json!({ "driver": "pymysql", "user": user, "password": password, "database": "",
            "tls": true, "certificate": certificate })
    };
    let shown = json!([certificate, key]);
    let cases = [case("strict", "secret", None), case("lax", "secret", Some(shown.clone()))];
    let found = logins.outcomes(segue.mysql_port(), &cases).await;
    assert!(found[0].contains("1045") && found[0].contains("using password: YES"), "{}", found[0]);
    assert!(found[1].contains("lax@%"), "a certificate is no hindrance: {}", found[1]);
    assert!(!segue.log().contains("REQUIRE X509"), "{}", segue.log());
    let cases = [case("strict", "secret", Some(shown))];
    let found = logins.outcomes(segue.mysql_port(), &cases).await;
    assert!(found[0].contains("1045") && found[0].contains("using password: YES"), "{}", found[0]);
    assert!(segue.log().contains("REQUIRE X509"), "the log says why: {}", segue.log());
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxied_users_are_who_they_are_directly() {
    let Some(client) = client_of(Kind::Mysql97).await else { return };
    let Some(server) = tls_server::start(Kind::Mysql97, &[]).await else { return };
    let database = shop::database(&server).await;
    let segue = segue(&server, &database).await;
    let mut root = server.connect().await.unwrap();
    for sql in [
        "SET GLOBAL check_proxy_users = ON",
        "SET GLOBAL caching_sha2_password_proxy_users = ON",
        "CREATE USER worker IDENTIFIED BY 'hidden'",
        "CREATE USER person IDENTIFIED BY 'secret'",
        "GRANT PROXY ON worker TO person",
    ] {
        root.query_drop(sql).await.unwrap();
    }
    for tls in [false, true] {
        let login = Login { user: "person", password: "secret", database: "", tls };
        let sql = "SELECT CURRENT_USER(), @@proxy_user";
        let directly = client.session(server.port(), login, &[], sql).await;
        let through = client.session(segue.mysql_port(), login, &[], sql).await;
        assert_eq!(directly, through);
        assert!(through.contains("worker@%\t'person'@'%'"), "{through}");
    }
}
