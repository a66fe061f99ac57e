//! Format letters of `date-format` and `number-format`.
//! Never here: cells or columns; the parts of a date and the digits of a number come ready.

/// A parsed `date-format`. Letters are MySQL's (`%Y-%m-%d`) where the format has a `%`, else the
/// words YYYY YY MM DD HH mm ss SSS; `epoch` and `epoch-ms` give numbers, `iso8601` the default form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateFormat {
    Iso,
    Epoch,
    EpochMilliseconds,
    Parts(Vec<DatePart>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatePart {
    Text(String),
    /// Field and the least number of digits.
    Field(DateField, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateField {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Milliseconds,
    Microseconds,
}

/// The parts of a moment that a format may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

const PERCENT_LETTERS: [(char, DateField, usize); 12] = [
    ('Y', DateField::Year, 4),
    ('y', DateField::ShortYear, 2),
    ('m', DateField::Month, 2),
    ('c', DateField::Month, 1),
    ('d', DateField::Day, 2),
    ('e', DateField::Day, 1),
    ('H', DateField::Hour, 2),
    ('k', DateField::Hour, 1),
    ('i', DateField::Minute, 2),
    ('s', DateField::Second, 2),
    ('S', DateField::Second, 2),
    ('f', DateField::Microseconds, 6),
];

const WORD_LETTERS: [(&str, DateField, usize); 8] = [
    ("YYYY", DateField::Year, 4),
    ("YY", DateField::ShortYear, 2),
    ("MM", DateField::Month, 2),
    ("DD", DateField::Day, 2),
    ("HH", DateField::Hour, 2),
    ("mm", DateField::Minute, 2),
    ("SSS", DateField::Milliseconds, 3),
    ("ss", DateField::Second, 2),
];

impl DateFormat {
    pub fn parse(text: &str) -> Result<DateFormat, String> {
        match text.to_ascii_lowercase().as_str() {
            "" => return Err("the date format is empty".to_owned()),
            "iso8601" | "iso-8601" | "iso" => return Ok(DateFormat::Iso),
            "epoch" | "unix" | "epoch-seconds" => return Ok(DateFormat::Epoch),
            "epoch-ms" | "epoch_ms" | "epoch-milliseconds" => {
                return Ok(DateFormat::EpochMilliseconds);
            }
            _ => {}
        }
        if text.contains('%') { percent_format(text) } else { word_format(text) }
    }
}

impl DatePart {
    pub fn write(&self, moment: &Moment, out: &mut String) {
        let (field, width) = match self {
            DatePart::Text(text) => return out.push_str(text),
            DatePart::Field(field, width) => (*field, *width),
        };
        let number = match field {
            DateField::Year => u32::from(moment.year),
            DateField::ShortYear => u32::from(moment.year % 100),
            DateField::Month => u32::from(moment.month),
            DateField::Day => u32::from(moment.day),
            DateField::Hour => u32::from(moment.hour),
            DateField::Minute => u32::from(moment.minute),
            DateField::Second => u32::from(moment.second),
            DateField::Milliseconds => moment.micros / 1000,
            DateField::Microseconds => moment.micros,
        };
        out.push_str(&format!("{number:0width$}"));
    }
}

fn percent_format(text: &str) -> Result<DateFormat, String> {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '%' {
            constant.push(c);
            continue;
        }
        let letter = characters.next().ok_or_else(|| format!("`{text}` ends in %"))?;
        if letter == '%' {
            constant.push('%');
            continue;
        }
        if letter == 'T' {
            constant_part(&mut parts, &mut constant);
            let fields = [DateField::Hour, DateField::Minute, DateField::Second];
            for (i, field) in fields.into_iter().enumerate() {
                if i > 0 {
                    parts.push(DatePart::Text(":".to_owned()));
                }
                parts.push(DatePart::Field(field, 2));
            }
            continue;
        }
        // MySQL's %M is the month's name, which depends on a locale; it is not offered.
        let known = PERCENT_LETTERS.iter().find(|(l, ..)| *l == letter);
        let (_, field, width) =
            known.ok_or_else(|| format!("%{letter} is not a letter of date-format"))?;
        constant_part(&mut parts, &mut constant);
        parts.push(DatePart::Field(*field, *width));
    }
    constant_part(&mut parts, &mut constant);
    Ok(DateFormat::Parts(parts))
}

fn word_format(text: &str) -> Result<DateFormat, String> {
    let mut parts = Vec::new();
    let mut constant = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let end =
                quoted.find('\'').ok_or_else(|| format!("a quote is not closed in `{text}`"))?;
            constant.push_str(&quoted[..end]);
            rest = &quoted[end + 1..];
            continue;
        }
        if let Some((word, field, width)) = WORD_LETTERS.iter().find(|(w, ..)| rest.starts_with(w))
        {
            constant_part(&mut parts, &mut constant);
            parts.push(DatePart::Field(*field, *width));
            rest = &rest[word.len()..];
            continue;
        }
        if first.is_ascii_alphabetic() && !matches!(first, 'T' | 'Z') {
            return Err(format!("`{first}` in `{text}` is not a letter of date-format"));
        }
        constant.push(first);
        rest = &rest[first.len_utf8()..];
    }
    constant_part(&mut parts, &mut constant);
    Ok(DateFormat::Parts(parts))
}

