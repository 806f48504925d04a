//! The values of condition keys, including those that a policy does not name. Such a value represents a class of texts: it equals no
//! text in the policy, and a fixed subset of the patterns match it. The analysis tries each subset that is possible.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::condition::{Compare, Truth};

/// The maximum number of subsets to try for a class. Whether further patterns match is unknown.
const MAX_CLASSES: usize = 16;

/// A name and an account that do not occur in a policy.
#[derive(Debug, Clone)]
pub(super) struct Unnamed {
    pub(super) name: String,
    pub(super) account: String,
}

impl Unnamed {
    pub(super) fn of(policy: &Value) -> Self {
        let text = policy.to_string();
        let new = |name: &dyn Fn(u64) -> String| {
            // A text has fewer substrings of this form than letters, so at least one of these names is not in it.
            let mut names = (0..=text.len() as u64).map(name).filter(|name| !text.contains(name.as_str()));
            names.next().unwrap_or_else(|| name(u64::MAX))
        };
        Self { name: new(&|number| format!("anyone-{number}")), account: new(&|number| format!("{number:012}")) }
    }
}

/// A pattern of a condition, with its comparison.
pub(super) type Pattern = (Compare, String);

/// The value of a condition key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    pub(super) written: String,
    /// For a value that the policy does not name: whether it matches each of the patterns.
    like: Option<BTreeMap<Pattern, Truth>>,
}

impl Text {
    pub(super) fn known(written: impl Into<String>) -> Self {
        Self { written: written.into(), like: None }
    }

    /// Returns the values of a class that the patterns distinguish. The class is itself a pattern. `written` is one of its texts, and
    /// contains an unnamed name.
    pub(super) fn unnamed(written: &str, class: &str, patterns: &BTreeSet<Pattern>) -> Vec<Self> {
        let mut all: Vec<BTreeMap<Pattern, Truth>> = vec![BTreeMap::new()];
        for pattern in patterns {
            let truths: &[Truth] = match of_class(pattern, class) {
                Some(Truth::Unknown) | None if all.len() * 2 > MAX_CLASSES => &[Truth::Unknown],
                None => &[Truth::Yes, Truth::No],
                Some(Truth::Yes) => &[Truth::Yes],
                Some(Truth::No) => &[Truth::No],
                Some(Truth::Unknown) => &[Truth::Unknown],
            };
            let with = |like: &BTreeMap<Pattern, Truth>, truth: Truth| {
                like.clone().into_iter().chain([(pattern.clone(), truth)]).collect()
            };
            all =
                all.iter().flat_map(|like| truths.iter().map(|truth| with(like, *truth)).collect::<Vec<_>>()).collect();
        }
        all.retain(is_possible);
        all.into_iter().map(|like| Self { written: written.to_owned(), like: Some(like) }).collect()
    }

    /// Returns whether it matches a pattern with wildcards; `None` if its text decides that.
    pub(super) fn is_like(&self, compare: Compare, pattern: &str) -> Option<Truth> {
        let like = self.like.as_ref()?;
        Some(like.get(&(compare, pattern.to_owned())).copied().unwrap_or(Truth::Unknown))
    }
}

pub(super) fn is_wild(value: &str) -> bool {
    value.contains(['*', '?'])
}

/// Returns whether the texts of a class match a pattern; `None` if some may match and some may not.
fn of_class((compare, pattern): &Pattern, class: &str) -> Option<Truth> {
    let (wanted, found): (Vec<&str>, Vec<&str>) = (pattern.split(':').collect(), class.split(':').collect());
    // The class of other accounts contains no account that the policy names. No name in IAM contains a colon, so the parts correspond.
    if wanted.len() == 6 && found.len() == 6 && is_wild(found[4]) && !is_wild(wanted[4]) {
        return Some(Truth::No);
    }
    match compare {
        Compare::Arn if pattern == "*" => Some(Truth::Yes),
        Compare::Arn => {
            let (wanted, found): (Vec<&str>, Vec<&str>) =
                (pattern.splitn(6, ':').collect(), class.splitn(6, ':').collect());
            if wanted.len() != 6 {
                return Some(Truth::Unknown);
            }
            if found.len() != 6 {
                // The class is not one of ARNs, but one of its texts may be an ARN.
                return None;
            }
            let each = || wanted.iter().zip(&found);
            match () {
                () if each().all(|(wanted, found)| includes(wanted, found)) => Some(Truth::Yes),
                () if each().any(|(wanted, found)| !overlaps(wanted, found)) => Some(Truth::No),
                () => None,
            }
        }
        _ if includes(pattern, class) => Some(Truth::Yes),
        _ if !overlaps(pattern, class) => Some(Truth::No),
        _ => None,
    }
}

