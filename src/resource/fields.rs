//! The observed state of a resource, by field.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The observed state of a resource as text by field. Equal values mean equal observations.
///
/// A sorted list instead of a map: there is one for every resource of a pass, and a small map takes several times the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<Cow<'static, str>, String>")]
pub struct Fields(Box<[(Cow<'static, str>, String)]>);

impl Fields {
    /// Returns the fields that differ: the name and both values.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, [Option<&'a str>; 2])> {
        let names: BTreeSet<&str> = self.0.iter().chain(&other.0).map(|(name, _)| name.as_ref()).collect();
        let both = names.into_iter().map(|name| (name, [self.get(name), other.get(name)]));
        both.filter(|(_, [one, other])| one != other)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

impl<F: Into<Cow<'static, str>>> FromIterator<(F, String)> for Fields {
    fn from_iter<I: IntoIterator<Item = (F, String)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().map(|(name, text)| (name.into(), text)).collect();
        fields.sort();
        Self(fields.into_boxed_slice())
    }
}

impl From<BTreeMap<String, String>> for Fields {
    fn from(fields: BTreeMap<String, String>) -> Self {
        fields.into_iter().collect()
    }
}

impl From<Fields> for BTreeMap<Cow<'static, str>, String> {
    fn from(fields: Fields) -> Self {
        fields.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &str)]) -> Fields {
        pairs.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
    }

    #[test]
    fn equal_observations_are_equal_in_any_order_and_after_reading_a_file() {
        let seen = fields(&[("version", "3"), ("content", "x")]);
        assert_eq!(seen, fields(&[("content", "x"), ("version", "3")]));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(text, r#"{"content":"x","version":"3"}"#);
        assert_eq!(serde_json::from_str::<Fields>(&text).unwrap(), seen);
        assert_eq!(serde_json::from_str::<Fields>(r#"{"version":"3","content":"x"}"#).unwrap(), seen);
    }

    #[test]
    fn differing_fields_have_both_values() {
        let (before, after) =
            (fields(&[("a", "1"), ("b", "2"), ("c", "3")]), fields(&[("a", "1"), ("b", "4"), ("d", "5")]));
        let differences: Vec<_> = before.differing(&after).collect();
        assert_eq!(differences, [("b", [Some("2"), Some("4")]), ("c", [Some("3"), None]), ("d", [None, Some("5")])]);
    }
}
