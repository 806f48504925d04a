//! `sentinel.toml`: what should exist.
//!
//! One type, read from a file, built in memory by `init`, and written back as text that reads as the same value.

mod layout;
mod parse;
mod resolve;
mod write;

use indexmap::IndexMap;

use crate::resource::Tags;
use crate::resource::policy_parameter::Tier;
use crate::resource::table::{Attribute, Encryption, Projection, Ttl};

pub use layout::Builtin;
pub use parse::{Parsed, check_region, parse};
pub use resolve::{Loaded, Overrides, resolve};

/// Where policies stand when nothing else is said.
pub const DEFAULT_ROOT: &str = "/sentinel/policies";

/// A whole manifest, as written: what it leaves out is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    pub aws: AwsSection,
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
