//! Character sets in which quotes and backslashes hide inside of characters, and the servers' version
//! comments: the servers tell how many values a SELECT has. Never here: digests of MySQL's.

use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use segue_rules::sql::{Dialect, Reading, SqlMode, digest};
use segue_tests::harness::{Kind, Server};
use segue_tests::on_each_server;

const CHARSETS: [&str; 9] =
    ["gbk", "sjis", "cp932", "big5", "ujis", "euckr", "gb2312", "utf8mb4", "latin1"];

/// Bytes of which strings are made: leads, trails that are quotes' neighbours, quotes, backslashes.
const BYTES: &[u8] = b"\x81\x95\xa1\xbf\xe0\xf9\xfc\xfe\x80\xff\x5c\x5c'\"`\x400a\x7e\x7f";

const STRINGS_EACH: usize = 150;

fn reading<'a>(server: &Server, charset: &'a str) -> Reading<'a> {
    let (dialect, version) = match server.kind() {
        Kind::Mysql97 => (Dialect::MySql, 90_700),
        Kind::MariaDb => (Dialect::MariaDb, 101_106),
    };
    Reading { sql_mode: SqlMode::default(), dialect, version, charset }
}

async fn agree_on_strings(server: &Server) {
    let mut random = StdRng::seed_from_u64(3);
    let mut connection = server.connect().await.unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut charsets = CHARSETS.to_vec();
    if server.kind() == Kind::Mysql97 {
        charsets.push("gb18030");
    }
    for charset in charsets {
        connection.query_drop(format!("SET NAMES {charset}")).await.unwrap();
        for _ in 0..STRINGS_EACH {
            let mut sql = b"SELECT '".to_vec();
            let length = random.random_range(1..9);
            sql.extend((0..length).map(|_| BYTES[random.random_range(0..BYTES.len())]));
            sql.extend_from_slice(b"', 'x', 2");
            // A text of any bytes: the driver wants UTF-8 only of `str`.
            let Ok(mut result) = connection.query_iter(sql.clone()).await else { continue };
            let columns = result.columns_ref().len();
            if result.for_each(drop).await.is_err() {
                continue;
            }
            drop(result);
            compared += 1;
            let ours = digest(&sql, reading(server, charset));
            let well = ours.len() == 1 && (ours[0].uncertain || ours[0].slots.len() == columns);
            if !well {
                let found: Vec<&str> = ours.iter().map(|d| d.text.as_str()).collect();
                wrong.push(format!(
                    "{charset}: {}: {columns} values, {found:?}",
                    sql.escape_ascii()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} differ\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 300, "only {compared} texts are statements");
}

on_each_server!(strings_end_where_the_server_ends_them, |server: &'static Server| async move {
    agree_on_strings(server).await;
});

/// Texts that give one number, by which part of them the server executes.
const COMMENTS: &[&str] = &[
    "SELECT 1 /*! + 10 */",
    "SELECT 1 /*!50000 + 10 */",
    "SELECT 1 /*!50699 + 10 */",
    "SELECT 1 /*!50700 + 10 */",
    "SELECT 1 /*!80000 + 10 */",
    "SELECT 1 /*!99999 + 10 */",
    "SELECT 1 /*!100000 + 10 */",
    "SELECT 1 /*!100100 + 10 */",
    "SELECT 1 /*!110000 + 10 */",
    "SELECT 1 /*!999999 + 10 */",
    "SELECT 1 /*M! + 10 */",
    "SELECT 1 /*M!50000 + 10 */",
    "SELECT 1 /*M!80000 + 10 */",
    "SELECT 1 /*M!100100 + 10 */",
    "SELECT 1 /*M!999999 + 10 */",
    "SELECT 1 /*!5000 + 10 */",
    "SELECT 1 /*!050000 + 10 */",
    "SELECT 1 /*!50000+ 10 */",
    "SELECT 1 /*!99999 /* x */ + 10 */",
    "SELECT 1 /*M!999999 /* x */ + 10 */",
    "SELECT 1 /*!50000 + 10 /*!50000 + 10 */",
    "SELECT 1 /* /* */ + 10",
    "SELECT 1 /*!99999 /* /* */ */ + 10",
    "SELECT 1 -- + 10",
    "SELECT 1 --\u{1} + 10",
    "SELECT 1 --\u{7f} + 10",
    "SELECT 11 --1",
    "SELECT 1 # + 10",
    "SELECT 1 /*/ + 10 */",
];

/// Whether the text with its comments taken out still has the `10`.
fn executes_ten(text: &str, reading: Reading<'_>) -> Option<bool> {
    let digests = digest(text.as_bytes(), reading);
    let [digested] = digests.as_slice() else { return None };
    (!digested.uncertain).then_some(digested.slots.len() > 1)
}

on_each_server!(
    comments_hide_what_the_server_does_not_execute,
    |server: &'static Server| async move {
        let mut connection = server.connect().await.unwrap();
        let mut wrong = Vec::new();
        for text in COMMENTS {
            let Ok(Some(value)) = connection.query_first::<i64, _>(*text).await else { continue };
            let Some(ours) = executes_ten(text, reading(server, "utf8mb4")) else { continue };
            if ours != (value > 10) {
                wrong.push(format!("{text:?} gives {value}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
);
