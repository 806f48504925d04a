//! `sentinel.toml`: what should exist.
//!
//! One type, read from a file, built in memory by `init`, and written back as text that reads as the same value.

mod folder;
mod layout;
mod live;
mod parse;
mod resolve;
mod write;

use indexmap::IndexMap;

use crate::kind::policy_parameter::Tier;
use crate::kind::table::{Attribute, Class, Encryption, Projection, Ttl};
use crate::resource::{DEFAULT_OWNERSHIP_KEY, Tags};

pub use folder::cases_file;
pub use layout::Builtin;
pub use live::is_uniform;
pub use parse::{Parsed, check_region, parse};
pub use resolve::{Loaded, Overrides, resolve};

/// Where policies stand when nothing else is said.
pub const DEFAULT_ROOT: &str = "/sentinel/policies";

/// A whole manifest, as written: what it leaves out is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    pub aws: AwsSection,
    /// `[targets.NAME]`: the accounts and regions it is for; none is the one that `[aws]` and the flags say.
    pub targets: IndexMap<String, TargetSection>,
    /// The path under which policies stand.
    pub policy_root: Option<String>,
    pub profiles: IndexMap<String, ProfileSection>,
    pub tables: IndexMap<String, TableSection>,
}

/// `[aws]`: where to, and what everything carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSection {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub account_id: Option<String>,
    pub tags: Option<Tags>,
    pub ownership_tag: Option<OwnershipTag>,
}

/// The tag that marks what was created from a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnershipTag {
    /// `ownership_tag = false`: there is none.
    Off,
    /// Its key.
    Key(String),
}

impl AwsSection {
    /// Returns the key of the ownership tag, unless there is to be none.
    pub fn ownership_key(&self) -> Option<String> {
        match &self.ownership_tag {
            None => Some(DEFAULT_OWNERSHIP_KEY.to_owned()),
            Some(OwnershipTag::Key(key)) => Some(key.clone()),
            Some(OwnershipTag::Off) => None,
        }
    }
}

/// `[targets.NAME]`: one account and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSection {
    pub region: Option<String>,
    /// The AWS credentials profile.
    pub profile: Option<String>,
    /// A role that is assumed with the credentials at hand.
    pub role_arn: Option<String>,
    pub account_id: Option<String>,
}

/// `[profiles.NAME]`: one policy parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileSection {
    pub policy: Option<String>,
    pub tier: Option<Tier>,
    pub tags: Option<Tags>,
}

/// `[tables.NAME]`: one table. For a built-in name, what is written overrides or adds to its layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableSection {
    pub name: Option<String>,
    pub partition_key: Option<Attribute>,
    pub sort_key: Option<Attribute>,
    /// `ttl_attribute = false` wants TTL off.
    pub ttl_attribute: Option<Ttl>,
    pub billing_mode: Option<BillingMode>,
    pub read_capacity: Option<i64>,
    pub write_capacity: Option<i64>,
    pub encryption: Option<Encryption>,
    pub point_in_time_recovery: Option<bool>,
    pub deletion_protection: Option<bool>,
    pub table_class: Option<Class>,
    pub tags: Option<Tags>,
    pub indexes: Option<IndexMap<String, IndexSection>>,
}

/// A billing mode, in AWS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingMode {
    PayPerRequest,
    Provisioned,
}

/// `[tables.NAME.indexes.INDEX]`: one global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSection {
    pub partition_key: Attribute,
    pub sort_key: Option<Attribute>,
    /// ALL when left out.
    pub projection: Option<Projection>,
}
