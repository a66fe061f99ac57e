//! Predicates: their AND-ed parts, what pins the row key, and what would make a preselect uncertain.
//! Never here: tables other than by the names that columns are qualified with.

use super::refusal_codes as codes;
use super::refusal_codes::Code;
use super::value::{Value, value_of};
use crate::sql::statement::Span;
use crate::sql::{Digested, TokenKind};

/// A row key column that the predicate fixes to one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Position in the table.
    pub column: usize,
    pub values: Vec<Value>,
}

/// Functions whose result rests on nothing but their arguments and the session's settings.
#[rustfmt::skip]
const DETERMINISTIC: &[&str] = &[
    "ABS", "ACOS", "ADDDATE", "ADDTIME", "ASCII", "ASIN", "ATAN", "ATAN2", "BIN",
    "BIN_TO_UUID", "BINARY", "BIT_COUNT", "BIT_LENGTH", "CAST", "CEIL", "CEILING", "CHAR",
    "CHAR_LENGTH", "CHARACTER_LENGTH", "COALESCE", "CONCAT", "CONCAT_WS", "CONV", "CONVERT", "COS",
    "COT", "CRC32", "DATE", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DATEDIFF", "DAY", "DAYNAME",
    "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "DEGREES", "ELT", "EXP", "EXTRACT", "FIELD",
    "FIND_IN_SET", "FLOOR", "FORMAT", "FROM_BASE64", "FROM_DAYS", "FROM_UNIXTIME", "GREATEST",
    "HEX", "HOUR", "IF", "IFNULL", "INET_ATON", "INET_NTOA", "INSERT", "INSTR", "ISNULL",
    "JSON_CONTAINS", "JSON_CONTAINS_PATH", "JSON_EXTRACT", "JSON_LENGTH", "JSON_QUOTE", "JSON_TYPE",
    "JSON_UNQUOTE", "JSON_VALID", "JSON_VALUE", "LAST_DAY", "LCASE", "LEAST", "LEFT", "LENGTH",
    "LN", "LOCATE", "LOG", "LOG10", "LOG2", "LOWER", "LPAD", "LTRIM", "MAKEDATE", "MAKETIME", "MD5",
    "MICROSECOND", "MID", "MINUTE", "MOD", "MONTH", "MONTHNAME", "NULLIF", "OCT", "OCTET_LENGTH",
    "ORD", "PERIOD_ADD", "PERIOD_DIFF", "POSITION", "POW", "POWER", "QUARTER", "QUOTE", "RADIANS",
    "REGEXP_LIKE", "REPEAT", "REPLACE", "REVERSE", "RIGHT", "ROUND", "RPAD", "RTRIM", "SEC_TO_TIME",
    "SECOND", "SHA", "SHA1", "SHA2", "SIGN", "SIN", "SPACE", "SQRT", "STR_TO_DATE", "STRCMP",
    "SUBDATE", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "SUBTIME", "TAN", "TIME_FORMAT",
    "TIME_TO_SEC", "TIMEDIFF", "TIMESTAMPADD", "TIMESTAMPDIFF", "TO_BASE64", "TO_DAYS",
    "TO_SECONDS", "TRIM", "TRUNCATE", "UCASE", "UNHEX", "UPPER", "UUID_TO_BIN", "WEEK", "WEEKDAY",
    "WEEKOFYEAR", "YEAR", "YEARWEEK",
];

/// Words before a parenthesis that are no functions.
#[rustfmt::skip]
const NO_FUNCTION: &[&str] = &[
    "AND", "OR", "NOT", "XOR", "IN", "BETWEEN", "LIKE", "RLIKE", "REGEXP", "IS", "DIV", "WHEN",
    "THEN", "ELSE", "CASE", "ON", "USING", "INTERVAL", "AS", "WHERE", "KEY", "INDEX", "PARTITION",
    "JOIN", "BY", "DECIMAL", "NCHAR", "DATETIME", "ROW", "COLLATE", "ESCAPE", "FROM", "ASC", "DESC",
    "LIMIT", "SELECT", "DISTINCT", "STRAIGHT_JOIN", "SOUNDS", "TIME", "ALL",
];

/// Clock readings that need no parentheses, and other words that stand for session state.
#[rustfmt::skip]
const CLOCK_WORDS: &[&str] = &[
    "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_USER", "LOCALTIME",
    "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "NEXTVAL",
];

fn among(word: &str, list: &[&str]) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(word))
}

struct Reader<'a>(&'a Digested);

impl<'a> Reader<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.0.tokens.get(at).map_or("", |t| self.0.token_text(t))
    }

    fn word(&self, at: usize) -> &'a str {
        match self.0.tokens.get(at) {
            Some(token) if token.kind == TokenKind::Word => self.0.token_text(token),
            _ => "",
        }
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.word(at).eq_ignore_ascii_case(word)
    }
}

/// `LAST_INSERT_ID(expression)` anywhere in the statement: the answer's insert id may be any number.
pub fn sets_insert_id(digested: &Digested) -> bool {
    let reader = Reader(digested);
    (0..digested.tokens.len()).any(|at| {
        reader.text(at).eq_ignore_ascii_case("LAST_INSERT_ID")
            && reader.text(at + 1) == "("
            && reader.text(at + 2) != ")"
    })
}

