//! One client of the workload: a connection, its random transactions, its part of the report.
//! Never here: how the clients are started.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts, Params};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::run::{Forms, LostConnection, Plan};
use super::statement::{Protocol, Statement};
use super::{Report, Transaction, transaction};

/// Server answers that mean the connection is of no more use: shutdown, killed, idle, going away.
const CONNECTION_LOST_CODES: &[u16] = &[1053, 1077, 1152, 1158, 1160, 1161, 1927, 2006, 2013, 4031];
const DEADLOCK: u16 = 1213;
/// How long a client tries to connect again before that is a failure.
const RECONNECT_TIME_MAX: Duration = Duration::from_secs(60);
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Seconds a statement waits for a row lock: short, because clients do block each other.
const LOCK_WAIT_SECONDS: u32 = 2;

/// What one statement left behind.
enum Outcome {
    /// Answered, with success or an error that leaves the transaction as it is.
    Answered,
    /// The server rolled the transaction back.
    RolledBack,
    Lost(String),
}

pub(super) struct Client {
    plan: Plan,
    index: usize,
    random: StdRng,
    report: Report,
}

impl Client {
    pub(super) fn new(plan: Plan, index: usize) -> Self {
        // Distinct streams for neighbouring seeds and clients.
        let stream = plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index as u64);
        Client { plan, index, random: StdRng::seed_from_u64(stream), report: Report::default() }
    }

    pub(super) async fn run(mut self, began: Instant) -> Report {
        let mut connection = None;
        for number in 0..self.plan.transactions {
            if self.plan.time_max.is_some_and(|most| began.elapsed() >= most) {
                break;
            }
            let mut next = transaction(&mut self.random);
            if self.plan.forms == Forms::Followed {
                next.retain(is_followed);
            }
            let mut open = match connection.take() {
                Some(open) => open,
                None => match self.connect().await {
                    Some(open) => open,
                    None => return self.report,
                },
            };
            match self.carry_out(&mut open, &next, number).await {
                Ok(()) => connection = Some(open),
                Err(reason) => {
                    self.report.lost_connections += 1;
                    if self.plan.lost_connection == LostConnection::Fail {
                        let index = self.index;
                        self.report
                            .failure(format!("client {index} lost its connection: {reason}"));
                        return self.report;
                    }
                }
            }
            self.report.transactions += 1;
            if !self.plan.pause.is_zero() {
                tokio::time::sleep(self.plan.pause).await;
            }
        }
        if let Some(open) = connection {
            // The work is done and answered: an error in taking leave says nothing.
            let _ = open.disconnect().await;
        }
        self.report
    }

    async fn connect(&mut self) -> Option<Conn> {
        let began = Instant::now();
        loop {
            let reason = match self.try_connect().await {
                Ok(connection) => return Some(connection),
                Err(error) => error.to_string(),
            };
            let may_retry = self.plan.lost_connection == LostConnection::Reconnect;
            if !may_retry || began.elapsed() > RECONNECT_TIME_MAX {
                self.report.failure(format!("client {} cannot connect: {reason}", self.index));
                return None;
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn try_connect(&mut self) -> Result<Conn, Error> {
        let mut connection = Conn::new(Opts::from_url(&self.plan.url)?).await?;
        let wait = format!("SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECONDS}");
        connection.query_drop(wait).await?;
        // Without gap locks many statements are swept.
        if self.index % 2 == 1 && self.plan.forms == Forms::All {
            let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
            connection.query_drop(isolation).await?;
        }
        Ok(connection)
    }

    /// Sends a transaction's statements one after the other; `Err` when the connection is lost.
    async fn carry_out(
        &mut self,
        connection: &mut Conn,
        transaction: &Transaction,
        number: usize,
    ) -> Result<(), String> {
        for statement in transaction {
            match self.send(connection, statement).await {
                Outcome::Answered => {}
                // Applications differ: every other time the rest is sent all the same.
                Outcome::RolledBack if number.is_multiple_of(2) => {
                    let tidy = [
                        Statement::plain("rollback", "ROLLBACK"),
                        Statement::plain("autocommit on", "SET autocommit=1"),
                    ];
                    for statement in &tidy {
                        if let Outcome::Lost(reason) = self.send(connection, statement).await {
                            return Err(reason);
                        }
                    }
                    return Ok(());
                }
                Outcome::RolledBack => {}
                Outcome::Lost(reason) => return Err(reason),
            }
        }
        Ok(())
    }

    async fn send(&mut self, connection: &mut Conn, statement: &Statement) -> Outcome {
        let sent = Instant::now();
        let answer = match statement.protocol {
            Protocol::Text => connection.query_drop(statement.text()).await,
            Protocol::Prepared => {
                let parameters = match statement.parameters.as_slice() {
                    [] => Params::Empty,
                    values => Params::Positional(values.to_vec()),
                };
                connection.exec_drop(statement.sql.as_str(), parameters).await
            }
        };
        if let Some(record) = &self.plan.record {
            record.note(self.index, sent, connection.id(), statement, answer.as_ref().err());
        }
        match answer {
            Ok(()) => {
                self.report.success(statement, connection.affected_rows());
                Outcome::Answered
            }
            Err(Error::Server(error)) if CONNECTION_LOST_CODES.contains(&error.code) => {
                Outcome::Lost(error.to_string())
            }
            Err(Error::Server(error)) => {
                match self.plan.more_errors.contains(&error.code) {
                    true => self.report.allowed_error(statement, error.code),
                    false => self.report.error(statement, error.code, &error.message),
                }
                if error.code == DEADLOCK { Outcome::RolledBack } else { Outcome::Answered }
            }
            Err(Error::Io(error)) => Outcome::Lost(error.to_string()),
            Err(Error::Driver(error)) => Outcome::Lost(error.to_string()),
            Err(error) => {
                self.report.failure(format!("{error}: {}", statement.text()));
                Outcome::Lost(error.to_string())
            }
        }
    }
}

/// Subqueries and computed keys are swept, and so are rows replaced by unique keys that are not given.
fn is_followed(statement: &Statement) -> bool {
    let swept = ["(SELECT", "UPPER(", "LOWER(", "REPLACE", "DUPLICATE KEY"];
    statement.form != "insert select" && !swept.iter().any(|part| statement.sql.contains(part))
}
