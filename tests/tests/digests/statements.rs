//! The statements that are compared: the relay's file, the workload's, what is hard to read, and all of them
//! changed at random. Never here: comparing.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_tests::workload::transaction;

const FILE: &str = include_str!("../../fixtures/relay/statements.sql");

/// Transactions that the workload adds.
const WORKLOAD_COUNT: usize = 300;

/// Read wrongly, each of them would hide a statement or make one up.
pub const HARD: &[&str] = &[
    "SELECT 1--1",
    "SELECT 1 --1",
    "SELECT 1 -- 1",
    "SELECT 1 --\t1\n+ 2",
    "SELECT 1 # 2 '\n, 3",
    "SELECT 1 /* 2 */ , 3",
    "SELECT 1 /* ' */ , '*/'",
    "SELECT /*! 1 + */ 2",
    "SELECT /*!50000 1 + */ 2",
    "SELECT /*!50000 1 + */ /* 3 */ 2",
    "SELECT /*!99999 1 + */ 2",
    "SELECT /*!090700 1 + */ 2",
    "SELECT /*!999999 1 + */ 2",
    "SELECT /*!99999 /* 1 */ + */ 2",
    "SELECT /*!99999 '*/ 2",
    "SELECT /*M! 1 + */ 2",
    "SELECT /*M!50000 1 + */ 2",
    "SELECT /*!50000 1 /*! + 2 */",
    "SELECT /**/ 1",
    "SELECT /*/ 1 */ 2",
    "SELECT '/*', 1, '*/'",
    "SELECT 'a''b', \"c\"\"d\", 'e\"f', \"g'h\"",
    r"SELECT 'a\'b', 'c\\', 'd\\\'e', '\0\Z\%\_'",
    "SELECT 'a' 'b' \"c\"",
    "SELECT 'a' AS 'b', 1 AS \"c\"",
    "SELECT `a`, `b``c`, `d`.`e` FROM `f`.`g`",
    "SELECT a.1b, 2c, 3e, 4e5, 5e+6, 6e-7, 7.e8, .9, 1.5 FROM t",
    "SELECT t.1e5 FROM t",
    "SELECT 0x41, 0X41a, x'41', X'41', 0b1, b'1', B'0' FROM t",
    "SELECT 0xfg, 0b12 FROM t",
    "SELECT N'a', n'b', _utf8mb4'c', _latin1 'd', _binary /* e */ 'f', _utf8mb4 x'41', _no_set",
    "SELECT -1, - 1, +1, - - 1, 1-1, a-1, a - -1 FROM t",
    "SELECT NULL, a IS NULL, a IS NOT NULL, NOT NULL FROM t",
    "SELECT TRUE, FALSE, 1 = TRUE",
    "SELECT @a, @`a`, @'a', @\"a\", @a.b, @a'c', @@sql_mode, @@session.sql_mode, @@global.sql_mode",
    "SELECT @@`sql_mode`, @@session.`sql_mode`, @@sql_mode'x'",
    r"SELECT @'a\'b', 2, @a'\'; DELETE FROM t; -- '",
    "SELECT @a:=1, @b := 2",
    "SELECT a<=>b, a<>b, a!=b, a<b, a<=b, a>=b, a<<1, a>>1, a||b, a&&b, a|b, a&b, a^b, ~a, !a FROM t",
    "SELECT j->'$.a', j->>'$.b' FROM t",
    "SELECT now(), now( ), now (), count(*), count( * ) FROM t",
    "SELECT DATE '2024-01-01', TIME '10:00:00', TIMESTAMP '2024-01-01 10:00:00', {d '2024-01-01'}",
    "SELECT INTERVAL 1 DAY + a, a + INTERVAL '1 2' DAY_HOUR FROM t",
    "SELECT * FROM t WHERE a IN (1, 2, 3) AND b IN ('x') AND (c, d) IN ((1, 2), (3, 4))",
    "SELECT * FROM t LIMIT 1, 2",
    "SELECT * FROM t LIMIT 1 OFFSET 2;",
    "SELECT a FROM t PROCEDURE",
    "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', DEFAULT), (3, 'c', -1)",
    "INSERT INTO t (a, b) VALUES (?, ?), (1, ?)",
    "INSERT t SET a = 1, b = 'x' ON DUPLICATE KEY UPDATE a = a + 1",
    "REPLACE INTO t SELECT 1, 'x' FROM u",
    "UPDATE t SET a = 'it''s', b = \"\\\"\" WHERE c = 'x\\\\'",
    "DELETE FROM t WHERE a = '; DROP TABLE t; --'",
    "DELETE t, u FROM t JOIN u USING (a) WHERE t.b = 1",
    "SET @a = 1, sql_mode = 'ANSI_QUOTES', NAMES utf8mb4",
    "SET NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET @@session.autocommit = 0",
    "WITH c AS (SELECT 1) SELECT * FROM c",
    "CREATE TABLE t (a INT DEFAULT 1 COMMENT ';', b VARCHAR(10))",
    "CREATE PROCEDURE p() BEGIN DECLARE a INT; SET a = CASE 1 WHEN 1 THEN 2 END; END",
    "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW IF NEW.a = 1 THEN SET NEW.b = 2; END IF",
    "SELECT 'é', `é`, é FROM t",
    "SELECT \u{a0}1",
    "SELECT 1\u{0}",
    "\u{0b}SELECT\u{0c}1\r\n",
    "SELECT $a, a$b FROM t",
    "SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END FROM t",
    "CALL p(1, @a, 'x')",
    "LOAD DATA LOCAL INFILE 'a;b' INTO TABLE t FIELDS TERMINATED BY ';' ENCLOSED BY '\"'",
    "KILL QUERY 1",
    "SHOW TABLES LIKE 'a%'",
    "EXPLAIN SELECT 1",
];

