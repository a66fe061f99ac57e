//! Key look-ups on MySQL: links of joined rows, rows by unique key or range, driving rows of a join.
//! Never here: what is done with the keys.

use std::collections::BTreeSet;

use segue_rules::catalog::{DataType, Table};
use segue_rules::entity::{KeyedSelect, ReverseJoin, Ruleset, SourceTable};
use segue_rules::value::{Cell, Row, TableName};

use super::record::OldLink;
use crate::mysql::control::{Control, ControlError};

/// Why keys could not be looked up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("more than {0} keys")]
    TooMany(usize),
    #[error("table {0} has no row key or is not in the catalog")]
    NoKey(TableName),
    #[error("the AUTO_INCREMENT counter of table {0} was set back")]
    SetBack(TableName),
}

impl LookupError {
    pub fn is_transient(&self) -> bool {
        matches!(self, LookupError::Control(ControlError::Transient(_)))
    }
}

/// An AUTO_INCREMENT value as MySQL answers it for a column of this type.
fn integer(kind: &DataType, value: u64) -> Option<Cell> {
    match kind {
        DataType::Integer { unsigned: true, .. } => Some(Cell::UInt(value)),
        DataType::Integer { unsigned: false, .. } => i64::try_from(value).ok().map(Cell::Int),
        _ => None,
    }
}

/// Look-ups under one ruleset. Reads stop at `limit` rows with `TooMany`.
pub(crate) struct Lookup<'a> {
    pub control: &'a Control,
    pub ruleset: &'a Ruleset,
    pub limit: usize,
}

