//! `sentinel.toml`: what should exist.
//!
//! One type, read from a file, built in memory by `init`, and written back as text that reads as the same value.

mod conform;
mod parse;
mod resolve;
mod schema;
mod write;

use indexmap::IndexMap;

use crate::kind::Sections;
use crate::resource::Tags;
use crate::resource::caller::account_of;
use crate::resource::destination::{Destination, Route};
use crate::resource::names::{AccountId, AwsProfile, OwnerKey, PolicyRoot, RegionName};
use crate::resource::record_key::Role;

pub use crate::document::cases_file;
pub use crate::kind::policy_parameter::ProfileSection;
pub use crate::kind::table::{BillingMode, Builtin, IndexSection, TableSection};
pub use crate::resource::check_region;
pub use crate::resource::names::DEFAULT_ROOT;
pub use conform::conform;
pub use parse::{Parsed, check_account, check_role, check_target, parse};
pub use resolve::{Loaded, LocalDocument, LocalUser, Overrides, resolve};
pub use schema::schema;

/// A whole manifest, as written: what it leaves out is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    pub aws: AwsSection,
    /// `[targets.NAME]`: the accounts and regions it is for; none is the one that `[aws]` and the flags say.
    pub targets: IndexMap<String, TargetSection>,
    /// The path under which policies stand.
    pub policy_root: Option<PolicyRoot>,
    /// The sections of each kind of resource.
    pub sections: Sections,
    /// `[local.users.NAME]`: the users of the embedded AWS who have only the permissions of their policies.
    pub local_users: IndexMap<String, LocalUserSection>,
}

/// `[local.users.NAME]`: one user of the embedded AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalUserSection {
    pub policies: Vec<LocalPolicy>,
}

/// A policy of a user of the embedded AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalPolicy {
    /// The one that `sentinel iam --for ROLE` derives from the manifest.
    Role(Role),
    /// A JSON policy document, in a file.
    File(String),
}

/// `[aws]`: where to, and what everything carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSection {
    pub region: Option<RegionName>,
    pub profile: Option<AwsProfile>,
    pub account_id: Option<AccountId>,
    pub tags: Option<Tags>,
    pub ownership_tag: Option<OwnershipTag>,
}

/// The tag that marks what was created from a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnershipTag {
    /// `ownership_tag = false`: there is none.
    Off,
    /// Its key.
    Key(OwnerKey),
}

impl AwsSection {
    /// Returns the key of the ownership tag, unless there is to be none.
    pub fn ownership_key(&self) -> Option<OwnerKey> {
        match &self.ownership_tag {
            None => Some(OwnerKey::default()),
            Some(OwnershipTag::Key(key)) => Some(key.clone()),
            Some(OwnershipTag::Off) => None,
        }
    }

    /// Returns the destination that it says by itself.
    pub fn destination(&self, policy_root: &PolicyRoot) -> Destination<Option<RegionName>> {
        let route = Route { aws_profile: self.profile.clone(), role_arn: None, account_id: self.account_id.clone() };
        Destination { route, ..Destination::new(self.region.clone(), policy_root.clone()) }
    }
}

/// `[targets.NAME]`: one account and region, as written. Laid over `[aws]` it is a [`Destination`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSection {
    pub region: Option<RegionName>,
    pub route: Route,
}

impl TargetSection {
    /// Returns where a target is: what `[aws]` says, with what its own section says over that.
    fn over(&self, name: &str, aws: Destination<Option<RegionName>>) -> Destination<Option<RegionName>> {
        let own = self.route.clone();
        // An ARN of a role names its account.
        let of_role = own.role_arn.as_deref().and_then(account_of).map(AccountId::new);
        let route = Route {
            aws_profile: own.aws_profile.or(aws.route.aws_profile),
            account_id: own.account_id.or(of_role).or(aws.route.account_id),
            role_arn: own.role_arn,
        };
        Destination { name: Some(name.to_owned()), region: self.region.clone().or(aws.region), route, ..aws }
    }
}

impl Manifest {
    /// Returns where the manifest's passes go, as far as it says so: one destination for each of its targets, or the one of `[aws]`
    /// where it has none.
    pub fn destinations(&self, policy_root: &PolicyRoot) -> Vec<Destination<Option<RegionName>>> {
        let aws = self.aws.destination(policy_root);
        match self.targets.is_empty() {
            true => vec![aws],
            false => self.targets.iter().map(|(name, own)| own.over(name, aws.clone())).collect(),
        }
    }
}
