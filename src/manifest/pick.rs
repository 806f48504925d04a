//! Selects a manifest's targets: by name, by pattern, and by shard.

use std::fmt;
use std::str::FromStr;

use glob::{MatchOptions, Pattern};
use sha2::{Digest, Sha256};

use super::targets::section_of;
use crate::resource::Invalid;

/// A glob of target names, such as `prod` or `prod/*/eu-*`. A `*` does not match `/`, and the name of a section matches all its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern(Pattern);

impl TargetPattern {
    /// Returns whether it matches a target's name.
    pub fn matches(&self, name: &str) -> bool {
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
        self.0.matches_with(name, options) || self.as_str() == section_of(name)
    }

    /// Returns whether it can match a target of a section.
    pub fn may_match(&self, section: &str) -> bool {
        let first = self.as_str().split('/').next().unwrap_or_default();
        // A component that is not a valid pattern by itself, such as a set with a `/`, may match anything.
        Pattern::new(first).map_or(true, |first| first.matches(section))
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TargetPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let help = "write the name of a target or of a section of [targets], or a pattern such as 'prod/*/eu-*'";
        let problem = |why: &dyn fmt::Display| Invalid::new(format!("\"{text}\" is not a target pattern: {why}"), help);
        if text.is_empty() {
            return Err(problem(&"it is empty"));
        }
        Pattern::new(text).map(Self).map_err(|error| problem(&error))
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One of several parts of a manifest's targets, such as `3/16`. The part depends only on the target's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Starts at 1.
    index: u64,
    count: u64,
}

impl Shard {
    /// The maximum number of parts, more than any job matrix has.
    const MAX: u64 = 10_000;

    /// Returns whether a target is in this part.
    ///
    /// The first eight bytes of the SHA-256 of the name, as a big-endian number, modulo the number of parts. This must never change,
    /// because jobs of different versions share one set of targets.
    pub fn holds(self, name: &str) -> bool {
        let digest = Sha256::digest(name);
        let number = digest.iter().take(8).fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        number % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let read = text.split_once('/').and_then(|(index, count)| Some((digits(index)?, digits(count)?)));
        match read {
            Some((index, count)) if (1..=count).contains(&index) && count <= Self::MAX => Ok(Self { index, count }),
            _ => Err(Invalid::new(format!("\"{text}\" is not a shard"), "write one such as 3/16, from 1/16 to 16/16")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_part_by_part() {
        let matches = |pattern: &str, name: &str| pattern.parse::<TargetPattern>().unwrap().matches(name);
        let name = "prod/123456789012/eu-west-1";
        for yes in [name, "prod", "prod/*/eu-*", "*/123456789012/*", "prod/1234*/*", "p*/*/*", "prod/**"] {
            assert!(matches(yes, name), "{yes}");
        }
        for no in ["pro", "prod/*", "prod*", "*", "prod/*/us-*", "PROD", "prod/"] {
            assert!(!matches(no, name), "{no}");
        }
        assert!(matches("*", "staging") && matches("staging", "staging") && !matches("stag", "staging"));
        for bad in ["", "[", "***"] {
            assert!(bad.parse::<TargetPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_target_is_in_one_shard() {
        let names: Vec<String> = (0..500).map(|account| format!("prod/{account:012}/us-east-1")).collect();
        for count in [1u64, 2, 3, 16, 700] {
            let shards: Vec<Shard> = (1..=count).map(|index| format!("{index}/{count}").parse().unwrap()).collect();
            for name in &names {
                assert_eq!(shards.iter().filter(|shard| shard.holds(name)).count(), 1, "{name} of {count}");
            }
        }
        let share = |shard: &str| {
            let shard: Shard = shard.parse().unwrap();
            names.iter().filter(|name| shard.holds(name)).count()
        };
        assert!((80..170).contains(&share("1/4")) && (80..170).contains(&share("4/4")));
        for bad in ["", "0/3", "4/3", "1", "1/0", "+1/3", "1/3/5", "a/b", "-1/3", "1/10001", "1 / 3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    /// Jobs of other versions rely on each of these values.
    #[test]
    fn the_shard_of_a_name_never_changes() {
        let shard_of = |name: &str| (1..=16u64).find(|index| Shard { index: *index, count: 16 }.holds(name));
        let of = ["prod/123456789012/us-east-1", "prod/123456789012/eu-west-1", "staging", "prod"].map(shard_of);
        assert_eq!(of, [Some(14), Some(2), Some(5), Some(15)]);
    }
}
