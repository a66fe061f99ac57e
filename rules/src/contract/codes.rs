//! The one table of finding codes: code, severity, meaning, remedy. The reference page is made from it.
//! Never here: how a fault is found.

use super::Severity;

/// A stable finding code.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub severity: Severity,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

macro_rules! code_table {
    ($($name:ident $severity:ident $code:literal $meaning:literal $remedy:literal)+) => {
        $(pub const $name: Code = Code {
            code: $code, severity: Severity::$severity, meaning: $meaning, remedy: $remedy,
        };)+
        /// Every code, in the order of the table.
        pub const ALL: &[&Code] = &[$(&$name),+];
    };
}

code_table! {
    JSON_SYNTAX Error "C001-json-syntax" "The file is not valid JSON." "Correct the JSON at the line and column named."
    SHAPE Error "C002-shape" "The file is neither an array of tables nor an object with `tables`." "Write `{\"tables\": [...]}` or an array of table entries."
    WRONG_TYPE Error "C003-wrong-type" "A key holds a JSON value of the wrong type." "Write the type that the message names."
    MISSING_KEY Error "C004-missing-key" "A required key is missing." "Add the key."
    UNKNOWN_KEY Warning "C005-unknown-key" "A key has no meaning here and is ignored." "Remove it, or correct its spelling."
    UNKNOWN_VALUE Error "C006-unknown-value" "A key holds a word that is not one of its choices." "Use one of the choices that the message lists."
    DUPLICATE_NAME Error "C007-duplicate-name" "Two tables, indexes, entities or attributes bear one name." "Rename one of them."
    DYNAMO_NAME Error "C008-dynamo-name" "A table, index or attribute name breaks DynamoDB's rules." "Tables and indexes: 3 to 255 of a-z A-Z 0-9 _ . - ; attributes: 1 to 255 bytes."
    TOO_MANY_INDEXES Error "C009-too-many-indexes" "A table has more than 20 global secondary indexes." "Drop indexes, or split the table."
    RESERVED_ATTRIBUTE Error "C010-reserved-attribute" "An attribute is named `_segue`, which is Segue's bookkeeping." "Rename the attribute."
    CONFLICT Error "C011-conflict" "An attribute has more than one of `join`, `calculation` and `constant`." "Keep one of them."
    KEY_NULLABLE Error "C012-key-nullable" "A key attribute can be NULL, and an item cannot exist without its key." "Declare the column NOT NULL, or say what then: `null_value`, or a `conditional` join."
    CONDITION Error "C013-condition" "A join condition is not an AND of equalities between qualified columns." "Write `a.x = b.y` (joined by AND); put anything else into a MySQL view or a `case`."
    EXPRESSION Error "C014-expression" "An expression cannot be read, or uses what is not deterministic." "Use columns, literals, operators, CASE and the functions of the reference."
    UNDEFINED_CALCULATION Error "C015-undefined-calculation" "`concat` and `date-math` have no defined parameters." "Use the transformation `string-format`, or a column of the table that MySQL computes."
    DENORMALIZED Error "C016-denormalized" "A denormalized attribute lacks `justification` or `join`, or a joined one is not marked." "Give `denormalized: true`, `justification` and `join` together."
    INDEX_DISAGREES Error "C017-index-disagrees" "An entry of type GSI disagrees with the index that its table declares." "Make name, keys and attributes of both agree."
    FORMAT Error "C018-format" "A format or template cannot be read, or does not fit the value." "Use the format letters of the reference."
    SEGUE_OPTION Error "C019-segue-option" "`carry`, `guards`, `fold`, `ttl`, `epoch` or `constant` is used where it has no meaning." "See the reference on Segue's additions."
    EMPTY Error "C020-empty" "A contract without tables, or a table without entities or attributes." "Add what is missing."
    DATABASE Error "C021-database" "The contract's `database` is not the schema that Segue is set to." "Correct `database`, or the setting."
    MISSING_TABLE Error "C030-missing-table" "MySQL has no such table." "Correct the name, or create the table."
    MISSING_COLUMN Error "C031-missing-column" "The MySQL table has no such column." "Correct the name; the message lists the table's columns."
    NO_ROW_KEY Error "C032-no-row-key" "A table has no primary key and no unique key of NOT NULL columns, so its rows cannot be told apart." "Add a primary key."
    VIEW Error "C033-view" "A MySQL view is used as a table: writes to what lies under it would not be seen." "Name the base table, and join what the view joins."
    TYPE Error "C034-type" "A column's type cannot be stored as the attribute's type." "Use the attribute type that the message names."
    ENGINE Warning "C035-engine" "A table's engine is not InnoDB: its writes are not transactional." "ALTER TABLE .. ENGINE=InnoDB."
    JOIN_MULTIPLIES Error "C036-join-multiplies" "A join can find several rows for one driving row, and an attribute holds one value." "Join over a primary or unique key, or use `aggregate` or a `json-construction` array."
    JOIN_SCOPE Error "C037-join-scope" "A join condition or expression names a table that is not in reach there, or not the joined table." "Name the joined table on one side and the driving table (or an earlier hop) on the other."
    SELF_JOIN_ELSEWHERE Warning "C038-self-join-elsewhere" "A self-join without `target_table` follows a foreign key to a table other than the source table." "Add `target_table`, or use the join type `foreign-key`."
    SOURCE_TABLE Error "C039-source-table" "An attribute without join names a table other than its entity's source table." "Add a join to that table, or correct `source_table`."
    KEY_MISSING Error "C040-key-missing" "An entity has neither the key attribute nor a template for it." "Add an attribute with the key's name."
    KEY_TYPE Error "C041-key-type" "A key attribute's type is not S, N or B, or differs between entities." "Give it one of S, N, B, the same everywhere."
    KEY_NOT_UNIQUE Warning "C043-key-not-unique" "The item key does not determine one row: two rows may meet on one item, of which one is then not stored." "Put the columns of a unique key into the item key."
    KEY_JOIN_UNBACKED Warning "C044-key-join-unbacked" "An item key goes through a join that no foreign key backs: a row without partner has no item." "Declare the foreign key."
    KEY_MAYBE_ABSENT Warning "C045-key-maybe-absent" "An item key is computed or formatted from columns that can be NULL: such rows have no item." "Declare the columns NOT NULL, or make sure that the expression never gives NULL."
    TEMPLATE_DISAGREES Warning "C046-template-disagrees" "A key template and the key attribute disagree; the attribute is used." "Correct the template, or remove it."
    TEMPLATE_PLACEHOLDER Error "C047-template-placeholder" "A format or template names something that is neither a column of the driving table nor an attribute of the entity." "Correct the name in braces."
    SORT_KEYS_OVERLAP Warning "C048-sort-keys-overlap" "The sort keys of two entities of one table cannot be told apart by their constant beginnings." "Begin each entity's sort key with its own constant, for example `ORDER#`."
    INDEX_KEY_MISSING Error "C049-index-key-missing" "No entity of the table has the index's key attribute." "Add the attribute, or drop the index."
    INDEX_KEY_TYPE Error "C050-index-key-type" "An index key's type is not S, N or B, or differs between entities." "Give it one of S, N, B, the same everywhere."
    TRIGGER_WRITES Warning "C051-trigger-writes" "A trigger writes a mapped table: each write that fires it owes a sweep of that table." "Write the table from the application, or accept the sweeps."
    CASCADE_WITHOUT_KEY Error "C052-cascade-without-key" "A foreign-key action passes through a table without row key." "Add a primary key to that table."
    ATTRIBUTE_CYCLE Error "C053-attribute-cycle" "Formats refer to each other in a circle." "Refer to columns instead."
    SOURCE_COLUMNS Error "C054-source-columns" "Several source columns have no meaning for the attribute's type." "Use `string-format` for one text, or type L, M, SS or NS."
    PROJECTION Warning "C055-projection" "An index projects an attribute that no entity has." "Correct the name."
    NUMBER_SORTS_AS_TEXT Warning "C056-number-sorts-as-text" "A sort key of type S holds a number, so that 10 sorts before 9." "Use type N where the order matters."
    ORDER_BY Error "C057-order-by" "`order_by` is not a list of columns of the target table with ASC or DESC." "Write for example `position, created_at DESC`."
    FOLD_HIDES Warning "C058-fold-hides" "A folded key keeps no original, and no other attribute holds the column." "Add an attribute with the column itself."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_have_remedies() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ALL {
            assert!(seen.insert(code.code), "{} twice", code.code);
            assert!(!code.meaning.is_empty() && !code.remedy.is_empty());
        }
    }
}
