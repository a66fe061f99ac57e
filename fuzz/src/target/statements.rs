//! Statements' texts: lexed, split, parsed, planned and bound under any mode, dialect and character set.
//! Never here: comparison with a server (see the system test of digests).

use segue_rules::catalog::{Catalog, ServerKind};
use segue_rules::plan::{BindSession, StatementPlan, plan, reading};
use segue_rules::sql::statement::{Assignment, Clauses, Conflict, InsertSource, Span, Statement};
use segue_rules::sql::{
    Digested, Reading, SlotSource, SlotValue, SqlMode, TokenKind, digest, parse, slot_values,
};

use crate::input::Input;
use crate::shop;

const CHARSETS: [&str; 8] =
    ["utf8mb4", "latin1", "gbk", "sjis", "utf8mb3", "big5", "binary", "no such set"];

/// `?` of a prepared statement get these by turns.
const PARAMETERS_MAX: usize = 8;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let bits = input.byte();
    let mode = SqlMode {
        ansi_quotes: bits & 1 != 0,
        no_backslash_escapes: bits & 2 != 0,
        no_auto_value_on_zero: bits & 4 != 0,
        pipes_as_concat: bits & 8 != 0,
    };
    let server = if bits & 16 != 0 { ServerKind::MariaDb } else { ServerKind::MySql };
    let charset = input.pick(&CHARSETS);
    let ruleset = shop::ruleset(server);
    let reading = reading(&ruleset.catalog, mode, charset);
    let parameters = parameters(&mut input, bits & 32 != 0);
    let schema = if bits & 64 != 0 { None } else { Some("shop") };
    let text = input.rest();

    let statements = digest(text, reading);
    check_split(text, &statements, reading);
    for digested in &statements {
        check_tokens(text, digested);
        check_spans(digested);
        let values = slot_values(digested, text, &parameters, charset);
        assert_eq!(values.len(), digested.slots.len());
        if digested.uncertain {
            assert!(matches!(parse(digested), Statement::Opaque(_)));
            continue;
        }
        check_literals_do_not_matter(text, digested, reading);
        if let StatementPlan::Write(write) = plan(ruleset, digested, schema, mode) {
            let session = BindSession {
                sql_mode: mode,
                charset,
                connection_charset: Some(charset),
                autocommit_statement: bits & 128 != 0,
            };
            let bound = write.bind(ruleset, &values, session);
            for preselect in &bound.preselects {
                check_preselect(&preselect.sql, reading);
                if let Some(sql) = &preselect.committed {
                    check_committed(sql, &ruleset.catalog);
                }
            }
        }
    }
}

fn parameters(input: &mut Input<'_>, any: bool) -> Vec<SlotValue> {
    if !any {
        return Vec::new();
    }
    let count = usize::from(input.byte()) % PARAMETERS_MAX;
    let parameter = |input: &mut Input<'_>| match input.byte() % 7 {
        0 => SlotValue::Null,
        1 => SlotValue::Int(input.long() as i64),
        2 => SlotValue::UInt(input.long()),
        3 => SlotValue::Double(f64::from_bits(input.long())),
        4 => SlotValue::Bytes(input.chunk().to_vec()),
        5 => SlotValue::Opaque,
        _ => SlotValue::Text(String::from_utf8_lossy(input.chunk()).into_owned()),
    };
    (0..count).map(|_| parameter(input)).collect()
}

/// Statements follow each other inside of the text, and each of them, sent alone, is the same statement.
fn check_split(text: &[u8], statements: &[Digested], reading: Reading<'_>) {
    let mut at = 0;
    for digested in statements {
        let range = digested.range.clone();
        assert!(range.start >= at && range.start <= range.end && range.end <= text.len());
        at = range.end;
        if digested.uncertain {
            continue;
        }
        let alone = digest(&text[range], reading);
        assert_eq!(alone.len(), 1, "a statement became {}", alone.len());
        assert!(!alone[0].uncertain, "uncertain where it stands alone: {}", digested.text);
        assert_eq!(alone[0].text, digested.text);
        assert_eq!(alone[0].hash, digested.hash);
        assert_eq!(alone[0].tokens, digested.tokens);
    }
}

