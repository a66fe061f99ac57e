//! One row of `information_schema.columns` to a `Column`, in MySQL's and in MariaDB's spelling.
//! Never here: types (see `data_type`).

use segue_rules::catalog::{Column, DataType, DefaultValue, ServerKind};
use segue_rules::value::{Cell, Row};

use super::data_type::{data_type, unquote};
use super::{text, word};

/// `json`: MariaDB checks this column with `json_valid`.
pub(super) fn column(row: &Row, server: ServerKind, json: bool) -> Column {
    let type_text = word(row, 2);
    let nullable = word(row, 3) == "YES";
    let extra = word(row, 5).to_ascii_lowercase();
    let declared = data_type(&type_text);
    let generated = ["virtual generated", "stored generated", "persistent generated"]
        .iter()
        .any(|kind| extra.contains(kind))
        || matches!(extra.as_str(), "virtual" | "persistent");
    let default = row.get(4).and_then(text);
    Column {
        name: word(row, 1),
        data_type: match declared {
            DataType::Text if json => DataType::Json,
            declared => declared,
        },
        type_text,
        nullable,
        default: if generated {
            DefaultValue::None
        } else {
            default_value(default, server, nullable, &extra)
        },
        auto_increment: extra.contains("auto_increment"),
        generated,
        on_update_now: extra.contains("on update"),
        invisible: extra.contains("invisible"),
        charset: row.get(6).and_then(known),
        collation: row.get(7).and_then(known),
    }
}

fn known(cell: &Cell) -> Option<String> {
    text(cell).filter(|name| !name.is_empty())
}

/// MySQL prints a literal bare and marks an expression in EXTRA (`DEFAULT_GENERATED`; before 8.0 only
/// CURRENT_TIMESTAMP could stand there). MariaDB (10.2.7 and later) prints what one would write: a quoted
/// literal, a number, `NULL`, or an expression.
fn default_value(
    default: Option<String>,
    server: ServerKind,
    nullable: bool,
    extra: &str,
) -> DefaultValue {
    let Some(default) = default else {
        let implied = nullable && server == ServerKind::MySql;
        return if implied { DefaultValue::Null } else { DefaultValue::None };
    };
    match server {
        ServerKind::MySql => {
            let now = default.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP");
            if extra.contains("default_generated") || now {
                DefaultValue::Expression(default)
            } else {
                DefaultValue::Literal(default)
            }
        }
        ServerKind::MariaDb => {
            if default == "NULL" {
                return DefaultValue::Null;
            }
            if let Some(literal) = unquote(&default) {
                return DefaultValue::Literal(literal);
            }
            let numeric = default.parse::<f64>().is_ok();
            if numeric || is_bit_literal(&default) {
                DefaultValue::Literal(default)
            } else {
                DefaultValue::Expression(default)
            }
        }
    }
}

fn is_bit_literal(text: &str) -> bool {
    text.strip_prefix("b'")
        .and_then(|rest| rest.strip_suffix('\''))
        .is_some_and(|bits| bits.chars().all(|bit| matches!(bit, '0' | '1')))
}

/// Whether a check clause is just ``json_valid(`column`)``.
pub(super) fn is_json_check(clause: &str, column: &str) -> bool {
    let clause = clause.trim();
    let inner = clause
        .get(.."json_valid(".len())
        .filter(|head| head.eq_ignore_ascii_case("json_valid("))
        .and_then(|head| clause[head.len()..].strip_suffix(')'));
    let quoted = format!("`{}`", column.replace('`', "``"));
    inner.is_some_and(|inner| inner.trim().eq_ignore_ascii_case(&quoted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DefaultValue::{Expression, Literal, Null};

    fn row(column_type: &str, nullable: &str, default: Option<&str>, extra: &str) -> Row {
        let word = |word: &str| Cell::Text(word.to_owned());
        let default = default.map_or(Cell::Null, |default| Cell::Bytes(default.into()));
        vec![
            word("t"),
            word("c"),
            word(column_type),
            word(nullable),
            default,
            word(extra),
            Cell::Null,
            Cell::Null,
        ]
    }

    fn default(server: ServerKind, default: Option<&str>, extra: &str) -> DefaultValue {
        column(&row("int", "YES", default, extra), server, false).default
    }

    #[test]
    fn mysql_prints_literals_bare() {
        let mysql = |text, extra| default(ServerKind::MySql, text, extra);
        assert_eq!(mysql(None, ""), Null);
        assert_eq!(mysql(Some("x'y"), ""), Literal("x'y".into()));
        assert_eq!(mysql(Some(""), ""), Literal(String::new()));
        assert_eq!(mysql(Some("NULL"), ""), Literal("NULL".into()));
        assert_eq!(mysql(Some("(1 + 1)"), "DEFAULT_GENERATED"), Expression("(1 + 1)".into()));
        assert_eq!(
            mysql(Some("CURRENT_TIMESTAMP(3)"), "on update CURRENT_TIMESTAMP(3)"),
            Expression("CURRENT_TIMESTAMP(3)".into())
        );
    }

    #[test]
    fn mariadb_prints_literals_as_written() {
        let maria = |text| default(ServerKind::MariaDb, text, "");
        assert_eq!(maria(None), DefaultValue::None);
        assert_eq!(maria(Some("NULL")), Null);
        assert_eq!(maria(Some("'x''y'")), Literal("x'y".into()));
        assert_eq!(maria(Some("''")), Literal(String::new()));
        assert_eq!(maria(Some("-3")), Literal("-3".into()));
        assert_eq!(maria(Some("b'101'")), Literal("b'101'".into()));
        assert_eq!(maria(Some("(1 + 1)")), Expression("(1 + 1)".into()));
        assert_eq!(maria(Some("current_timestamp()")), Expression("current_timestamp()".into()));
        assert_eq!(
            maria(Some("concat('a','b')")),
            Expression("concat('a','b')".into()),
            "starts and ends unlike a literal"
        );
        assert_eq!(maria(Some("'a' + 'b'")), Expression("'a' + 'b'".into()));
    }

    #[test]
    fn flags_come_from_extra() {
        let of = |extra: &str| column(&row("int", "NO", None, extra), ServerKind::MySql, false);
        assert!(of("auto_increment").auto_increment);
        let hidden_key = of("auto_increment INVISIBLE");
        assert!(hidden_key.auto_increment && hidden_key.invisible);
        assert!(of("VIRTUAL GENERATED").generated);
        assert!(of("STORED GENERATED").generated);
        assert!(!of("DEFAULT_GENERATED").generated);
        assert!(of("DEFAULT_GENERATED on update CURRENT_TIMESTAMP").on_update_now);
        assert!(!of("").invisible);
        assert_eq!(of("").default, DefaultValue::None);
    }

    #[test]
    fn mariadb_json_is_known_by_its_check() {
        assert!(is_json_check("json_valid(`doc`)", "doc"));
        assert!(is_json_check("JSON_VALID(`doc`)", "DOC"));
        assert!(!is_json_check("json_valid(`doc`)", "other"));
        assert!(!is_json_check("json_valid(`doc`) and `n` > 1", "doc"));
        let json = column(&row("longtext", "YES", None, ""), ServerKind::MariaDb, true);
        assert_eq!(json.data_type, DataType::Json);
    }
}
