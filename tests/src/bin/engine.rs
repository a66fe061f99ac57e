//! `engine PORT [FILE]`: a DynamoDB engine on loopback, with its items in FILE or in memory.
//! Never here: anything that knows of Segue.

use anyhow::{Context, Result};
use dynoxide::Database;

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let port: u16 = words.next().context("usage: engine PORT [FILE]")?.parse().context("PORT")?;
    let database = match words.next() {
        Some(file) => Database::new(&file).with_context(|| format!("open {file}"))?,
        None => Database::memory().context("open a database in memory")?,
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("listen on port {port}"))?;
    dynoxide::server::serve_on(listener, database).await;
    Ok(())
}
