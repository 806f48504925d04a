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

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::iam::Brokered;
use crate::kind::policy_parameter::RoleSetting;
use crate::kind::{Address, Sections};
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
    /// The roles that it assumes instead of those that the profiles name, by profile.
    pub roles: IndexMap<String, RoleArn>,
}

/// The roles that a broker assumes for profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokeredRoles {
    /// Those of the manifest.
    pub referenced: Vec<Address>,
    /// The ARNs of those that the manifest does not have.
    pub elsewhere: Vec<String>,
}

impl BrokeredRoles {
    /// Returns the part of a derived policy that is about these roles.
    pub fn as_brokered(&self) -> Brokered<'_> {
        Brokered { referenced: &self.referenced, elsewhere: &self.elsewhere }
    }
}

impl BrokerSection {
    /// Returns the roles that the broker assumes for profiles.
    pub fn roles_of(&self, sections: &Sections) -> BrokeredRoles {
        let mut found = BrokeredRoles::default();
        let mut elsewhere: BTreeSet<String> = self.roles.values().cloned().map(String::from).collect();
        for (_, profile) in sections.profiles.iter().filter(|(name, _)| !self.roles.contains_key(*name)) {
            match &profile.role {
                Some(RoleSetting::Arn(arn)) => drop(elsewhere.insert(arn.clone())),
                Some(RoleSetting::Reference(to)) => found.referenced.push(to.clone()),
                None => {}
            }
        }
        found.elsewhere.extend(elsewhere);
        found
    }
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

    /// Returns the ARN of the role that the broker assumes for a profile: `[broker.roles]`, or the role that the profile is for.
    pub fn brokered_role_of(&self, profile: &str, caller: &Caller) -> Option<RoleArn> {
        self.broker.roles.get(profile).cloned().or_else(|| self.role_of(profile, caller))
    }

    /// Returns the profiles for which the manifest names a role, in its order.
    pub fn profiles_with_roles(&self) -> impl Iterator<Item = &String> {
        let named = self
            .sections
            .profiles
            .iter()
            .filter(|(name, profile)| profile.role.is_some() && !self.broker.roles.contains_key(*name));
        self.broker.roles.keys().chain(named.map(|(name, _)| name))
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

    #[test]
    fn the_broker_assumes_the_roles_of_the_profiles_unless_its_own_section_names_others() {
        let text = "[profiles.prod]\nrole = { role = \"admin\" }\n[profiles.dev]\nrole = \"arn:aws:iam::210987654321:role/x\"\n\
                    [profiles.bare]\n[roles.admin]\ntrusted_by = { accounts = [\"123456789012\"] }\n\
                    [broker.roles]\ndev = \"arn:aws:iam::123456789012:role/y\"\nold = \"arn:aws:iam::123456789012:role/z\"\n";
        let mut faults = Faults::default();
        let manifest = parse(&Source::new("sentinel.toml", text), &mut faults).manifest;
        assert!(faults.is_empty(), "{:?}", faults.into_sorted());
        let arn = String::from("arn:aws:iam::123456789012:user/alice");
        let caller = Caller { account: AccountId::new("123456789012"), arn, user_id: UserId::default() };
        let roles = manifest.profiles_with_roles().map(|profile| {
            let role = manifest.brokered_role_of(profile, &caller).map(String::from);
            format!("{profile}: {}", role.unwrap_or_default())
        });
        let expected = [
            "dev: arn:aws:iam::123456789012:role/y",
            "old: arn:aws:iam::123456789012:role/z",
            "prod: arn:aws:iam::123456789012:role/admin",
        ];
        assert_eq!(roles.collect::<Vec<_>>(), expected);
    }
}
