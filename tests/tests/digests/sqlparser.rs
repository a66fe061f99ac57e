//! Statements as `sqlparser` sees them: how many there are, their verbs, tables and literals.
//! Never here: statements that only servers can judge.

use segue_rules::sql::statement::{Statement, TableRefs};
use segue_rules::sql::{
    Dialect, Digested, Reading, SlotValue, SqlMode, digest, parse, slot_values,
};
use sqlparser::ast;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::statements;

const READING: Reading<'static> = Reading {
    sql_mode: SqlMode {
        ansi_quotes: false,
        no_backslash_escapes: false,
        no_auto_value_on_zero: false,
        pipes_as_concat: false,
    },
    dialect: Dialect::MySql,
    version: 90_700,
    charset: "utf8mb4",
};

/// What `sqlparser` reads in another way than MySQL, which decides:
/// code in version comments is a comment to it; `--` needs no space behind it; a number may end in letters;
/// `x'..'` with a string behind is two values; numbers such as `.9` after a name; introducers are names;
/// strings side by side are several; `\%` and `\_` lose their backslash; `UPDATE IGNORE t` has a table IGNORE.
fn is_read_otherwise(text: &str) -> bool {
    let upper = text.to_uppercase();
    upper.contains("/*!")
        || upper.contains("/*M!")
        || upper.contains("--")
        || upper.contains('_') && upper.contains(" _")
        || upper.contains("N'")
        || upper.contains("\\%")
        || upper.contains("' '")
        || upper.contains("' \"")
        || upper.contains('@')
        || upper.contains(".1")
        || upper.contains("0X")
        || upper.contains("0B")
        || upper.starts_with("UPDATE IGNORE")
}

/// Texts and numbers of a statement, in order.
fn their_literals(text: &str) -> Option<Vec<String>> {
    let tokens = Tokenizer::new(&MySqlDialect {}, text).tokenize().ok()?;
    let literal = |token: Token| match token {
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text),
        Token::Number(digits, _) if digits.contains(['e', 'E']) => double(&digits),
        Token::Number(digits, _) => Some(digits),
        _ => None,
    };
    Some(tokens.into_iter().filter_map(literal).collect())
}

/// A number with an exponent, in one spelling.
fn double(digits: &str) -> Option<String> {
    digits.parse().ok().map(|number: f64| number.to_string())
}

fn our_literals(digested: &Digested, text: &str) -> Vec<String> {
    let values = slot_values(digested, text.as_bytes(), &[], "utf8mb4");
    let literal = |value: SlotValue| match value {
        SlotValue::Int(number) => Some(number.to_string()),
        SlotValue::UInt(number) => Some(number.to_string()),
        SlotValue::Decimal(text) | SlotValue::Text(text) => Some(text),
        SlotValue::Double(number) => Some(number.to_string()),
        _ => None,
    };
    values.into_iter().filter_map(literal).collect()
}

/// Verb and tables of what changes rows.
fn their_tables(statement: &ast::Statement) -> Option<(&'static str, Vec<String>)> {
    let name = |name: &ast::ObjectName| name.to_string().replace('`', "");
    let factors = |tables: &[ast::TableWithJoins]| -> Vec<String> {
        let relations = tables.iter().flat_map(|table| {
            [&table.relation].into_iter().chain(table.joins.iter().map(|join| &join.relation))
        });
        relations
            .filter_map(|relation| match relation {
                ast::TableFactor::Table { name: table, .. } => Some(name(table)),
                _ => None,
            })
            .collect()
    };
    match statement {
        ast::Statement::Insert(insert) => match &insert.table {
            ast::TableObject::TableName(table) => Some(("insert", vec![name(table)])),
            _ => None,
        },
        ast::Statement::Update(update) => {
            Some(("update", factors(std::slice::from_ref(&update.table))))
        }
        ast::Statement::Delete(delete) => {
            let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) =
                &delete.from;
            let using = delete.using.as_deref().unwrap_or(from);
            Some(("delete", factors(using)))
        }
        _ => None,
    }
}

fn our_tables(statement: &Statement) -> Option<(&'static str, Vec<String>)> {
    let name = |schema: &Option<String>, name: &str| match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    };
    let all = |tables: &TableRefs| -> Vec<String> {
        tables.tables.iter().map(|table| name(&table.name.schema, &table.name.name)).collect()
    };
    match statement {
        Statement::Insert(insert) => {
            Some(("insert", vec![name(&insert.table.schema, &insert.table.name)]))
        }
        Statement::Update(update) => Some(("update", all(&update.tables))),
        Statement::Delete(delete) => Some(("delete", all(&delete.tables))),
        _ => None,
    }
}

fn texts() -> Vec<String> {
    let single = statements::originals();
    let pairs: Vec<String> =
        single.windows(2).map(|pair| format!("{} ;\n{}", pair[0], pair[1])).collect();
    single.into_iter().chain(pairs).collect()
}

#[test]
fn statements_are_as_many_as_sqlparser_finds() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for text in texts() {
        if is_read_otherwise(&text) {
            continue;
        }
        let Ok(theirs) = Parser::parse_sql(&MySqlDialect {}, &text) else { continue };
        compared += 1;
        let ours = digest(text.as_bytes(), READING);
        if ours.len() != theirs.len() {
            wrong.push(format!("{} not {}: {text}", ours.len(), theirs.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 500, "only {compared} texts were parsed");
}

#[test]
fn literals_and_tables_are_those_that_sqlparser_finds() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for text in statements::originals() {
        if is_read_otherwise(&text) {
            continue;
        }
        let (Ok(theirs), Some(literals)) =
            (Parser::parse_sql(&MySqlDialect {}, &text), their_literals(&text))
        else {
            continue;
        };
        let ours = digest(text.as_bytes(), READING);
        let ([theirs], [ours]) = (theirs.as_slice(), ours.as_slice()) else { continue };
        compared += 1;
        let found = our_literals(ours, &text);
        // SET keeps the values of some settings in its text.
        if found != literals && !ours.first_word().eq_ignore_ascii_case("SET") {
            wrong.push(format!("{text}\n  {found:?} not {literals:?}"));
        }
        let (found, expected) = (our_tables(&parse(ours)), their_tables(theirs));
        if let (Some(found), Some(expected)) = (found, expected)
            && found != expected
        {
            wrong.push(format!("{text}\n  {found:?} not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300, "only {compared} texts were parsed");
}
