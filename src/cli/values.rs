//! Parsers for the values of options.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use strum::VariantArray;

use super::duration;
use crate::document::closest;
use crate::resource::caller::name_of;
use crate::resource::role::is_name;
use crate::resource::secret::Secret;
use crate::review::fail_on::Check;

/// Returns a parser for a fixed set of words.
pub(super) fn choices<T: Copy + Send + Sync + 'static>(
    all: &[T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let all = all.to_vec();
    PossibleValuesParser::new(all.iter().map(|one| word(*one)).collect::<Vec<_>>()).try_map(move |text| {
        let found = all.iter().copied().find(|one| word(*one) == text);
        found.ok_or_else(|| format!("{text} is not one of them"))
    })
}

/// Parses a value of `--fail-on`.
pub(super) fn check(text: &str) -> Result<Check, String> {
    let known: Vec<&str> = Check::VARIANTS.iter().map(|one| one.word()).collect();
    let found = Check::VARIANTS.iter().copied().find(|one| one.word() == text);
    found.ok_or_else(|| {
        let list = known.join(", ");
        match closest(text, &known) {
            Some(one) => format!("did you mean {one}? Valid values are: {list}"),
            None => format!("valid values are: {list}"),
        }
    })
}

/// Parses a number of at least 1.
pub(super) fn positive<N: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|number| *number >= N::from(1));
    number.ok_or_else(|| String::from("write a whole number of at least 1"))
}

/// Parses a moment.
pub(super) fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    crate::policy::moment(text).map_err(|invalid| format!("{}; {}", invalid.problem, invalid.help))
}

/// Parses a user's name, or the ARN of a caller.
pub(super) fn subject(text: &str) -> Result<String, String> {
    let fits = if text.starts_with("arn:") { name_of(text).is_some() } else { is_name(text) };
    if fits {
        return Ok(text.to_owned());
    }
    Err(String::from(
        "it is neither a user's name (letters, digits, and any of _+=,.@-) nor the ARN of a user or of a role's session",
    ))
}

/// Parses a user's name.
pub(super) fn user_name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(String::from("a user's name has letters, digits, and any of _+=,.@-"))
}

/// Parses the name of a user to allow. A comma most likely separates two names, although IAM permits it in a name (IAM User Guide, "IAM and
/// AWS STS quotas").
pub(super) fn allowed_user(text: &str) -> Result<String, String> {
    if text.contains(',') {
        let names = text.split(',').map(str::trim).filter(|name| is_name(name));
        let options: Vec<String> = names.map(|name| format!("--allow {name}")).collect();
        let meant = if options.is_empty() { "--allow USER for each user".to_owned() } else { options.join(" ") };
        return Err(format!("did you mean {meant}? To allow a user whose name has a comma, write the policy by hand"));
    }
    user_name(text)
}

/// Checks the length of a text, in characters and without the white space around it.
pub(super) fn text_of(text: &str, least: usize, most: usize) -> Result<String, String> {
    let text = text.trim();
    let count = text.chars().count();
    if (least..=most).contains(&count) {
        return Ok(text.to_owned());
    }
    Err(format!("it must have {least} to {most} characters, and this has {count}"))
}

/// Parses the code of an MFA device: six digits (STS API Reference, "AssumeRole").
pub(super) fn mfa_code(text: &str) -> Result<Secret, String> {
    let fits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(Secret::new(text.to_owned())) } else { Err(String::from("a code has six digits")) }
}

/// Parses a duration between one minute and this number of hours.
pub(super) fn lasting(text: &str, hours: u64) -> Result<Duration, String> {
    let time = duration(text)?;
    if (60..=hours * 3600).contains(&time.as_secs()) {
        return Ok(time);
    }
    Err(format!("it can be 1m to {hours}h"))
}

/// Parses the time limit of a command.
pub(super) fn time_limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(String::from("write at least 1s, or omit the option for no limit")),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_leaves_some_time() {
        assert_eq!(time_limit("1s"), Ok(Duration::from_secs(1)));
        for bad in ["0", "0s", "0m", "PT0S"] {
            assert!(time_limit(bad).unwrap_err().contains("write at least 1s"), "{bad} passed");
        }
    }

    #[test]
    fn locks_accept_names_and_arns_of_callers() {
        let arn = "arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com";
        for good in ["alice", "alice@example.com", "arn:aws:iam::123456789012:user/team/alice", arn] {
            assert_eq!(subject(good), Ok(good.to_owned()));
        }
        for bad in ["", "alice ", "a/b", "arn:aws:iam::123456789012:role/Admin", "arn:aws:iam::123456789012:root"] {
            assert!(subject(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn an_allowed_user_has_no_comma() {
        assert_eq!(allowed_user("carol"), Ok(String::from("carol")));
        for (text, options) in [
            ("carol,dave", "--allow carol --allow dave"),
            ("carol, dave", "--allow carol --allow dave"),
            ("carol,", "--allow carol"),
        ] {
            let message =
                format!("did you mean {options}? To allow a user whose name has a comma, write the policy by hand");
            assert_eq!(allowed_user(text), Err(message));
        }
        for bad in ["", ",", "a b,c"] {
            assert!(allowed_user(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn numbers_have_a_plain_message() {
        assert_eq!(positive::<i64>("12"), Ok(12));
        for bad in ["0", "-1", "1.5", "x", "", "99999999999999999999"] {
            assert_eq!(positive::<u32>(bad), Err(String::from("write a whole number of at least 1")));
        }
    }

    #[test]
    fn texts_and_times_have_their_limits() {
        assert_eq!(text_of("  Deploy it  ", 9, 9), Ok(String::from("Deploy it")));
        assert_eq!(text_of("héllo wörld", 11, 11), Ok(String::from("héllo wörld")));
        assert_eq!(text_of("short", 10, 500), Err(String::from("it must have 10 to 500 characters, and this has 5")));
        assert!(text_of(&"x".repeat(501), 10, 500).is_err());
        assert_eq!(lasting("8h", 8), Ok(Duration::from_secs(28_800)));
        for bad in ["0s", "59s", "481m", "9h", "x", ""] {
            assert!(lasting(bad, 8).is_err(), "{bad} passed");
        }
    }
}
