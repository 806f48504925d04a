//! Roles, as they are stored: one state for an account, in the region whose control plane AWS's own IAM has.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::store;

/// The region in whose store the IAM of an account is.
pub(in crate::local) const HOME: &str = "us-east-1";

/// Under what roles are in the store.
const KIND: &str = "iam role";

/// What the path of a role begins with that a service of AWS manages.
const OF_A_SERVICE: &str = "/aws-service-role/";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::local) struct Role {
    pub(super) name: String,
    pub(super) path: String,
    /// The unique ID, which a role of the same name that is created later does not have.
    pub(super) id: String,
    pub(super) account: String,
    /// In milliseconds since 1970.
    pub(super) created: i64,
    pub(super) description: String,
    /// The longest session, in seconds.
    pub(super) longest_session: i64,
    /// The trust policy, with principals as AWS answers them.
    pub(super) trust: String,
    /// The unique IDs of the roles that the trust policy names, by their ARNs: a role that is created again is another principal.
    /// Source: IAM User Guide, "AWS JSON policy elements: Principal".
    pub(super) trusted_ids: BTreeMap<String, String>,
    /// The documents of inline policies, by name.
    pub(super) inline: BTreeMap<String, String>,
    /// The ARNs of attached policies.
    pub(super) attached: Vec<String>,
    pub(super) boundary: Option<String>,
    /// By their keys in lower case: the key as it was written, and the value.
    pub(super) tags: Tags,
}

pub(super) type Tags = BTreeMap<String, (String, String)>;

/// Returns a unique ID of a kind, as AWS's look.
pub(super) fn unique_id(prefix: &str, of: &str) -> String {
    format!("{prefix}{}", &hex::encode_upper(Sha256::digest(of))[..17])
}

impl Role {
    /// Roles of one account are not told apart by the case of their names.
    fn stored_as(name: &str) -> String {
        name.to_ascii_lowercase()
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.account, self.path, self.name)
    }

    /// Returns whether a service of AWS manages the role.
    pub(super) fn is_of_a_service(&self) -> bool {
        self.path.starts_with(OF_A_SERVICE)
    }

    /// Finds the role of a name, whatever its case.
    pub(super) fn load(store: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        store::object(store, KIND, &Self::stored_as(name))
    }

    /// Finds a role in the account whose IAM this is.
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
