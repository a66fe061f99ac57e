//! The settings reference page, rendered from the table of keys.
//! Never here: text about a single key (it stands in the table).

use std::fmt::Write;

use crate::keys::{Absent, KEYS, Key, Kind};

const HEAD: &str = "# Settings

Generated from the table of keys in `config/src/keys.rs`; do not edit.
`SEGUE_DOCS=write cargo test -p segue-config` writes it.

`segue.toml` holds the settings. Each key can also be given as an environment variable, which then
wins over the file; an empty variable counts as not given. Relative paths in the file are taken from
the file's folder, relative paths in variables from the working directory. Unknown sections and keys
are errors, and all faults are reported at once.
";

/// The page as Markdown.
pub fn settings_page() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            // Writing into a String cannot fail.
            let _ = write!(page, "\n## [{section}]\n");
        }
        let _ = write!(
            page,
            "\n### `{}`\n\n{}\n\n- type: {}\n- {}\n- variable: `{}`\n",
            key.path(),
            key.doc,
            kind(key.kind),
            absent(key),
            key.variable()
        );
    }
    page
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Listen => "`ip:port`".to_owned(),
        Kind::HostPort => "`host:port`".to_owned(),
        Kind::MysqlUrl => "`mysql://user:password@host:port/database`".to_owned(),
        Kind::Endpoint => "`aws`, `embedded` or an `http://` or `https://` address".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Networks => "IP addresses and networks, parted by commas".to_owned(),
        Kind::Choice(names) => {
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Integer { min, max } => format!("integer, {min} to {max}"),
        Kind::Bytes { min } => format!("bytes, or a text such as `\"512 MiB\"`; at least {min}"),
    }
}

fn absent(key: &Key) -> String {
    match key.absent {
        Absent::Required => "required".to_owned(),
        Absent::Default("") => "default: empty".to_owned(),
        Absent::Default(text) => format!("default: `{text}`"),
        Absent::Unset(meaning) => format!("without it: {meaning}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SEGUE_DOCS=write cargo test -p segue-config` renews the page.
    #[test]
    fn the_page_in_the_tree_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/settings.md");
        if std::env::var("SEGUE_DOCS").is_ok_and(|value| value == "write") {
            std::fs::write(path, settings_page()).expect("the page is writable");
        }
        let page = std::fs::read_to_string(path).expect("the page exists");
        assert_eq!(page, settings_page(), "renew it: SEGUE_DOCS=write cargo test -p segue-config");
    }
}
