//! Logins through Segue: accounts, passwords, encryption on either leg, and clients of many makers.
//! Never here: statements (see `equality`).

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, OptsBuilder, SslOpts};
use segue_tests::harness::{Database, Kind, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;

use crate::clients::{self, Login};
use crate::shop;

const PASSWORD: &str = "pass'w\u{f6}rd-of-the-tests";

/// Accounts of one test: with a password, and without.
struct Accounts {
    database: Database,
    with: String,
    without: String,
}

async fn accounts(server: &Server) -> Accounts {
    let database = shop::database(server).await;
    let mut root = server.connect().await.unwrap();
    let (with, without) = (format!("w{}", database.name), format!("o{}", database.name));
    for (user, password) in [(&with, PASSWORD), (&without, "")] {
        let password = password.replace('\'', "''");
        root.query_drop(format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'"))
            .await
            .unwrap();
        root.query_drop(format!("GRANT ALL ON `{}`.* TO '{user}'@'%'", database.name))
            .await
            .unwrap();
    }
    Accounts { database, with, without }
}

async fn segue(server: &Server, database: &Database, upstream_tls: &'static str) -> SegueProcess {
    let mut config = SegueConfig::new(server, database, shop::CONTRACT);
    config.upstream_tls = upstream_tls;
    SegueProcess::start(&config).await.unwrap()
}

fn options(port: u16, user: &str, password: &str, tls: bool) -> OptsBuilder {
    let ssl = tls.then(|| SslOpts::default().with_danger_accept_invalid_certs(true));
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(user))
        .pass(Some(password))
        .ssl_opts(ssl)
}

/// What a login with the asynchronous Rust driver comes to.
async fn attempt(options: OptsBuilder) -> String {
    match Conn::new(options).await {
        Ok(mut connection) => {
            let row: Option<(String, Option<String>)> =
                connection.query_first("SELECT CURRENT_USER(), DATABASE()").await.unwrap();
            format!("{row:?}")
        }
        Err(mysql_async::Error::Server(error)) => format!("{error:?}"),
        Err(error) => format!("{error}"),
    }
}

on_each_server!(clients_see_what_they_see_directly, |server: &'static Server| async move {
    let accounts = accounts(server).await;
    let segue = segue(server, &accounts.database, "as-client").await;
    let database = accounts.database.name.as_str();
    let clients = clients::all().await;
    let (mut compared, mut logged_in) = (0, 0);
    for client in &clients {
        for tls in [false, true] {
            for (user, password, database, cold) in [
                (accounts.with.as_str(), PASSWORD, database, true),
                (&accounts.with, PASSWORD, database, false),
                (&accounts.with, PASSWORD, "", false),
                (&accounts.with, "wrong", database, false),
                (&accounts.with, "", database, false),
                (&accounts.without, "", database, false),
                ("nobody", "x", database, false),
                (&accounts.with, PASSWORD, "no_such_database", true),
            ] {
                let login = Login { user, password, database, tls };
                let mut outcomes = vec![];
                for port in [server.port(), segue.mysql_port()] {
                    if cold {
                        server.forget_passwords().await.unwrap();
                    }
                    let mut root = server.connect().await.unwrap();
                    let name = &accounts.database.name;
                    root.query_drop(format!("ALTER TABLE `{name}`.users AUTO_INCREMENT = 1"))
                        .await
                        .unwrap();
                    outcomes.push(client.outcome(port, login).await);
                }
                assert_eq!(outcomes[0], outcomes[1], "{client:?} {login:?} cold: {cold}");
                compared += 1;
                logged_in += usize::from(outcomes[0].contains(&format!("{user}@%")));
            }
        }
    }
    println!("{compared} logins of {} clients compared, {logged_in} succeed", clients.len());
    assert!(logged_in >= clients.len(), "most clients can log in: {logged_in}");
});

on_each_server!(rust_driver_sees_what_it_sees_directly, |server: &'static Server| async move {
    let accounts = accounts(server).await;
    let segue = segue(server, &accounts.database, "as-client").await;
    for tls in [false, true] {
        for (user, password, database, cold) in [
            (accounts.with.as_str(), PASSWORD, None, true),
            (&accounts.with, PASSWORD, Some(accounts.database.name.clone()), false),
            (&accounts.with, "wrong", None, true),
            (&accounts.without, "", None, false),
            (&accounts.without, "x", None, false),
            ("nobody", "", None, false),
            (&accounts.with, PASSWORD, Some("no_such_database".to_owned()), false),
        ] {
            let mut outcomes = vec![];
            for port in [server.port(), segue.mysql_port()] {
                if cold {
                    server.forget_passwords().await.unwrap();
                }
                let options = options(port, user, password, tls).db_name(database.clone());
                outcomes.push(attempt(options).await);
            }
            assert_eq!(outcomes[0], outcomes[1], "{user} {database:?} tls: {tls}");
        }
    }
    let refused = attempt(options(segue.mysql_port(), &accounts.with, "wrong", false)).await;
    assert!(refused.contains("1045") && refused.contains("28000"), "{refused}");
    assert!(refused.contains("using password: YES"), "{refused}");
});

