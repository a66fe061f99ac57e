//! One client of the store: a plain MySQL connection that knows nothing of Segue.
//! Never here: counting what Segue does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, params};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::shop::PRODUCTS;
use super::tally::Tally;

/// Pause between two deeds: a store with some customers, not a load test.
const PAUSE_MS: std::ops::Range<u64> = 2..16;

/// What a customer (or the shop's staff) does next, with how often out of a hundred.
const DEEDS: [(u32, Deed); 8] = [
    (12, Deed::SignUp),
    (32, Deed::FillCart),
    (22, Deed::Order),
    (8, Deed::ChangePrice),
    (3, Deed::Sale),
    (8, Deed::ChangeEmail),
    (9, Deed::Ship),
    (6, Deed::DeleteAccount),
];

#[derive(Clone, Copy, Debug)]
enum Deed {
    SignUp,
    FillCart,
    Order,
    ChangePrice,
    Sale,
    ChangeEmail,
    Ship,
    DeleteAccount,
}

pub struct Customer {
    connection: Conn,
    random: StdRng,
    number: u64,
    serial: u64,
    tally: Arc<Tally>,
}

impl Customer {
    pub async fn connect(
        options: Opts,
        number: u64,
        seed: u64,
        tally: Arc<Tally>,
    ) -> Result<Customer, Error> {
        let connection = Conn::new(options).await?;
        let random = StdRng::seed_from_u64(seed.wrapping_add(number));
        Ok(Customer { connection, random, number, serial: 0, tally })
    }

