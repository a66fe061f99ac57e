//! Every reason why the keys of a write cannot be known, in one table.
//! Never here: deciding which one applies.

use super::Refusal;

/// A documented refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub meaning: &'static str,
    pub hint: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal, $hint:literal;)*) => {
        $(pub const $name: Code = Code { code: $code, meaning: $meaning, hint: $hint };)*
        /// All codes, in order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    UNKNOWN_STATEMENT = "W001-unknown-statement",
        "The statement is of a kind that is not known; it may write any table.",
        "Send writes as INSERT, UPDATE or DELETE.";
    CALL = "W002-call",
        "A stored procedure may write any table.",
        "Send the procedure's statements themselves, or expect a sweep after each call.";
    LOAD = "W003-load",
        "LOAD DATA and IMPORT bring rows whose keys are not in the statement.",
        "Load with INSERT, or expect a sweep.";
    PREPARED = "W004-execute",
        "EXECUTE runs a statement that was prepared in SQL text, which is not followed.",
        "Use the protocol's prepared statements.";
    COMPOUND = "W005-compound",
        "A compound statement (BEGIN NOT ATOMIC) may write any table.",
        "Send its statements one by one.";
    XA = "W006-xa",
        "An XA transaction may commit on another connection.",
        "Use plain transactions for mapped tables.";
    CLAUSE = "W007-clause",
        "The statement has a clause that is not understood.",
        "Write the statement without that clause.";
    VIEW = "W008-view",
        "The statement writes through a view.",
        "Write to the base table.";
    DDL = "W009-ddl",
        "The statement changes or empties a mapped table as a whole.",
        "Run `segue check` afterwards; the sweep brings the items in step.";
    NO_ROW_KEY = "W010-no-row-key",
        "The table has no primary key and no unique key without nullable columns.",
        "Give the table a primary key.";
    KEY_EXPRESSION = "W011-key-expression",
        "A row key value is an expression, or a value that the server may convert.",
        "Give the key as a literal or parameter of the column's type.";
    KEY_TRIGGER = "W012-key-trigger",
        "A BEFORE trigger may set the row key.",
        "Let the application give the key.";
    SUBQUERY = "W013-subquery",
        "The predicate rests on a subquery, whose rows a preselect would not lock.",
        "Select the keys first, or join the table.";
    NONDETERMINISTIC = "W014-nondeterministic",
        "The predicate rests on the clock, on chance, on variables, or on a function that is not known.",
        "Compute the value in the application and send it as a parameter.";
    DERIVED_TABLE = "W015-derived-table",
        "The statement draws on a derived table, a table function or a WITH clause.",
        "Join base tables.";
    KEY_ASSIGNMENT = "W016-key-assignment",
        "The new row key depends on other assignments or cannot be computed beforehand.",
        "Assign the key a literal, a parameter or an expression over unassigned columns.";
    UNIQUE_VALUE = "W017-unique-value",
        "Rows may be replaced through a unique key whose values are not exactly known.",
        "Give the unique columns as literals or parameters, or use INSERT and UPDATE.";
    SELECTED_KEY = "W018-selected-key",
        "The keys come from a query that cannot be run beforehand with certainty.",
        "Select the rows first and insert them with VALUES.";
    TRIGGER_WRITES = "W019-trigger-writes",
        "A trigger of the written table writes a mapped table.",
        "Move what the trigger does into the application.";
    UNKNOWN_COLUMN = "W020-unknown-column",
        "A column is not in the catalog that the ruleset was made from.",
        "Reload the ruleset after a schema change.";
    SESSION_COUNTERS = "W021-session-counters",
        "The statement reads ROW_COUNT() or FOUND_ROWS(), which a preselect would change.",
        "Read the counter into a variable of the application.";
    VALUE = "W022-value",
        "A value cannot be rendered with certainty for a preselect.",
        "Use UTF-8 and plain literals.";
    WHOLE_TABLE = "W023-whole-table",
        "The statement has no predicate: every row may change.",
        "Expect a sweep.";
    RETURNING = "W024-returning",
        "INSERT ... RETURNING answers with rows instead of the generated key.",
        "Read the key from the OK packet instead.";
    NO_INSERT_ID = "W025-no-insert-id",
        "The answer held no insert id although keys were generated.",
        "Expect a sweep.";
    KEY_DECODE = "W026-key-decode",
        "A selected key could not be read as a value of its column.",
        "Report the column's type.";
    TOO_MANY_KEYS = "W027-too-many-keys",
        "The transaction changed more rows of the table than are kept key by key.",
        "Write in smaller transactions, or expect a sweep.";
    CONCURRENT_ROWS = "W028-concurrent-rows",
        "Without gap locks, rows of other sessions may have come between reading the keys and the statement.",
        "Use REPEATABLE READ, single statements under autocommit, or keys in the predicate.";
    FROZEN = "W029-frozen",
        "The table's definition no longer fits the contract, so its mapping is frozen.",
        "Correct the contract or the table until `segue check` passes; the mapping then thaws by itself.";
}

impl Code {
    pub(crate) fn refusal(self, place: impl Into<String>) -> Refusal {
        Refusal { code: self.code, place: place.into(), hint: self.hint }
    }
}

/// The documented code of that name.
pub fn find(code: &str) -> Option<&'static Code> {
    ALL.iter().find(|known| known.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ALL.iter().map(|c| &c.code[..4]).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }
}
