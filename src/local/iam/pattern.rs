//! Patterns in policies: wildcards and policy variables.

use super::document::Version;
use super::evaluate::{CURRENT_TIME, Caller, ConditionKey, RequiredPermission, lookup};

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Letter(char),
    /// `?`: any single character.
    One,
    /// `*`: any characters, or none.
    Any,
}

/// Returns the parts of a text without variables.
pub(super) fn plain(text: &str) -> Vec<Part> {
    text.chars().map(wild).collect()
}

fn wild(letter: char) -> Part {
    match letter {
        '*' => Part::Any,
        '?' => Part::One,
        letter => Part::Letter(letter),
    }
}

/// Returns the parts of a text with its variables replaced, or `None` if one is unknown. The value of a variable is literal: a `*` in it is
/// not a wildcard. Source: IAM User Guide, "IAM policy elements: Variables and tags", which also defines `${*}`, `${?}` and `${$}`, and
/// says that older versions of the language have no variables.
pub(super) fn expanded(
    text: &str,
    version: Version,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Option<Vec<Part>> {
    if version == Version::V2008 {
        return Some(plain(text));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        parts.extend(plain(&rest[..at]));
        let (variable, after) = rest[at + 2..].split_once('}')?;
        match variable {
            "*" | "?" | "$" => parts.extend(variable.chars().map(Part::Letter)),
            // AWS does not document its text.
            _ if variable.eq_ignore_ascii_case(CURRENT_TIME) => return None,
            _ => match lookup(variable, caller, permission) {
                ConditionKey::Values(values) if values.len() == 1 => {
                    parts.extend(values.iter().flat_map(|value| value.chars()).map(Part::Letter));
                }
                ConditionKey::Values(_) | ConditionKey::Absent | ConditionKey::Unknown => return None,
            },
        }
        rest = after;
    }
    parts.extend(plain(rest));
    Some(parts)
}

/// Returns the parts with each wildcard as a literal character, for operators that compare whole texts.
pub(super) fn literal(parts: &[Part]) -> String {
    let letter = |part: &Part| match part {
        Part::Letter(letter) => *letter,
        Part::One => '?',
        Part::Any => '*',
    };
    parts.iter().map(letter).collect()
}

/// Returns whether a text matches a pattern.
pub(super) fn matches(parts: &[Part], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut part, mut letter) = (0, 0);
    // The position of the last `*`, and how much of the text it has matched so far.
    let mut star: Option<(usize, usize)> = None;
    while letter < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                star = Some((part, letter));
                part += 1;
            }
            Some(Part::One) => (part, letter) = (part + 1, letter + 1),
            Some(Part::Letter(wanted)) if *wanted == text[letter] => (part, letter) = (part + 1, letter + 1),
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (part, letter) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| *part == Part::Any)
}

/// Returns whether an ARN matches a pattern, whose wildcards do not cross the six parts of an ARN; `None` if the pattern is not an ARN.
pub(super) fn matches_arn(parts: &[Part], arn: &str) -> Option<bool> {
    if parts == [Part::Any] {
        return Some(true);
    }
    let wanted: Vec<&[Part]> = parts.splitn(6, |part| *part == Part::Letter(':')).collect();
    if wanted.len() != 6 {
        return None;
    }
    let found: Vec<&str> = arn.splitn(6, ':').collect();
    Some(found.len() == 6 && wanted.iter().zip(&found).all(|(wanted, found)| matches(wanted, found)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A simple recursive matcher, for comparison.
    fn naive(parts: &[Part], text: &[char]) -> bool {
        match (parts.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Part::Any, rest)), _) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            (Some((Part::One, rest)), Some((_, after))) => naive(rest, after),
            (Some((Part::Letter(wanted), rest)), Some((letter, after))) => wanted == letter && naive(rest, after),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_like_the_naive_matcher(pattern in "[ab*?#]{0,8}", text in "[ab#]{0,8}") {
            let letters: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&plain(&pattern), &text), naive(&plain(&pattern), &letters));
        }
    }

    #[test]
    fn arn_wildcards_do_not_cross_parts() {
        let of = |pattern: &str, arn: &str| matches_arn(&plain(pattern), arn);
        let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/a/index/b";
        assert_eq!(of("*", arn), Some(true));
        assert_eq!(of("arn:aws:dynamodb:*:*:table/a/index/*", arn), Some(true));
        assert_eq!(of("arn:aws:dynamodb:*:table/a/index/*", arn), None);
        assert_eq!(of("arn:aws:dynamodb:*:*:table/a", arn), Some(false));
        assert_eq!(of("arn:aws:ssm:*:*:*", arn), Some(false));
    }
}
