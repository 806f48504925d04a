//! The status of a table.

use crate::resource::Facts;

/// AWS's status of a table. Facts store it under AWS's name, which is shown and saved. Source: TableStatus in the Amazon DynamoDB API
/// Reference.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TableStatus {
    Active,
    Creating,
    Updating,
    Deleting,
    /// A status that requires manual action, such as `INACCESSIBLE_ENCRYPTION_CREDENTIALS` or `ARCHIVED`.
    #[strum(default, to_string = "{0}")]
    Other(String),
}

impl TableStatus {
    /// Returns the status of a table; `None` if AWS did not return it.
    pub(super) fn of(facts: &Facts) -> Option<Self> {
        facts.status.as_deref().map(|word| word.parse().unwrap_or_else(|_| Self::Other(word.to_owned())))
    }

    /// Returns whether a table accepts its next change: it is ACTIVE, and no other change is in progress.
    pub(super) fn is_idle(facts: &Facts) -> bool {
        Self::of(facts) == Some(Self::Active) && facts.changing.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_as_aws_writes_it() {
        for word in ["ACTIVE", "CREATING", "UPDATING", "DELETING", "ARCHIVED", "Active"] {
            let facts = Facts { status: Some(word.to_owned()), ..Facts::default() };
            assert_eq!(TableStatus::of(&facts).unwrap().to_string(), word);
            assert_eq!(TableStatus::is_idle(&facts), word == "ACTIVE");
            assert!(!TableStatus::is_idle(&Facts { changing: Some(String::from("encryption")), ..facts }));
        }
        assert_eq!(TableStatus::of(&Facts::default()), None);
    }
}
