//! The relay on real servers: whatever a client does through Segue gives what it gives directly.
//! Never here: what reaches DynamoDB (see `capture`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

mod bulk;
mod clients;
mod compression;
mod concurrency;
mod equality;
mod faults;
mod grammar;
mod half_open;
mod handover;
mod legs;
mod limits;
mod logins;
mod protocol;
mod proxy_protocol;
mod refusals;
mod scripted;
mod shop;
mod steps;
mod stop;
mod stream;
mod tls_server;
mod wrap;
