//! IAM's rules for names, paths and numbers, and its errors. Source: IAM API Reference.

use crate::local::Region;
use crate::local::answer::{Form, Refusal};

/// The maximum length of a role's name.
pub(super) const ROLE_NAME: usize = 64;
/// The maximum length of any other name.
pub(super) const NAME: usize = 128;
const PATH: usize = 512;
const DESCRIPTION: usize = 1000;
/// The default of the maximum session duration, in seconds.
pub(super) const SESSION: i64 = 3600;

pub(super) fn required<'a>(form: &'a Form, field: &str) -> Result<&'a String, Refusal> {
    form.get(field).filter(|text| !text.is_empty()).ok_or_else(|| constraint("null", field, "Member must not be null"))
}

/// Returns the error for a value that violates a constraint of the API model.
pub(super) fn constraint(value: &str, field: &str, rule: &str) -> Refusal {
    let member = format!("{}{}", field[..1].to_lowercase(), &field[1..]);
    let value = if value == "null" { value.to_owned() } else { format!("'{value}'") };
    let at = format!("1 validation error detected: Value {value} at '{member}' failed to satisfy constraint");
    Refusal::invalid_input(format!("{at}: {rule}"))
}

/// Returns a required field with a name.
pub(super) fn name<'a>(form: &'a Form, field: &str, most: usize) -> Result<&'a String, Refusal> {
    let name = required(form, field)?;
    if name.chars().count() > most {
        return Err(constraint(name, field, &format!("Member must have length less than or equal to {most}")));
    }
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)) {
        let member = format!("{}{}", field[..1].to_lowercase(), &field[1..]);
        let rule = "It must contain only alphanumeric characters and/or the following: +=,.@_-";
        return Err(Refusal::invalid_input(format!("The specified value for {member} is invalid. {rule}")));
    }
    Ok(name)
}

/// Returns the path of a form, or `/`.
pub(super) fn path(form: &Form) -> Result<String, Refusal> {
    let Some(path) = form.get("Path") else { return Ok(String::from("/")) };
    let fits = path.starts_with('/') && path.ends_with('/') && path.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    if !fits || path.contains("//") || path.len() > PATH {
        let rule = "It must begin and end with / and contain only alphanumeric characters and/or / characters.";
        return Err(Refusal::invalid_input(format!("The specified value for path is invalid. {rule}")));
    }
    Ok(path.clone())
}

pub(super) fn description(form: &Form) -> Result<Option<String>, Refusal> {
    let Some(text) = form.get("Description") else { return Ok(None) };
    if text.chars().count() > DESCRIPTION {
        let rule = format!("Member must have length less than or equal to {DESCRIPTION}");
        return Err(constraint(text, "Description", &rule));
    }
    let fits = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    if !text.chars().all(fits) {
        let rule =
            "Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*";
        return Err(constraint(text, "Description", rule));
    }
    Ok(Some(text.clone()))
}

/// Returns the maximum session duration of a form, in seconds.
pub(super) fn longest_session(form: &Form) -> Result<i64, Refusal> {
    let Some(text) = form.get("MaxSessionDuration") else { return Ok(SESSION) };
    let seconds = text.parse::<i64>().map_err(|_| constraint(text, "MaxSessionDuration", "Member must be a number"))?;
    let rule = match seconds {
        ..3600 => "Member must have value greater than or equal to 3600",
        3600..=43_200 => return Ok(seconds),
        _ => "Member must have value less than or equal to 43200",
    };
    Err(constraint(text, "MaxSessionDuration", rule))
}

/// Returns the path prefix of a list request.
pub(super) fn path_prefix(form: &Form) -> Result<&str, Refusal> {
    match form.get("PathPrefix").map(String::as_str) {
        None => Ok("/"),
        Some(prefix) if prefix.starts_with('/') && prefix.len() <= PATH => Ok(prefix),
        Some(prefix) => Err(constraint(
            prefix,
            "PathPrefix",
            "Member must satisfy regular expression pattern: (\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)",
        )),
    }
}

/// Returns the values of a list: `TagKeys.member.1`, `TagKeys.member.2`.
pub(super) fn members<'a>(form: &'a Form, list: &str) -> Vec<&'a String> {
    (1..).map_while(|number| form.get(&format!("{list}.member.{number}"))).collect()
}

/// Returns the ARN of a resource of this account.
pub(super) fn arn(home: &Region, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{}:{kind}{path}{name}", home.account)
}
