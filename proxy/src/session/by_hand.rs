//! A relay without a mirror, to be tried by hand with real clients:
//! `SEGUE_RELAY=listen,mysql,as-client|always|never cargo test -p segue --lib by_hand -- --ignored`.

use std::collections::BTreeMap;

use segue_config::settings::{Tls, UpstreamTls};
use segue_rules::catalog::{Catalog, ServerKind};
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;

use super::*;

fn no_rules() -> Ruleset {
    Ruleset {
        fingerprint: String::new(),
        catalog: Catalog {
            database: "shop".to_owned(),
            server: ServerKind::MySql,
            version: String::new(),
            lower_case_table_names: 0,
            tables: BTreeMap::new(),
        },
        tables: Vec::new(),
        entities: Vec::new(),
        sources: BTreeMap::new(),
        warnings: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs until it is ended; for trying real clients by hand"]
async fn relay_by_hand() {
    let relays = std::env::var("SEGUE_RELAY").expect("SEGUE_RELAY is set");
    let stop = Drain::new(Duration::ZERO);
    let mut tasks = Vec::new();
    for relay in relays.split(' ') {
        let parts: Vec<&str> = relay.split(',').collect();
        let policy = match parts[2] {
            "always" => UpstreamTls::Always,
            "never" => UpstreamTls::Never,
            _ => UpstreamTls::AsClient,
        };
        let shared = Arc::new(SessionShared::new(
            Arc::new(Live::new(Arc::new(no_rules()), PhaseMap::default())),
            None,
            Arc::new(Metrics::new()),
            Upstream::new(parts[1], policy, Duration::from_secs(10)),
            tls::acceptor(&Tls::default()).expect("a certificate can be made"),
            ClientLimits {
                clients_max: 100,
                login_timeout: Duration::from_secs(60),
                idle_timeout: None,
            },
        ));
        let listener = TcpListener::bind(parts[0]).await.expect("the port is free");
        tasks.push(tokio::spawn(serve(listener, shared, TaskTracker::new(), stop.clone())));
    }
    for task in tasks {
        task.await.expect("the relay does not panic");
    }
}
