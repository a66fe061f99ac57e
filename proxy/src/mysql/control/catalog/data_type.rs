//! `COLUMN_TYPE` text to a `DataType`.
//! Never here: anything but the type's own text.

use segue_rules::catalog::DataType;

/// Reads a column type as MySQL or MariaDB print it. What is not known is `Other` with its text.
pub(super) fn data_type(text: &str) -> DataType {
    let other = || DataType::Other(text.to_owned());
    let name_end =
        text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = text[..name_end].to_ascii_lowercase();
    let Some((arguments, tail)) = arguments(text[name_end..].trim_start()) else {
        return other();
    };
    let unsigned = has_word(tail, "unsigned") || has_word(tail, "zerofill");
    let number =
        |position: usize| arguments.get(position).and_then(|n| n.trim().parse::<u64>().ok());
    let small = |position: usize, default: u8| {
        number(position).and_then(|n| u8::try_from(n).ok()).unwrap_or(default)
    };
    let length = number(0).unwrap_or(1);
    let integer =
        |bits| DataType::Integer { bits, unsigned, display_one: bits == 8 && number(0) == Some(1) };
    match name.as_str() {
        "tinyint" => integer(8),
        "smallint" => integer(16),
        "mediumint" => integer(24),
        "int" | "integer" => integer(32),
        "bigint" => integer(64),
        "bit" => DataType::Bit { width: small(0, 1) },
        "year" => DataType::Year,
        // DECIMAL without arguments is DECIMAL(10,0); the servers print both.
        "decimal" | "numeric" => {
            DataType::Decimal { precision: small(0, 10), scale: small(1, 0), unsigned }
        }
        "float" => DataType::Float,
        "double" | "real" => DataType::Double,
        "char" => DataType::Char { length },
        "varchar" => DataType::Varchar { length },
        "tinytext" | "text" | "mediumtext" | "longtext" => DataType::Text,
        "enum" => DataType::Enum { values: values(&arguments) },
        "set" => DataType::Set { values: values(&arguments) },
        "binary" => DataType::Binary { length },
        "varbinary" => DataType::Varbinary { length },
        "tinyblob" | "blob" | "mediumblob" | "longblob" => DataType::Blob,
        "date" => DataType::Date,
        "time" => DataType::Time { fraction: small(0, 0) },
        "datetime" => DataType::DateTime { fraction: small(0, 0) },
        "timestamp" => DataType::Timestamp { fraction: small(0, 0) },
        "json" => DataType::Json,
        _ => other(),
    }
}

fn has_word(tail: &str, word: &str) -> bool {
    tail.split_ascii_whitespace().any(|part| part.eq_ignore_ascii_case(word))
}

fn values(arguments: &[&str]) -> Vec<String> {
    arguments.iter().filter_map(|argument| unquote(argument.trim())).collect()
}

/// Splits `(a,b) tail` into its arguments and the tail, minding quotes. `None` where a parenthesis or
/// quote is never closed.
fn arguments(text: &str) -> Option<(Vec<&str>, &str)> {
    let Some(inner) = text.strip_prefix('(') else { return Some((Vec::new(), text)) };
    let mut arguments = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in inner.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match character {
            '\\' if quoted => escaped = true,
            // A doubled quote closes and opens again.
            '\'' => quoted = !quoted,
            ',' if !quoted => {
                arguments.push(&inner[start..at]);
                start = at + 1;
            }
            ')' if !quoted => {
                arguments.push(&inner[start..at]);
                return Some((arguments, &inner[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

/// The text of a quoted literal; `None` for anything else. Both servers double quotes and write
/// backslash, NUL, newline and carriage return with a backslash (seen on 9.7 and 10.11).
pub(super) fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\'' => characters.next().filter(|&next| next == '\'')?,
            '\\' => match characters.next()? {
                '0' => '\0',
                'n' => '\n',
                'r' => '\r',
                'Z' => '\u{1a}',
                other => other,
            },
            plain => plain,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(bits: u8, unsigned: bool, display_one: bool) -> DataType {
        DataType::Integer { bits, unsigned, display_one }
    }

    #[test]
    fn every_type_is_read_in_both_spellings() {
        let values = |values: &[&str]| values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>();
        let cases = [
            ("tinyint", integer(8, false, false)),
            ("tinyint(4)", integer(8, false, false)),
            ("tinyint(1)", integer(8, false, true)),
            ("tinyint(3) unsigned", integer(8, true, false)),
            ("smallint(6)", integer(16, false, false)),
            ("mediumint(8) unsigned", integer(24, true, false)),
            ("int", integer(32, false, false)),
            ("int unsigned", integer(32, true, false)),
            ("int(5) unsigned zerofill", integer(32, true, false)),
            ("bigint(20)", integer(64, false, false)),
            ("bit(1)", DataType::Bit { width: 1 }),
            ("bit(64)", DataType::Bit { width: 64 }),
            ("year", DataType::Year),
            ("year(4)", DataType::Year),
            ("decimal(12,4)", DataType::Decimal { precision: 12, scale: 4, unsigned: false }),
            ("decimal(5,0) unsigned", DataType::Decimal { precision: 5, scale: 0, unsigned: true }),
            ("float", DataType::Float),
            ("float(7,3)", DataType::Float),
            ("float unsigned", DataType::Float),
            ("double", DataType::Double),
            ("double(10,2) unsigned", DataType::Double),
            ("char(5)", DataType::Char { length: 5 }),
            ("varchar(300)", DataType::Varchar { length: 300 }),
            ("varchar(30) /*M!100301 COMPRESSED*/", DataType::Varchar { length: 30 }),
            ("tinytext", DataType::Text),
            ("longtext", DataType::Text),
            ("enum('a','b,c','it''s')", DataType::Enum { values: values(&["a", "b,c", "it's"]) }),
            ("enum('a)','')", DataType::Enum { values: values(&["a)", ""]) }),
            (
                r"enum('a\\b','\n','c\\','it''s')",
                DataType::Enum { values: values(&["a\\b", "\n", "c\\", "it's"]) },
            ),
            ("set('x','y')", DataType::Set { values: values(&["x", "y"]) }),
            ("binary(4)", DataType::Binary { length: 4 }),
            ("varbinary(10)", DataType::Varbinary { length: 10 }),
            ("mediumblob", DataType::Blob),
            ("date", DataType::Date),
            ("time", DataType::Time { fraction: 0 }),
            ("time(6)", DataType::Time { fraction: 6 }),
            ("datetime(3)", DataType::DateTime { fraction: 3 }),
            ("timestamp", DataType::Timestamp { fraction: 0 }),
            ("timestamp(6)", DataType::Timestamp { fraction: 6 }),
            ("json", DataType::Json),
            ("point", DataType::Other("point".into())),
            ("vector(3)", DataType::Other("vector(3)".into())),
            ("uuid", DataType::Other("uuid".into())),
            ("enum('a", DataType::Other("enum('a".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(data_type(text), expected, "{text}");
        }
    }
}