/// Why these tokens, evaluated before the statement, may give another result than inside it.
pub fn uncertainty(digested: &Digested, span: Span) -> Option<Code> {
    let reader = Reader(digested);
    for at in span.clone() {
        let token = &digested.tokens[at];
        let call = at + 1 < span.end && reader.text(at + 1) == "(";
        match token.kind {
            TokenKind::Variable
                if reader.text(at).starts_with("@@") || reader.text(at + 1) == ":=" =>
            {
                return Some(codes::NONDETERMINISTIC);
            }
            TokenKind::Word => {
                let word = reader.text(at);
                if among(word, &["SELECT", "TABLE"]) {
                    return Some(codes::SUBQUERY);
                }
                let function = call && !among(word, NO_FUNCTION) && !among(word, DETERMINISTIC);
                // LAST_INSERT_ID() without an argument only reads what the session holds.
                let last_id =
                    word.eq_ignore_ascii_case("LAST_INSERT_ID") && reader.text(at + 2) == ")";
                // VALUES(c) is judged where it may stand; elsewhere it is an error.
                if (function && !last_id)
                    || (among(word, CLOCK_WORDS) && reader.text(at + 1) != ".")
                {
                    return Some(codes::NONDETERMINISTIC);
                }
            }
            TokenKind::Identifier if call && (at == span.start || reader.text(at - 1) != "AS") => {
                // `db.f(..)`, or a stored function in backticks; a quoted name before a list of
                // columns is told apart by nothing, so it counts as well.
                return Some(codes::NONDETERMINISTIC);
            }
            _ => {}
        }
    }
    None
}

/// Whether the statement reads counters that a preselect on the connection would change.
pub fn reads_session_counters(digested: &Digested) -> bool {
    let reader = Reader(digested);
    (0..digested.tokens.len()).any(|at| {
        (among(reader.word(at), &["ROW_COUNT", "FOUND_ROWS"]) && reader.text(at + 1) == "(")
            || among(reader.text(at), &["@@warning_count", "@@error_count"])
    })
}

/// The AND-ed parts of a predicate; one part if it is anything else.
pub fn conjuncts(digested: &Digested, span: Span, pipes_as_concat: bool) -> Vec<Span> {
    let reader = Reader(digested);
    let span = ungrouped(digested, span);
    let (mut depth, mut cases, mut between) = (0usize, 0usize, 0usize);
    let mut parts = Vec::new();
    let mut start = span.start;
    for at in span.clone() {
        match reader.text(at) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "||" if depth == 0 && !pipes_as_concat => return vec![span],
            "&&" if depth == 0 && cases == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ if depth > 0 => {}
            _ if reader.is(at, "CASE") => cases += 1,
            _ if reader.is(at, "END") => cases = cases.saturating_sub(1),
            _ if cases > 0 => {}
            _ if reader.is(at, "OR") || reader.is(at, "XOR") => return vec![span],
            _ if reader.is(at, "BETWEEN") => between += 1,
            _ if reader.is(at, "AND") && between > 0 => between -= 1,
            _ if reader.is(at, "AND") => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..span.end);
    parts
}

fn is_one_group(reader: &Reader<'_>, span: &Span) -> bool {
    if span.len() < 3 || reader.text(span.start) != "(" {
        return false;
    }
    let mut depth = 0usize;
    for at in span.clone() {
        match reader.text(at) {
            "(" => depth += 1,
            ")" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == span.end;
                }
            }
            _ => {}
        }
    }
    false
}

/// Without the parentheses around it.
pub fn ungrouped(digested: &Digested, mut span: Span) -> Span {
    while is_one_group(&Reader(digested), &span) {
        span = span.start + 1..span.end - 1;
    }
    span
}

/// A column's qualifier and name, in lower case.
pub type ColumnName = (Option<String>, String);

/// A column as written: `c`, `t.c` or `s.t.c`.
pub fn column_at(digested: &Digested, span: Span) -> Option<ColumnName> {
    let reader = Reader(digested);
    if !matches!(span.len(), 1 | 3 | 5) {
        return None;
    }
    for at in span.clone() {
        let name = matches!(digested.tokens[at].kind, TokenKind::Word | TokenKind::Identifier);
        let even = (at - span.start).is_multiple_of(2);
        if even != name || (!even && reader.text(at) != ".") {
            return None;
        }
    }
    let name = |at: usize| crate::sql::identifier_name(reader.text(at)).to_lowercase();
    let qualifier = (span.len() > 1).then(|| name(span.end - 3));
    Some((qualifier, name(span.end - 1)))
}

/// Reads `c = v`, `v = c` or `c IN (v, ..)`.
pub fn equality(digested: &Digested, span: Span) -> Option<(ColumnName, Vec<Value>)> {
    let reader = Reader(digested);
    let span = ungrouped(digested, span);
    let operator = span.clone().find(|at| reader.text(*at) == "=" || reader.is(*at, "IN"))?;
    let (left, right) = (span.start..operator, operator + 1..span.end);
    if reader.text(operator) == "=" {
        for (column, value) in [(left.clone(), right.clone()), (right, left)] {
            if let (Some(column), value) = (column_at(digested, column), value_of(digested, value))
                && value != Value::Expression
            {
                return Some((column, vec![value]));
            }
        }
        return None;
    }
    let column = column_at(digested, left)?;
    if !is_one_group(&reader, &right) {
        return None;
    }
    let mut values = Vec::new();
    let mut start = right.start + 1;
    for at in right.start + 1..right.end {
        match reader.text(at) {
            "(" => return None,
            "," | ")" => {
                values.push(value_of(digested, start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    (!values.contains(&Value::Expression)).then_some((column, values))
}
