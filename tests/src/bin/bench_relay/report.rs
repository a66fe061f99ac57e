//! Figures of all runs as a table, and the bars that they are held against.
//! Never here: running anything.

use std::collections::BTreeMap;

use super::load::{Figures, Workload};
use super::peers::{HAPROXY, OBSERVING, PLAIN, PROXYSQL, ROUTER, SEGUE};

/// Most processor time of a query, as a multiple of the plain relay's.
const CPU_RATIO_MAX: f64 = 1.15;
/// Most microseconds that observing statements may add to a query.
const OBSERVING_MICROS_MAX: f64 = 3.0;

/// One place of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub workload: Workload,
    pub clients: u32,
    pub peer: &'static str,
}

/// The runs of all cells, in the order of the first round.
#[derive(Default)]
pub struct Report {
    cells: Vec<Entry>,
}

/// One cell with its runs.
type Entry = (Cell, Vec<Figures>);

/// Least, middle and most.
struct Spread {
    least: f64,
    middle: f64,
    most: f64,
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    let (last, half) = (values.len().saturating_sub(1), values.len() / 2);
    let middle =
        if values.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 };
    Spread { least: at(0), middle, most: at(last) }
}

impl Report {
    pub fn add(&mut self, cell: Cell, figures: Figures) {
        match self.cells.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, runs)) => runs.push(figures),
            None => self.cells.push((cell, vec![figures])),
        }
    }

    fn runs(&self, workload: Workload, clients: u32, peer: &str) -> &[Figures] {
        let found = self.cells.iter().find(|(cell, _)| {
            cell.workload == workload && cell.clients == clients && cell.peer == peer
        });
        found.map_or(&[], |(_, runs)| runs)
    }

    /// Runs of two peers, pairwise of the same round.
    fn pairs(
        &self,
        (workload, clients): (Workload, u32),
        (one, other): (&str, &str),
        of: impl Fn(&Figures, &Figures) -> f64,
    ) -> Option<Spread> {
        let (ones, others) =
            (self.runs(workload, clients, one), self.runs(workload, clients, other));
        let values: Vec<f64> = ones.iter().zip(others).map(|(one, other)| of(one, other)).collect();
        (!values.is_empty()).then(|| spread(values))
    }

    pub fn print(&self) {
        let mut groups: BTreeMap<(usize, u32), Vec<&Entry>> = BTreeMap::new();
        for entry in &self.cells {
            let place = Workload::ALL.iter().position(|w| *w == entry.0.workload);
            groups.entry((place.unwrap_or_default(), entry.0.clients)).or_default().push(entry);
        }
        for group in groups.values_mut() {
            group.sort_by_key(|(cell, _)| cell.peer);
            let first = group[0].0;
            println!("\n{}, {} clients", first.workload.name(), first.clients);
            println!(
                "{:<18} {:>26} {:>24} {:>10} {:>10}",
                "", "queries/s min median max", "CPU us/query", "CPU ratio", "disturbed"
            );
            for (cell, runs) in group {
                self.line(*cell, runs);
            }
        }
        println!("\nCPU ratio: median over the rounds, against the plain relay in the same round");
        self.bars(groups.keys().copied());
    }

    fn line(&self, cell: Cell, runs: &[Figures]) {
        let queries = spread(runs.iter().map(|f| f.queries_per_second).collect());
        let cpu = spread(runs.iter().map(|f| f.cpu_micros).collect());
        let disturbed = runs.iter().filter(|f| f.disturbed).count();
        let place = (cell.workload, cell.clients);
        let ratio =
            self.pairs(place, (cell.peer, PLAIN), |one, plain| one.cpu_micros / plain.cpu_micros);
        let ratio = ratio.map_or(f64::NAN, |spread| spread.middle);
        println!(
            "{:<18} {:>8.0} {:>8.0} {:>8.0} {:>8.2} {:>7.2} {:>7.2} {ratio:>10.2} {disturbed:>7}/{}",
            cell.peer,
            queries.least,
            queries.middle,
            queries.most,
            cpu.least,
            cpu.middle,
            cpu.most,
            runs.len()
        );
    }

    /// The bars, cell by cell. A bar is met or missed by the median.
    fn bars(&self, places: impl Iterator<Item = (usize, u32)>) {
        println!("\nBars");
        let say = |met: bool, text: String| {
            println!("{} {text}", if met { "met   " } else { "MISSED" });
        };
        for (workload, clients) in places {
            let place = (Workload::ALL[workload], clients);
            let name = format!("{}, {clients} clients", place.0.name());
            let ratio = self.pairs(place, (SEGUE, PLAIN), |a, b| a.cpu_micros / b.cpu_micros);
            if let Some(ratio) = ratio {
                let most = CPU_RATIO_MAX;
                let middle = ratio.middle;
                say(
                    middle <= most,
                    format!("{name}: CPU {middle:.2} of the plain relay's <= {most}"),
                );
            }
            for other in [HAPROXY, ROUTER, PROXYSQL] {
                let ratio = self.pairs(place, (SEGUE, other), |a, b| {
                    a.queries_per_second / b.queries_per_second
                });
                if let Some(ratio) = ratio {
                    let middle = ratio.middle;
                    say(middle >= 1.0, format!("{name}: queries/s {middle:.2} of {other}'s >= 1"));
                }
            }
            let added = self.pairs(place, (OBSERVING, SEGUE), |a, b| a.cpu_micros - b.cpu_micros);
            if let Some(added) = added {
                let (most, middle) = (OBSERVING_MICROS_MAX, added.middle);
                say(middle <= most, format!("{name}: observing adds {middle:+.2} us <= {most}"));
            }
        }
    }
}
