//! `sentinel.toml`: what should exist.
//!
//! One type, read from a file, built in memory by `init`, and written back as text that reads as the same value.

mod conform;
mod join;
mod parse;
mod pick;
mod resolve;
mod schema;
mod targets;
mod vary;
mod write;

use indexmap::IndexMap;

use crate::kind::Sections;
use crate::kind::policy_parameter::RoleSetting;
use crate::policy::Principal;
use crate::resource::Tags;
use crate::resource::caller::Caller;
use crate::resource::names::{AccountId, AwsProfile, OwnerKey, PolicyRoot, RegionName, RoleArn};
use crate::resource::record_key::Role;
use crate::resource::signed_identity::BrokerUrl;

pub use crate::document::cases_file;
pub use crate::kind::policy_parameter::ProfileSection;
pub use crate::kind::table::{BillingMode, Builtin, IndexSection, TableSection};
pub use crate::resource::check_region;
pub use crate::resource::names::DEFAULT_ROOT;
pub use conform::conform;
pub use join::{Include, conceal_secrets, includes};
pub use parse::{Parsed, check_account, check_role, check_target, parse};
pub use pick::{Shard, TargetPattern};
pub use resolve::{Loaded, LocalDocument, LocalUser, Overrides, Wanted, resolve, resolve_in};
pub use schema::schema;
pub use targets::{Discovered, TargetSection, folder_of};
pub use vary::Override;

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
    /// `[broker]`: who gives out credentials, and to whom.
    pub broker: BrokerSection,
    /// `[local.users.NAME]`: the users of the AWS emulator who have only the permissions of their policies.
    pub local_users: IndexMap<String, LocalUserSection>,
}

/// `[broker]`: the broker that alone may assume the roles of the profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerSection {
    /// Where it is. The commands that use access ask it instead of AWS.
    pub url: Option<BrokerUrl>,
    /// The accounts whose users may ask.
    pub accounts: Option<Vec<AccountId>>,
    /// Who of these may ask; everyone where it is left out.
    pub principals: Option<Vec<Principal>>,
    /// Who may answer requests; nobody where it is left out.
    pub approvers: Option<Vec<Principal>>,
    /// Who may use break-glass, revoke, and lock users; nobody where it is left out.
    pub operators: Option<Vec<Principal>>,
    /// The roles that it assumes, by profile.
    pub roles: IndexMap<String, RoleArn>,
}

/// `[local.users.NAME]`: one user of the AWS emulator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalUserSection {
    pub policies: Vec<LocalPolicy>,
}

/// A policy of a user of the AWS emulator.
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

impl Manifest {
    /// Returns the ARN of the role that a profile is for, where the manifest says it. A role of the manifest is in the account of the
    /// caller.
    pub fn role_of(&self, profile: &str, caller: &Caller) -> Option<RoleArn> {
        match self.sections.profiles.get(profile)?.role.as_ref()? {
            RoleSetting::Arn(arn) => Some(RoleArn::new(arn)),
            RoleSetting::Reference(to) => {
                let resource = self.sections.name_of(to)?;
                Some(RoleArn::new(format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account)))
            }
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::resource::names::UserId;

    #[test]
    fn the_role_of_a_profile_is_in_the_account_of_the_caller() {
        let text = "[profiles.prod]\nrole = { role = \"admin\" }\n[profiles.far]\nrole = \"arn:aws:iam::210987654321:role/x\"\n\
                    [profiles.bare]\n[roles.admin]\npath = \"/sentinel/\"\ntrusted_by = { accounts = [\"123456789012\"] }\n";
        let mut faults = Faults::default();
        let manifest = parse(&Source::new("sentinel.toml", text), &mut faults).manifest;
        assert!(faults.is_empty(), "{:?}", faults.into_sorted());
        let arn = String::from("arn:aws-cn:iam::123456789012:user/alice");
        let caller = Caller { account: AccountId::new("123456789012"), arn, user_id: UserId::default() };
        let role = |profile: &str| manifest.role_of(profile, &caller).map(String::from);
        assert_eq!(role("prod").as_deref(), Some("arn:aws-cn:iam::123456789012:role/sentinel/admin"));
        assert_eq!(role("far").as_deref(), Some("arn:aws:iam::210987654321:role/x"));
        assert_eq!((role("bare"), role("other")), (None, None));
    }
}
