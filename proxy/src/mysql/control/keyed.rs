//! Look-ups by key: keyed selects, view rows, key scans.
//! Never here: building statements' text (see `segue_rules::entity`).

use std::collections::{HashMap, HashSet};

use mysql_async::Value;
use segue_config::limits::{CONTROL_CHUNKS_PER_SNAPSHOT_MAX, CONTROL_KEYS_PER_STATEMENT_MAX};
use segue_rules::catalog::ServerKind;
use segue_rules::entity::{Entity, KeyedSelect, ViewQuery};
use segue_rules::value::{Cell, Row};

use super::cell::to_value;
use super::pool::Session;
use super::{Control, ControlError, TextRows, ViewRow};

impl Control {
    /// Rows of a keyed select for these key tuples (any number; chunked and padded inside).
    /// Committed state only.
    pub async fn keyed(
        &self,
        select: &KeyedSelect,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<Row>, ControlError> {
        let mut rows = Vec::new();
        for chunk in chunks(keys, self.server()) {
            rows.extend(self.execute(&select.sql(chunk.len()), parameters(&chunk)).await?);
        }
        Ok(rows)
    }

    /// View rows of an entity for these driving keys; missing rows are simply absent. Main and child
    /// queries of one key see one snapshot.
    pub async fn view(
        &self,
        entity: &Entity,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<ViewRow>, ControlError> {
        self.view_rows(&entity.view, keys).await
    }

    /// [`Control::view`] for a view query on its own.
    pub async fn view_rows(
        &self,
        view: &ViewQuery,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<ViewRow>, ControlError> {
        let mut grouped = Grouped::new(view);
        let chunks = chunks(keys, self.server());
        if view.children.is_empty() {
            for chunk in chunks {
                // One statement sees one snapshot by itself.
                let sql = view.main.sql(chunk.len());
                grouped.add_main(self.execute(&sql, parameters(&chunk)).await?);
            }
            return Ok(grouped.rows);
        }
        for chunks in chunks.chunks(CONTROL_CHUNKS_PER_SNAPSHOT_MAX) {
            let mut session = self.connection().await?;
            session.begin_snapshot().await?;
            for chunk in chunks {
                grouped.read(&mut session, chunk).await?;
            }
            session.end_snapshot().await?;
        }
        Ok(grouped.rows)
    }

    /// Fixes one committed state for the reads that follow: what is committed later does not show.
    pub async fn snapshot(&self) -> Result<Snapshot, ControlError> {
        let mut session = self.connection().await?;
        session.begin_snapshot().await?;
        Ok(Snapshot { session, server: self.server() })
    }

    /// Whether no open transaction has changed a row that decides this row's item key: each could be
    /// locked in share mode without waiting, for as long as the statement takes.
    pub async fn is_at_rest(&self, entity: &Entity, key: &[Cell]) -> Result<bool, ControlError> {
        let clause = match self.server() {
            ServerKind::MariaDb => "LOCK IN SHARE MODE NOWAIT",
            _ => "FOR SHARE NOWAIT",
        };
        let sql = format!("{} {clause}", entity.key_rows.sql(1));
        match self.execute(&sql, key.iter().map(to_value).collect()).await {
            Ok(_) => Ok(true),
            Err(ControlError::Transient(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The next keys of an entity's driving table in key order, after `last`.
    pub async fn scan_keys(
        &self,
        entity: &Entity,
        last: Option<&[Cell]>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, ControlError> {
        self.scan_view_keys(&entity.view, last, limit).await
    }

    /// [`Control::scan_keys`] for a view query on its own.
    pub async fn scan_view_keys(
        &self,
        view: &ViewQuery,
        last: Option<&[Cell]>,
        limit: usize,
    ) -> Result<Vec<Vec<Cell>>, ControlError> {
        let limit = Value::UInt(limit as u64);
        let Some(last) = last else { return self.execute(&view.scan_first, vec![limit]).await };
        let mut values = Vec::with_capacity(view.scan_next_parameters.len() + 1);
        for &position in &view.scan_next_parameters {
            let cell = last.get(position).ok_or_else(|| {
                ControlError::Rejected("a key of the wrong width to scan from".to_owned())
            })?;
            values.push(to_value(cell));
        }
        values.push(limit);
        self.execute(&view.scan_next, values).await
    }

    /// A SELECT without parameters, as the text protocol answers it.
    pub async fn text_rows(&self, sql: &str) -> Result<TextRows, ControlError> {
        self.text(sql).await
    }

    /// Any SELECT with positional parameters.
    pub async fn select(&self, sql: &str, parameters: &[Cell]) -> Result<Vec<Row>, ControlError> {
        self.execute(sql, parameters.iter().map(to_value).collect()).await
    }
}

/// One committed state of the database.
pub struct Snapshot {
    session: Session,
    server: ServerKind,
}

impl Snapshot {
    /// As [`Control::view`].
    pub async fn view(
        &mut self,
        entity: &Entity,
        keys: &[Vec<Cell>],
    ) -> Result<Vec<ViewRow>, ControlError> {
        let mut grouped = Grouped::new(&entity.view);
        for chunk in chunks(keys, self.server) {
            grouped.read(&mut self.session, &chunk).await?;
        }
        Ok(grouped.rows)
    }

    pub async fn end(mut self) -> Result<(), ControlError> {
        self.session.end_snapshot().await
    }
}

/// View rows in the making, found by the driving row's key as MySQL printed it.
struct Grouped<'a> {
    view: &'a ViewQuery,
    rows: Vec<ViewRow>,
    positions: HashMap<Vec<Cell>, usize>,
}

impl<'a> Grouped<'a> {
    fn new(view: &'a ViewQuery) -> Self {
        Grouped { view, rows: Vec::new(), positions: HashMap::new() }
    }

    /// Main and child rows of one chunk.
    async fn read(&mut self, session: &mut Session, chunk: &[&[Cell]]) -> Result<(), ControlError> {
        let main = session.execute(&self.view.main.sql(chunk.len()), parameters(chunk)).await?;
        self.add_main(main);
        for (position, child) in self.view.children.iter().enumerate() {
            let rows = session.execute(&child.sql(chunk.len()), parameters(chunk)).await?;
            self.add_children(position, rows);
        }
        Ok(())
    }

    fn add_main(&mut self, rows: Vec<Row>) {
        for main in rows {
            let key = main[..self.view.key_width].to_vec();
            let children = vec![Vec::new(); self.view.children.len()];
            let row = ViewRow { main, children };
            // Two keys asked for may be one under the column's collation and meet in two chunks: the later
            // read wins, as a whole.
            match self.positions.get(&key) {
                Some(&position) => self.rows[position] = row,
                None => {
                    self.positions.insert(key, self.rows.len());
                    self.rows.push(row);
                }
            }
        }
    }

    fn add_children(&mut self, child: usize, rows: Vec<Row>) {
        for row in rows {
            if let Some(&position) = self.positions.get(&row[..self.view.key_width]) {
                self.rows[position].children[child].push(row);
            }
        }
    }
}

fn parameters(chunk: &[&[Cell]]) -> Vec<Value> {
    chunk.iter().flat_map(|key| key.iter().map(to_value)).collect()
}

/// Distinct keys in chunks whose sizes are powers of two (or the maximum), filled up with the last key:
/// so each query is prepared in a handful of sizes only.
fn chunks(keys: &[Vec<Cell>], server: ServerKind) -> Vec<Vec<&[Cell]>> {
    let mut known = HashSet::new();
    let distinct: Vec<&[Cell]> =
        keys.iter().map(Vec::as_slice).filter(|&key| known.insert(key)).collect();
    // MariaDB (seen on 10.11) compares the texts of `(a, b) IN ((..), (..))` without converting them to
    // the columns' character sets and misses rows; a list of one is an equality, and right.
    let wrong_in_lists = server == ServerKind::MariaDb
        && distinct.iter().any(|key| {
            key.len() > 1 && key.iter().any(|cell| matches!(cell, Cell::Text(_) | Cell::Bytes(_)))
        });
    let size_max = if wrong_in_lists { 1 } else { CONTROL_KEYS_PER_STATEMENT_MAX };
    distinct
        .chunks(size_max)
        .map(|chunk| {
            let mut padded = chunk.to_vec();
            let size = chunk.len().next_power_of_two().min(size_max);
            padded.resize(size, chunk[chunk.len() - 1]);
            padded
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: i64) -> Vec<Vec<Cell>> {
        (0..count).map(|number| vec![Cell::Int(number)]).collect()
    }

    fn sizes(count: i64) -> Vec<usize> {
        chunks(&keys(count), ServerKind::MariaDb).iter().map(Vec::len).collect()
    }

    #[test]
    fn chunks_have_few_sizes_and_a_bound() {
        assert_eq!(sizes(0), Vec::<usize>::new());
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(3), [4]);
        assert_eq!(sizes(65), [100]);
        assert_eq!(sizes(100), [100]);
        assert_eq!(sizes(205), [100, 100, 8]);
    }

    #[test]
    fn mariadb_gets_composite_text_keys_one_by_one() {
        let keys: Vec<Vec<Cell>> =
            (0..5).map(|number| vec![Cell::Text("é".into()), Cell::Int(number)]).collect();
        assert_eq!(chunks(&keys, ServerKind::MariaDb).len(), 5);
        assert_eq!(chunks(&keys, ServerKind::MySql).len(), 1);
    }

    #[test]
    fn chunks_hold_every_key_and_no_other() {
        let mut keys = keys(13);
        keys.extend(keys.clone());
        let chunks = chunks(&keys, ServerKind::MySql);
        let seen: HashSet<&[Cell]> = chunks.iter().flatten().copied().collect();
        assert_eq!(chunks.len(), 1);
        assert_eq!(seen.len(), 13);
    }

    fn view(children: usize) -> ViewQuery {
        let select = KeyedSelect { head: String::new(), width: 1, tail: String::new() };
        ViewQuery {
            key_width: 1,
            main: select.clone(),
            children: vec![select; children],
            scan_first: String::new(),
            scan_next: String::new(),
            scan_next_parameters: vec![],
        }
    }

    #[test]
    fn children_stand_with_their_driving_row_in_order() {
        let view = view(2);
        let mut grouped = Grouped::new(&view);
        grouped.add_main(vec![vec![Cell::Int(1)], vec![Cell::Int(2)]]);
        let child = |key, value| vec![Cell::Int(key), Cell::Int(value)];
        grouped.add_children(1, vec![child(2, 20), child(1, 10), child(2, 21), child(3, 30)]);
        assert_eq!(grouped.rows[0].children, [vec![], vec![child(1, 10)]]);
        assert_eq!(grouped.rows[1].children, [vec![], vec![child(2, 20), child(2, 21)]]);
    }

    #[test]
    fn a_row_met_twice_stands_once() {
        let view = view(1);
        let mut grouped = Grouped::new(&view);
        for value in [1, 2] {
            grouped.add_main(vec![vec![Cell::Int(7), Cell::Int(value)]]);
            grouped.add_children(0, vec![vec![Cell::Int(7), Cell::Int(value)]]);
        }
        assert_eq!(grouped.rows.len(), 1);
        assert_eq!(grouped.rows[0].main[1], Cell::Int(2));
        assert_eq!(grouped.rows[0].children[0].len(), 1);
    }
}
