//! A counterexample for people: what each party did, step by step, and how things stood at the end.
//! Never here: finding one.

use std::fmt::Write;

use segue_rules::refresh::Condition;

use crate::actions::Action;
use crate::scenario::{Change, Scenario};
use crate::store::holds;
use crate::transactions::read_row;
use crate::world::{At, Flight, Request, Row, World};

/// The numbered steps of a path, and the state that it ends in.
pub(crate) fn path(scenario: &Scenario, steps: &[(World, Option<Action>)]) -> String {
    let mut text = String::new();
    let mut number = 0;
    for pair in steps.windows(2) {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        number += 1;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number:>4}. {}", step(scenario, before, action, after));
    }
    if let Some((last, _)) = steps.last() {
        text.push_str(&standing(scenario, last));
    }
    text
}

fn step(scenario: &Scenario, before: &World, action: &Action, after: &World) -> String {
    match action {
        Action::Owe { .. }
        | Action::Commit { .. }
        | Action::JournalLate { .. }
        | Action::RollBack { .. }
        | Action::Unheard { .. }
        | Action::Resolve { .. } => transaction(scenario, before, action),
        Action::Read { .. }
        | Action::Decide { .. }
        | Action::Check { .. }
        | Action::Rest { .. } => refresh(scenario, before, action, after),
        Action::Arrive(_) | Action::Repeat(_) | Action::Lose(_) | Action::Vanish(_) => {
            request(scenario, before, action, after)
        }
        Action::Unpark { sidecar, row } => {
            format!("sidecar {sidecar}: tries parked row {row} again")
        }
        Action::Look { sidecar } => {
            format!("sidecar {sidecar}: looks whether what may still come has come")
        }
        Action::SweepStep { sidecar } => {
            let sweep = &before.sidecars[usize::from(*sidecar)].sweep;
            let at = sweep.as_ref().map_or(0, |sweep| sweep.at);
            let rows = scenario.rows.len() as u8;
            match at {
                at if at < rows => format!("sidecar {sidecar}: sweeps row {at}"),
                at if at < rows + scenario.keys() => {
                    format!("sidecar {sidecar}: sweeps item {}", at - rows)
                }
                _ => format!("sidecar {sidecar}: ends its sweep"),
            }
        }
        Action::Release { sidecar } => {
            format!("sidecar {sidecar}: no old request can arrive any more; its sweep may start")
        }
        Action::Crash { sidecar } => format!("sidecar {sidecar}: killed, and started again"),
    }
}

fn transaction(scenario: &Scenario, before: &World, action: &Action) -> String {
    let of = |number: &u8| before.transactions[usize::from(*number)].sidecar;
    match action {
        Action::Owe { sidecar, touch } => {
            let touch = scenario.touches[*touch];
            let number = before.transactions.len();
            let what = change(touch.row, touch.change);
            format!("sidecar {sidecar}: transaction {number} {what}; it is owed")
        }
        Action::Commit { transaction: t } => {
            format!("MySQL commits transaction {t} and answers sidecar {}", of(t))
        }
        Action::JournalLate { transaction: t } => {
            format!("sidecar {}: journals transaction {t}", of(t))
        }
        Action::RollBack { transaction: t } => {
            format!("MySQL rolls transaction {t} back and says so")
        }
        Action::Unheard { transaction: t } => {
            format!("sidecar {}: the connection of transaction {t} breaks at its commit", of(t))
        }
        Action::Resolve { transaction: t, commits: true } => {
            format!("MySQL commits transaction {t}, unheard")
        }
        Action::Resolve { transaction: t, commits: false } => {
            format!("MySQL rolls transaction {t} back, unheard")
        }
        _ => String::new(),
    }
}

fn refresh(scenario: &Scenario, before: &World, action: &Action, after: &World) -> String {
    match action {
        Action::Read { sidecar, row: number } => {
            let found = row(scenario, before, *number, read_row(scenario, before, *number));
            let next = next(after, *sidecar, *number);
            format!("sidecar {sidecar}: reads row {number}: {found}{next}")
        }
        Action::Decide { sidecar, row } => {
            format!("sidecar {sidecar}: decides on row {row}{}", next(after, *sidecar, *row))
        }
        Action::Check { sidecar, row } => {
            let run = before.sidecars[usize::from(*sidecar)].runs.get(row);
            let other = match run.map(|run| &run.at) {
                Some(At::Checking { row, .. }) => *row,
                _ => u8::MAX,
            };
            let next = next(after, *sidecar, *row);
            format!("sidecar {sidecar}: reads row {other}, whose item is in the way{next}")
        }
        Action::Rest { sidecar, row } => {
            let next = next(after, *sidecar, *row);
            format!("sidecar {sidecar}: looks whether a transaction may move row {row}{next}")
        }
        _ => String::new(),
    }
}

