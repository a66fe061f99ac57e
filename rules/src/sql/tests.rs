//! The lexer and the parser on what statements look like in the wild, and on noise.
//! Never here: catalogs.

use proptest::prelude::*;

use super::statement::{Cause, Setting, Statement};
use super::{Dialect, Digested, Reading, SlotValue, SqlMode, digest, parse, slot_values};

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

fn one(sql: &str, reading: Reading<'_>) -> Digested {
    let mut digests = digest(sql.as_bytes(), reading);
    assert_eq!(digests.len(), 1, "{sql}");
    digests.remove(0)
}

fn check(sql: &str, text: &str, values: &[SlotValue]) {
    let digested = one(sql, READING);
    assert_eq!(digested.text, text, "{sql}");
    assert_eq!(slot_values(&digested, sql.as_bytes(), &[], "utf8mb4"), values, "{sql}");
}

fn text(text: &str) -> SlotValue {
    SlotValue::Text(text.into())
}

#[test]
fn literals_become_slots() {
    check(
        "SELECT 1, -2, 3.50, 4e2, .5",
        "SELECT ? , - ? , ? , ? , ?",
        &[
            SlotValue::Int(1),
            SlotValue::Int(2),
            SlotValue::Decimal("3.50".into()),
            SlotValue::Double(400.0),
            SlotValue::Decimal(".5".into()),
        ],
    );
    check(
        "SELECT 18446744073709551615, 99999999999999999999",
        "SELECT ? , ?",
        &[SlotValue::UInt(u64::MAX), SlotValue::Decimal("99999999999999999999".into())],
    );
    check(
        r#"SELECT 'a''b', "c\"d", 'e\nf\%' 'g'"#,
        "SELECT ? , ? , ?",
        &[text("a'b"), text("c\"d"), text("e\nf\\%g")],
    );
    check(
        "SELECT X'4aF', 0x41, b'101', 0b1111111100",
        "SELECT X? , X? , X? , X?",
        &[
            SlotValue::Bytes(vec![0x04, 0xaf]),
            SlotValue::Bytes(vec![0x41]),
            SlotValue::Bytes(vec![5]),
            SlotValue::Bytes(vec![3, 0xfc]),
        ],
    );
    check(
        "SELECT _utf8mb4 'é', N'x', _binary'\u{1}', _latin1'abc', _latin1'é', _nope",
        "SELECT ? , ? , _binary ? , ? , ? , _nope",
        &[text("é"), text("x"), SlotValue::Bytes(vec![1]), text("abc"), SlotValue::Opaque],
    );
}

#[test]
fn words_that_look_like_numbers_are_names() {
    check(
        "SELECT t.1a, 2fa, `x``y`, a.b FROM 0xy",
        "SELECT t.1a , 2fa , `x``y` , a.b FROM 0xy",
        &[],
    );
    check("SELECT t1.5", "SELECT t1.5", &[]);
}

#[test]
fn comments_vanish_and_code_in_them_stays() {
    check("SELECT/*x*/1 -- y\n+ 2 # z", "SELECT ? + ?", &[SlotValue::Int(1), SlotValue::Int(2)]);
    check("SELECT 1--1", "SELECT ? - - ?", &[SlotValue::Int(1), SlotValue::Int(1)]);
    check(
        "INSERT /*!50100 IGNORE */ INTO t /*!99999 NEVER */ SELECT /*+ HINT */ a",
        "INSERT IGNORE INTO t SELECT a",
        &[],
    );
    let maria = Reading { dialect: Dialect::MariaDb, version: 101_106, ..READING };
    assert_eq!(one("SELECT /*M! a */ /*!80000 b */ /*!50100 c */ d", maria).text, "SELECT a c d");
    assert_eq!(one("SELECT /*M! a */ d", READING).text, "SELECT d");
}

#[test]
fn white_space_before_a_parenthesis_is_kept_as_it_was() {
    check("SELECT NOW( ), f (1)", "SELECT NOW( ) , f ( ? )", &[SlotValue::Int(1)]);
}