    /// Shops until `stop`.
    pub async fn shop(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.next_deed().await {
                self.note(&error);
                // Whatever was open is given up, as a driver's error path does.
                if let Err(error) = self.connection.query_drop("ROLLBACK").await {
                    self.tally.fail(error.to_string());
                    return;
                }
            }
            let pause = Duration::from_millis(self.random.random_range(PAUSE_MS));
            tokio::time::sleep(pause).await;
        }
        if let Err(error) = self.connection.disconnect().await {
            self.tally.fail(error.to_string());
        }
    }

    fn note(&self, error: &Error) {
        // Deadlock, lock wait timeout, duplicate key, parent row gone.
        const USUAL: [u16; 4] = [1213, 1205, 1062, 1452];
        match error {
            Error::Server(answer) if USUAL.contains(&answer.code) => {
                Tally::add(&self.tally.refused);
            }
            other => self.tally.fail(other.to_string()),
        }
    }

    async fn next_deed(&mut self) -> Result<(), Error> {
        let mut dice = self.random.random_range(0..100);
        let mut deed = Deed::FillCart;
        for (share, candidate) in DEEDS {
            deed = candidate;
            if dice < share {
                break;
            }
            dice -= share;
        }
        match deed {
            Deed::SignUp => self.sign_up().await,
            Deed::FillCart => self.fill_cart().await,
            Deed::Order => self.order().await,
            Deed::ChangePrice => self.change_price().await,
            Deed::Sale => self.sale().await,
            Deed::ChangeEmail => self.change_email().await,
            Deed::Ship => self.ship().await,
            Deed::DeleteAccount => self.delete_account().await,
        }
    }

    async fn sign_up(&mut self) -> Result<(), Error> {
        let email = self.new_email();
        let name = format!("Customer {}-{}", self.number, self.serial);
        let insert = "INSERT INTO users (email, name) VALUES (?, ?)";
        self.execute(insert, (email, name)).await?;
        if let Some(id) = self.connection.last_insert_id() {
            self.tally.users.fetch_max(id, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn fill_cart(&mut self) -> Result<(), Error> {
        let Some(user) = self.any_user().await? else { return Ok(()) };
        let product = self.any_product();
        let quantity: u16 = self.random.random_range(1..4);
        if self.random.random_bool(0.2) {
            let remove = "DELETE FROM carts WHERE user_id = ? AND product_id = ?";
            return self.execute(remove, (user, product)).await;
        }
        let add = "INSERT INTO carts (user_id, product_id, quantity) VALUES (?, ?, ?) \
                   ON DUPLICATE KEY UPDATE quantity = LEAST(quantity + ?, 99)";
        self.execute(add, (user, product, quantity, quantity)).await
    }

    /// The cart becomes an order, in one transaction; every fourth customer changes their mind.
    async fn order(&mut self) -> Result<(), Error> {
        let Some(user) = self.any_user().await? else { return Ok(()) };
        self.text("START TRANSACTION").await?;
        let cart = "SELECT c.product_id, p.name, c.quantity, p.price FROM carts c \
                    JOIN products p ON p.id = c.product_id WHERE c.user_id = ? ORDER BY 1";
        let lines: Vec<(u32, String, u16, String)> = self.connection.exec(cart, (user,)).await?;
        Tally::add(&self.tally.statements);
        if lines.is_empty() {
            return self.finish("ROLLBACK").await;
        }
        self.execute("INSERT INTO orders (user_id) VALUES (?)", (user,)).await?;
        let order = self.connection.last_insert_id().unwrap_or_default();
        for (index, (product, label, quantity, price)) in lines.into_iter().enumerate() {
            let insert = "INSERT INTO order_items VALUES (?, ?, ?, ?, ?, ?)";
            let line = index as u64 + 1;
            self.execute(insert, (order, line, product, label, quantity, price)).await?;
        }
        let total = "UPDATE orders SET total = (SELECT SUM(quantity * unit_price) FROM order_items \
                     WHERE order_id = :order) WHERE id = :order";
        self.execute(total, params! { "order" => order }).await?;
        self.execute("DELETE FROM carts WHERE user_id = ?", (user,)).await?;
        self.execute("UPDATE users SET points = points + 1 WHERE id = ?", (user,)).await?;
        let end = if self.random.random_bool(0.25) { "ROLLBACK" } else { "COMMIT" };
        self.finish(end).await
    }

    /// Reaches the product's item and every cart that shows its price.
    async fn change_price(&mut self) -> Result<(), Error> {
        let (cents, product) = (self.random.random_range(100..9000), self.any_product());
        let update = "UPDATE products SET price = ? / 100 WHERE id = ?";
        self.execute(update, (cents, product)).await
    }

    /// A predicate instead of keys, as text with literals.
    async fn sale(&mut self) -> Result<(), Error> {
        let category = ["books", "garden", "kitchen", "toys"][self.random.random_range(0..4)];
        let factor = if self.random.random_bool(0.5) { "0.9" } else { "1.1" };
        self.text(&format!(
            "UPDATE products SET price = LEAST(GREATEST(ROUND(price * {factor}, 2), 1), 500) \
             WHERE category = '{category}'"
        ))
        .await
    }

    /// Moves every item of the customer: the address is their partition key.
    async fn change_email(&mut self) -> Result<(), Error> {
        let Some(user) = self.any_user().await? else { return Ok(()) };
        let email = self.new_email();
        self.execute("UPDATE users SET email = ? WHERE id = ?", (email, user)).await
    }

    async fn ship(&mut self) -> Result<(), Error> {
        let (from, to) = if self.random.random_bool(0.5) {
            ("placed", "shipped")
        } else {
            ("shipped", "delivered")
        };
        self.text(&format!(
            "UPDATE orders SET status = '{to}' WHERE status = '{from}' ORDER BY id LIMIT 3"
        ))
        .await
    }

    /// Cart, orders and order lines go by foreign-key cascades.
    async fn delete_account(&mut self) -> Result<(), Error> {
        let Some(user) = self.any_user().await? else { return Ok(()) };
        self.execute("DELETE FROM users WHERE id = ?", (user,)).await
    }

    async fn any_user(&mut self) -> Result<Option<u64>, Error> {
        let top = self.tally.users.load(Ordering::Relaxed).max(1);
        let from = self.random.random_range(1..=top);
        let select = "SELECT id FROM users WHERE id >= ? ORDER BY id LIMIT 1";
        let user = self.connection.exec_first(select, (from,)).await?;
        Tally::add(&self.tally.statements);
        Ok(user)
    }

    fn any_product(&mut self) -> u32 {
        self.random.random_range(1..=PRODUCTS)
    }

    fn new_email(&mut self) -> String {
        self.serial += 1;
        format!("customer{}.{}@shop.example", self.number, self.serial)
    }

    /// Ends a transaction.
    async fn finish(&mut self, verb: &str) -> Result<(), Error> {
        self.text(verb).await?;
        let counter = match verb {
            "COMMIT" => &self.tally.committed,
            _ => &self.tally.rolled_back,
        };
        Tally::add(counter);
        Ok(())
    }

    /// A prepared statement.
    async fn execute(
        &mut self,
        sql: &str,
        parameters: impl Into<mysql_async::Params> + Send,
    ) -> Result<(), Error> {
        self.connection.exec_drop(sql, parameters.into()).await?;
        Tally::add(&self.tally.statements);
        Ok(())
    }

    /// A statement as text.
    async fn text(&mut self, sql: &str) -> Result<(), Error> {
        self.connection.query_drop(sql).await?;
        Tally::add(&self.tally.statements);
        Ok(())
    }
}
