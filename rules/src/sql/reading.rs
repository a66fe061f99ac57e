//! How the bytes of a statement are to be read: server family, session modes, character set.
//! Never here: where these facts come from.

/// Session settings that change how text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SqlMode {
    pub ansi_quotes: bool,
    pub no_backslash_escapes: bool,
    pub no_auto_value_on_zero: bool,
    pub pipes_as_concat: bool,
}

impl SqlMode {
    /// Reads the text of `@@sql_mode`; `ANSI` stands for its parts as on the server.
    pub fn from_text(text: &str) -> SqlMode {
        let mut mode = SqlMode::default();
        for word in text.split(',') {
            match word.trim().to_ascii_uppercase().as_str() {
                "ANSI_QUOTES" => mode.ansi_quotes = true,
                "NO_BACKSLASH_ESCAPES" => mode.no_backslash_escapes = true,
                "NO_AUTO_VALUE_ON_ZERO" => mode.no_auto_value_on_zero = true,
                "PIPES_AS_CONCAT" => mode.pipes_as_concat = true,
                "ANSI" | "ORACLE" | "MSSQL" | "DB2" | "MAXDB" | "POSTGRESQL" => {
                    mode.ansi_quotes = true;
                    mode.pipes_as_concat = true;
                }
                _ => {}
            }
        }
        mode
    }
}

/// The server family, as far as the text of statements is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    MySql,
    MariaDb,
}

/// How to read one statement.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub sql_mode: SqlMode,
    pub dialect: Dialect,
    /// Server version as `major * 10000 + minor * 100 + patch`, for `/*!50100 ... */`.
    pub version: u32,
    /// `character_set_client`.
    pub charset: &'a str,
}

impl Reading<'_> {
    /// Whether code in a versioned comment is executed by this server.
    pub(super) fn executes(&self, version: u32) -> bool {
        // MariaDB skips comments meant for MySQL 5.7 and later.
        let foreign = self.dialect == Dialect::MariaDb && (50_700..100_000).contains(&version);
        !foreign && version <= self.version
    }

    /// Character sets in which a quote or a backslash can be the second byte of a character.
    pub(super) fn quotes_hide_in_characters(&self) -> bool {
        ["sjis", "cp932", "big5", "gbk", "gb18030", "gb2312", "ujis", "euckr", "eucjpms"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(self.charset))
    }
}

/// Parses the number out of a server's version text, such as `9.7.0` or `10.11.6-MariaDB`.
pub(crate) fn version_number(text: &str) -> u32 {
    let mut parts =
        text.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0).min(99);
    next() * 10_000 + next() * 100 + next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_texts_become_numbers() {
        assert_eq!(version_number("9.7.0"), 90_700);
        assert_eq!(version_number("10.11.6-MariaDB-0+deb12u1"), 101_106);
    }

    #[test]
    fn mariadb_skips_comments_for_later_mysql() {
        let reading = Reading {
            sql_mode: SqlMode::default(),
            dialect: Dialect::MariaDb,
            version: 101_106,
            charset: "utf8mb4",
        };
        assert!(reading.executes(50_100));
        assert!(!reading.executes(80_000));
        assert!(reading.executes(100_100));
        assert!(!reading.executes(110_000));
    }
}