impl Lookup<'_> {
    fn table(&self, name: &TableName) -> Result<&Table, LookupError> {
        self.ruleset
            .catalog
            .tables
            .get(name)
            .filter(|table| table.row_key().is_some())
            .ok_or_else(|| LookupError::NoKey(name.clone()))
    }

    /// Row keys in MySQL's spelling, with the link columns' values, of those rows that exist.
    /// `None`: the ruleset has no such select for the table.
    pub async fn links(
        &self,
        source: &SourceTable,
        keys: &[Vec<Cell>],
    ) -> Result<Option<Vec<(Vec<Cell>, OldLink)>>, LookupError> {
        let Some(select) = &source.links else { return Ok(None) };
        let rows = self.control.keyed(select, keys).await?;
        let columns: Vec<usize> = source.link_columns.iter().copied().collect();
        let split = |mut row: Row| {
            let values = row.split_off(select.width.min(row.len()));
            (row, OldLink { table: source.name.clone(), columns: columns.clone(), values })
        };
        Ok(Some(rows.into_iter().map(split).collect()))
    }

    /// Row keys of the rows that have these values in the columns of a unique key.
    pub async fn by_unique(
        &self,
        name: &TableName,
        columns: &[usize],
        values: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Cell>>, LookupError> {
        let table = self.table(name)?;
        let wanted = match columns {
            [one] => quoted(table, &[*one]),
            many => format!("({})", quoted(table, many)),
        };
        let key = quoted(table, table.row_key().unwrap_or_default());
        let head = format!("SELECT {key} FROM {} WHERE {wanted} IN ", quote(name));
        let select = KeyedSelect { head, width: columns.len(), tail: String::new() };
        let complete: Vec<Vec<Cell>> = values.iter().filter(|v| no_null(v)).cloned().collect();
        Ok(self.control.keyed(&select, &complete).await?)
    }

    /// Row keys of the rows whose AUTO_INCREMENT value lies in the range, as far as it goes now.
    pub async fn by_range(
        &self,
        name: &TableName,
        from: u64,
        to: Option<u64>,
    ) -> Result<Vec<Vec<Cell>>, LookupError> {
        let table = self.table(name)?;
        let column = table.auto_increment().ok_or_else(|| LookupError::NoKey(name.clone()))?;
        if to.is_none() && self.next_number(name).await? < from {
            return Err(LookupError::SetBack(name.clone()));
        }
        if to == Some(from)
            && table.row_key() == Some(&[column])
            && let Some(cell) = integer(&table.columns[column].data_type, from)
        {
            // One row, named by its key: most inserts.
            return Ok(vec![vec![cell]]);
        }
        let column = quoted(table, &[column]);
        let key = quoted(table, table.row_key().unwrap_or_default());
        let (upper, parameters) = match to {
            Some(to) => (format!(" AND {column} <= ?"), vec![Cell::UInt(from), Cell::UInt(to)]),
            None => (String::new(), vec![Cell::UInt(from)]),
        };
        let sql = format!(
            "SELECT {key} FROM {} WHERE {column} >= ?{upper} LIMIT {}",
            quote(name),
            self.limit.saturating_add(1)
        );
        self.bounded(self.control.select(&sql, &parameters).await?)
    }

    /// The number that AUTO_INCREMENT gives next, at least. Every number that was given is below it, unless the
    /// counter was set back since.
    async fn next_number(&self, name: &TableName) -> Result<u64, LookupError> {
        // `information_schema` tells it from a cache.
        let sql = format!("SHOW CREATE TABLE {}", quote(name));
        let rows = self.control.select(&sql, &[]).await?;
        match rows.first().and_then(|row| row.get(1)) {
            Some(Cell::Text(text)) => Ok(counter_of(text)),
            Some(Cell::Bytes(text)) => Ok(counter_of(&String::from_utf8_lossy(text))),
            _ => Ok(1),
        }
    }

    /// Keys of the driving rows that a join finds by these link values.
    pub async fn driving(
        &self,
        join: &ReverseJoin,
        values: &BTreeSet<Vec<Cell>>,
    ) -> Result<Vec<Vec<Cell>>, LookupError> {
        let values: Vec<Vec<Cell>> = values.iter().filter(|v| no_null(v)).cloned().collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        self.keyed(&join.driving_keys, &values).await
    }

    /// A keyed select that stops at the limit.
    pub async fn keyed(
        &self,
        select: &KeyedSelect,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Cell>>, LookupError> {
        let mut select = select.clone();
        select.tail.push_str(&format!(" LIMIT {}", self.limit.saturating_add(1)));
        self.bounded(self.control.keyed(&select, keys).await?)
    }

    fn bounded(&self, rows: Vec<Row>) -> Result<Vec<Row>, LookupError> {
        match rows.len() > self.limit {
            true => Err(LookupError::TooMany(self.limit)),
            false => Ok(rows),
        }
    }
}

/// The counter in a table's definition, behind its columns; it does not stand there before the first row.
fn counter_of(definition: &str) -> u64 {
    let options = definition.rsplit_once("\n)").map_or("", |(_, options)| options);
    // A comment may say anything, and comes later.
    let options = options.split(" COMMENT=").next().unwrap_or_default();
    let number = options.split_once(" AUTO_INCREMENT=").map(|(_, number)| number);
    let number = number.and_then(|number| number.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// The join's parameters out of a row's link columns; `None` where a column is missing.
pub(crate) fn join_values(join: &ReverseJoin, link: &OldLink) -> Option<Vec<Cell>> {
    join.link_columns
        .iter()
        .map(|wanted| {
            let at = link.columns.iter().position(|column| column == wanted)?;
            link.values.get(at).cloned()
        })
        .collect()
}

/// The join's parameters out of the row's key alone, where it has them all.
pub(crate) fn join_values_of_key(
    join: &ReverseJoin,
    row_key: &[usize],
    key: &[Cell],
) -> Option<Vec<Cell>> {
    join.link_columns
        .iter()
        .map(|wanted| key.get(row_key.iter().position(|column| column == wanted)?).cloned())
        .collect()
}

fn no_null(values: &[Cell]) -> bool {
    values.iter().all(|cell| !matches!(cell, Cell::Null))
}

pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quoted(table: &Table, columns: &[usize]) -> String {
    let names = columns.iter().filter_map(|&column| table.columns.get(column));
    names.map(|column| quote(&column.name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_stands_among_the_options_of_a_table() {
        let text = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT COMMENT 'a\n) AUTO_INCREMENT=9',\n  \
            PRIMARY KEY (`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4 \
            COMMENT='not AUTO_INCREMENT=7'";
        assert_eq!(counter_of(text), 42);
        assert_eq!(counter_of("CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB"), 1);
        assert_eq!(counter_of(""), 1);
    }
}
