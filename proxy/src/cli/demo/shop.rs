//! The demo's database: made, stocked with rows that are older than Segue, dropped.
//! Never here: what customers do (see `customer`).

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use rand::Rng;
use rand::rngs::StdRng;

pub const SCHEMA: &str = include_str!("schema.sql");
pub const CONTRACT: &str = include_str!("migrationContract.json");

/// Products on sale from the first day.
pub const PRODUCTS: u32 = 40;
/// Customers who signed up before Segue came.
pub const EARLY_CUSTOMERS: u64 = 60;

const CATEGORIES: [&str; 4] = ["books", "garden", "kitchen", "toys"];

/// The demo's own database on the given server; nothing outside of it is touched.
pub struct Shop {
    server: Opts,
    pub database: String,
}

impl Shop {
    /// Creates the database. `name` must be free of quotes.
    pub async fn open(server: Opts, name: &str) -> Result<Shop> {
        let mut connection = connect(server.clone()).await?;
        let create = format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4");
        connection.query_drop(create).await.context("create the demo's database")?;
        let shop = Shop { server, database: name.to_owned() };
        connection.query_drop(format!("USE `{name}`")).await.context("use the demo's database")?;
        if let Err(error) = connection.query_drop(SCHEMA).await {
            shop.drop_database().await?;
            return Err(error).context("create the demo's tables");
        }
        connection.disconnect().await.context("close the connection")?;
        Ok(shop)
    }

    /// Rows that are there before Segue sees any statement.
    pub async fn stock(&self, random: &mut StdRng) -> Result<()> {
        let mut connection = connect(self.options()).await?;
        connection.query_drop("START TRANSACTION").await?;
        for number in 1..=PRODUCTS {
            let category = CATEGORIES[random.random_range(0..CATEGORIES.len())];
            let cents = random.random_range(100..9000);
            connection
                .exec_drop(
                    "INSERT INTO products (name, category, price) VALUES (?, ?, ? / 100)",
                    (format!("Product {number}"), category, cents),
                )
                .await?;
        }
        for number in 1..=EARLY_CUSTOMERS {
            let (email, name) = (format!("early{number}@shop.example"), format!("Early {number}"));
            let insert = "INSERT INTO users (email, name) VALUES (?, ?)";
            connection.exec_drop(insert, (email, name)).await?;
            let product = random.random_range(1..=PRODUCTS);
            let cart = "INSERT INTO carts VALUES (?, ?, 1)";
            connection.exec_drop(cart, (number, product)).await?;
            let order = "INSERT INTO orders (user_id, status, total) VALUES (?, 'delivered', 9.90)";
            connection.exec_drop(order, (number,)).await?;
            let item =
                "INSERT INTO order_items VALUES (LAST_INSERT_ID(), 1, ?, 'Old stock', 1, 9.90)";
            connection.exec_drop(item, (product,)).await?;
        }
        connection.query_drop("COMMIT").await.context("stock the shop")?;
        connection.disconnect().await.context("close the connection")
    }

    /// Straight to MySQL, in the demo's database.
    pub fn options(&self) -> Opts {
        OptsBuilder::from_opts(self.server.clone()).db_name(Some(&self.database)).into()
    }

    /// `HOST:PORT` of MySQL.
    pub fn address(&self) -> String {
        format!("{}:{}", self.server.ip_or_hostname(), self.server.tcp_port())
    }

    pub async fn drop_database(&self) -> Result<()> {
        let mut connection = connect(self.server.clone()).await?;
        let drop = format!("DROP DATABASE IF EXISTS `{}`", self.database);
        connection.query_drop(drop).await.context("drop the demo's database")?;
        connection.disconnect().await.context("close the connection")
    }
}

async fn connect(options: Opts) -> Result<Conn> {
    let address = format!("{}:{}", options.ip_or_hostname(), options.tcp_port());
    let options = OptsBuilder::from_opts(options).prefer_socket(false);
    Conn::new(options).await.with_context(|| format!("connect to MySQL at {address}"))
}
