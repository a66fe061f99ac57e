//! Servers of one's own that offer TLS and every plugin that passwords are tried with.
//! Never here: accounts.

use segue_tests::harness::{Kind, Server, scratch};

/// MySQL makes a certificate by itself, MariaDB is given one. `None` and a recorded skip where the server
/// cannot be had.
pub async fn start(kind: Kind, more: &[&str]) -> Option<Server> {
    Server::own_with(kind, &options(kind, more)).await
}

fn options(kind: Kind, more: &[&str]) -> Vec<String> {
    let mut options: Vec<String> = more.iter().map(|&option| option.to_owned()).collect();
    if kind == Kind::MariaDb {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = scratch("mariadb-tls").unwrap().canonicalize().unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        options.push(format!("--ssl-cert={}", certificate.display()));
        options.push(format!("--ssl-key={}", key.display()));
        options.push("--plugin-load-add=auth_ed25519".to_owned());
    }
    options
}