/// Returns whether a text can match exactly these patterns: a text that matches a pattern matches each pattern that includes it.
fn is_possible(like: &BTreeMap<Pattern, Truth>) -> bool {
    let of = |truth: Truth| like.iter().filter(move |(_, is)| **is == truth).map(|(pattern, _)| pattern);
    !of(Truth::Yes).any(|(compare, narrow)| {
        of(Truth::No)
            .any(|(other, wide)| compare == other && of_class(&(*compare, wide.clone()), narrow) == Some(Truth::Yes))
    })
}

/// Fills a table with whether the remainders of two patterns fit, by their starts, and returns the result for the whole patterns.
fn fits(left: &[char], right: &[char], fit: impl Fn(&dyn Fn(usize, usize) -> bool, usize, usize) -> bool) -> bool {
    let mut table = vec![vec![false; right.len() + 1]; left.len() + 1];
    for at in (0..=left.len()).rev() {
        for other in (0..=right.len()).rev() {
            let rest =
                |left: usize, right: usize| table.get(left).and_then(|row| row.get(right)).copied().unwrap_or(false);
            let here = at == left.len() && other == right.len() || fit(&rest, at, other);
            table[at][other] = here;
        }
    }
    table[0][0]
}

/// Returns whether each text that matches the second pattern matches the first. `false` may also mean that this is unknown.
fn includes(wide: &str, narrow: &str) -> bool {
    let (wide, narrow): (Vec<char>, Vec<char>) = (wide.chars().collect(), narrow.chars().collect());
    fits(&wide, &narrow, |rest, at, other| match (wide.get(at), narrow.get(other)) {
        (Some('*'), _) => rest(at + 1, other) || rest(at, other + 1),
        (Some('?'), Some(letter)) => *letter != '*' && rest(at + 1, other + 1),
        (Some(wanted), Some(letter)) => wanted == letter && rest(at + 1, other + 1),
        (None, _) | (_, None) => false,
    })
}

/// Returns whether some text matches both patterns.
fn overlaps(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    fits(&left, &right, |rest, at, other| match (left.get(at), right.get(other)) {
        // A `*` matches nothing, or the next element of the other pattern: either way one index advances.
        (Some('*'), _) | (_, Some('*')) => rest(at + 1, other) || rest(at, other + 1),
        (Some(one), Some(letter)) => (one == letter || *one == '?' || *letter == '?') && rest(at + 1, other + 1),
        (None, _) | (_, None) => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trust::condition::matches;

    proptest! {
        #[test]
        fn inclusion_and_overlap_agree_with_the_texts_of_patterns(
            left in "[ab*?]{0,5}", right in "[ab*?]{0,5}", texts in prop::collection::vec("[ab]{0,5}", 40)
        ) {
            for text in texts {
                if matches(&left, &text) && matches(&right, &text) {
                    prop_assert!(overlaps(&left, &right), "{text}");
                }
                if includes(&left, &right) && matches(&right, &text) {
                    prop_assert!(matches(&left, &text), "{text}");
                }
            }
        }
    }

    #[test]
    fn patterns_include_and_overlap() {
        for (wide, narrow, inside, common) in [
            ("*", "?*", true, true),
            ("?*", "*", false, true),
            ("a*", "ab*", true, true),
            ("a*", "b*", false, false),
            ("*-*", "role/?*", false, true),
            ("?", "*", false, true),
            ("role/a*/x", "role/?*/y", false, false),
        ] {
            assert_eq!((includes(wide, narrow), overlaps(wide, narrow)), (inside, common), "{wide} {narrow}");
        }
    }
}
