//! The commands whose answers are compared: every line of the statement file as text and prepared, then
//! what only the binary protocol and large packets can show.
//! Never here: running them.

use segue_tests::recorder::{Parameter, Step};

const STATEMENTS: &str = include_str!("../../fixtures/relay/statements.sql");

/// More than one frame holds.
const LARGE_BYTES: usize = 17_000_000;

fn lines(database: &str) -> Vec<String> {
    STATEMENTS.lines().map(|line| line.replace("@database@", database)).collect()
}

/// Every statement as a COM_QUERY.
pub fn texts(database: &str) -> Vec<Step> {
    lines(database).into_iter().map(Step::query).collect()
}

/// Every statement prepared, executed twice, closed.
pub fn prepared(database: &str) -> Vec<Step> {
    let execute = || Step::Execute { cursor: 0, parameters: vec![] };
    let each = |sql: String| [Step::Prepare(sql), execute(), execute(), Step::CloseStatement];
    lines(database).into_iter().flat_map(each).collect()
}

/// Parameters, cursors, long data, and commands other than statements.
// tidy: long because it is a list.
pub fn binary(database: &str) -> Vec<Step> {
    let text = |text: &str| Parameter::Text(text.to_owned());
    let execute = |parameters| Step::Execute { cursor: 0, parameters };
    let moment = Parameter::DateTime(2024, [2, 29, 12, 34, 56], 789_000);
    let user =
        |name: &str| execute(vec![text(name), text(&format!("{name}@y.org")), Parameter::Null]);
    let mut steps = vec![
        Step::query("SET TIMESTAMP = 1700000000"),
        Step::Prepare("INSERT INTO users (username, email, password_hash, first_name) VALUES (?, ?, 'h', ?)".into()),
        user("una"),
        user("ulf"),
        user("una"),
        Step::ResetStatement,
        user("uwe"),
        Step::CloseStatement,
        user("closed"),
        Step::Prepare("UPDATE users SET first_name = ?, updated_at = ? WHERE username = ?".into()),
        execute(vec![text("Una"), moment.clone(), text("una")]),
        execute(vec![Parameter::Int(7), Parameter::Null, text("ulf")]),
        Step::LongData(0, b"in ".to_vec()),
        Step::LongData(0, b"pieces".to_vec()),
        execute(vec![Parameter::Long, moment.clone(), text("uwe")]),
        Step::LongData(0, vec![b'x'; 300]),
        execute(vec![Parameter::Long, moment, text("uwe")]),
        Step::LongData(0, b"dropped".to_vec()),
        Step::ResetStatement,
        execute(vec![text("Kept"), Parameter::Null, text("nobody")]),
        Step::CloseStatement,
        Step::query("SELECT id, username, first_name FROM users ORDER BY id"),
        Step::Prepare("INSERT INTO every_type (tiny, big, wide, words, long_bytes, moment, choice) VALUES (?, ?, ?, ?, ?, ?, ?)".into()),
        execute(vec![
            Parameter::Int(-7),
            Parameter::Unsigned(u64::MAX),
            Parameter::Double(0.1),
            text("ü€😀"),
            Parameter::Blob((0..=255).cycle().take(70_000).collect()),
            Parameter::DateTime(1000, [1, 1, 0, 0, 0], 1),
            Parameter::Int(2),
        ]),
        execute(vec![
            Parameter::Null,
            Parameter::Null,
            Parameter::Double(-1e300),
            text(""),
            Parameter::Blob(vec![]),
            Parameter::Null,
            text("b"),
        ]),
        execute(vec![Parameter::Null; 7]),
        Step::CloseStatement,
        Step::Prepare("SELECT * FROM every_type WHERE id > ? ORDER BY id".into()),
        execute(vec![Parameter::Int(0)]),
        Step::Execute { cursor: 1, parameters: vec![Parameter::Int(0)] },
        Step::Fetch(1),
        Step::Fetch(1),
        Step::Fetch(100),
        Step::CloseStatement,
        Step::Prepare("CALL give_back(?, ?)".into()),
        execute(vec![Parameter::Int(4), Parameter::Null]),
        Step::Prepare("SELECT ? + 1, ?".into()),
        execute(vec![Parameter::Int(4)]),
        execute(vec![Parameter::Int(4), text("x")]),
    ];
    steps.extend(commands(database));
    steps.extend(questions());
    steps.extend((0..20).map(|i| Step::query(format!("SELECT REPEAT('x', {})", 250 + i))));
    // MariaDB closes the connection of a client that sends one.
    steps.push(Step::Unknown(vec![0x7f, 1, 2]));
    steps
}

