//! The contract's expressions: a small, deterministic part of MySQL's, parsed strictly.
//! Never here: statements, subqueries, or functions that depend on time, session or chance.

use super::lexer::{Token, tokens};

/// A column as written: `name` or `qualifier.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnName {
    pub qualifier: Option<String>,
    pub name: String,
}

impl std::fmt::Display for ColumnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.qualifier {
            Some(qualifier) => write!(f, "{qualifier}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Column(ColumnName),
    /// `*`, the whole `select_column` of a COUNT; never part of another expression.
    Star,
    Number(String),
    Text(String),
    /// NULL, TRUE or FALSE.
    Word(&'static str),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
    IsNull {
        operand: Box<Expression>,
        negated: bool,
    },
    In {
        operand: Box<Expression>,
        list: Vec<Expression>,
        negated: bool,
    },
    Between {
        operand: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
        negated: bool,
    },
    Like {
        operand: Box<Expression>,
        pattern: Box<Expression>,
        negated: bool,
    },
    Call(&'static str, Vec<Expression>),
    Case {
        operand: Option<Box<Expression>>,
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
}

/// Functions whose result depends on their arguments only.
const FUNCTIONS: [&str; 46] = [
    "ABS",
    "CEIL",
    "CEILING",
    "CHAR_LENGTH",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "CRC32",
    "DATE",
    "DATEDIFF",
    "DATE_FORMAT",
    "DAY",
    "FLOOR",
    "GREATEST",
    "HEX",
    "HOUR",
    "IF",
    "IFNULL",
    "INSTR",
    "JSON_EXTRACT",
    "JSON_UNQUOTE",
    "LEAST",
    "LEFT",
    "LENGTH",
    "LOCATE",
    "LOWER",
    "LPAD",
    "LTRIM",
    "MD5",
    "MINUTE",
    "MOD",
    "MONTH",
    "NULLIF",
    "REPLACE",
    "RIGHT",
    "ROUND",
    "RPAD",
    "RTRIM",
    "SECOND",
    "SHA2",
    "SUBSTRING",
    "SUBSTRING_INDEX",
    "TRIM",
    "TRUNCATE",
    "UPPER",
    "YEAR",
];

/// Words that cannot stand for a column unless quoted.
const KEYWORDS: [&str; 16] = [
    "AND", "OR", "NOT", "IS", "NULL", "IN", "BETWEEN", "LIKE", "CASE", "WHEN", "THEN", "ELSE",
    "END", "SELECT", "DISTINCT", "FROM",
];

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, String> {
        let mut parser = Parser { tokens: tokens(text)?, position: 0 };
        let expression = parser.or()?;
        match parser.tokens.get(parser.position) {
            None => Ok(expression),
            Some(token) => Err(format!("{} is not expected in `{text}`", describe(token))),
        }
    }

    /// Writes SQL, every operation in parentheses; `column` gives the text of each column.
    pub fn sql<E>(
        &self,
        column: &mut dyn FnMut(&ColumnName) -> Result<String, E>,
    ) -> Result<String, E> {
        Ok(match self {
            Expression::Column(name) => column(name)?,
            Expression::Star => "*".to_owned(),
            Expression::Number(number) => number.clone(),
            Expression::Text(text) => quote_text(text),
            Expression::Word(word) => (*word).to_owned(),
            Expression::Not(operand) => format!("(NOT {})", operand.sql(column)?),
            Expression::Negative(operand) => format!("(- {})", operand.sql(column)?),
            Expression::Binary(operator, left, right) => {
                format!("({} {operator} {})", left.sql(column)?, right.sql(column)?)
            }
            Expression::IsNull { operand, negated } => {
                format!("({} IS {}NULL)", operand.sql(column)?, not(*negated))
            }
            Expression::In { operand, list, negated } => {
                let operand = operand.sql(column)?;
                format!("({operand} {}IN ({}))", not(*negated), list_sql(list, column)?)
            }
            Expression::Between { operand, low, high, negated } => format!(
                "({} {}BETWEEN {} AND {})",
                operand.sql(column)?,
                not(*negated),
                low.sql(column)?,
                high.sql(column)?
            ),
            Expression::Like { operand, pattern, negated } => {
                let operand = operand.sql(column)?;
                format!("({operand} {}LIKE {})", not(*negated), pattern.sql(column)?)
            }
            Expression::Call(name, arguments) => {
                format!("{name}({})", list_sql(arguments, column)?)
            }
            Expression::Case { operand, branches, otherwise } => {
                let mut sql = "(CASE".to_owned();
                if let Some(operand) = operand {
                    sql.push_str(&format!(" {}", operand.sql(column)?));
                }
                for (when, then) in branches {
                    sql.push_str(&format!(
                        " WHEN {} THEN {}",
                        when.sql(column)?,
                        then.sql(column)?
                    ));
                }
                if let Some(otherwise) = otherwise {
                    sql.push_str(&format!(" ELSE {}", otherwise.sql(column)?));
                }
                sql + " END)"
            }
        })
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn list_sql<E>(
    list: &[Expression],
    column: &mut dyn FnMut(&ColumnName) -> Result<String, E>,
) -> Result<String, E> {
    let texts: Result<Vec<String>, E> = list.iter().map(|item| item.sql(column)).collect();
    Ok(texts?.join(", "))
}

/// A text literal for a session with an empty `sql_mode` (backslash escapes are on).
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word { text, .. } | Token::Number(text) => format!("`{text}`"),
        Token::Text(text) => format!("'{text}'"),
        Token::Symbol(symbol) => format!("`{symbol}`"),
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn word(&mut self, keyword: &str) -> bool {
        let found = matches!(self.tokens.get(self.position),
            Some(Token::Word { text, quoted: false }) if text.eq_ignore_ascii_case(keyword));
        self.position += usize::from(found);
        found
    }

    fn symbol(&mut self, wanted: &str) -> bool {
        let found =
            matches!(self.tokens.get(self.position), Some(Token::Symbol(s)) if *s == wanted);
        self.position += usize::from(found);
        found
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), String> {
        if self.word(keyword) { Ok(()) } else { Err(format!("{keyword} is missing")) }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), String> {
        if self.symbol(symbol) { Ok(()) } else { Err(format!("`{symbol}` is missing")) }
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        while self.word("OR") {
            left = Expression::Binary("OR", Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.negation()?;
        while self.word("AND") {
            left = Expression::Binary("AND", Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, String> {
        if self.word("NOT") {
            return Ok(Expression::Not(Box::new(self.negation()?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.sum()?;
        if self.word("IS") {
            let negated = self.word("NOT");
            self.expect_word("NULL")?;
            return Ok(Expression::IsNull { operand: Box::new(left), negated });
        }
        let negated = self.word("NOT");
        if self.word("IN") {
            self.expect_symbol("(")?;
            let list = self.list()?;
            return Ok(Expression::In { operand: Box::new(left), list, negated });
        }
        if self.word("BETWEEN") {
            let low = Box::new(self.sum()?);
            self.expect_word("AND")?;
            let high = Box::new(self.sum()?);
            return Ok(Expression::Between { operand: Box::new(left), low, high, negated });
        }
        if self.word("LIKE") {
            let pattern = Box::new(self.sum()?);
            return Ok(Expression::Like { operand: Box::new(left), pattern, negated });
        }
        if negated {
            return Err("NOT must be followed by IN, BETWEEN or LIKE".to_owned());
        }
        for operator in ["<=>", "<>", "!=", "<=", ">=", "=", "<", ">"] {
            if self.symbol(operator) {
                return Ok(Expression::Binary(operator, Box::new(left), Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, String> {
        let mut left = self.product()?;
        loop {
            let operator = if self.symbol("+") {
                "+"
            } else if self.symbol("-") {
                "-"
            } else {
                return Ok(left);
            };
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expression, String> {
        let mut left = self.atom()?;
        loop {
            let operator = if self.symbol("*") {
                "*"
            } else if self.symbol("/") {
                "/"
            } else if self.symbol("%") {
                "%"
            } else {
                return Ok(left);
            };
            left = Expression::Binary(operator, Box::new(left), Box::new(self.atom()?));
        }
    }

    fn atom(&mut self) -> Result<Expression, String> {
        if self.symbol("-") {
            return Ok(Expression::Negative(Box::new(self.atom()?)));
        }
        if self.symbol("(") {
            let inner = self.or()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        for word in ["NULL", "TRUE", "FALSE"] {
            if self.word(word) {
                return Ok(Expression::Word(word));
            }
        }
        if self.word("CASE") {
            return self.case();
        }
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        match token {
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Word { text, quoted }) => self.name(text, quoted),
            Some(token) => Err(format!("{} is not expected here", describe(&token))),
            None => Err("the expression ends too early".to_owned()),
        }
    }

    fn name(&mut self, text: String, quoted: bool) -> Result<Expression, String> {
        if !quoted && KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
            return Err(format!("`{text}` is not expected here"));
        }
        if !quoted && self.symbol("(") {
            let function = FUNCTIONS.iter().find(|name| name.eq_ignore_ascii_case(&text));
            let function = function.ok_or_else(|| {
                format!("the function {text} is not one that depends on its arguments only")
            })?;
            return Ok(Expression::Call(function, self.list()?));
        }
        if !self.symbol(".") {
            return Ok(Expression::Column(ColumnName { qualifier: None, name: text }));
        }
        let part = self.tokens.get(self.position).cloned();
        self.position += 1;
        match part {
            Some(Token::Word { text: name, .. }) => {
                Ok(Expression::Column(ColumnName { qualifier: Some(text), name }))
            }
            _ => Err(format!("a column name is missing after `{text}.`")),
        }
    }

    /// Arguments up to the closing parenthesis; the opening one is read already.
    fn list(&mut self) -> Result<Vec<Expression>, String> {
        let mut list = Vec::new();
        if self.symbol(")") {
            return Ok(list);
        }
        loop {
            list.push(self.or()?);
            if self.symbol(")") {
                return Ok(list);
            }
            self.expect_symbol(",")?;
        }
    }

    fn case(&mut self) -> Result<Expression, String> {
        let mut operand = None;
        if !self.word("WHEN") {
            operand = Some(Box::new(self.or()?));
            self.expect_word("WHEN")?;
        }
        let mut branches = Vec::new();
        loop {
            let when = self.or()?;
            self.expect_word("THEN")?;
            branches.push((when, self.or()?));
            if !self.word("WHEN") {
                break;
            }
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.or()?)) } else { None };
        self.expect_word("END")?;
        Ok(Expression::Case { operand, branches, otherwise })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Result<String, String> {
        Expression::parse(text)?.sql::<String>(&mut |name| Ok(name.to_string()))
    }

    #[test]
    fn operations_keep_their_precedence() {
        assert_eq!(
            sql("a + b * 2 > 3 AND NOT c").as_deref(),
            Ok("(((a + (b * 2)) > 3) AND (NOT c))")
        );
        assert_eq!(
            sql("x IS NOT NULL or y in (1,'z')").as_deref(),
            Ok("((x IS NOT NULL) OR (y IN (1, 'z')))")
        );
        assert_eq!(sql("concat(t.a, 'it''s')").as_deref(), Ok("CONCAT(t.a, 'it''s')"));
        assert_eq!(
            sql("case when a = 1 then 'x' else b end").as_deref(),
            Ok("(CASE WHEN (a = 1) THEN 'x' ELSE b END)")
        );
    }

    #[test]
    fn what_is_not_deterministic_is_refused() {
        for text in
            ["NOW()", "(SELECT 1)", "a; b", "RAND()", "a b", "a = ", "'open", "@x", "*", "COUNT(a)"]
        {
            assert!(sql(text).is_err(), "{text}");
        }
    }

    #[test]
    fn literals_cannot_break_out() {
        assert_eq!(quote_text("a'b\\"), "'a''b\\\\'");
    }
}
