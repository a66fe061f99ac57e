//! `record_corpus FOLDER`: writes the seeds of the fuzzing corpora: what real servers say, and the statements
//! of the fixtures. Names of files follow from their content, so that nothing doubles.
//! Never here: what the fuzzer finds (`cargo xtask fuzz --keep`).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use mysql_async::prelude::Queryable;
use segue_tests::harness::{Kind, Server};
use segue_tests::recorder::{Parameter, Recorder, Step, capability};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const STORE: &str = include_str!("../../fixtures/store/schema.sql");
const MORE: &str = include_str!("../../fixtures/relay/schema.sql");
const STATEMENTS: &str = include_str!("../../fixtures/relay/statements.sql");
const CONTRACT: &str = include_str!("../../fixtures/store/migrationContract.json");
const SETTINGS: &str = include_str!("../../../examples/segue.toml");
/// Longer answers teach the fuzzer nothing more.
const ANSWER_BYTES_MAX: usize = 700;
/// Every n-th statement, and of the answers: many are alike.
const STATEMENT_STEP: usize = 2;
const ANSWER_STEP: usize = 9;

#[derive(Parser)]
struct Arguments {
    folder: PathBuf,
}

impl Arguments {
    fn seed(&self, target: &str, parts: &[&[u8]]) -> Result<()> {
        let bytes = parts.concat();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let folder = self.folder.join(target);
        std::fs::create_dir_all(&folder).context("create a corpus")?;
        let name = format!("seed-{:016x}", hasher.finish());
        std::fs::write(folder.join(name), bytes).context("write a seed")
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    texts(&arguments)?;
    for kind in Kind::ALL {
        let server = Server::start(kind).await?;
        answers(&arguments, &server).await?;
    }
    Ok(())
}

fn texts(arguments: &Arguments) -> Result<()> {
    for line in STATEMENTS.lines().step_by(STATEMENT_STEP) {
        // Settings, character set, then the text.
        arguments.seed("statements", &[&[0, 0], line.as_bytes()])?;
        arguments.seed("query", &[&[0], line.as_bytes()])?;
    }
    arguments.seed("settings", &[SETTINGS.as_bytes()])?;
    arguments
        .seed("phases", &[b"default = \"mysql-only\"\n[tables]\norders = \"dual-write\"\n"])?;
    arguments.seed("requests", &[br#"{"table": "orders", "phase": "dual-write", "who": "me"}"#])?;
    arguments.seed("requests", &[br#"{"default": "mysql-only"}"#])?;
    arguments.seed("requests", &[br#"{"all": true}"#])?;
    let cut = CONTRACT.floor_char_boundary(4_000);
    arguments.seed("contract", &[&CONTRACT.as_bytes()[..cut]])
}

async fn answers(arguments: &Arguments, server: &Server) -> Result<()> {
    let mut greeting = vec![0; 300];
    let mut stream = TcpStream::connect(server.address()).await?;
    let length = stream.read(&mut greeting).await?;
    arguments.seed("greeting", &[&[0xff; 8], &greeting[4..length]])?;
    let database = server.database("corpus", "").await?;
    let mut root = server.connect().await?;
    root.query_drop(format!("USE `{}`", database.name)).await?;
    let own = |part: &&str| !part.contains("DATABASE") && !part.trim_start().starts_with("USE ");
    root.query_drop(STORE.split_inclusive(';').filter(own).collect::<String>()).await?;
    root.query_drop(MORE).await?;
    for capabilities in
        [capability::FOUND_ROWS, capability::SESSION_TRACK | capability::DEPRECATE_EOF]
    {
        let address = server.address();
        let mut recorder =
            Recorder::connect(&address, "root", &database.name, capabilities).await?;
        // As it was agreed on: both servers offer all of this.
        let agreed = (capabilities | capability::ALWAYS).to_le_bytes();
        let mut steps: Vec<Step> =
            STATEMENTS.lines().step_by(ANSWER_STEP).map(Step::query).collect();
        steps.extend([
            Step::Prepare("SELECT id, username FROM users WHERE id > ?".to_owned()),
            Step::Execute { cursor: 1, parameters: vec![Parameter::Int(0)] },
            Step::Fetch(2),
            Step::FieldList("users".to_owned()),
            Step::Statistics,
        ]);
        for step in steps {
            let answer = recorder.run(&step).await?;
            if answer.len() > ANSWER_BYTES_MAX {
                continue;
            }
            let shape = match step {
                Step::Prepare(_) => 1,
                Step::Fetch(_) => 2,
                Step::FieldList(_) => 3,
                Step::Statistics => 4,
                _ => 0,
            };
            // Shape, capabilities, cuts, then the stream.
            arguments.seed("answers", &[&[shape], &agreed, &[3, 1, 7, 40], &answer])?;
            if shape == 0 {
                arguments.seed("rewrite", &[&agreed, &[1, 2, 0, 1, 0, 1, b'7'], &answer])?;
            }
            arguments.seed("frames", &[&[3, 1, 7, 40], &answer])?;
        }
    }
    Ok(())
}
