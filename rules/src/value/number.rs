//! Exact decimal numbers: DynamoDB's limits and canonical text, MySQL's scales, float text.
//! Never here: which column or attribute a number belongs to (see `convert`).

use super::ConvertError;

/// Significant digits DynamoDB keeps of a number.
pub const NUMBER_DIGITS_MAX: usize = 38;
/// Largest decimal exponent of a DynamoDB number (9.99..E+125).
const EXPONENT_MAX: i64 = 125;
/// Smallest decimal exponent of a DynamoDB number (1E-130).
const EXPONENT_MIN: i64 = -130;

/// A decimal number in one form only: `0.DIGITS * 10^point`, no leading or trailing zeros in
/// `digits`, zero has no digits and no sign. So equality is numeric equality.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    negative: bool,
    digits: String,
    point: i64,
}

impl Number {
    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Number { negative: false, digits, point: 0 });
        }
        let point = exponent.checked_add(whole.len() as i64)?.checked_sub(leading as i64)?;
        Some(Number { negative, digits, point })
    }

    /// Significant digits; none for zero.
    pub fn significant_digits(&self) -> usize {
        self.digits.len()
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether DynamoDB can hold the number exactly.
    pub fn check(&self) -> Result<(), ConvertError> {
        if self.digits.len() > NUMBER_DIGITS_MAX {
            return Err(ConvertError::Unfit(format!(
                "a number of {} significant digits exceeds DynamoDB's {NUMBER_DIGITS_MAX}",
                self.digits.len()
            )));
        }
        let exponent = self.point.saturating_sub(1);
        if !self.digits.is_empty() && !(EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) {
            return Err(ConvertError::Unfit(format!(
                "a number with decimal exponent {exponent} is outside DynamoDB's range \
                 (1E{EXPONENT_MIN} to 9.9E{EXPONENT_MAX})"
            )));
        }
        Ok(())
    }

    /// Plain digits without exponent and without needless zeros: the canonical text.
    ///
    /// Call only on numbers of bounded exponent (checked, or of a MySQL integer or DECIMAL).
    pub fn plain(&self) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        let sign = if self.negative { "-" } else { "" };
        let length = self.digits.len() as i64;
        if self.point <= 0 {
            format!("{sign}0.{}{}", "0".repeat(self.point.unsigned_abs() as usize), self.digits)
        } else if self.point >= length {
            format!("{sign}{}{}", self.digits, "0".repeat((self.point - length) as usize))
        } else {
            let (whole, fraction) = self.digits.split_at(self.point as usize);
            format!("{sign}{whole}.{fraction}")
        }
    }

    /// Digits behind the decimal point in [`Number::plain`].
    fn fraction_digits(&self) -> i64 {
        if self.digits.is_empty() { 0 } else { (self.digits.len() as i64 - self.point).max(0) }
    }

    /// Plain text with exactly `scale` digits behind the point; `None` where that would round.
    pub fn with_scale(&self, scale: u8) -> Option<String> {
        let fraction = self.fraction_digits();
        let missing = usize::try_from(i64::from(scale) - fraction).ok()?;
        let mut text = self.plain();
        if scale > 0 && fraction == 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat(missing));
        Some(text)
    }

    /// The number as an integer, where it is one and fits.
    pub fn to_integer(&self) -> Option<i128> {
        // An i128 holds 38 digits and a bit; more digits cannot be a MySQL integer anyway.
        if self.fraction_digits() != 0 || self.point > NUMBER_DIGITS_MAX as i64 {
            return None;
        }
        self.plain().parse().ok()
    }
}

/// The canonical text of a number that DynamoDB can hold exactly.
pub fn normalise_number(text: &str) -> Result<String, ConvertError> {
    let number = Number::parse(text)
        .ok_or_else(|| ConvertError::Unfit("the text is not a decimal number".to_owned()))?;
    number.check()?;
    Ok(number.plain())
}

/// Numeric equality of two texts; what is not a number equals only itself.
pub fn numbers_equal(left: &str, right: &str) -> bool {
    match (Number::parse(left), Number::parse(right)) {
        (Some(a), Some(b)) => a == b,
        _ => left == right,
    }
}

/// Values printed plainly; others with an exponent.
const PLAIN_FLOAT_MIN: f64 = 1e-5;
const PLAIN_FLOAT_MAX: f64 = 1e15;

/// The shortest text that reads back as the same DOUBLE.
pub fn double_text(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (PLAIN_FLOAT_MIN..PLAIN_FLOAT_MAX).contains(&size) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// The shortest text that reads back as the same FLOAT.
pub fn float_text(value: f32) -> String {
    let size = f64::from(value.abs());
    if size == 0.0 || (PLAIN_FLOAT_MIN..PLAIN_FLOAT_MAX).contains(&size) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_canonical_text() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("1.50", "1.5"),
            ("+0001", "1"),
            ("1E2", "100"),
            ("12.5e-3", "0.0125"),
            (".5", "0.5"),
            ("-100", "-100"),
            ("5.", "5"),
        ] {
            assert_eq!(normalise_number(text).unwrap(), canonical, "{text}");
        }
        for text in ["", "-", ".", "1e", "0x1", "NaN", "inf", "1 ", "1.2.3", "--1"] {
            assert!(normalise_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dynamodb_limits_hold_at_their_edges() {
        let nines = "9".repeat(38);
        assert!(normalise_number(&nines).is_ok());
        assert!(normalise_number(&format!("{nines}9")).is_err());
        assert!(normalise_number(&format!("{nines}0")).is_ok(), "trailing zeros do not count");
        assert!(normalise_number("9.9e125").is_ok());
        assert!(normalise_number("1e126").is_err());
        assert!(normalise_number("-1e-130").is_ok());
        assert!(normalise_number("1e-131").is_err());
        assert!(normalise_number("1e99999999999999999999").is_err());
        assert!(normalise_number("1e9223372036854775807").is_err());
    }

    #[test]
    fn a_scale_pads_and_never_rounds() {
        let number = |text: &str| Number::parse(text).unwrap();
        assert_eq!(number("1.5").with_scale(2).as_deref(), Some("1.50"));
        assert_eq!(number("7").with_scale(3).as_deref(), Some("7.000"));
        assert_eq!(number("0").with_scale(2).as_deref(), Some("0.00"));
        assert_eq!(number("70").with_scale(0).as_deref(), Some("70"));
        assert_eq!(number("0.001").with_scale(2), None);
    }
}