#[test]
fn sql_mode_decides_about_quotes_and_backslashes() {
    let ansi = Reading { sql_mode: SqlMode { ansi_quotes: true, ..SqlMode::default() }, ..READING };
    assert_eq!(one("SELECT \"a\"\"b\"", ansi).text, "SELECT `a\"b`");
    let plain = SqlMode { no_backslash_escapes: true, ..SqlMode::default() };
    let sql = r"SELECT 'a\', 'b'";
    let digested = one(sql, Reading { sql_mode: plain, ..READING });
    assert_eq!(slot_values(&digested, sql.as_bytes(), &[], "utf8mb4"), [text("a\\"), text("b")]);
}

#[test]
fn parameters_and_literals_count_together() {
    let sql = "UPDATE t SET a = ?, b = 'x' WHERE c = ?";
    let digested = one(sql, READING);
    let values =
        slot_values(&digested, sql.as_bytes(), &[SlotValue::Int(1), SlotValue::Null], "utf8mb4");
    assert_eq!(values, [SlotValue::Int(1), text("x"), SlotValue::Null]);
}

#[test]
fn statements_are_split_outside_routine_bodies() {
    let count = |sql: &str| digest(sql.as_bytes(), READING).len();
    assert_eq!(count("SELECT 1; SELECT ';';;"), 2);
    assert_eq!(count(""), 0);
    assert_eq!(
        count("CREATE PROCEDURE p() BEGIN IF a THEN DELETE FROM t; END IF; END; DELETE FROM t"),
        2
    );
    assert_eq!(
        count(
            "CREATE DEFINER=a@b TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN SET @a = CASE WHEN 1 THEN 2 END; END"
        ),
        1
    );
    assert_eq!(
        count("CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t; SELECT 1"),
        2
    );
    assert_eq!(count("BEGIN; DELETE FROM t; COMMIT"), 3);
    let open = digest(b"CREATE PROCEDURE p() BEGIN DELETE FROM t; DELETE FROM u", READING);
    assert!(open.iter().all(|d| d.uncertain));
}

#[test]
fn what_cannot_be_read_with_certainty_says_so() {
    assert!(one("SELECT 'open", READING).uncertain);
    assert!(one("SELECT /* open", READING).uncertain);
    let bytes = digest(b"SELECT `\xff`", READING);
    assert!(bytes[0].uncertain);
    let literal = digest(b"SELECT '\xff'", READING);
    assert!(!literal[0].uncertain);
    assert_eq!(slot_values(&literal[0], b"SELECT '\xff'", &[], "utf8mb4"), [SlotValue::Opaque]);
    assert_eq!(slot_values(&literal[0], b"SELECT '\xff'", &[], "latin1"), [text("ÿ")]);
    assert!(
        digest(b"SELECT `a` AS \xc3\xa9", Reading { charset: "latin1", ..READING })[0].uncertain
    );
    assert!(
        one("CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ 1 $$", READING).uncertain
    );
}

#[test]
fn quotes_and_backslashes_hide_in_characters() {
    let check = |charset: &str, sql: &[u8], expected: &str| {
        let digests = digest(sql, Reading { charset, ..READING });
        let texts: Vec<&str> = digests.iter().map(|d| d.text.as_str()).collect();
        assert_eq!(texts, [expected], "{charset}");
        assert!(!digests[0].uncertain, "{charset}");
        let values = slot_values(&digests[0], sql, &[], charset);
        assert_eq!(values[0], SlotValue::Opaque, "{charset}");
    };
    for charset in ["sjis", "cp932", "gbk", "gb18030"] {
        check(charset, b"SELECT '\x95\x5c', 2", "SELECT ? , ?");
        check(charset, b"SELECT '\\\x95\x5c', '2'", "SELECT ? , ?");
    }
    check("big5", b"SELECT '\xa5\x5c', '; DELETE FROM t'", "SELECT ? , ?");
    check("gb18030", b"SELECT '\x81\x30\x81\x30', 1", "SELECT ? , ?");
    // Where they do not hide, a backslash escapes.
    check("latin1x", b"SELECT '\x95\x5c', 2', 3", "SELECT ? , ?");
    let name = digest(b"SELECT `\x95\x5c`", Reading { charset: "sjis", ..READING });
    assert!(name[0].uncertain, "names are compared as UTF-8");
}

