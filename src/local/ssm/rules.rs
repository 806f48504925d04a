//! Parameter Store's rules, with its messages. Source: the Systems Manager API reference and user guide.

use crate::local::answer::Failure;

/// Checks a name: its characters, its first part, its levels, its length.
pub(super) fn check_name(name: &str, arn: &str) -> Result<(), Failure> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-/".contains(letter);
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if name.is_empty() || !name.chars().all(allowed) || first.starts_with("aws") || first.starts_with("ssm") {
        return Err(Failure::validation(
            "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). If formed as a path, it \
             can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, \
             numbers and the following 3 symbols .-_",
        ));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(Failure::validation("Parameter name must be a fully qualified name."));
    }
    if name.matches('/').count() > 15 {
        let message = "A hierarchy can have a maximum of 15 levels. For more information, see Requirements and \
                       constraints for parameter names in the AWS Systems Manager User Guide.";
        return Err(Failure::new("HierarchyLevelLimitExceededException", message));
    }
    if arn.len() > 1011 {
        return Err(Failure::validation("Parameter name: the fully qualified name is longer than 1011 characters."));
    }
    Ok(())
}

/// The maximum size of a value in the standard tier.
pub(super) const STANDARD_BYTES: usize = 4096;

/// Checks a parameter's type.
pub(super) fn check_type(kind: &str) -> Result<(), Failure> {
    if ["String", "StringList", "SecureString"].contains(&kind) {
        return Ok(());
    }
    Err(Failure::validation(format!(
        "1 validation error detected: Value '{kind}' at 'type' failed to satisfy constraint: Member must satisfy enum \
         value set: [SecureString, StringList, String]"
    )))
}

pub(super) fn check_data_type(data_type: &str) -> Result<(), Failure> {
    match data_type {
        "text" | "aws:ec2:image" | "aws:ssm:integration" => Ok(()),
        other => Err(Failure::validation(format!(
            "The following data type is not supported: {other} (Data type names are all lowercase.)"
        ))),
    }
}

/// Checks a value against the pattern of the parameter.
pub(super) fn check_pattern(value: &str, pattern: Option<&str>) -> Result<(), Failure> {
    let Some(pattern) = pattern else { return Ok(()) };
    let Ok(expression) = regex_lite::Regex::new(&format!("^(?:{pattern})$")) else {
        let message = "The request does not meet the regular expression requirement.";
        return Err(Failure::new("InvalidAllowedPatternException", message));
    };
    if expression.is_match(value) {
        return Ok(());
    }
    let message = format!("Parameter value, cannot be validated against allowedPattern: {pattern}");
    Err(Failure::new("ParameterPatternMismatchException", message))
}

/// Returns the tier after a write, and refuses a downgrade.
pub(super) fn tier(asked: Option<&str>, before: Option<&str>, wants_advanced: bool) -> Result<String, Failure> {
    let tier = match asked {
        Some("Intelligent-Tiering") if wants_advanced || before == Some("Advanced") => "Advanced",
        Some("Intelligent-Tiering") | None => before.unwrap_or("Standard"),
        Some(tier @ ("Standard" | "Advanced")) => tier,
        Some(other) => {
            return Err(Failure::validation(format!(
                "1 validation error detected: Value '{other}' at 'tier' failed to satisfy constraint: Member must \
                 satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]"
            )));
        }
    };
    if tier == "Standard" && before == Some("Advanced") {
        return Err(Failure::validation(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
             advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced \
             parameter and recreate it as a standard parameter.",
        ));
    }
    Ok(tier.to_owned())
}

/// Checks a value: not empty, not over the tier's size, no `{{`.
pub(super) fn check_value(value: &str, tier: &str) -> Result<(), Failure> {
    if value.is_empty() {
        return Err(Failure::validation(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length \
             greater than or equal to 1.",
        ));
    }
    if value.contains("{{") {
        return Err(Failure::validation(
            "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
        ));
    }
    if tier == "Standard" && value.len() > STANDARD_BYTES {
        return Err(Failure::validation(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger \
             parameter value, upgrade the parameter to use the advanced-parameter tier.",
        ));
    }
    if value.len() > 8192 {
        let message = "Advanced tier parameters support a maximum parameter value of 8192 characters.";
        return Err(Failure::validation(message));
    }
    Ok(())
}

/// Checks that a call names one to ten parameters.
pub(super) fn check_batch(member: &str, names: &[String]) -> Result<(), Failure> {
    let limit = match names.len() {
        0 => "greater than or equal to 1",
        1..=10 => return Ok(()),
        _ => "less than or equal to 10",
    };
    Err(Failure::validation(format!(
        "1 validation error detected: Value '[{}]' at '{member}' failed to satisfy constraint: Member must have \
         length {limit}",
        names.join(", ")
    )))
}

pub(super) fn page_size(asked: Option<usize>, default: usize, limit: usize) -> Result<usize, Failure> {
    match asked {
        None => Ok(default),
        Some(size) if (1..=limit).contains(&size) => Ok(size),
        Some(size) => Err(Failure::validation(format!(
            "1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: Member must \
             have value less than or equal to {limit}"
        ))),
    }
}

pub(super) fn check_tags<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Failure> {
    let mut count = 0;
    for (key, value) in tags {
        count += 1;
        let fits = |text: &str| text.chars().all(|letter| letter.is_alphanumeric() || " _.:/=+-@".contains(letter));
        let reserved = key.to_ascii_lowercase().starts_with("aws:");
        if key.is_empty() || key.len() > 128 || value.len() > 256 || !fits(key) || !fits(value) || reserved {
            return Err(Failure::validation(format!("The tag {key} is not valid.")));
        }
    }
    check_tag_count(count)
}

pub(super) fn check_tag_count(count: usize) -> Result<(), Failure> {
    if count > 50 {
        let message =
            "The Targets parameter includes too many tags. Remove one or more tags and try the command again.";
        return Err(Failure::new("TooManyTagsError", message));
    }
    Ok(())
}
