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
    /// Whether code in a versioned comment is executed by this server. `for_mariadb`: the comment
    /// begins with `/*M!`.
    pub(super) fn executes(&self, version: u32, for_mariadb: bool) -> bool {
        // MariaDB skips comments meant for MySQL 5.7 and later.
        let foreign = self.dialect == Dialect::MariaDb
            && !for_mariadb
            && (50_700..100_000).contains(&version);
        !foreign && version <= self.version
    }

    /// Names are sent in UTF-8, or are taken as such.
    pub(super) fn names_are_unicode(&self) -> bool {
        ["utf8mb4", "utf8mb3", "utf8", "binary"].iter().any(|name| self.is(name))
    }

    fn is(&self, charset: &str) -> bool {
        charset.eq_ignore_ascii_case(self.charset)
    }

    /// Bytes of the first character, at least 1. Only for the character sets in which a quote or a backslash
    /// can be part of a character is this ever more than 1.
    ///
    /// See the `ismbchar` functions in strings/ctype-{big5,gbk,sjis,cp932,gb18030}.cc of MySQL.
    pub(super) fn character_bytes(&self, text: &[u8]) -> usize {
        let (first, second) = match text {
            [first, second, ..] if *first >= 0x80 => (*first, *second),
            _ => return 1,
        };
        let double = if self.is("gbk") || self.is("gb18030") {
            matches!(first, 0x81..=0xfe) && matches!(second, 0x40..=0x7e | 0x80..=0xfe)
        } else if self.is("sjis") || self.is("cp932") {
            matches!(first, 0x81..=0x9f | 0xe0..=0xfc)
                && matches!(second, 0x40..=0x7e | 0x80..=0xfc)
        } else if self.is("big5") {
            matches!(first, 0xa1..=0xf9) && matches!(second, 0x40..=0x7e | 0xa1..=0xfe)
        } else {
            false
        };
        if double {
            return 2;
        }
        match text {
            [0x81..=0xfe, b'0'..=b'9', 0x81..=0xfe, b'0'..=b'9', ..] if self.is("gb18030") => 4,
            _ => 1,
        }
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
        assert!(reading.executes(50_100, false));
        assert!(!reading.executes(80_000, false));
        assert!(reading.executes(80_000, true));
        assert!(reading.executes(100_100, false));
        assert!(!reading.executes(110_000, true));
    }
}
