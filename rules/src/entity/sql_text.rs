//! Spelling of names and lists in the SQL that Segue sends.
//! Never here: what is selected.

/// A name in backticks, its own backticks doubled.
pub(super) fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `alias.`column``.
pub(super) fn column(alias: &str, name: &str) -> String {
    format!("{alias}.{}", quote_name(name))
}

/// The left side of `IN`: one column bare, several as a row constructor.
pub(super) fn row_constructor(columns: &[String]) -> String {
    match columns {
        [single] => single.clone(),
        several => format!("({})", several.join(",")),
    }
}
