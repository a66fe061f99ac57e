//! Statements made from a seed by the rules of `grammar.txt`, as text and prepared.
//! Never here: which statements there are (see the rules), or running them.

mod value;

use std::collections::{BTreeSet, HashMap};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_tests::recorder::{Parameter, Step};

const RULES: &str = include_str!("../../../fixtures/relay/grammar.txt");

/// Below this many nested rules only the productions that end soonest are taken.
const DEPTH_MAX: usize = 5;

/// Longer texts are made anew: expressions may grow without bound.
const LENGTH_MAX: usize = 4_000;

/// Parts statements that follow each other.
const THEN: &str = " ;; ";

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Prepared,
}

struct Production {
    weight: u32,
    parts: Vec<Part>,
    /// It reads columns of the table `e`.
    reads: bool,
    /// Rules that are nested in it at least.
    depth: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Rule(String),
    Value(String),
}

struct Rules {
    rules: HashMap<String, Vec<Production>>,
}

/// Makes statements.
pub struct Maker {
    rules: Rules,
    random: StdRng,
    form: Form,
    database: String,
    serial: u32,
    /// No table is there to read from.
    bare: bool,
    text: String,
    parameters: Vec<Parameter>,
}

/// A made statement; several of them may belong together.
#[derive(Clone, Debug)]
pub struct Made {
    pub sql: String,
    pub parameters: Vec<Parameter>,
}

impl Maker {
    pub fn new(seed: u64, form: Form, database: &str) -> Maker {
        Maker {
            rules: Rules::read(),
            random: StdRng::seed_from_u64(seed),
            form,
            database: database.to_owned(),
            serial: 1000,
            bare: false,
            text: String::new(),
            parameters: vec![],
        }
    }

    /// So many different statements, and some that come again.
    pub fn make(&mut self, count: usize) -> Vec<Made> {
        let (mut all, mut different) = (vec![], BTreeSet::new());
        while different.len() < count {
            let made = self.group();
            if made.iter().any(|m| m.sql.len() > LENGTH_MAX) {
                continue;
            }
            different.extend(made.iter().map(|m| (m.sql.clone(), format!("{:?}", m.parameters))));
            all.extend(made);
        }
        all
    }

    fn group(&mut self) -> Vec<Made> {
        self.serial += 1;
        self.text.clear();
        self.parameters.clear();
        self.bare = false;
        self.expand("statement", 0);
        let text = self.text.replace("@database@", &self.database);
        let mut parameters = std::mem::take(&mut self.parameters);
        let mut made = vec![];
        for sql in text.split(THEN) {
            let own = if self.form == Form::Prepared { sql.matches(MARK).count() } else { 0 };
            let rest = parameters.split_off(own.min(parameters.len()));
            made.push(Made { sql: sql.replace(MARK, "?"), parameters });
            parameters = rest;
        }
        made
    }

    fn expand(&mut self, name: &str, depth: usize) {
        self.bare |= name == "bare_select";
        let parts = self.rules.choose(name, depth, self.bare, &mut self.random);
        for part in parts {
            match part {
                Part::Text(text) => self.text.push_str(&text),
                Part::Rule(rule) => self.expand(&rule, depth + 1),
                Part::Value(kind) if kind == "serial" => {
                    self.text.push_str(&self.serial.to_string());
                }
                Part::Value(kind) => self.value(&kind, name),
            }
        }
    }

    fn value(&mut self, kind: &str, rule: &str) {
        let value = value::value(kind, &mut self.random);
        // Drawn for texts as well, so that both forms are the same statements.
        let bound = self.random.random_ratio(7, 10) && !LITERAL_ONLY.contains(&rule);
        if bound && self.form == Form::Prepared {
            self.text.push_str(MARK);
            self.parameters.push(value.parameter);
        } else {
            self.text.push_str(&value.literal);
        }
    }
}

/// Rules whose values are never parameters: MySQL 9.7 crashes on some functions of such parameters.
const LITERAL_ONLY: [&str; 2] = ["temporal", "document"];

/// Stands for a placeholder until the text is whole: literals may have question marks of their own.
const MARK: &str = "\u{1}";

