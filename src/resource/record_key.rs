//! Keys of records. Each begins with a prefix that says which role writes the record, so that IAM can refuse every other
//! writer: the condition key `dynamodb:LeadingKeys` compares the partition key of each item that a call touches.
//! Source: Amazon DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control".

use super::names::UserId;

/// What a record is, which is the start of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Prefix {
    /// A request for access.
    Request,
    /// The answer to a request, and the index of the decisions in force for a user.
    Decision,
    /// The withdrawal of an approved request or of a server session.
    Revocation,
    /// A user who is locked out of a profile.
    Lock,
    /// A break-glass event.
    Event,
    /// The end of a break-glass event.
    Closure,
    /// The one active break-glass event of a user for a profile.
    Place,
    /// A session of a credential server.
    Session,
}

impl Prefix {
    /// Returns the prefix as it is written, without the sign that ends it.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }

    /// Returns the key of the record with this ID.
    pub fn key(self, id: &str) -> String {
        format!("{}#{id}", self.word())
    }

    /// Returns the ID in a key of this prefix.
    pub fn id(self, key: &str) -> Option<&str> {
        key.strip_prefix(self.word())?.strip_prefix('#')
    }
}

/// Returns the key of the record for a user's one active break-glass event for a profile. It holds the unique ID that IAM
/// knows as `aws:userid`, so that a policy can restrict each user to records of their own.
pub fn place(user_id: &UserId, profile: &str) -> String {
    Prefix::Place.key(&format!("{user_id}#{profile}"))
}

/// Who uses the tables. Each role writes records of its own prefixes only.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::EnumString,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Role {
    /// Asks for access and uses it.
    Requester,
    /// Answers requests, and withdraws approvals.
    Approver,
    /// Uses break-glass and ends it, revokes approvals and sessions, and locks users.
    Operator,
    /// Runs a credential server.
    Server,
}

impl Role {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the one with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_id_to_its_own_prefix_only() {
        let key = Prefix::Request.key("0123456789abcdef");
        assert_eq!(key, "request#0123456789abcdef");
        assert_eq!(Prefix::Request.id(&key), Some("0123456789abcdef"));
        assert_eq!(Prefix::Decision.id(&key), None);
        assert_eq!(Prefix::Request.id("requests#1"), None);
        assert_eq!(Prefix::Request.id("0123456789abcdef"), None);
        assert_eq!(place(&UserId::new("AIDA1"), "prod"), "place#AIDA1#prod");
    }
}
