//! DATE, TIME, DATETIME and TIMESTAMP as text (ISO 8601 where MySQL's value has such a form) and
//! as epoch numbers, both ways.
//! Never here: time zones; a TIMESTAMP cell is in UTC already.

use super::number::Number;
use super::{Cell, ConvertError, EpochUnit};

const MICROS_PER_SECOND: i128 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// What follows the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// DATETIME.
    None,
    /// TIMESTAMP: `Z`.
    Utc,
}

/// `2024-02-29`; zero dates are the same digits as MySQL's text.
pub(super) fn date_text(year: u16, month: u8, day: u8) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

/// The digits behind the seconds; an error where `digits` cannot hold `micros` exactly.
fn fraction_text(micros: u32, digits: u8) -> Result<String, ConvertError> {
    let digits = usize::from(digits.min(6));
    let all = format!("{micros:06}");
    let (kept, lost) = all.split_at(digits);
    if lost.bytes().any(|byte| byte != b'0') {
        return Err(ConvertError::Unfit(format!(
            "the fraction of a second has more than the column's {digits} digits"
        )));
    }
    Ok(if digits == 0 { String::new() } else { format!(".{kept}") })
}

/// Digits needed where no column says how many: all six, or none for a whole second.
pub(super) fn natural_fraction(micros: u32) -> u8 {
    if micros == 0 { 0 } else { 6 }
}

/// Text of a DATE, DATETIME or TIME cell. `fraction` is the column's; a cell of the neighbouring
/// kind is taken where nothing is lost (a DATE for a DATETIME column is its midnight).
pub(super) fn datetime_text(cell: &Cell, fraction: u8, zone: Zone) -> Result<String, ConvertError> {
    let (year, month, day, hour, minute, second, micros) = datetime_parts(cell)?;
    let date = date_text(year, month, day);
    let time = format!("{hour:02}:{minute:02}:{second:02}{}", fraction_text(micros, fraction)?);
    if month == 0 || day == 0 {
        // There is no ISO form of a zero date: MySQL's text is kept.
        return Ok(format!("{date} {time}"));
    }
    let zone = match zone {
        Zone::None => "",
        Zone::Utc => "Z",
    };
    Ok(format!("{date}T{time}{zone}"))
}

type DateTimeParts = (u16, u8, u8, u8, u8, u8, u32);

fn datetime_parts(cell: &Cell) -> Result<DateTimeParts, ConvertError> {
    match *cell {
        Cell::DateTime { year, month, day, hour, minute, second, micros } => {
            Ok((year, month, day, hour, minute, second, micros))
        }
        Cell::Date { year, month, day } => Ok((year, month, day, 0, 0, 0, 0)),
        _ => Err(unfit("a date and time")),
    }
}

/// `12:30:00`, `-01:00:00`, `838:59:59`: ISO within a day, MySQL's text beyond.
pub(super) fn time_text(
    negative: bool,
    hours: u32,
    minutes: u8,
    seconds: u8,
    micros: u32,
    fraction: u8,
) -> Result<String, ConvertError> {
    let is_zero = hours == 0 && minutes == 0 && seconds == 0 && micros == 0;
    let sign = if negative && !is_zero { "-" } else { "" };
    Ok(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction_text(micros, fraction)?))
}

fn unfit(what: &str) -> ConvertError {
    ConvertError::Unfit(format!("the value is not {what}"))
}

fn digits<T: std::str::FromStr>(text: &str, least: usize, most: usize) -> Option<T> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// `hours:minutes:seconds.micros` with `most` digits for the hours.
fn clock(text: &str, most: usize) -> Option<(u32, u8, u8, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let hours = digits(parts.next()?, 2, most)?;
    let minutes: u8 = digits(parts.next()?, 2, 2)?;
    let seconds: u8 = digits(parts.next()?, 2, 2)?;
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros: u32 = digits(&format!("{fraction:0<6}"), 6, 6)?;
    Some((hours, minutes, seconds, micros))
}

