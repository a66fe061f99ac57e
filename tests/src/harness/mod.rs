//! The language of the system tests: real MySQL and MariaDB servers, a separate DynamoDB engine,
//! Segue as a child process. Every process ends with the test binary, however that ends.
//! Never here: what a test asserts.

mod api;
mod engine;
mod inside;
mod items;
mod process;
mod segue;
mod server;
mod skip;
mod wire;

pub use api::Api;
pub use engine::Engine;
pub use inside::InsideSegue;
pub use items::Items;
pub use process::{program, scratch};
pub use segue::{ADMIN_TOKEN, SegueConfig, SegueProcess, Store};
pub use server::{Database, Server};
pub use skip::skip;
pub use wire::{Break, Wire};
pub use xtask::servers::{Kind, free_port};

/// Makes one test per server of an `async fn(server: &Server)`: `name::mysql97` and `name::mariadb`.
/// Where the server cannot be had, the test counts as skipped.
///
/// ```text
/// on_each_server!(commit_reaches_dynamodb, |server| async move { ... });
/// ```
#[macro_export]
macro_rules! on_each_server {
    ($name:ident, $test:expr) => {
        mod $name {
            #[allow(
                unused_imports,
                reason = "the test may live on its own module's names alone"
            )]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql97() {
                let kind = $crate::harness::Kind::Mysql97;
                let Some(server) = $crate::harness::Server::shared(kind).await else { return };
                ($test)(server).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                let kind = $crate::harness::Kind::MariaDb;
                let Some(server) = $crate::harness::Server::shared(kind).await else { return };
                ($test)(server).await;
            }
        }
    };
}