fn check_tokens(text: &[u8], digested: &Digested) {
    let mut end = 0;
    let mut slots = 0;
    for token in &digested.tokens {
        let (from, to) = (token.start as usize, token.end as usize);
        assert!(from >= end && from <= to && to <= digested.text.len());
        assert!(digested.text.is_char_boundary(from) && digested.text.is_char_boundary(to));
        assert!(digested.text[end..from].chars().all(|c| c == ' '), "text between tokens");
        end = to;
        if let TokenKind::Slot { slot, hex } = token.kind {
            assert_eq!(slot.0, slots);
            assert_eq!(digested.token_text(token), if hex { "X?" } else { "?" });
            slots += 1;
        }
    }
    assert_eq!(end, digested.text.len());
    assert_eq!(slots, digested.slots.len());
    let (mut at, mut parameters) = (digested.range.start, 0);
    for source in &digested.slots {
        match source {
            SlotSource::Parameter(number) => {
                assert_eq!(*number, parameters);
                parameters += 1;
            }
            SlotSource::Literal(_, range) => {
                assert!(range.start >= at && range.start < range.end);
                assert!(range.end <= digested.range.end.min(text.len()));
                at = range.end;
            }
        }
    }
    // Nothing makes a digest much larger than its text: quotes double at worst, and a space is added.
    assert!(digested.text.len() <= 8 * digested.range.len() + 8, "a digest grows");
}

/// Equal but for their literals: the same digest.
fn check_literals_do_not_matter(text: &[u8], digested: &Digested, reading: Reading<'_>) {
    // After a dot a number that begins with a digit is a name.
    let begins_with_dot = |source: &SlotSource| match source {
        SlotSource::Literal(_, range) => text[range.start] == b'.',
        SlotSource::Parameter(_) => false,
    };
    // And behind two minuses white space makes a comment.
    let minuses = text.windows(2).any(|pair| pair == b"--");
    if minuses || digested.slots.iter().any(begins_with_dot) {
        return;
    }
    let mut other = Vec::new();
    let mut at = digested.range.start;
    for source in &digested.slots {
        let SlotSource::Literal(segue_rules::sql::LiteralKind::Number, range) = source else {
            continue;
        };
        other.extend_from_slice(&text[at..range.start]);
        other.extend_from_slice(b" 7 ");
        at = range.end;
    }
    other.extend_from_slice(&text[at..digested.range.end]);
    let again = digest(&other, reading);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].text, digested.text);
}

fn clauses(clauses: &Clauses) -> Vec<Span> {
    [&clauses.predicate, &clauses.order, &clauses.limit].into_iter().flatten().cloned().collect()
}

fn assigned(assignments: &[Assignment]) -> impl Iterator<Item = Span> {
    assignments.iter().map(|assignment| assignment.value.clone())
}

fn check_spans(digested: &Digested) {
    let mut spans: Vec<Span> = Vec::new();
    match parse(digested) {
        Statement::Insert(insert) => {
            match insert.source {
                InsertSource::Rows(rows) => spans.extend(rows.into_iter().flatten()),
                InsertSource::Select { projection, rest } => {
                    spans.extend(projection);
                    spans.push(rest);
                }
                InsertSource::Query => {}
            }
            if let Conflict::Update(assignments) = &insert.conflict {
                spans.extend(assigned(assignments));
            }
        }
        Statement::Update(update) => {
            spans.push(update.tables.span.clone());
            spans.extend(assigned(&update.assignments));
            spans.extend(clauses(&update.clauses));
        }
        Statement::Delete(delete) => {
            spans.push(delete.tables.span.clone());
            spans.extend(clauses(&delete.clauses));
        }
        _ => {}
    }
    for span in spans {
        assert!(span.start <= span.end && span.end <= digested.tokens.len(), "{span:?}");
    }
}

/// What Segue sends itself is one statement that selects, whatever the values are.
/// What the control account is to read is read as it was meant under its settings.
fn check_committed(sql: &str, catalog: &Catalog) {
    let digests = digest(sql.as_bytes(), reading(catalog, SqlMode::default(), "utf8mb4"));
    let [digested] = digests.as_slice() else { panic!("{} statements: {sql}", digests.len()) };
    assert!(!digested.uncertain && digested.first_word() == "SELECT", "{sql}");
}

fn check_preselect(sql: &str, reading: Reading<'_>) {
    let digests = digest(sql.as_bytes(), reading);
    let [digested] = digests.as_slice() else { panic!("{} statements: {sql}", digests.len()) };
    assert!(!digested.uncertain, "{sql}");
    assert!(digested.first_word().eq_ignore_ascii_case("SELECT"), "{sql}");
    let locks = ["FOR UPDATE", "LOCK IN SHARE MODE", "FOR SHARE"];
    assert!(locks.iter().any(|lock| digested.text.ends_with(lock)), "{sql}");
}
