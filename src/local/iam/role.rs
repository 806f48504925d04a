//! Stored roles: one state for an account, in the region of AWS's IAM control plane.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::store;

/// The region whose store has the IAM state of an account.
pub(in crate::local) const HOME: &str = "us-east-1";

/// The storage kind of roles.
const KIND: &str = "iam role";

/// The path prefix of service-linked roles.
const OF_A_SERVICE: &str = "/aws-service-role/";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::local) struct Role {
    pub(super) name: String,
    pub(super) path: String,
    /// The unique ID, which distinguishes it from a recreated role of the same name.
    pub(super) id: String,
    pub(super) account: String,
    /// In milliseconds since 1970.
    pub(super) created: i64,
    pub(super) description: String,
    /// The maximum session duration, in seconds.
    pub(super) longest_session: i64,
    /// The trust policy, with principals in the form that AWS returns.
    pub(super) trust: String,
    /// The unique IDs of the roles in the trust policy, by ARN: a recreated role is another principal. Source: IAM User Guide, "AWS JSON
    /// policy elements: Principal".
    pub(super) trusted_ids: BTreeMap<String, String>,
    /// The documents of inline policies, by name.
    pub(super) inline: BTreeMap<String, String>,
    /// The ARNs of attached policies.
    pub(super) attached: Vec<String>,
    pub(super) boundary: Option<String>,
    /// By key in lower case: the key as written, and the value.
    pub(super) tags: Tags,
}

pub(super) type Tags = BTreeMap<String, (String, String)>;

/// Returns a unique ID with a prefix, in AWS's format.
pub(super) fn unique_id(prefix: &str, of: &str) -> String {
    format!("{prefix}{}", &hex::encode_upper(Sha256::digest(of))[..17])
}

impl Role {
    /// Role names are case-insensitive within an account.
    fn stored_as(name: &str) -> String {
        name.to_ascii_lowercase()
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.account, self.path, self.name)
    }

    /// Returns whether the role is service-linked.
    pub(super) fn is_of_a_service(&self) -> bool {
        self.path.starts_with(OF_A_SERVICE)
    }

    /// Finds a role by its case-insensitive name.
    pub(super) fn load(store: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        store::object(store, KIND, &Self::stored_as(name))
    }

    /// Finds a role in the account of this IAM state.
    pub(in crate::local) fn find(home: &Region, name: &str) -> Result<Option<Self>, Failure> {
        home.store.read(|store| Self::load(store, name))
    }

    /// Returns all roles, by name.
    pub(super) fn all(store: &Connection) -> Result<Vec<Self>, Failure> {
        let mut roles: Vec<Self> = store::objects(store, KIND)?.into_iter().map(|(_, role)| role).collect();
        roles.sort_by(|one: &Self, other| one.name.cmp(&other.name));
        Ok(roles)
    }

    pub(super) fn save(&self, store: &Connection) -> Result<(), Failure> {
        store::keep(store, KIND, &Self::stored_as(&self.name), self)
    }

    pub(super) fn remove(&self, store: &Connection) -> Result<(), Failure> {
        store::remove(store, KIND, &Self::stored_as(&self.name))
    }
}
