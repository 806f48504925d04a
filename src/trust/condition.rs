//! Evaluates the conditions of a trust policy.

use serde_json::Value;

use super::candidates::{Candidate, Request};
use super::text::{Pattern, Text, is_wild};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Compare {
    Equals,
    Like,
    Arn,
    Bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Null,
    Compare { compare: Compare, negated: bool, if_exists: bool },
}

/// One operator with one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// `None` for an unsupported operator.
    operator: Option<Operator>,
    /// In lower case.
    pub(super) key: String,
    pub(super) values: Vec<String>,
}

impl Condition {
    pub(super) fn new(operator: &str, key: &str, values: &Value) -> Self {
        let read = match values {
            Value::Array(list) => list.iter().map(scalar).collect(),
            one => scalar(one).map(|one| vec![one]),
        };
        // The value of a policy variable is unknown here.
        let plain =
            read.filter(|values: &Vec<String>| !values.is_empty() && values.iter().all(|one| !one.contains("${")));
        let operator = plain.as_ref().and_then(|_| Operator::read(operator));
        Self { operator, key: key.to_lowercase(), values: plain.unwrap_or_default() }
    }

    /// Returns how its values are compared; `None` for `Null` and for unsupported operators.
    pub(super) fn compare(&self) -> Option<Compare> {
        match self.operator? {
            Operator::Null => None,
            Operator::Compare { compare, .. } => Some(compare),
        }
    }

    /// Returns whether the key must be present and equal to one of the values.
    pub(super) fn is_exact(&self) -> bool {
        let exact = Operator::Compare { compare: Compare::Equals, negated: false, if_exists: false };
        self.operator == Some(exact)
    }

    /// Returns its patterns with wildcards.
    pub(super) fn patterns(&self) -> impl Iterator<Item = Pattern> {
        let compare = self.compare().filter(|compare| matches!(compare, Compare::Like | Compare::Arn));
        let wild = self.values.iter().filter(|value| is_wild(value));
        wild.filter_map(move |value| compare.map(|compare| (compare, value.clone())))
    }

    pub(super) fn is_understood(&self) -> bool {
        self.operator.is_some()
    }

    pub(super) fn holds(&self, candidate: &Candidate, request: &Request, unclear: &[String]) -> Truth {
        let Some(operator) = self.operator else { return Truth::Unknown };
        if unclear.contains(&self.key) {
            return Truth::Unknown;
        }
        let own = candidate.value(&self.key);
        let value = match (&own, request.get(&self.key)) {
            (Some(known), _) => known.as_deref(),
            (None, Some(chosen)) => chosen.as_ref(),
            (None, None) => return Truth::Unknown,
        };
        match operator {
            Operator::Null => match self.values.as_slice() {
                [wanted] if wanted.eq_ignore_ascii_case("true") => value.is_none().into(),
                [wanted] if wanted.eq_ignore_ascii_case("false") => value.is_some().into(),
                _ => Truth::Unknown,
            },
            Operator::Compare { compare, negated, if_exists } => {
                let Some(value) = value else { return (negated || if_exists).into() };
                let mut unsure = false;
                let mut found = false;
                for wanted in &self.values {
                    match compared(compare, wanted, value) {
                        Truth::Yes => found = true,
                        Truth::No => {}
                        Truth::Unknown => unsure = true,
                    }
                }
                match (found, unsure) {
                    (true, _) => (!negated).into(),
                    (false, true) => Truth::Unknown,
                    (false, false) => negated.into(),
                }
            }
        }
    }
}

impl Operator {
    fn read(written: &str) -> Option<Self> {
        if written == "Null" {
            return Some(Self::Null);
        }
        let (name, if_exists) = match written.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (written, false),
        };
        let (compare, negated) = match name {
            "StringEquals" => (Compare::Equals, false),
            "StringNotEquals" => (Compare::Equals, true),
            "StringLike" => (Compare::Like, false),
            "StringNotLike" => (Compare::Like, true),
            "ArnEquals" | "ArnLike" => (Compare::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Compare::Arn, true),
            "Bool" => (Compare::Bool, false),
            _ => return None,
        };
        Some(Self::Compare { compare, negated, if_exists })
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn compared(compare: Compare, wanted: &str, value: &Text) -> Truth {
    if matches!(compare, Compare::Like | Compare::Arn)
        && is_wild(wanted)
        && let Some(decided) = value.is_like(compare, wanted)
    {
        return decided;
    }
    let value = value.written.as_str();
    match compare {
        Compare::Equals => (wanted == value).into(),
        Compare::Like => matches(wanted, value).into(),
        Compare::Arn => {
            if wanted == "*" {
                return Truth::Yes;
            }
            let (wanted, found): (Vec<&str>, Vec<&str>) =
                (wanted.splitn(6, ':').collect(), value.splitn(6, ':').collect());
            if wanted.len() != 6 {
                return Truth::Unknown;
            }
            (found.len() == 6 && wanted.iter().zip(&found).all(|(wanted, found)| matches(wanted, found))).into()
        }
        Compare::Bool => match wanted.to_lowercase().as_str() {
            wanted @ ("true" | "false") => (wanted == value).into(),
            _ => Truth::Unknown,
        },
    }
}

/// Returns whether a text matches a pattern with `*` and `?`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut letter) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while letter < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, letter));
                at += 1;
            }
            Some('?') => (at, letter) = (at + 1, letter + 1),
            Some(wanted) if *wanted == text[letter] => (at, letter) = (at + 1, letter + 1),
            _ => match &mut star {
                Some((begin, taken)) => {
                    *taken += 1;
                    (at, letter) = (*begin + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|part| *part == '*')
}