/// Reads `YYYY-MM-DD`, zero parts included.
pub(super) fn parse_date(text: &str) -> Result<Cell, ConvertError> {
    let parse = || {
        let mut parts = text.split('-');
        let year = digits(parts.next()?, 4, 4)?;
        let month = digits::<u8>(parts.next()?, 2, 2).filter(|&m| m <= 12)?;
        let day = digits::<u8>(parts.next()?, 2, 2).filter(|&d| d <= 31)?;
        parts.next().is_none().then_some(Cell::Date { year, month, day })
    };
    parse().ok_or_else(|| unfit("a date (YYYY-MM-DD)"))
}

/// Reads the ISO form or MySQL's, with or without `Z`.
pub(super) fn parse_datetime(text: &str) -> Result<Cell, ConvertError> {
    let fault = || unfit("a date and time (YYYY-MM-DDThh:mm:ss)");
    let bare = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = bare.split_once(['T', ' ']).unwrap_or((bare, "00:00:00"));
    let Cell::Date { year, month, day } = parse_date(date)? else { return Err(fault()) };
    let (hours, minute, second, micros) = clock(time, 2).ok_or_else(fault)?;
    let hour = u8::try_from(hours).ok().filter(|&h| h < 24).ok_or_else(fault)?;
    Ok(Cell::DateTime { year, month, day, hour, minute, second, micros })
}

/// Reads `[-]hh:mm:ss[.ffffff]`, hours up to MySQL's 838.
pub(super) fn parse_time(text: &str) -> Result<Cell, ConvertError> {
    let (negative, bare) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (hours, minutes, seconds, micros) =
        clock(bare, 3).ok_or_else(|| unfit("a time (hh:mm:ss)"))?;
    Ok(Cell::Time { negative, hours, minutes, seconds, micros })
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = (month_index + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * month_index + 2) / 5 + 1)
}

/// The instant as an epoch number. Fractions finer than the unit stay as decimals, so nothing is
/// lost; a DATETIME counts as UTC.
pub(super) fn epoch_text(cell: &Cell, unit: EpochUnit) -> Result<String, ConvertError> {
    let (year, month, day, hour, minute, second, micros) = datetime_parts(cell)?;
    let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
    let civil = civil_from_days(days);
    if month == 0 || day == 0 || civil != (i64::from(year), i64::from(month), i64::from(day)) {
        return Err(ConvertError::Unfit(format!(
            "{} is no day of the calendar and has no epoch number",
            date_text(year, month, day)
        )));
    }
    let seconds = days * SECONDS_PER_DAY
        + i64::from(hour) * 3_600
        + i64::from(minute) * 60
        + i64::from(second);
    let total = i128::from(seconds) * MICROS_PER_SECOND + i128::from(micros);
    let exponent = match unit {
        EpochUnit::Seconds => -6,
        EpochUnit::Milliseconds => -3,
    };
    Number::parse(&format!("{total}e{exponent}"))
        .map(|number| number.plain())
        .ok_or_else(|| unfit("a date and time"))
}

/// The inverse of [`epoch_text`].
pub(super) fn parse_epoch(text: &str, unit: EpochUnit) -> Result<Cell, ConvertError> {
    let fault = || unfit("an epoch number of a date between the years 0 and 9999");
    let number = Number::parse(text).ok_or_else(fault)?;
    number.check()?;
    let scaled = match unit {
        EpochUnit::Seconds => format!("{}e6", number.plain()),
        EpochUnit::Milliseconds => format!("{}e3", number.plain()),
    };
    let total = Number::parse(&scaled).and_then(|n| n.to_integer()).ok_or_else(fault)?;
    let seconds = i64::try_from(total.div_euclid(MICROS_PER_SECOND)).map_err(|_| fault())?;
    let micros = total.rem_euclid(MICROS_PER_SECOND) as u32;
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    // Ten thousand years of days: keeps the calendar arithmetic far from overflow.
    if days.abs() > 3_660_000 {
        return Err(fault());
    }
    let (year, month, day) = civil_from_days(days);
    let year = u16::try_from(year).ok().filter(|&y| y <= 9_999).ok_or_else(fault)?;
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    Ok(Cell::DateTime {
        year,
        month: month as u8,
        day: day as u8,
        hour: (of_day / 3_600) as u8,
        minute: (of_day / 60 % 60) as u8,
        second: (of_day % 60) as u8,
        micros,
    })
}
