//! Tables that are not what they seem: columns that are invisible, temporary tables with the name of a
//! mapped one.
//! Never here: the ordinary statement forms (see `capture`).

#![allow(clippy::unwrap_used, reason = "all of this crate is a test")]

use segue_tests::harness::{Kind, Server};
use segue_tests::on_each_server;
use segue_tests::scene::{Scene, Script};

const SCHEMA: &str = "CREATE TABLE notes (
        secret INT NOT NULL DEFAULT 0 INVISIBLE, id INT PRIMARY KEY, word VARCHAR(40) NOT NULL);
    CREATE TABLE numbered (
        id INT AUTO_INCREMENT PRIMARY KEY INVISIBLE, word VARCHAR(40) NOT NULL);
    CREATE TABLE plain (id INT PRIMARY KEY, word VARCHAR(40) NOT NULL)";

fn entity(table: &str, source: &str, key: &str) -> String {
    format!(
        r#"{{"table": "{table}", "type": "single-entity", "source_table": "{source}", "pk": "id",
        "attributes": [
        {{"name": "id", "type": "S", "source_table": "{source}", "source_column": "{key}"}},
        {{"name": "word", "type": "S", "source_table": "{source}", "source_column": "word"}}]}}"#
    )
}

async fn scene(server: &Server, schema: &str, entities: &[String]) -> Scene {
    let contract = format!(r#"{{"tables": [{}]}}"#, entities.join(","));
    let phases = "default = \"dual-write\"\n";
    let script = Script { name: "corners", schema, contract: &contract, phases };
    Scene::open(server, script).await.unwrap()
}

on_each_server!(
    values_without_a_column_list_pass_over_invisible_columns,
    |server: &'static Server| async move {
        let entities = [
            entity("Notes", "notes", "id"),
            entity("Numbered", "numbered", "id"),
            entity("Plain", "plain", "id"),
        ];
        let mut scene = scene(server, SCHEMA, &entities).await;
        scene.run("INSERT INTO notes VALUES (7, 'a'), (8, 'b')").await;
        scene.run("INSERT INTO notes (id, secret, word) VALUES (9, 1, 'c')").await;
        scene.run("REPLACE INTO notes VALUES (8, 'B')").await;
        scene.run("INSERT INTO plain VALUES (1, 'x'), (2, 'y')").await;
        scene.run("INSERT INTO notes SELECT id + 100, word FROM plain").await;
        let notes = scene.shown("Notes", "id", "word").await.unwrap();
        assert_eq!(notes, ["101=x", "102=y", "7=a", "8=B", "9=c"]);
        scene.run("INSERT INTO numbered VALUES ('one'), ('two')").await;
        scene.run("INSERT INTO numbered (id, word) VALUES (50, 'fifty')").await;
        scene.run("INSERT INTO numbered () VALUES ('last')").await;
        let numbered = scene.shown("Numbered", "id", "word").await.unwrap();
        assert_eq!(numbered, ["1=one", "2=two", "50=fifty", "51=last"]);
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_invisible_key_of_mysql_is_a_row_key() {
    let Some(server) = Server::shared(Kind::Mysql97).await else { return };
    let schema = "SET sql_generate_invisible_primary_key = ON;
        CREATE TABLE keyless (word VARCHAR(40) NOT NULL)";
    let entities = [entity("Keyless", "keyless", "my_row_id")];
    let mut scene = scene(server, schema, &entities).await;
    scene.run("INSERT INTO keyless VALUES ('a'), ('b')").await;
    scene.run("UPDATE keyless SET word = 'c' WHERE word = 'b'").await;
    assert_eq!(scene.shown("Keyless", "id", "word").await.unwrap(), ["1=a", "2=c"]);
}

on_each_server!(
    a_temporary_table_of_a_mapped_name_changes_no_item,
    |server: &'static Server| async move {
        let mut scene = scene(server, SCHEMA, &[entity("Plain", "plain", "id")]).await;
        scene.run("INSERT INTO plain VALUES (1, 'kept'), (2, 'kept')").await;
        for sql in [
            // Fewer columns, other columns and no key.
            "CREATE TEMPORARY TABLE plain (word VARCHAR(40), other INT)",
            "INSERT INTO plain VALUES ('shadow', 1), ('shadow', 2)",
            "UPDATE plain SET word = 'darker' WHERE other = 1",
            "UPDATE plain SET other = other + 1 WHERE word LIKE 's%' ORDER BY other LIMIT 1",
            "DELETE FROM plain WHERE other = 2",
            "BEGIN",
            "INSERT INTO plain SELECT 'more', 5",
            "UPDATE plain SET word = 'x' WHERE other > 1",
            "DELETE FROM plain",
            "COMMIT",
            "DROP TEMPORARY TABLE plain",
            // The same columns this time.
            "CREATE TEMPORARY TABLE plain (id INT PRIMARY KEY, word VARCHAR(40) NOT NULL)",
            "INSERT INTO plain VALUES (1, 'shadow'), (3, 'shadow')",
            "UPDATE plain SET word = 'darker' WHERE word = 'shadow'",
            "UPDATE plain SET id = id + 10 WHERE id = 3",
            "DELETE FROM plain WHERE id = 1",
            "TRUNCATE TABLE plain",
            "DROP TEMPORARY TABLE plain",
        ] {
            scene.run(sql).await;
        }
        let plain = scene.shown("Plain", "id", "word").await.unwrap();
        assert_eq!(plain, ["1=kept", "2=kept"]);
        scene.run("UPDATE plain SET word = 'real' WHERE id = 2").await;
        let plain = scene.shown("Plain", "id", "word").await.unwrap();
        assert_eq!(plain, ["1=kept", "2=real"]);
    }
);
