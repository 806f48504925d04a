//! Parameter Store's rules for names and values.

use super::{ParameterType, Tier};
use crate::resource::Invalid;

/// The maximum length of a name: 1,011 with the ARN before it, of which the longest partition, region and account take 60. Source:
/// PutParameter in the Systems Manager API reference.
pub(in crate::kind) const NAME_LIMIT: usize = 1011 - 60;
/// The maximum number of levels of a hierarchy.
pub(in crate::kind) const LEVEL_LIMIT: usize = 15;

fn name_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.-".contains(letter)
}

/// Returns whether a text can be one level of a name. Parameter Store accepts `.` and `..` literally, but programs that read a name as a
/// path would resolve them.
pub(in crate::kind) fn is_level(text: &str) -> bool {
    !text.is_empty() && text.chars().all(name_char) && text != "." && text != ".."
}

/// Returns whether AWS reserves the names with this first level.
pub(in crate::kind) fn is_reserved(first: &str) -> bool {
    let first = first.to_ascii_lowercase();
    first.starts_with("aws") || first.starts_with("ssm")
}

/// Checks a whole name. Source: PutParameter in the Systems Manager API Reference.
pub(in crate::kind) fn check_name(name: &str) -> Result<(), Invalid> {
    let refuse = |why: &str, help: &str| Err(Invalid::new(format!("the parameter name \"{name}\" {why}"), help));
    let example = "write a name such as /app/database/url, of letters, digits, and . _ - between its slashes";
    let path = name.strip_prefix('/');
    if path.is_none() && name.contains('/') {
        return refuse("has levels and does not begin with /", example);
    }
    let levels: Vec<&str> = path.unwrap_or(name).split('/').collect();
    if !levels.iter().all(|level| is_level(level)) {
        return refuse("is not valid in Parameter Store", example);
    }
    if is_reserved(levels[0]) {
        return refuse("is reserved", "AWS reserves names that begin with aws or ssm; choose another first part");
    }
    if levels.len() > LEVEL_LIMIT {
        return refuse(&format!("has {} levels", levels.len()), "a parameter's name has at most 15 levels");
    }
    if name.len() > NAME_LIMIT {
        return refuse(&format!("has {} characters", name.len()), "AWS accepts 951 at most");
    }
    Ok(())
}

/// A value to check, and its name in messages.
#[derive(Debug, Clone, Copy)]
pub(in crate::kind) struct Checked<'a> {
    pub(in crate::kind) text: &'a str,
    /// `the policy`.
    pub(in crate::kind) what: &'a str,
    /// The section in a message: `this profile`.
    pub(in crate::kind) whose: &'a str,
}

pub(in crate::kind) fn check_value(value: Checked<'_>, tier: Tier) -> Result<(), Invalid> {
    let Checked { text, what, whose } = value;
    let size = text.len();
    if text.is_empty() {
        return Err(Invalid::new(format!("{what} is empty"), "a parameter's value cannot be empty"));
    }
    if size > tier.limit() {
        let help = match tier {
            Tier::Standard if size <= Tier::Advanced.limit() => {
                format!("shorten it, or set tier = \"advanced\" for {whose} (8,192 bytes; AWS charges for it)")
            }
            _ => String::from("shorten it: a parameter has at most 8,192 bytes, in the advanced tier"),
        };
        let problem = format!("{what} has {size} bytes; the {} tier allows {}", tier.as_str(), tier.limit());
        return Err(Invalid::new(problem, help));
    }
    if text.contains("{{") {
        return Err(Invalid::new(
            format!("{what} contains {{{{"),
            "AWS refuses values that contain {{: write it differently",
        ));
    }
    Ok(())
}

/// Checks the tier that settings require.
pub(in crate::kind) fn check_tier(tier: Option<Tier>, settings: &super::Settings, whose: &str) -> Result<(), Invalid> {
    if settings.is_advanced() && tier.unwrap_or(Tier::Standard) == Tier::Standard {
        let help = format!("set tier = \"advanced\" for {whose} (AWS charges for it), or remove them");
        return Err(Invalid::new("the standard tier has no parameter policies", help));
    }
    Ok(())
}

/// Returns the type with a name.
pub(in crate::kind) fn type_of(word: &str) -> ParameterType {
    match word {
        "String" => ParameterType::String,
        "StringList" => ParameterType::StringList,
        "SecureString" => ParameterType::SecureString,
        other => ParameterType::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_follows_parameter_stores_rules() {
        for good in ["/app/db", "plain", "/a", "a.b-c_D", &"/a".repeat(15)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "x".repeat(951));
        for bad in ["", "/", "a/b", "/a/", "//a", "/a//b", "/a b", "/aws/x", "ssm-x", "/a/..", &"/a".repeat(16), &long]
        {
            assert!(check_name(bad).is_err(), "{bad} passed");
        }
    }
}
