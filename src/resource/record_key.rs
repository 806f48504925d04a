//! Keys of records. The prefix of a key identifies the role that writes the record, so that IAM can deny every other writer: the condition
//! key `dynamodb:LeadingKeys` compares the partition key of each item of a call. Source: Amazon DynamoDB Developer Guide, "Using IAM policy
//! conditions for fine-grained access control".

use super::names::UserId;

/// The type of a record, which is the prefix of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Prefix {
    /// A request for access.
    Request,
    /// The decision about a request, and the index of a user's active decisions.
    Decision,
    /// The revocation of an approved request or of a server session.
    Revocation,
    /// A lock of a user for a profile.
    Lock,
    /// A break-glass event.
    Event,
    /// The end of a break-glass event.
    Closure,
    /// The current break-glass event of a user for a profile.
    Place,
    /// A session of a credential server.
    Session,
}

impl Prefix {
    /// Returns the prefix without its separator.
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

/// Returns the key of the record of a user's current break-glass event for a profile. It contains the unique ID, `aws:userid` in IAM, so
/// that a policy can restrict users to their own records.
pub fn place(user_id: &UserId, profile: &str) -> String {
    Prefix::Place.key(&format!("{user_id}#{profile}"))
}

/// The roles of table users. Each role writes only records with its own prefixes.
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
    /// Requests access and uses it.
    Requester,
    /// Decides on requests, and revokes approvals.
    Approver,
    /// Uses and closes break-glass, revokes approvals and sessions, and locks users.
    Operator,
    /// Runs a credential server.
    Server,
}

impl Role {
    /// All roles.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the role with this name.
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
    fn a_key_has_an_id_only_for_its_own_prefix() {
        let key = Prefix::Request.key("0123456789abcdef");
        assert_eq!(key, "request#0123456789abcdef");
        assert_eq!(Prefix::Request.id(&key), Some("0123456789abcdef"));
        assert_eq!(Prefix::Decision.id(&key), None);
        assert_eq!(Prefix::Request.id("requests#1"), None);
        assert_eq!(Prefix::Request.id("0123456789abcdef"), None);
        assert_eq!(place(&UserId::new("AIDA1"), "prod"), "place#AIDA1#prod");
    }
}
