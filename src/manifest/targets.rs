//! `[targets.NAME]`: the accounts and regions that a manifest is for, and the targets that a section stands for.

use std::collections::BTreeMap;

use super::{AwsSection, Manifest, Override};
use crate::resource::caller::account_of;
use crate::resource::destination::{Destination, Route};
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn};
use crate::resource::organization::Search;

/// The placeholder for the account of a target in the ARN of its role.
pub(super) const ACCOUNT: &str = "{account}";

/// `[targets.NAME]`, as written. It is one account and region, or every combination of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSection {
    pub region: Option<RegionName>,
    /// The role and the AWS profile may contain `{account}`, if there are several accounts.
    pub route: Route,
    pub accounts: Option<Vec<AccountId>>,
    pub regions: Option<Vec<RegionName>>,
    /// Where the accounts are looked for.
    pub organization: Option<Search>,
    pub overrides: Vec<Override>,
}

/// The accounts that were found for the sections that look for them, by the name of the section.
pub type Discovered = BTreeMap<String, Vec<AccountId>>;

impl AwsSection {
    /// Returns the destination that it says by itself.
    pub fn destination(&self, policy_root: &PolicyRoot) -> Destination<Option<RegionName>> {
        let route = Route { aws_profile: self.profile.clone(), role_arn: None, account_id: self.account_id.clone() };
        Destination { route, ..Destination::new(self.region.clone(), policy_root.clone()) }
    }
}

impl TargetSection {
    /// Returns whether it stands for targets with names of their own: `NAME/ACCOUNT/REGION`.
    pub fn is_matrix(&self) -> bool {
        self.is_several_accounts() || self.regions.is_some()
    }

    /// Returns whether it says which accounts it is for by a list, or by where to look for them.
    pub(super) fn is_several_accounts(&self) -> bool {
        self.accounts.is_some() || self.organization.is_some()
    }

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

    /// Returns the account that the section itself names, where it is for one.
    pub(super) fn own_account(&self) -> Option<AccountId> {
        let of_role = self.route.role_arn.as_deref().and_then(account_of).filter(|account| *account != ACCOUNT);
        let of_role = || of_role.map(AccountId::new);
        self.route.account_id.clone().or_else(of_role)
    }

    /// Returns its targets. `found` are the accounts that it is for, where it says so only by how to look for them.
    fn destinations(
        &self,
        name: &str,
        aws: &Destination<Option<RegionName>>,
        found: &[AccountId],
    ) -> Vec<Destination<Option<RegionName>>> {
        if !self.is_matrix() {
            return vec![self.over(name, aws.clone())];
        }
        let one = || self.own_account().or_else(|| aws.route.account_id.clone()).into_iter().collect();
        let accounts: Vec<AccountId> = match &self.accounts {
            Some(accounts) => accounts.clone(),
            None if self.organization.is_none() => one(),
            None => found.to_vec(),
        };
        let one = || self.region.clone().or_else(|| aws.region.clone()).into_iter().collect();
        let regions: Vec<RegionName> = self.regions.clone().unwrap_or_else(one);
        let mut targets = Vec::new();
        for account in &accounts {
            let filled = |text: &str| text.replace(ACCOUNT, account);
            let route = Route {
                aws_profile: self.route.aws_profile.as_deref().map(filled).map(AwsProfile::new),
                role_arn: self.route.role_arn.as_deref().map(filled).map(RoleArn::new),
                account_id: Some(account.clone()),
            };
            for region in &regions {
                let own = Self { region: Some(region.clone()), route: route.clone(), ..Self::default() };
                targets.push(own.over(&format!("{name}/{account}/{region}"), aws.clone()));
            }
        }
        targets
    }
}

impl Manifest {
    /// Returns where the manifest's passes go, as far as it says so: one destination for each of its targets, or the one of `[aws]`
    /// where it has none.
    pub fn destinations(
        &self,
        policy_root: &PolicyRoot,
        discovered: &Discovered,
    ) -> Vec<Destination<Option<RegionName>>> {
        let aws = self.aws.destination(policy_root);
        if self.targets.is_empty() {
            return vec![aws];
        }
        let of = |(name, section): (&String, &TargetSection)| {
            section.destinations(name, &aws, discovered.get(name).map_or(&[][..], Vec::as_slice))
        };
        self.targets.iter().flat_map(of).collect()
    }
}

impl Manifest {
    /// Returns the sections of targets whose accounts are looked for, and where.
    pub fn searches(&self) -> impl Iterator<Item = (&str, &Search)> {
        self.targets.iter().filter_map(|(name, section)| Some((name.as_str(), section.organization.as_ref()?)))
    }

    /// Returns an account for each section whose accounts are looked for: what is written for any of them can be checked with it.
    pub(super) fn sample(&self) -> Discovered {
        self.searches().map(|(name, _)| (name.to_owned(), vec![AccountId::new("000000000000")])).collect()
    }
}

/// Returns the name of the section that a target is of: that of `prod/123456789012/us-east-1` is `prod`.
pub(super) fn section_of(target: &str) -> &str {
    target.split('/').next().unwrap_or(target)
}

/// Returns what the folder of a target's AWS emulator is called. The regions of an account share one, as they do in AWS.
pub fn folder_of(target: &str) -> String {
    let mut parts = target.split('/');
    match (parts.next(), parts.next()) {
        (Some(section), Some(account)) => format!("{section}.{account}"),
        _ => target.to_owned(),
    }
}