/// Written into statements by [`changed`].
const SPLINTERS: &[&str] = &[
    "'",
    "\"",
    "`",
    "\\",
    "/*",
    "*/",
    "/*!",
    "/*!50000 ",
    "--",
    "-- ",
    "#",
    "\n",
    " ",
    ".",
    ",",
    "(",
    ")",
    ";",
    "@",
    "@@",
    "0x",
    "x'",
    "b'1'",
    "N'",
    "_latin1",
    "1",
    "1e5",
    "''",
    "''''",
    "NULL",
    "-",
    "+",
    "$",
    "{",
    "}",
    "\\'",
    "é",
];

/// Every statement, without the changed ones.
pub fn originals() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(1);
    let mut all: Vec<String> = FILE.lines().map(str::to_owned).collect();
    all.extend(HARD.iter().map(|&text| text.to_owned()));
    for _ in 0..WORKLOAD_COUNT {
        all.extend(transaction(&mut random).iter().map(|statement| statement.text()));
    }
    all
}

/// The statement with other literals, which has the same digest, or with splinters, which need not even be
/// a statement.
pub fn changed(random: &mut StdRng, text: &str) -> String {
    let mut out = text.to_owned();
    for _ in 0..random.random_range(1..3) {
        let places: Vec<usize> = out.char_indices().map(|(at, _)| at).collect();
        let Some(&at) = places.get(random.random_range(0..places.len().max(1))) else { break };
        match random.random_range(0..4) {
            0 => drop(out.remove(at)),
            1 => out = other_numbers(random, &out),
            _ => out.insert_str(at, SPLINTERS[random.random_range(0..SPLINTERS.len())]),
        }
    }
    out
}

/// Digits between delimiters become others.
fn other_numbers(random: &mut StdRng, text: &str) -> String {
    let parts = text.split_inclusive([' ', ',', '(', ')', '=']);
    let other = |part: &str| {
        let number = part.trim_end_matches([' ', ',', '(', ')', '=']);
        if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
            format!("{}{}", random.random_range(2..1_000_000), &part[number.len()..])
        } else {
            part.to_owned()
        }
    };
    parts.map(other).collect()
}