#[test]
fn a_statement_begins_outside_of_comments() {
    let texts = |sql: &str| -> Vec<String> {
        digest(sql.as_bytes(), READING).into_iter().map(|d| d.text).collect()
    };
    assert_eq!(texts("/*! SELECT 1; SELECT 2 */"), ["SELECT ?", "SELECT ? * /"]);
    assert_eq!(texts("SELECT /*! 1 /*! , 2 */ , 3"), ["SELECT ? , ? , ?"]);
    for sql in ["SELECT 1 --; SELECT 2", "/*! SELECT 1; SELECT 2 */"] {
        assert!(digest(sql.as_bytes(), READING)[0].uncertain, "alone it would be another: {sql}");
    }
}

#[test]
fn skipped_code_holds_one_level_of_comments() {
    check("SELECT /*!99999 a /* b /* c */ d */ 1 /* e /* f */", "SELECT ?", &[SlotValue::Int(1)]);
    let maria = Reading { dialect: Dialect::MariaDb, version: 101_106, ..READING };
    assert_eq!(one("SELECT /*M!99999 a */ b /*M!999999 /* c */ d */", maria).text, "SELECT a b");
}

#[test]
fn variables_end_where_the_server_ends_them() {
    check(
        "SELECT @a'b', @`c d`, @'e\\'f', @g.h",
        "SELECT @a ? , @`c d` , @'e\\'f' , @g.h",
        &[text("b")],
    );
    check(
        "SELECT @@sql_mode'x', @@session.`sql_mode`",
        "SELECT @@sql_mode ? , @@session.`sql_mode`",
        &[text("x")],
    );
    assert_eq!(digest(b"SELECT @a'\\'; DELETE FROM t; -- '", READING).len(), 1);
}

#[test]
fn a_hint_that_sets_variables_is_part_of_the_statement() {
    check("SELECT /*+ MAX_EXECUTION_TIME(9) */ a", "SELECT a", &[]);
    check("SELECT /*+ SET_VAR(sql_mode = 'x') */ a", "SELECT /*+ SET_VAR */ a", &[]);
    for sql in [
        "INSERT /*+ SET_VAR(sql_mode = 'NO_AUTO_VALUE_ON_ZERO') */ INTO t VALUES (0)",
        "INSERT /*+ set_var(auto_increment_increment=9) */ t VALUES (0), (0)",
        "REPLACE /*+ SET_VAR(a=1) */ t VALUES (0)",
        "UPDATE /*+ SET_VAR(a=1) */ t SET a = 1",
        "DELETE /*+ SET_VAR(a=1) */ FROM t",
        "INSERT INTO t SELECT /*+ SET_VAR(a=1) */ a FROM u",
    ] {
        let parsed = parse(&one(sql, READING));
        assert!(matches!(parsed, Statement::Opaque(Cause::Clause(_))), "{sql}: {parsed:?}");
    }
}

#[test]
fn only_settings_that_matter_keep_their_literals() {
    assert_eq!(
        one("SET sql_mode='A', @x='secret', NAMES 'utf8'", READING).text,
        "SET sql_mode = 'A' , @x = ? , NAMES 'utf8'"
    );
}