fn request(scenario: &Scenario, before: &World, action: &Action, after: &World) -> String {
    match action {
        Action::Arrive(request) => {
            let then = match request.awaited {
                true => next(after, request.from, request.row),
                false => " (given up long ago)".to_owned(),
            };
            format!("{} arrives: {}{then}", flight(request), outcome(scenario, before, request))
        }
        Action::Repeat(request) => {
            let outcome = outcome(scenario, before, request);
            format!("{} is carried out: {outcome}; it will be once more", flight(request))
        }
        Action::Lose(request) => format!("{} is given up; it may still arrive", flight(request)),
        Action::Vanish(request) => format!("{} is lost for good", flight(request)),
        _ => String::new(),
    }
}

fn change(row: u8, change: Change) -> String {
    match change {
        Change::Put { at, value: Some(value) } => {
            format!("writes row {row} (column {at}, value {value})")
        }
        Change::Put { at, value: None } => format!("writes row {row} (column {at})"),
        Change::Delete => format!("deletes row {row}"),
        Change::Parent { at } => format!("writes the parent of row {row} (column {at})"),
    }
}

fn row(scenario: &Scenario, world: &World, number: u8, row: Option<Row>) -> String {
    match row {
        None => "gone".to_owned(),
        Some(Row { at, value, .. }) => {
            format!("value {value}, item key {}", scenario.home(number, at, world.parent))
        }
    }
}

fn flight(flight: &Flight) -> String {
    let (from, row, key) = (flight.from, flight.row, flight.key);
    let condition = match flight.request.expect() {
        Condition::Absent => "if absent".to_owned(),
        Condition::Tag(tag) => format!("if {tag}"),
        Condition::Untagged => "if untagged".to_owned(),
    };
    match &flight.request {
        Request::Put { item, .. } => format!(
            "sidecar {from}'s put of row {row}, value {} as {} at item {key} {condition}",
            item.value, item.tag
        ),
        Request::Delete { .. } => format!("sidecar {from}'s delete of item {key} {condition}"),
    }
}

fn outcome(scenario: &Scenario, before: &World, flight: &Flight) -> String {
    let holds = holds(scenario, before, flight);
    let standing =
        before.items.get(&flight.key).map(|item| format!("{} of row {}", item.tag, item.row));
    match (holds, standing) {
        (true, _) => "done".to_owned(),
        (false, Some(standing)) => format!("refused, {standing} stands there"),
        (false, None) => "refused, nothing is there".to_owned(),
    }
}

/// What a refresh is about to do.
fn next(world: &World, sidecar: u8, row: u8) -> String {
    let flight = world.flights.iter().find(|f| f.awaited && f.from == sidecar && f.row == row);
    let run = world.sidecars[usize::from(sidecar)].runs.get(&row);
    match (run.map(|run| &run.at), flight) {
        (Some(At::Flying), Some(Flight { request: Request::Put { .. }, key, .. })) => {
            format!("; sends a put of item {key}")
        }
        (Some(At::Flying), Some(Flight { key, .. })) => format!("; sends a delete of item {key}"),
        (Some(At::Resting), _) => "; will look whether the row may move".to_owned(),
        (Some(At::Reading), _) => "; will read the row again".to_owned(),
        (Some(At::Checking { row, .. }), _) => format!("; will look at row {row}"),
        (Some(At::Deciding { .. } | At::Flying), _) => String::new(),
        (None, _) => "; the refresh ends".to_owned(),
    }
}

fn standing(scenario: &Scenario, world: &World) -> String {
    let mut text = String::from("      at the end:\n");
    for (number, found) in (0..).zip(&world.rows) {
        let _ = writeln!(text, "        row {number}: {}", row(scenario, world, number, *found));
    }
    for (key, item) in &world.items {
        let _ = writeln!(
            text,
            "        item {key}: value {} of row {}, {}",
            item.value, item.row, item.tag
        );
    }
    for (number, sidecar) in world.sidecars.iter().enumerate() {
        let rows: Vec<String> = sidecar
            .journal
            .values()
            .map(|debt| if debt.sweep { "a sweep".to_owned() } else { format!("row {}", debt.row) })
            .collect();
        let owed = if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") };
        let _ = writeln!(text, "        sidecar {number}'s journal: {owed}");
    }
    text
}
