//! Address patterns for `--only` and `--exclude`.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Address, KindId};
use crate::resource::Invalid;

/// A glob of addresses, such as `tables.*`. It is parsed when it is read, so that an invalid filter is an error instead of matching
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPattern(Pattern);

impl AddressPattern {
    pub fn matches(&self, address: &Address) -> bool {
        self.0.matches(&address.to_string())
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for AddressPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HELP: &str = "write an address such as profiles.dev, tables.sessions or 'tables.*'";
        let problem = |why: &dyn fmt::Display| Invalid::new(format!("the filter \"{text}\" is not valid: {why}"), HELP);
        let pattern = Pattern::new(text).map_err(|_| {
            // `glob` rejects a [ without ], and ** next to other characters.
            problem(if text.contains("**") { &"write * instead of **" } else { &"a [ has no matching ]" })
        })?;
        // A misspelled section matches no address, so an exclusion would silently exclude nothing.
        let literal = text.split(['*', '?', '[']).next().unwrap_or_default();
        let known = |section: &str| KindId::ALL.iter().any(|kind| kind.section() == section);
        match literal.split_once('.') {
            Some((section, _)) if !known(section) => Err(problem(&format_args!("there is no section \"{section}\""))),
            None if literal.len() == text.len() => Err(problem(&"it has no section")),
            _ => Ok(Self(pattern)),
        }
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for AddressPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AddressPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|invalid: Invalid| de::Error::custom(invalid.problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_addresses() {
        let (dev, audit) = (Address::new(KindId::Policy, "dev"), Address::new(KindId::Table, "audit"));
        let matches = |text: &str| {
            let pattern: AddressPattern = text.parse().unwrap();
            assert_eq!(pattern.as_str(), text);
            (pattern.matches(&dev), pattern.matches(&audit))
        };
        assert_eq!(matches("profiles.dev"), (true, false));
        assert_eq!(matches("profiles.de"), (false, false));
        assert_eq!(matches("tables.*"), (false, true));
        assert_eq!(matches("*"), (true, true));
        assert_eq!(matches("*.[da]*"), (true, true));
    }

    #[test]
    fn a_pattern_that_cannot_match_is_refused() {
        for bad in ["", "[", "tables.[", "tables.***", "tables", "table.*", "table.sessions", "dev", ".dev", ".*"] {
            assert!(bad.parse::<AddressPattern>().is_err(), "{bad} is read");
            assert!(serde_json::from_value::<AddressPattern>(bad.into()).is_err(), "{bad} is read");
        }
    }

    #[test]
    fn a_pattern_is_text_in_json() {
        let pattern: AddressPattern = "tables.*".parse().unwrap();
        assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"tables.*\"");
        assert_eq!(serde_json::from_str::<AddressPattern>("\"tables.*\"").unwrap(), pattern);
    }
}