#[test]
fn settings_are_seen_in_every_spelling() {
    for sql in [
        "SET sql_mode = 'ANSI'",
        "SET SESSION sql_mode := 'ANSI'",
        "SET @a = 1, @@local.`sql_mode` = 'ANSI'",
        "SET @@session . sql_mode = 'ANSI'",
        "SET @@SESSION /* x */ . /* y */ SQL_MODE = 'ANSI'",
    ] {
        let parsed = parse(&one(sql, READING));
        assert_eq!(parsed, Statement::Set(vec![Setting::SqlMode("ansi".into())]), "{sql}");
    }
    for sql in ["SET auto_increment_increment = 7", "SET @@session . collation_connection = 'x'"] {
        assert_eq!(parse(&one(sql, READING)), Statement::Set(vec![Setting::Unknown]), "{sql}");
    }
}

#[test]
fn broken_writes_are_refused() {
    for sql in [
        "UPDATE t SET",
        "UPDATE SET a = 1",
        "DELETE FROM",
        "DELETE FROM a, b WHERE 1",
        "INSERT INTO t (a VALUES (1)",
        "INSERT INTO t VALUES (1) garbage",
        "UPDATE t SET a = 1 WHERE (b",
        "UPDATE t, LATERAL (SELECT 1) x SET a = 1",
    ] {
        let parsed = parse(&one(sql, READING));
        assert!(matches!(parsed, Statement::Opaque(Cause::Clause(_))), "{sql}: {parsed:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_lexed_and_parsed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for digested in digest(&bytes, READING) {
            let _ = slot_values(&digested, &bytes, &[], "latin1");
            let _ = parse(&digested);
        }
    }

    #[test]
    fn any_words_are_parsed(words in proptest::collection::vec(prop_oneof![
        Just("INSERT"), Just("UPDATE"), Just("DELETE"), Just("INTO"), Just("SET"), Just("FROM"),
        Just("WHERE"), Just("("), Just(")"), Just(","), Just("t"), Just("."), Just("*"), Just("="),
        Just("1"), Just("'x"), Just("'"), Just("/*!"), Just("*/"), Just("JOIN"), Just("ON"),
        Just("DUPLICATE KEY UPDATE"), Just("VALUES"), Just("SELECT"), Just("USING"), Just("ORDER BY"),
        Just("LIMIT"), Just("WITH"), Just("AS"), Just("autocommit"), Just("@a"), Just(":="), Just(";"),
        Just("BEGIN"), Just("END"), Just("CREATE PROCEDURE"), Just("NAMES"), Just("--"), Just("\\"),
    ], 0..24)) {
        let sql = words.join(" ");
        for digested in digest(sql.as_bytes(), READING) {
            let _ = slot_values(&digested, sql.as_bytes(), &[], "utf8mb4");
            let _ = parse(&digested);
        }
    }

    #[test]
    fn digests_do_not_depend_on_literals(a in "[^\\\\]{0,20}", b in "\\PC{0,20}", n in any::<u32>(), m in any::<u32>()) {
        let sql = |value: &str, number: u32| {
            format!("SELECT * FROM t WHERE a = '{}' AND b = {number}", value.replace('\\', "\\\\").replace('\'', "''"))
        };
        let (left, right) = (sql(&a, n), sql(&b, m));
        let (x, y) = (one(&left, READING), one(&right, READING));
        prop_assert_eq!(&x.text, &y.text);
        prop_assert_eq!(x.hash, y.hash);
        let values = slot_values(&y, right.as_bytes(), &[], "utf8mb4");
        prop_assert_eq!(values, [SlotValue::Text(b), SlotValue::Int(i64::from(m))]);
    }

    #[test]
    fn rendered_text_is_read_back(value in "\\PC{0,20}[\\\\'\"\n]{0,3}", escapes in any::<bool>()) {
        let mode = SqlMode { no_backslash_escapes: escapes, ..SqlMode::default() };
        let mut sql = String::from("SELECT ");
        prop_assert!(super::render_slot(&SlotValue::Text(value.clone()), false, mode, "utf8mb4", &mut sql));
        let digested = one(&sql, Reading { sql_mode: mode, ..READING });
        prop_assert_eq!(slot_values(&digested, sql.as_bytes(), &[], "utf8mb4"), [SlotValue::Text(value)]);
    }
}