impl Rules {
    fn read() -> Rules {
        let mut rules: HashMap<String, Vec<Production>> = HashMap::new();
        let lines = || RULES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split = |line: &'static str| line.split_once(" = ").expect("a rule has a sign");
        let name_of = |head: &'static str| head.split('*').next().unwrap();
        let names: BTreeSet<&str> = lines().map(|line| name_of(split(line).0)).collect();
        for line in lines() {
            let (head, text) = split(line);
            let weight = head.split_once('*').map_or(1, |(_, weight)| weight.parse().unwrap());
            let parts = parts(text, &names);
            let production = Production { weight, parts, reads: text.contains("e."), depth: 0 };
            rules.entry(name_of(head).to_owned()).or_default().push(production);
        }
        let mut all = Rules { rules };
        all.measure();
        all.follow_reads();
        all
    }

    /// Finds how deep each production goes at least.
    fn measure(&mut self) {
        let mut known: HashMap<String, usize> = HashMap::new();
        loop {
            let mut changed = false;
            for (name, productions) in &mut self.rules {
                for production in productions.iter_mut() {
                    let depths = production.parts.iter().map(|part| match part {
                        Part::Rule(rule) => known.get(rule).map(|depth| depth + 1),
                        _ => Some(0),
                    });
                    production.depth = depths
                        .collect::<Option<Vec<_>>>()
                        .map_or(usize::MAX, |depths| depths.into_iter().max().unwrap_or(0));
                }
                let least = productions.iter().map(|p| p.depth).min().unwrap();
                if least < usize::MAX && known.get(name) != Some(&least) {
                    known.insert(name.clone(), least);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// A production reads columns if one of its rules does in all of its productions.
    fn follow_reads(&mut self) {
        let reading = |rules: &HashMap<String, Vec<Production>>| -> BTreeSet<String> {
            let all = rules.iter().filter(|(_, productions)| productions.iter().all(|p| p.reads));
            all.map(|(name, _)| name.clone()).collect()
        };
        let names = reading(&self.rules);
        for production in self.rules.values_mut().flatten() {
            production.reads |= production
                .parts
                .iter()
                .any(|p| matches!(p, Part::Rule(rule) if names.contains(rule)));
        }
    }

    fn choose(&self, name: &str, depth: usize, bare: bool, random: &mut StdRng) -> Vec<Part> {
        let fits = |p: &&Production| !(bare && p.reads);
        let productions = || self.rules[name].iter().filter(fits);
        let least = productions().map(|p| p.depth).min().expect("a rule that needs no table");
        let productions: Vec<&Production> =
            productions().filter(|p| depth < DEPTH_MAX || p.depth == least).collect();
        let mut at = random.random_range(0..productions.iter().map(|p| p.weight).sum());
        for production in productions {
            if at < production.weight {
                return production.parts.clone();
            }
            at -= production.weight;
        }
        unreachable!("the weights add up")
    }
}

/// Takes a production apart: `<rule>` and `{value}` where such a rule or value is known.
fn parts(text: &str, names: &BTreeSet<&str>) -> Vec<Part> {
    let mut parts = vec![];
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inside = match first {
            '<' => rest[1..].split_once('>'),
            '{' => rest[1..].split_once('}'),
            _ => None,
        };
        let part = inside.and_then(|(name, after)| match first {
            '<' if names.contains(name) => Some((Part::Rule(name.to_owned()), after)),
            '{' if value::KINDS.contains(&name) => Some((Part::Value(name.to_owned()), after)),
            _ => None,
        });
        match part {
            Some((part, after)) => {
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(part);
                rest = after;
            }
            None => {
                plain.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    parts.push(Part::Text(plain));
    parts
}

/// The statements as commands: as texts, or prepared, executed (some by a cursor, some twice), closed.
pub fn steps(made: &[Made], form: Form) -> Vec<Step> {
    let mut steps = vec![];
    for (i, Made { sql, parameters }) in made.iter().enumerate() {
        if form == Form::Text {
            steps.push(Step::query(sql.as_str()));
            continue;
        }
        let execute = |cursor| Step::Execute { cursor, parameters: parameters.clone() };
        steps.push(Step::Prepare(sql.clone()));
        // MySQL 9.7 ends the rows of an execution without cursor, of a statement that had one before, by a
        // packet that looks like a row: no client finds that end.
        let cursor = i % 4 == 0 && sql.starts_with("SELECT");
        if cursor {
            steps.extend([execute(1), Step::Fetch(1), Step::Fetch(3), Step::Fetch(1000)]);
        } else {
            steps.push(execute(0));
        }
        if i % 3 == 0 {
            steps.extend([Step::ResetStatement, execute(u8::from(cursor))]);
        }
        steps.push(Step::CloseStatement);
    }
    steps
}
