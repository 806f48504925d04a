//! The status of a table.

use crate::resource::Facts;

/// What AWS is doing with a table. Facts hold it in AWS's word, which is shown and saved. Source: TableStatus in the Amazon DynamoDB
/// API Reference.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TableStatus {
    Active,
    Creating,
    Updating,
    Deleting,
    /// One that is left to people, such as `INACCESSIBLE_ENCRYPTION_CREDENTIALS` or `ARCHIVED`.
    #[strum(default, to_string = "{0}")]
    Other(String),
}

impl TableStatus {
    /// Returns the status of a table; nothing where AWS did not tell.
    pub(super) fn of(facts: &Facts) -> Option<Self> {
        facts.status.as_deref().map(|word| word.parse().unwrap_or_else(|_| Self::Other(word.to_owned())))
    }

    /// Returns whether a table takes its next change: it is ACTIVE, and nothing that this does not tell is being changed.
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