/// Whether the leg to MySQL is encrypted.
async fn cipher(connection: &mut Conn) -> String {
    let row: Option<(String, String)> =
        connection.query_first("SHOW STATUS LIKE 'Ssl_cipher'").await.unwrap();
    row.unwrap().1
}

on_each_server!(upstream_tls_is_as_it_is_set, |server: &'static Server| async move {
    let accounts = accounts(server).await;
    // MariaDB 10.11 offers TLS only with a certificate, and it has none here.
    let server_has_tls = server.kind() == Kind::Mysql97;
    for policy in ["as-client", "always", "never"] {
        let segue = segue(server, &accounts.database, policy).await;
        for tls in [false, true] {
            for cold in [true, false] {
                let label = format!("{policy}, client tls: {tls}, cold: {cold}");
                if cold {
                    server.forget_passwords().await.unwrap();
                }
                let options = options(segue.mysql_port(), &accounts.with, PASSWORD, tls);
                let encrypted = match policy {
                    "always" => true,
                    "never" => false,
                    _ => tls,
                };
                let result = Conn::new(options).await;
                if encrypted && !server_has_tls {
                    let error = result.expect_err("MySQL has no TLS").to_string();
                    // As the client wishes, Segue offers what the server offers: the driver refuses.
                    assert!(error.contains("TLS") || error.contains("SSL"), "{label}: {error}");
                } else {
                    let mut connection = result.unwrap_or_else(|e| panic!("{label}: {e}"));
                    let cipher = cipher(&mut connection).await;
                    assert_eq!(!cipher.is_empty(), encrypted, "{label}: {cipher}");
                }
            }
        }
        segue.stop().await.unwrap();
    }
});

on_each_server!(server_name_of_tls_is_passed_on, |server: &'static Server| async move {
    if server.kind() != Kind::Mysql97 {
        // MariaDB does not show it, and has no TLS here.
        return;
    }
    let accounts = accounts(server).await;
    let segue = segue(server, &accounts.database, "as-client").await;
    let ssl = SslOpts::default().with_danger_accept_invalid_certs(true);
    let options = options(segue.mysql_port(), &accounts.without, "", false)
        .ip_or_hostname("localhost")
        .ssl_opts(ssl);
    let mut connection = Conn::new(options).await.unwrap();
    let row: Option<(String, String)> =
        connection.query_first("SHOW STATUS LIKE 'Tls_sni_server_name'").await.unwrap();
    assert_eq!(row.unwrap().1, "localhost");
});

on_each_server!(given_certificate_is_served, |server: &'static Server| async move {
    let accounts = accounts(server).await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut config = SegueConfig::new(server, &accounts.database, shop::CONTRACT);
    config.upstream_tls = "never";
    let without_files = SegueProcess::start(&config).await.unwrap();
    let folder = segue_tests::harness::scratch("certificate").unwrap().canonicalize().unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    config.more = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let with_files = SegueProcess::start(&config).await.unwrap();
    for (segue, trusted) in [(&without_files, false), (&with_files, true)] {
        let ssl = SslOpts::default()
            .with_root_certs(vec![certificate.clone().into()])
            .with_disable_built_in_roots(true);
        let options = options(segue.mysql_port(), &accounts.with, PASSWORD, false)
            .ip_or_hostname("localhost")
            .ssl_opts(ssl);
        let result = Conn::new(options).await.map(|_| ());
        assert_eq!(result.is_ok(), trusted, "{result:?}");
    }
});

on_each_server!(user_is_changed_and_session_reset, |server: &'static Server| async move {
    let accounts = accounts(server).await;
    let segue = segue(server, &accounts.database, "as-client").await;
    let mut outcomes = vec![];
    for port in [server.port(), segue.mysql_port()] {
        let mut seen = vec![];
        for tls in [false, server.kind() == Kind::Mysql97] {
            for password in [PASSWORD, "wrong"] {
                server.forget_passwords().await.unwrap();
                let options = options(port, &accounts.without, "", tls);
                let mut connection = Conn::new(options).await.unwrap();
                connection.query_drop("SET @left = 1").await.unwrap();
                let change = ChangeUserOpts::new()
                    .with_user(Some(accounts.with.clone()))
                    .with_pass(Some(password.to_owned()))
                    .with_db_name(Some(accounts.database.name.clone()));
                let changed = connection.change_user(change).await;
                seen.push(changed.map_err(|error| error.to_string()).err());
                let row: Result<Option<mysql_async::Row>, _> =
                    connection.query_first("SELECT CURRENT_USER(), DATABASE(), @left").await;
                seen.push(row.ok().map(|row| format!("{row:?}")));
            }
            let mut connection =
                Conn::new(options(port, &accounts.with, PASSWORD, tls)).await.unwrap();
            connection.query_drop("SET @left = 1").await.unwrap();
            connection.reset().await.unwrap();
            let left: Option<Option<i64>> = connection.query_first("SELECT @left").await.unwrap();
            seen.push(Some(format!("{left:?}")));
        }
        outcomes.push(seen);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert!(outcomes[1].iter().flatten().any(|text| text.contains("1045")), "{outcomes:?}");
});
