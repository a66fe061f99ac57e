//! How far long work is: counters that the work raises and a display reads.
//! Never here: drawing (see `cli`).

use parking_lot::Mutex;

/// One stretch of the work, for example one entity's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// What is counted: `rows` or `items`.
    pub unit: &'static str,
    pub done: u64,
    /// About how many there are; `None`: not known.
    pub total: Option<u64>,
    pub finished: bool,
}

/// All parts, in the order of the work.
#[derive(Debug, Default)]
pub struct Progress {
    parts: Mutex<Vec<Part>>,
}

impl Progress {
    /// Adds a part; the number is its place.
    pub fn add(&self, name: String, unit: &'static str, total: Option<u64>) -> usize {
        let mut parts = self.parts.lock();
        parts.push(Part { name, unit, total, ..Part::default() });
        parts.len() - 1
    }

    pub fn advance(&self, part: usize, count: u64) {
        if let Some(part) = self.parts.lock().get_mut(part) {
            part.done += count;
        }
    }

    /// The part is done; however many there were, these were all.
    pub fn finish(&self, part: usize) {
        if let Some(part) = self.parts.lock().get_mut(part) {
            part.finished = true;
            part.total = Some(part.done);
        }
    }

    pub fn parts(&self) -> Vec<Part> {
        self.parts.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_part_is_as_long_as_it_was() {
        let progress = Progress::default();
        let part = progress.add("Orders".to_owned(), "rows", Some(10));
        progress.advance(part, 12);
        progress.finish(part);
        let parts = progress.parts();
        assert_eq!((parts[0].done, parts[0].total, parts[0].finished), (12, Some(12), true));
    }
}