/// Commands other than statements, and files that the client sends.
fn commands(database: &str) -> Vec<Step> {
    vec![
        Step::Ping,
        Step::FieldList("users".into()),
        Step::FieldList("no_such_table".into()),
        Step::InitDb("mysql".into()),
        Step::query("SELECT DATABASE()"),
        Step::InitDb("no_such_database".into()),
        Step::InitDb(database.into()),
        Step::SetOption(1),
        Step::query("SELECT 1; SELECT 2"),
        Step::query("INSERT INTO categories (id, name) VALUES (700, 'No'); SELECT 2"),
        Step::query("DELETE FROM users WHERE username = 'una'; DELETE FROM users"),
        Step::query("SELECT 2;"),
        Step::ResetConnection,
        Step::query("INSERT INTO categories (id, name) VALUES (701, 'No'); SELECT 2"),
        Step::SetOption(0),
        Step::query("SELECT id FROM categories WHERE id >= 700; SELECT COUNT(*) FROM users"),
        Step::query("SELECT 1; SELECT 2"),
        file("scratch", b"201\ta\t1\n202\tb\t2\n"),
        file("scratch", b"201\ta\t1\n203\tb\twrong\n"),
        Step::query("SHOW WARNINGS"),
        file("scratch", b""),
        file("no_such_table", b"1\n"),
        file("scratch", &many_rows()),
        Step::query("SELECT COUNT(*), SUM(id) FROM scratch"),
        file("categories", b"801\tLoaded\t\\N\t2024-01-01 00:00:00\n"),
        Step::query("SET @left = 1"),
        Step::query("BEGIN"),
        Step::query("UPDATE users SET first_name = 'Left' WHERE username = 'una'"),
        Step::ResetConnection,
        Step::query("SELECT @left, first_name FROM users WHERE username = 'una'"),
    ]
}

/// Questions about the statement before, where the session's settings may just have changed.
fn questions() -> Vec<Step> {
    let execute = || Step::Execute { cursor: 0, parameters: vec![] };
    let unknown = "SET sql_mode = CONCAT(@@sql_mode, ',NO_ENGINE_SUBSTITUTION')";
    let exists = [b"CREATE TABLE IF NOT EXISTS scratch (id INT) COMMENT '\x819\xef0'".as_slice()];
    vec![
        Step::query(unknown),
        Step::query("REPLACE INTO scratch (id) VALUES (401), (402)"),
        Step::Prepare("SELECT ROW_COUNT()".into()),
        execute(),
        Step::CloseStatement,
        Step::query(unknown),
        Step::query("REPLACE INTO scratch (id) VALUES (401), (402)"),
        Step::query("SELECT ROW_COUNT(), \"found\", 'a\\nb'"),
        // Names in a character set that is not read.
        Step::query("SET NAMES gb18030"),
        Step::query(exists.concat()),
        Step::query("SHOW WARNINGS"),
        Step::query(exists.concat()),
        Step::query("SELECT @@warning_count"),
        Step::query(exists.concat()),
        Step::query("SHOW COUNT(*) WARNINGS"),
        Step::query("SET NAMES utf8mb4"),
    ]
}

fn file(table: &str, content: &[u8]) -> Step {
    let sql = format!("LOAD DATA LOCAL INFILE 'given' INTO TABLE {table}");
    Step::File { sql, content: content.to_vec() }
}

fn many_rows() -> Vec<u8> {
    (1000..20_000).flat_map(|i| format!("{i}\tcontent of {i}\t1\n").into_bytes()).collect()
}

/// Packets of more than one frame, in both directions and both protocols, and at the frame's very edge.
pub fn large() -> Vec<Step> {
    let insert = |length| {
        let sql = "INSERT INTO every_type (long_words) VALUES ('";
        [sql.as_bytes(), &vec![b'x'; length], b"')"].concat()
    };
    let edge = 0xff_ffff - "INSERT INTO every_type (long_words) VALUES ('')".len() - 1;
    vec![
        Step::query(insert(LARGE_BYTES)),
        Step::query(insert(edge - 1)),
        Step::query(insert(edge)),
        Step::query(insert(edge + 1)),
        Step::query("SELECT LENGTH(long_words) FROM every_type WHERE long_words IS NOT NULL"),
        Step::query(format!("SELECT REPEAT('x', {LARGE_BYTES}), 'after'")),
        Step::Prepare("INSERT INTO every_type (long_words) VALUES (?)".into()),
        Step::Execute {
            cursor: 0,
            parameters: vec![Parameter::Text("x".repeat(LARGE_BYTES - 500_000))],
        },
        Step::LongData(0, vec![b'y'; LARGE_BYTES]),
        Step::Execute { cursor: 0, parameters: vec![Parameter::Long] },
        Step::query("SELECT LENGTH(long_words) FROM every_type WHERE long_words IS NOT NULL"),
        Step::query(
            [
                &b"UPDATE users SET first_name = 'Large' /* "[..],
                &vec![b'x'; LARGE_BYTES],
                b" */ WHERE username = 'una'",
            ]
            .concat(),
        ),
    ]
}
