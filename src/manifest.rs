//! `sentinel.toml`: what should exist.
//!
//! One type, read from a file, built in memory by `init`, and written back as text that reads as the same value.

mod parse;
mod resolve;
mod write;

use indexmap::IndexMap;

use crate::kind::Sections;
use crate::resource::{DEFAULT_OWNERSHIP_KEY, Tags};

pub use crate::document::cases_file;
pub use crate::kind::policy_parameter::ProfileSection;
pub use crate::kind::table::{BillingMode, Builtin, IndexSection, TableSection, is_uniform};
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
    /// The sections of each kind of resource.
    pub sections: Sections,
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