fn constant_part(parts: &mut Vec<DatePart>, constant: &mut String) {
    if !constant.is_empty() {
        parts.push(DatePart::Text(std::mem::take(constant)));
    }
}

/// A parsed `number-format`: a picture such as `0000`, `0.00` or `#,##0.00`, or printf's `%05d`,
/// `%.2f`. Zeros before the point are the least digits, zeros after it the fixed digits (rounded
/// half away from zero), a comma groups by thousands; text around the picture is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberFormat {
    pub prefix: String,
    pub suffix: String,
    pub integer_digits: usize,
    pub fraction_digits: usize,
    pub grouped: bool,
}

/// More digits than any MySQL number has: a longer picture is a slip.
const PICTURE_DIGITS_MAX: usize = 100;

impl NumberFormat {
    pub fn parse(text: &str) -> Result<NumberFormat, String> {
        let format = match text.find('%') {
            Some(position) => printf(text, position)?,
            None => picture(text)?,
        };
        if format.integer_digits > PICTURE_DIGITS_MAX || format.fraction_digits > PICTURE_DIGITS_MAX
        {
            return Err(format!("`{text}` asks for more than {PICTURE_DIGITS_MAX} digits"));
        }
        Ok(format)
    }

    /// Formats plain decimal text (no exponent).
    pub fn apply(&self, number: &str) -> Result<String, String> {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !(whole.chars().chain(fraction.chars())).all(|c| c.is_ascii_digit())
        {
            return Err(format!(
                "number-format is given `{number}`, which is no plain decimal number"
            ));
        }
        let (whole, fraction) = round(whole, fraction, self.fraction_digits);
        let mut whole = whole.trim_start_matches('0').to_owned();
        while whole.len() < self.integer_digits.max(1) {
            whole.insert(0, '0');
        }
        let zero = whole.chars().chain(fraction.chars()).all(|c| c == '0');
        if self.grouped {
            whole = group(&whole);
        }
        let sign = if negative && !zero { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        Ok(format!("{}{sign}{whole}{point}{fraction}{}", self.prefix, self.suffix))
    }
}

fn printf(text: &str, position: usize) -> Result<NumberFormat, String> {
    let fault = || format!("`{text}` is neither %d, %05d nor %.2f");
    let after = &text[position + 1..];
    let end = after.find(['d', 'f']).ok_or_else(fault)?;
    let (width, precision) = after[..end].split_once('.').unwrap_or((&after[..end], ""));
    let number = |digits: &str| match digits {
        "" => Ok(0),
        digits => digits.parse::<usize>().map_err(|_| fault()),
    };
    let fraction_digits = number(precision)?;
    let width = number(width)?;
    let point = if fraction_digits == 0 { 0 } else { fraction_digits + 1 };
    Ok(NumberFormat {
        prefix: text[..position].to_owned(),
        suffix: after[end + 1..].to_owned(),
        integer_digits: width.saturating_sub(point),
        fraction_digits,
        grouped: false,
    })
}

fn picture(text: &str) -> Result<NumberFormat, String> {
    let is_picture = |c: char| matches!(c, '0' | '#' | ',' | '.');
    let start = text.find(['0', '#']).ok_or_else(|| format!("`{text}` has no digit: 0 or #"))?;
    let end = text[start..].find(|c| !is_picture(c)).map_or(text.len(), |n| start + n);
    let picture = &text[start..end];
    let (whole, fraction) = picture.split_once('.').unwrap_or((picture, ""));
    if fraction.contains(['.', ',', '#']) || text[end..].contains(['0', '#']) {
        return Err(format!("`{text}` is no number picture such as 0000 or #,##0.00"));
    }
    Ok(NumberFormat {
        prefix: text[..start].to_owned(),
        suffix: text[end..].to_owned(),
        integer_digits: whole.chars().filter(|c| *c == '0').count(),
        fraction_digits: fraction.len(),
        grouped: whole.contains(','),
    })
}

/// Rounds half away from zero, as MySQL's ROUND does for exact numbers.
fn round(whole: &str, fraction: &str, digits: usize) -> (String, String) {
    if fraction.len() <= digits {
        return (whole.to_owned(), format!("{fraction:0<digits$}"));
    }
    let up = fraction.as_bytes()[digits] >= b'5';
    let mut kept: Vec<u8> = whole.bytes().chain(fraction.bytes().take(digits)).collect();
    let mut carry = up;
    for digit in kept.iter_mut().rev() {
        if !carry {
            break;
        }
        carry = *digit == b'9';
        *digit = if carry { b'0' } else { *digit + 1 };
    }
    let mut text: String = kept.into_iter().map(char::from).collect();
    if carry {
        text.insert(0, '1');
    }
    let split = text.len() - digits;
    let fraction = text.split_off(split);
    (text, fraction)
}

fn group(whole: &str) -> String {
    let mut grouped = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(format: &str) -> String {
        let moment =
            Moment { year: 2024, month: 3, day: 9, hour: 7, minute: 5, second: 1, micros: 1_230 };
        let mut text = String::new();
        match DateFormat::parse(format) {
            Ok(DateFormat::Parts(parts)) => parts.iter().for_each(|p| p.write(&moment, &mut text)),
            other => text = format!("{other:?}"),
        }
        text
    }

    #[test]
    fn date_formats_of_both_spellings_agree() {
        assert_eq!(date("%Y-%m-%d %H:%i:%s.%f"), "2024-03-09 07:05:01.001230");
        assert_eq!(date("YYYY-MM-DDTHH:mm:ss.SSSZ"), "2024-03-09T07:05:01.001Z");
        assert_eq!(date("%e/%c/%y %T"), "9/3/24 07:05:01");
        assert!(DateFormat::parse("%M").is_err());
        assert!(DateFormat::parse("yyyy").is_err());
    }

    #[test]
    fn numbers_are_rounded_padded_and_grouped() {
        let apply =
            |format: &str, number: &str| NumberFormat::parse(format).and_then(|f| f.apply(number));
        assert_eq!(apply("0.00", "1.005").as_deref(), Ok("1.01"));
        assert_eq!(apply("0.00", "-0.004").as_deref(), Ok("0.00"));
        assert_eq!(apply("00000", "42").as_deref(), Ok("00042"));
        assert_eq!(apply("%05d", "42").as_deref(), Ok("00042"));
        assert_eq!(apply("%.1f", "99.95").as_deref(), Ok("100.0"));
        assert_eq!(apply("$#,##0.00", "1234567.891").as_deref(), Ok("$1,234,567.89"));
        assert!(apply("abc", "1").is_err());
        assert!(apply("0", "1e5").is_err());
    }
}
