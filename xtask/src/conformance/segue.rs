//! Segue in front of a suite's server, with a contract that maps the suite's most used tables.
//! Never here: what the tests find.

use std::fs;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::keeper::{ChildCommand, Keeper, Leftovers};
use xtask::servers::free_port;

use super::Scene;
use super::server::Server;
use super::suite::Path;

const START_SECONDS_MAX: u64 = 60;

/// The tables that most tests use. Tests drop and create them in ever other forms: what a mapping lives
/// through at worst.
const TABLES: [&str; 3] = ["t1", "t2", "t3"];

pub struct Segue {
    port: u16,
    _keeper: Keeper,
}

impl Segue {
    pub fn start(
        scene: &Scene,
        server: &Server,
        path: Path,
        upstream_tls: &str,
        lane: usize,
    ) -> Result<Segue> {
        let define = |form: &str| {
            let statements: Vec<String> =
                TABLES.iter().map(|table| form.replace('?', &format!("test.{table}"))).collect();
            statements.concat()
        };
        // A contract is checked against tables that exist. Tests want to find none.
        server.sql(&define("CREATE TABLE ? (a INT NOT NULL PRIMARY KEY, b INT);"))?;
        let folder = scene.folder.join(format!("lane-{}-{lane}-segue", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).with_context(|| format!("write {name}"))
        };
        let (port, admin) = (free_port()?, free_port()?);
        write("migrationContract.json", &contract().to_string())?;
        write("phases.toml", &format!("default = \"{}\"\n", path.name()))?;
        write("segue.toml", &settings(server, port, admin, upstream_tls))?;
        let settings = folder.join("segue.toml").into_os_string();
        let words = [scene.segue.clone().into(), "serve".into(), "--config".into(), settings];
        let mut command = ChildCommand::new(words);
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "conformance"),
            ("AWS_SECRET_ACCESS_KEY", "conformance"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ] {
            command.environment.push((name.into(), value.into()));
        }
        let log = folder.join("segue.log");
        let mut keeper = Keeper::new(&command, &log, Leftovers::Keep)?;
        keeper.start()?;
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("Segue did not start: see {}", log.display());
            }
            sleep(Duration::from_millis(50));
        }
        // Through Segue, so that it knows of it before the first test begins.
        server.sql_through(port, &define("DROP TABLE ?;"))?;
        Ok(Segue { port, _keeper: keeper })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

fn contract() -> Value {
    let attribute =
        |table: &str| json!({ "type": "N", "source_table": table, "source_column": "a" });
    let tables = TABLES.map(|table| {
        json!({
            "table": format!("Conformance_{table}"),
            "type": "Table",
            "source_table": table,
            "pk": "A",
            "attributes": { "A": attribute(table) },
        })
    });
    Value::from(tables.to_vec())
}

fn settings(server: &Server, port: u16, admin: u16, upstream_tls: &str) -> String {
    let upstream = server.port();
    // The certificate of the suite, so that clients that verify it find what they expect.
    let keys = server.family().tests_outside().join("std_data");
    let keys = keys.display();
    format!(
        "[listen]\nmysql = \"127.0.0.1:{port}\"\nadmin = \"127.0.0.1:{admin}\"\n\
         [mysql]\naddress = \"127.0.0.1:{upstream}\"\n\
         control_url = \"mysql://root@127.0.0.1:{upstream}/test\"\n\
         upstream_tls = \"{upstream_tls}\"\n\
         [tls]\ncertificate = \"{keys}/server-cert.pem\"\nkey = \"{keys}/server-key.pem\"\n\
         [contract]\npath = \"migrationContract.json\"\ndatabase = \"test\"\n\
         [dynamodb]\nregion = \"us-east-1\"\nendpoint = \"embedded\"\n\
         [journal]\npath = \"journal\"\ndurability = \"write\"\n\
         [phases]\npath = \"phases.toml\"\n"
    )
}
