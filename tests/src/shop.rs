//! The database that a relay is tried on: the store's tables, mapped, and some that are not.
//! Never here: statements.

use anyhow::Result;
use mysql_async::prelude::Queryable;

use crate::harness::{Database, Server};

pub const CONTRACT: &str = include_str!("../fixtures/store/migrationContract.json");
const STORE: &str = include_str!("../fixtures/store/schema.sql");
const MORE: &str = include_str!("../fixtures/relay/schema.sql");

/// Makes the database anew, under the same name.
pub async fn refill(server: &Server, database: &Database) -> Result<()> {
    let mut root = server.connect().await?;
    let name = &database.name;
    root.query_drop(format!("DROP DATABASE IF EXISTS `{name}`")).await?;
    root.query_drop(format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).await?;
    root.query_drop(format!("USE `{name}`")).await?;
    // The store's schema names a database of its own.
    let tables: String = STORE
        .split_inclusive(';')
        .filter(|part| !part.contains("DATABASE") && !part.trim_start().starts_with("USE "))
        .collect();
    root.query_drop(tables).await?;
    root.query_drop(MORE).await?;
    root.disconnect().await?;
    Ok(())
}
