//! Which connections the server has, and for how long it has been up.
//! Never here: what follows from a connection that is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::catalog::text;
use super::{Control, ControlError};

/// The server's connections, as far as the control account sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// The low 32 bits of their ids, which is what greetings tell of them.
    pub numbers: BTreeSet<u32>,
    pub uptime: Duration,
}

impl Control {
    /// Lists the connections. Without PROCESS only those of the own account are in it.
    ///
    /// `SHOW PROCESSLIST`, because it alone is right everywhere: `information_schema.processlist` fails on
    /// MySQL (error 3854) while a statement with bytes runs, and the performance schema may be off, or
    /// leave out threads that exceed its tables.
    pub async fn connections(&self) -> Result<Connections, ControlError> {
        let mut session = self.connection().await?;
        let unreadable = |what: &str| ControlError::Rejected(format!("{what} cannot be read"));
        let rows = session.query("SHOW PROCESSLIST").await?;
        let number = |id: String| Some(low_half(id.parse().ok()?));
        let numbers: BTreeSet<u32> =
            rows.iter().filter_map(|row| number(text(row.first()?)?)).collect();
        if numbers.is_empty() {
            // At least the connection that asks is in it.
            return Err(unreadable("the process list"));
        }
        let rows = session.query("SHOW GLOBAL STATUS LIKE 'Uptime'").await?;
        let uptime = rows.first().and_then(|row| text(row.get(1)?)).and_then(|s| s.parse().ok());
        let uptime = Duration::from_secs(uptime.ok_or_else(|| unreadable("the uptime"))?);
        Ok(Connections { numbers, uptime })
    }
}

fn low_half(id: u64) -> u32 {
    let [a, b, c, d, ..] = id.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_by_their_low_half() {
        assert_eq!(low_half(7), 7);
        assert_eq!(low_half((3 << 32) + 9), 9);
    }
}
