//! `[targets.NAME]`: the accounts and regions of a manifest, and the targets of each section.

use std::collections::BTreeMap;

use super::{AwsSection, Manifest, Override};
use crate::resource::caller::account_of;
use crate::resource::destination::{Destination, Route};
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn};
use crate::resource::organization::Search;

/// The account placeholder in the ARN of a target's role.
pub(super) const ACCOUNT: &str = "{account}";

/// `[targets.NAME]`, as written. It describes one account and region, or every combination of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSection {
    pub region: Option<RegionName>,
    /// The role and the AWS profile may contain `{account}` if there are several accounts.
    pub route: Route,
    pub accounts: Option<Vec<AccountId>>,
    pub regions: Option<Vec<RegionName>>,
    /// The organization whose accounts are listed.
    pub organization: Option<Search>,
    pub overrides: Vec<Override>,
}

/// The accounts that were found for the sections with `organization`, by section name.
pub type Discovered = BTreeMap<String, Vec<AccountId>>;

impl AwsSection {
    /// Returns the destination of the section's own settings.
    pub fn destination(&self, policy_root: &PolicyRoot) -> Destination<Option<RegionName>> {
        let route = Route { aws_profile: self.profile.clone(), role_arn: None, account_id: self.account_id.clone() };
        Destination { route, ..Destination::new(self.region.clone(), policy_root.clone()) }
    }
}

impl TargetSection {
    /// Returns whether its targets are named `NAME/ACCOUNT/REGION`.
    pub fn is_matrix(&self) -> bool {
        self.is_several_accounts() || self.regions.is_some()
    }

    /// Returns whether it specifies its accounts by a list or by an organization.
    pub(super) fn is_several_accounts(&self) -> bool {
        self.accounts.is_some() || self.organization.is_some()
    }

    /// Returns the destination of a target: the settings of `[aws]`, overridden by those of its section.
    fn over(&self, name: &str, aws: Destination<Option<RegionName>>) -> Destination<Option<RegionName>> {
        let own = self.route.clone();
        // The ARN of a role contains its account.
        let of_role = own.role_arn.as_deref().and_then(account_of).map(AccountId::new);
        let route = Route {
            aws_profile: own.aws_profile.or(aws.route.aws_profile),
            account_id: own.account_id.or(of_role).or(aws.route.account_id),
            role_arn: own.role_arn,
        };
        Destination { name: Some(name.to_owned()), region: self.region.clone().or(aws.region), route, ..aws }
    }

    /// Returns the section's own account, if it has exactly one.
    pub(super) fn own_account(&self) -> Option<AccountId> {
        let of_role = self.route.role_arn.as_deref().and_then(account_of).filter(|account| *account != ACCOUNT);
        let of_role = || of_role.map(AccountId::new);
        self.route.account_id.clone().or_else(of_role)
    }

    /// Returns its targets. `found` are the accounts of its organization, if it has one.
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
    /// Returns the destinations of the manifest, as far as they are known: one for each target, or that of `[aws]` without targets.
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
    /// Returns the sections with `organization`, and their searches.
    pub fn searches(&self) -> impl Iterator<Item = (&str, &Search)> {
        self.targets.iter().filter_map(|(name, section)| Some((name.as_str(), section.organization.as_ref()?)))
    }

    /// Returns a sample account for each section with `organization`, so that its settings can be checked without AWS.
    pub(super) fn sample(&self) -> Discovered {
        self.searches().map(|(name, _)| (name.to_owned(), vec![AccountId::new("000000000000")])).collect()
    }
}

/// Returns the section of a target: for `prod/123456789012/us-east-1` it is `prod`.
pub(super) fn section_of(target: &str) -> &str {
    target.split('/').next().unwrap_or(target)
}

/// Returns the name of a target's emulator folder. The regions of an account share a folder, as they share an account in AWS.
pub fn folder_of(target: &str) -> String {
    let mut parts = target.split('/');
    match (parts.next(), parts.next()) {
        (Some(section), Some(account)) => format!("{section}.{account}"),
        _ => target.to_owned(),
    }
}
