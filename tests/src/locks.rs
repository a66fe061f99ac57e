//! Who waits for a row lock, as InnoDB itself shows it.
//! Never here: taking locks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::time::{Instant, sleep};

/// How long a statement may take to reach its lock, on a busy machine.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(30);

/// Waits until every one of these connections waits for a lock of InnoDB's. The monitor's text shows
/// the moment; `information_schema` shows a copy that is renewed only while nobody looks often.
pub async fn wait_for_lock_waits(observer: &mut Conn, connections: &[u64]) -> Result<()> {
    let began = Instant::now();
    loop {
        let shown: Option<Row> = observer.query_first("SHOW ENGINE INNODB STATUS").await?;
        let text: String = shown.and_then(|row| row.get(2)).context("InnoDB's monitor")?;
        if connections.iter().all(|connection| waits(&text, *connection)) {
            return Ok(());
        }
        ensure!(began.elapsed() < LOOK_LIMIT, "no lock wait of {connections:?} in\n{text}");
        sleep(LOOK_PAUSE).await;
    }
}

/// `MySQL thread id 7,` stands in a transaction's block below its `LOCK WAIT`.
fn waits(monitor: &str, connection: u64) -> bool {
    let number = format!(" thread id {connection},");
    monitor
        .split("---TRANSACTION")
        .any(|block| block.contains(&number) && block.contains("LOCK WAIT"))
}

/// MySQL's number of a connection, also through Segue.
pub async fn number_of(connection: &mut Conn) -> Result<u64> {
    connection.query_first("SELECT CONNECTION_ID()").await?.context("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_belongs_to_the_thread_of_its_block() {
        let text = "---TRANSACTION 1, ACTIVE 2 sec inserting\nLOCK WAIT 2 lock struct(s)\n\
            MySQL thread id 12, OS thread handle 1\n---TRANSACTION 2, ACTIVE 3 sec\n\
            2 lock struct(s)\nMySQL thread id 13, OS thread handle 2\n";
        assert!(waits(text, 12));
        assert!(!waits(text, 13));
        assert!(!waits(text, 2));
    }
}
