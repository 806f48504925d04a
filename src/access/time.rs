//! Times in records: seconds since 1970, with milliseconds as decimals if records are ordered by them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};

use crate::resource::record::{Item, Value};

/// The maximum difference between the clocks of two machines, in seconds.
pub const CLOCK_DIFFERENCE: i64 = 30;

/// Returns a time to the millisecond.
pub(super) fn precise(at: Timestamp) -> Value {
    let millis = at.as_millisecond();
    Value::number(format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)))
}

/// Returns a time in whole seconds, which TTL requires.
pub(super) fn whole(at: Timestamp) -> Value {
    Value::number(at.as_second())
}

/// Reads a time, whole or with decimals.
pub(super) fn read(item: &Item, name: &str) -> Option<Timestamp> {
    let Value::Number(digits) = item.get(name)? else { return None };
    let (seconds, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let millis: String = decimals.chars().chain("000".chars()).take(3).collect();
    let seconds = seconds.parse::<i64>().ok()?.checked_mul(1000)?;
    Timestamp::from_millisecond(seconds.checked_add(millis.parse().ok()?)?).ok()
}

/// Reads a text.
pub(super) fn text(item: &Item, name: &str) -> Option<String> {
    match item.get(name)? {
        Value::Text(text) => Some(text.clone()),
        Value::Number(_) => None,
    }
}

/// Returns a time that is later by so many seconds, rounded down to a whole second.
pub fn later(at: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

/// Writes a time as seconds since 1970.
pub fn as_seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match at.as_millisecond() {
        whole if whole % 1000 == 0 => serializer.serialize_i64(whole / 1000),
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds since 1970 fit the 53 bits of a float until 287,396"
        )]
        millis => serializer.serialize_f64(millis as f64 / 1000.0),
    }
}

/// The same for an optional time.
pub fn as_seconds_if<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => as_seconds(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// Reads a time that [`as_seconds`] wrote.
pub(super) fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let item = Item::from([(String::from("at"), Value::number(number))]);
    read(&item, "at").ok_or_else(|| serde::de::Error::custom("it is no time"))
}

/// The same for an optional time.
pub(super) fn from_seconds_if<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    from_seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whole_or_with_decimals() {
        let of = |digits: &str| read(&Item::from([(String::from("at"), Value::number(digits))]), "at");
        assert_eq!(of("5").map(Timestamp::as_millisecond), Some(5000));
        assert_eq!(of("5.12").map(Timestamp::as_millisecond), Some(5120));
        assert_eq!(of("5.1239").map(Timestamp::as_millisecond), Some(5123));
        for bad in ["", "x", "5.x", "99999999999999999999"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        let at = Timestamp::from_millisecond(1_767_225_600_007).unwrap();
        assert_eq!(precise(at), Value::number("1767225600.007"));
        assert_eq!(read(&Item::from([(String::from("at"), precise(at))]), "at"), Some(at));
    }
}
