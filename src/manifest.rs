//! `sentinel.toml`: the desired state.
//!
//! `Manifest` is read from a file or built in memory by `init`, and can be written as text that reads back as the same value.

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

/// A whole manifest, as written: `None` is an omitted setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    pub aws: AwsSection,
    /// `[targets.NAME]`: the accounts and regions of the manifest. If empty, `[aws]` and the options name the only target.
    pub targets: IndexMap<String, TargetSection>,
    /// The path of the policies.
    pub policy_root: Option<PolicyRoot>,
    /// The sections of each kind.
    pub sections: Sections,
    /// `[broker]`: the broker that issues credentials, and its users.
    pub broker: BrokerSection,
    /// `[local.users.NAME]`: the users of the AWS emulator whose permissions are limited to their policies.
    pub local_users: IndexMap<String, LocalUserSection>,
}

/// `[broker]`: the only principal that may assume the roles of the profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerSection {
    /// Its address. The access commands call it instead of AWS.
    pub url: Option<BrokerUrl>,
    /// The accounts whose users may send requests.
    pub accounts: Option<Vec<AccountId>>,
    /// The principals that may send requests; everyone in these accounts if omitted.
    pub principals: Option<Vec<Principal>>,
    /// The principals that may approve or deny requests; nobody if omitted.
    pub approvers: Option<Vec<Principal>>,
    /// The principals that may use break-glass, revoke, and lock users; nobody if omitted.
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
    /// The policy that `sentinel iam --for ROLE` derives from the manifest.
    Role(Role),
    /// A JSON policy document, in a file.
    File(String),
}

/// `[aws]`: the account, the region, and settings of all resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSection {
    pub region: Option<RegionName>,
    pub profile: Option<AwsProfile>,
    pub account_id: Option<AccountId>,
    pub tags: Option<Tags>,
    pub ownership_tag: Option<OwnershipTag>,
}

/// The tag that marks resources created from a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnershipTag {
    /// `ownership_tag = false`: no tag.
    Off,
    /// Its key.
    Key(OwnerKey),
}

impl Manifest {
    /// Returns the ARN of a profile's role, if the manifest specifies it. A role in the manifest belongs to the caller's account.
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
    /// Returns the key of the ownership tag, unless the tag is off.
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
