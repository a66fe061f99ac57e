//! Every MySQL type through the whole line: a literal inserted through Segue, the attribute that must be
//! stored for it, and the way back to the very value that MySQL holds.
//! Never here: conversions without a server (see `segue_rules::value`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use segue::mysql::control::Control;
use segue_rules::entity::Recovered;
use segue_rules::value::Cell;
use segue_tests::harness::{Engine, Items, SegueConfig, SegueProcess, Server};
use segue_tests::on_each_server;
use segue_tests::workload::oracle;
use serde_json::{Value, json};

/// One column: its definition, a literal, and each attribute type with what it must store.
struct Case {
    column: &'static str,
    literal: &'static str,
    stored: Vec<(&'static str, Value)>,
}

fn case(column: &'static str, literal: &'static str, stored: &[(&'static str, Value)]) -> Case {
    Case { column, literal, stored: stored.to_vec() }
}

fn numbers() -> Vec<Case> {
    let both = |number: i64| [("N", json!(number)), ("S", json!(number.to_string()))];
    vec![
        case("TINYINT", "-128", &both(-128)),
        case("TINYINT UNSIGNED", "255", &both(255)),
        case("SMALLINT", "-32768", &both(-32768)),
        case("MEDIUMINT UNSIGNED", "16777215", &both(16_777_215)),
        case("INT", "-2147483648", &both(-2_147_483_648)),
        case("BIGINT", "-9223372036854775808", &both(i64::MIN)),
        case(
            "BIGINT UNSIGNED",
            "18446744073709551615",
            &[("N", json!("18446744073709551615")), ("S", json!("18446744073709551615"))],
        ),
        case("TINYINT(1)", "1", &[("BOOL", json!(true)), ("N", json!(1))]),
        case("BOOLEAN", "FALSE", &[("BOOL", json!(false)), ("N", json!(0))]),
        case("BIT(1)", "b'1'", &both(1)),
        case("BIT(64)", "b'101'", &both(5)),
        case("YEAR", "2024", &both(2024)),
        case("DECIMAL(10,2)", "1.50", &[("N", json!(1.5)), ("S", json!("1.50"))]),
        case("DECIMAL(10,0)", "-7", &both(-7)),
        case(
            "DECIMAL(38,10)",
            "1234567890123456789012345678.0000000001",
            &[("N", json!("1234567890123456789012345678.0000000001"))],
        ),
        case(
            "DECIMAL(65,5)",
            "123456789012345678901234567890123456789012345678901234567890.12345",
            &[("S", json!("123456789012345678901234567890123456789012345678901234567890.12345"))],
        ),
        case("FLOAT", "0.1", &[("N", json!(0.1)), ("S", json!("0.1"))]),
        case("DOUBLE", "-0.30000000000000004", &[("N", json!(-0.30000000000000004))]),
    ]
}

fn characters() -> Vec<Case> {
    vec![
        case("CHAR(5)", "'ab '", &[("S", json!("ab"))]),
        case("VARCHAR(20)", "'Grüße ☃ '", &[("S", json!("Grüße ☃ "))]),
        case("VARCHAR(20)", "''", &[("S", json!(""))]),
        case("VARCHAR(20) CHARACTER SET latin1", "'Grüße'", &[("S", json!("Grüße"))]),
        case("TEXT", "'long\\ntext'", &[("S", json!("long\ntext"))]),
        case("ENUM('a','B')", "'b'", &[("S", json!("B"))]),
        case("SET('x','y','z')", "'z,x'", &[("S", json!("x,z")), ("SS", json!(["x", "z"]))]),
        case("BINARY(4)", "X'0001'", &[("B", json!("base64:AAEAAA=="))]),
        case("VARBINARY(9)", "X'00FF'", &[("B", json!("base64:AP8="))]),
        case("BLOB", "X'FE00'", &[("B", json!("base64:/gA="))]),
    ]
}

fn temporals() -> Vec<Case> {
    vec![
        case("DATE", "'2024-02-29'", &[("S", json!("2024-02-29"))]),
        case("TIME", "'-12:34:56'", &[("S", json!("-12:34:56"))]),
        case("TIME(3)", "'838:59:58.999'", &[("S", json!("838:59:58.999"))]),
        case(
            "DATETIME",
            "'2024-02-29 23:59:58'",
            &[("S", json!("2024-02-29T23:59:58")), ("N", json!(1_709_251_198))],
        ),
        case(
            "DATETIME(6)",
            "'2024-02-29 23:59:58.000120'",
            &[("S", json!("2024-02-29T23:59:58.000120"))],
        ),
        // The client's time zone is two hours east of UTC.
        case(
            "TIMESTAMP",
            "'2024-07-01 02:00:00'",
            &[("S", json!("2024-07-01T00:00:00Z")), ("N", json!(1_719_792_000))],
        ),
        case(
            "TIMESTAMP(3)",
            "'2024-07-01 01:30:00.250'",
            &[("S", json!("2024-06-30T23:30:00.250Z"))],
        ),
        case("DATE", "'0000-00-00'", &[("S", json!("0000-00-00"))]),
        case("DATETIME", "'0000-00-00 00:00:00'", &[("S", json!("0000-00-00 00:00:00"))]),
    ]
}

fn documents() -> Vec<Case> {
    let text = r#"'{"a":[1,2.5,null,true],"b":{"c":"x"}}'"#;
    vec![
        case("JSON", text, &[("M", json!({"a": [1, 2.5, null, true], "b": {"c": "x"}}))]),
        case("JSON", "'[1,\"two\"]'", &[("L", json!([1, "two"]))]),
    ]
}

fn cases() -> Vec<Case> {
    [numbers(), characters(), temporals(), documents()].into_iter().flatten().collect()
}

/// `a3_N`: the attribute of case 3 as a number.
fn attribute_name(case: usize, kind: &str) -> String {
    format!("a{case}_{kind}")
}

fn schema(cases: &[Case]) -> String {
    let columns: Vec<String> = (cases.iter().enumerate())
        .map(|(number, case)| {
            // A TIMESTAMP without this would be NOT NULL on servers with old defaults.
            format!("c{number} {} NULL DEFAULT NULL", case.column)
        })
        .collect();
    format!("CREATE TABLE every (id INT PRIMARY KEY, {}) CHARACTER SET utf8mb4", columns.join(", "))
}

fn contract(cases: &[Case]) -> String {
    let mut attributes = serde_json::Map::new();
    let attribute = |kind: &str, column: &str| json!({"type": kind, "source_table": "every", "source_column": column});
    attributes.insert("Id".to_owned(), attribute("N", "id"));
    for (number, case) in cases.iter().enumerate() {
        for (kind, _) in &case.stored {
            attributes.insert(attribute_name(number, kind), attribute(kind, &format!("c{number}")));
        }
    }
    json!([{ "table": "Every", "type": "Table", "source_table": "every", "pk": "Id",
             "attributes": attributes, "satisfies": ["types"], "estimated_item_size_bytes": 4000 }])
    .to_string()
}

on_each_server!(
    every_type_is_stored_exactly_and_comes_back,
    |server: &'static Server| async move {
        let cases = cases();
        let database = server.database("types", &schema(&cases)).await.unwrap();
        let engine = Engine::start().await.unwrap();
        let contract = contract(&cases);
        let config = SegueConfig::new(server, &database, &contract).with_engine(&engine);
        let segue = SegueProcess::start(&config).await.unwrap();

        let mut client = Conn::new(Opts::from_url(&segue.url(&database)).unwrap()).await.unwrap();
        client.query_drop("SET sql_mode = '', time_zone = '+02:00'").await.unwrap();
        let literals: Vec<&str> = cases.iter().map(|case| case.literal).collect();
        let insert = format!("INSERT INTO every VALUES (1, {})", literals.join(", "));
        client.query_drop(insert).await.unwrap();
        client.query_drop("INSERT INTO every (id) VALUES (2)").await.unwrap();
        segue.settle(Duration::from_secs(30)).await.unwrap();

        let items = Items::at(&engine.endpoint());
        let all = items.all("Every").await.unwrap();
        let item = all.iter().find(|item| item["Id"] == 1).expect("the item is there");
        for (number, case) in cases.iter().enumerate() {
            for (kind, stored) in &case.stored {
                let found = &item[attribute_name(number, kind)];
                assert_eq!(found, stored, "{} {} as {kind}", case.column, case.literal);
            }
        }
        // NULL leaves every attribute out.
        assert!(all.contains(&json!({"Id": 2})), "{all:?}");

        // And back: what MySQL holds is what the item tells.
        let control = Control::connect(&database.url, 2).await.unwrap();
        let catalog = control.catalog(&database.name).await.unwrap();
        let ruleset = oracle::compile(&contract, catalog).unwrap();
        let stored = oracle::scan_items(items.client(), "Every").await.unwrap();
        let item = stored.iter().find(|item| item.len() > 3).expect("the full item");
        let row = &control.select("SELECT * FROM every WHERE id = 1", &[]).await.unwrap()[0];
        let recovered = ruleset.entities[0].recover(item);
        assert_eq!(recovered.len(), row.len());
        for ((column, value), cell) in recovered.iter().zip(row) {
            match (value, cell) {
                // MariaDB keeps a document's text as it came; stored natively, only its value comes back.
                (Recovered::Value(Cell::Text(told)), Cell::Text(held))
                    if held.starts_with(['{', '[']) =>
                {
                    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                    assert_eq!(parsed(told), parsed(held), "{column}");
                }
                _ => assert_eq!(value, &Recovered::Value(cell.clone()), "{column}"),
            }
        }
    }
);
