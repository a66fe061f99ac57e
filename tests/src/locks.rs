//! Who waits for a row lock, as InnoDB itself shows it.
//! Never here: taking locks.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::time::{Instant, sleep};

/// How long a statement may take to reach its lock, on a busy machine.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(30);

/// MySQL's list. Its monitor leaves out readers that lock, and `information_schema` shows a copy that is
/// renewed only while nobody looks often.
const MYSQL_LIST: &str = "SELECT t.processlist_id FROM performance_schema.data_lock_waits w
    JOIN performance_schema.threads t ON t.thread_id = w.requesting_thread_id";

/// Waits until every one of these connections waits for a lock of InnoDB's.
pub async fn wait_for_lock_waits(observer: &mut Conn, connections: &[u64]) -> Result<()> {
    let began = Instant::now();
    loop {
        let waiting = waiting(observer).await?;
        if connections.iter().all(|connection| waiting.contains(connection)) {
            return Ok(());
        }
        ensure!(began.elapsed() < LOOK_LIMIT, "of {connections:?} only {waiting:?} wait");
        sleep(LOOK_PAUSE).await;
    }
}

async fn waiting(observer: &mut Conn) -> Result<BTreeSet<u64>> {
    let version: Option<String> = observer.query_first("SELECT VERSION()").await?;
    if !version.unwrap_or_default().contains("MariaDB") {
        let listed: Vec<u64> = observer.query(MYSQL_LIST).await?;
        return Ok(listed.into_iter().collect());
    }
    let shown: Option<Row> = observer.query_first("SHOW ENGINE INNODB STATUS").await?;
    let text: String = shown.and_then(|row| row.get(2)).context("InnoDB's monitor")?;
    Ok(waiting_in(&text))
}

/// `MariaDB thread id 7,` stands in a transaction's block below its `LOCK WAIT`.
fn waiting_in(monitor: &str) -> BTreeSet<u64> {
    let number = |block: &str| -> Option<u64> {
        let (_, rest) = block.split_once(" thread id ")?;
        rest.split_once(',')?.0.parse().ok()
    };
    // Before the first block stands the last deadlock, with waits of long ago.
    let blocks = monitor.split("---TRANSACTION").skip(1);
    blocks.filter(|block| block.contains("LOCK WAIT")).filter_map(number).collect()
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
        let text = "*** (1) TRANSACTION:\nLOCK WAIT 2 lock struct(s)\nMariaDB thread id 2, OS\n\
            ---TRANSACTION 1, ACTIVE 2 sec inserting\nLOCK WAIT 2 lock struct(s)\n\
            MariaDB thread id 12, OS thread handle 1\n---TRANSACTION 2, ACTIVE 3 sec\n\
            2 lock struct(s)\nMariaDB thread id 13, OS thread handle 2\n";
        assert_eq!(waiting_in(text), BTreeSet::from([12]));
    }
}
