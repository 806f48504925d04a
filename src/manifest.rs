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

use std::collections::{BTreeMap, BTreeSet};

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
    /// The principals that may send requests, besides approvers and operators; everyone in these accounts if omitted.
    pub principals: Option<Vec<Principal>>,
    /// The principals that may approve or deny requests; nobody if omitted.
    pub approvers: Option<Vec<Principal>>,
    /// The principals that may use break-glass, revoke, and lock users; nobody if omitted.
    pub operators: Option<Vec<Principal>>,
    /// The roles that it assumes instead of those that the profiles name, by profile.
    pub roles: IndexMap<String, RoleArn>,
}

/// The role that the broker assumes for a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokeredRole<'a> {
    Arn(&'a str),
    /// A role of the manifest.
    Reference(&'a Address),
}

impl BrokeredRole<'_> {
    /// Returns the ARN. A role of the manifest belongs to the caller's account.
    fn arn(self, sections: &Sections, caller: &Caller) -> Option<RoleArn> {
        match self {
            Self::Arn(arn) => Some(RoleArn::new(arn)),
            Self::Reference(to) => {
                let resource = sections.name_of(to)?;
                Some(RoleArn::new(format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account)))
            }
        }
    }
}

/// All roles that a broker assumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokeredRoles {
    /// Those of the manifest.
    pub referenced: Vec<Address>,
    /// The ARNs of those that the manifest does not have.
    pub elsewhere: Vec<String>,
}

impl BrokeredRoles {
    /// Returns the roles that the broker assumes for the profiles of a manifest.
    pub fn new(broker: &BrokerSection, sections: &Sections) -> Self {
        let mut referenced = Vec::new();
        let mut elsewhere = BTreeSet::new();
        for (_, role) in broker.roles_of(sections) {
            match role {
                BrokeredRole::Arn(arn) => drop(elsewhere.insert(arn.to_owned())),
                BrokeredRole::Reference(to) => referenced.push(to.clone()),
            }
        }
        Self { referenced, elsewhere: elsewhere.into_iter().collect() }
    }

    /// Returns the part of a derived policy that is about these roles.
    pub fn as_brokered(&self) -> Brokered<'_> {
        Brokered { referenced: &self.referenced, elsewhere: &self.elsewhere }
    }
}

impl BrokerSection {
    /// Returns the role that the broker assumes for each profile: the one in `[broker.roles]`, or else the one that the profile names.
    /// Omits profiles without a role.
    pub fn roles_of<'a>(&'a self, sections: &'a Sections) -> impl Iterator<Item = (&'a str, BrokeredRole<'a>)> {
        let own = self.roles.iter().map(|(name, arn)| (name.as_str(), BrokeredRole::Arn(arn)));
        let others = sections.profiles.iter().filter(|(name, _)| !self.roles.contains_key(*name));
        own.chain(others.filter_map(|(name, profile)| {
            let role = match profile.role.as_ref()? {
                RoleSetting::Arn(arn) => BrokeredRole::Arn(arn),
                RoleSetting::Reference(to) => BrokeredRole::Reference(to),
            };
            Some((name.as_str(), role))
        }))
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
    Key(OwnerKey),
}

impl Manifest {
    /// Returns the ARN of the role that the broker assumes for each profile. A role of the manifest belongs to the caller's account.
    pub fn brokered_roles(&self, caller: &Caller) -> BTreeMap<&str, RoleArn> {
        let roles = self.broker.roles_of(&self.sections);
        roles.filter_map(|(profile, role)| Some((profile, role.arn(&self.sections, caller)?))).collect()
    }

    /// Returns the name of a built-in table: the one in its section, or the default one.
    pub fn table_name(&self, builtin: Builtin) -> &str {
        let named = self.sections.tables.get(builtin.key()).and_then(|section| section.name.as_deref());
        named.unwrap_or(builtin.default_name())
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

    fn parsed(text: &str) -> Manifest {
        let mut faults = Faults::default();
        let manifest = parse(&Source::new("sentinel.toml", text), &mut faults).manifest;
        assert!(faults.is_empty(), "{:?}", faults.into_sorted());
        manifest
    }

    fn roles(text: &str, caller: &str) -> Vec<String> {
        let (account, arn) = (AccountId::new("123456789012"), caller.to_owned());
        let caller = Caller { account, arn, user_id: UserId::default() };
        let manifest = parsed(text);
        manifest.brokered_roles(&caller).iter().map(|(profile, role)| format!("{profile}: {role}")).collect()
    }

    #[test]
    fn the_role_of_a_profile_is_in_the_account_of_the_caller() {
        let text = "[profiles.prod]\nrole = { role = \"admin\" }\n[profiles.far]\nrole = \"arn:aws:iam::210987654321:role/x\"\n\
                    [profiles.bare]\n[roles.admin]\npath = \"/sentinel/\"\ntrusted_by = { accounts = [\"123456789012\"] }\n";
        let expected =
            ["far: arn:aws:iam::210987654321:role/x", "prod: arn:aws-cn:iam::123456789012:role/sentinel/admin"];
        assert_eq!(roles(text, "arn:aws-cn:iam::123456789012:user/alice"), expected);
    }

    const BROKER: &str = "[profiles.prod]\nrole = { role = \"admin\" }\n[profiles.dev]\nrole = \"arn:aws:iam::210987654321:role/x\"\n\
        [profiles.bare]\n[roles.admin]\ntrusted_by = { accounts = [\"123456789012\"] }\n\
        [broker.roles]\ndev = \"arn:aws:iam::123456789012:role/y\"\nold = \"arn:aws:iam::123456789012:role/z\"\n";

    #[test]
    fn the_broker_assumes_the_roles_of_the_profiles_unless_its_own_section_names_others() {
        let expected = [
            "dev: arn:aws:iam::123456789012:role/y",
            "old: arn:aws:iam::123456789012:role/z",
            "prod: arn:aws:iam::123456789012:role/admin",
        ];
        assert_eq!(roles(BROKER, "arn:aws:iam::123456789012:user/alice"), expected);
    }

    #[test]
    fn the_permissions_of_the_broker_are_for_the_roles_that_it_assumes() {
        let manifest = parsed(BROKER);
        let roles = BrokeredRoles::new(&manifest.broker, &manifest.sections);
        assert_eq!(roles.referenced, [Address::new(crate::kind::KindId::Role, String::from("admin"))]);
        assert_eq!(roles.elsewhere, ["arn:aws:iam::123456789012:role/y", "arn:aws:iam::123456789012:role/z"]);
    }
}
