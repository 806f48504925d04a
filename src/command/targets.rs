//! Selects the targets of a manifest for a command, and applies its options to them.

use std::collections::BTreeSet;
use std::path::Path;

use super::context::{Context, Need, Project, no_region};
use super::local::Users;
use super::pass::explained;
use crate::cli::FilterArgs;
use crate::diagnostic::some;
use crate::document::closest;
use crate::error::Error;
use crate::kind::table::Table;
use crate::manifest::{Discovered, Manifest, Shard, TargetPattern, check_account, folder_of};
use crate::provider::accounts;
use crate::resource::destination::{Destination, Region};
use crate::resource::names::{AccountId, PolicyRoot, RegionName};

/// A selection of targets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Selection<'a> {
    /// Targets that match a pattern, or all if there is none, limited to a shard.
    Matching(&'a [TargetPattern], Option<Shard>),
    /// Exactly these.
    Named(&'a BTreeSet<String>),
}

impl Selection<'_> {
    /// Every target.
    pub(super) const ALL: Self = Self::Matching(&[], None);

    /// Returns whether it can contain a target of a section.
    fn may_hold(&self, section: &str) -> bool {
        match self {
            Self::Matching(patterns, _) => {
                patterns.is_empty() || patterns.iter().any(|pattern| pattern.may_match(section))
            }
            Self::Named(names) => names.iter().any(|name| name.split('/').next() == Some(section)),
        }
    }

    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Matching(patterns, shard) => {
                let matches = patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name));
                matches && shard.is_none_or(|shard| shard.holds(name))
            }
            Self::Named(names) => names.contains(name),
        }
    }
}

impl<'a> From<&'a FilterArgs> for Selection<'a> {
    fn from(filter: &'a FilterArgs) -> Self {
        Self::Matching(&filter.targets, filter.shard)
    }
}

impl Context {
    /// Lists the accounts of AWS Organizations, if a section that uses them can be selected.
    async fn discovered(&self, project: &Project, picked: Selection<'_>) -> Result<Discovered, Error> {
        let mut found = Discovered::new();
        let manifest = &project.loaded.manifest;
        for (name, search) in manifest.searches().filter(|(name, _)| picked.may_hold(name)) {
            let aws = manifest.aws.destination(&project.loaded.policy_root);
            // AWS Organizations is a global service.
            let region = self.region(&aws).await;
            let region = region.unwrap_or_else(|| Region { name: RegionName::new("us-east-1"), source: String::new() });
            let mut destination = aws.with_region(region);
            destination.route.aws_profile = self.global.aws_profile.clone().or(destination.route.aws_profile);
            destination.local = self.local_folder(&project.folder);
            let connection = self.connection(&destination, &Users::default())?;
            let search = async { Ok(accounts(connection, search).await?) };
            let accounts = self.reading(search).await.map_err(|error| explained(error, &destination))?;
            if !accounts.inactive.is_empty() {
                let ids: Vec<String> = accounts.inactive.iter().map(|(id, state)| format!("{id} ({state})")).collect();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let text = format!("targets.{name}: skipped {} accounts: {}", ids.len(), some(&ids));
                self.terminal.note(&format!("{}\n", crate::report::escape(&text)));
            }
            found.insert(name.to_owned(), accounts.accounts);
        }
        Ok(found)
    }

    /// Returns the selected targets, or the destination in `[aws]` if the manifest has no targets.
    pub(super) async fn chosen(
        &self,
        project: &Project,
        picked: Selection<'_>,
    ) -> Result<Vec<Destination<Option<RegionName>>>, Error> {
        let discovered = self.discovered(project, picked).await?;
        self.chosen_of(project, picked, &discovered)
    }

    /// The same without AWS calls: an account of an organization must be named.
    pub(super) fn chosen_offline(
        &self,
        project: &Project,
        filter: &FilterArgs,
    ) -> Result<Vec<Destination<Option<RegionName>>>, Error> {
        let picked = Selection::from(filter);
        let mut named = Discovered::new();
        for (section, _) in project.loaded.manifest.searches().filter(|(name, _)| picked.may_hold(name)) {
            let accounts = named_accounts(section, &filter.targets);
            if accounts.is_empty() || filter.shard.is_some() {
                let message = format!(
                    "the accounts of targets.{section} are those of an organization, which only AWS knows, and this command makes no AWS call"
                );
                let hint = format!("name a target of it: --target {section}/ACCOUNT/REGION");
                return Err(Error::usage(message, hint));
            }
            named.insert(section.to_owned(), accounts);
        }
        self.chosen_of(project, picked, &named)
    }

    fn chosen_of(
        &self,
        project: &Project,
        picked: Selection<'_>,
        discovered: &Discovered,
    ) -> Result<Vec<Destination<Option<RegionName>>>, Error> {
        let manifest = &project.loaded.manifest;
        let mut chosen = manifest.destinations(&project.loaded.policy_root, discovered);
        if let Selection::Matching(patterns, shard) = picked {
            check_patterns(patterns, &chosen)?;
            if shard.is_some() && manifest.targets.is_empty() {
                let hint = "remove --shard: it divides the targets of a manifest";
                return Err(Error::usage("the manifest has no [targets.NAME] section to divide", hint));
            }
        }
        chosen.iter_mut().enumerate().for_each(|(position, one)| one.position = position);
        chosen.retain(|one| one.name.as_ref().is_none_or(|name| picked.holds(name)));
        // One AWS profile can assume the roles of all targets. Without roles, all targets would be in the account of the profile.
        let profile = self.global.aws_profile.is_some() && chosen.iter().any(|one| one.route.role_arn.is_none());
        if chosen.len() > 1 && (self.global.region.is_some() || profile) {
            let names: Vec<&str> = chosen.iter().filter_map(|one| one.name.as_deref()).collect();
            let message = format!("--region and --aws-profile cannot apply to several targets: {}", some(&names));
            return Err(Error::usage(message, "select one target with --target, or remove the option"));
        }
        chosen.iter().try_for_each(|one| self.check_region_flag(one))?;
        Ok(chosen)
    }

    /// Returns the destinations of the manifest's passes.
    pub(super) async fn destinations(
        &self,
        project: &Project,
        picked: Selection<'_>,
    ) -> Result<Vec<Destination>, Error> {
        let mut destinations = Vec::new();
        for chosen in self.chosen(project, picked).await? {
            let Some(mut destination) = self.located(chosen, &project.folder).await? else {
                let tables = project.loaded.desired.iter().any(|one| one.of::<Table>().is_some());
                return Err(no_region(if tables { Need::Tables } else { Need::Anything }, project.medium));
            };
            Self::own_store(&mut destination);
            destinations.push(destination);
        }
        Ok(destinations)
    }

    /// Gives each target a store of its own in the AWS emulator, because each has its own account.
    pub(super) fn own_store(destination: &mut Destination) {
        if let (Some(name), Some(folder)) = (&destination.name, &mut destination.local) {
            *folder = folder.join("targets").join(folder_of(name));
        }
    }

    /// Returns a destination with the values of the options, the environment and the AWS profile; `None` if none of them has a region.
    /// The store of the AWS emulator is in the folder of the manifest.
    pub(super) async fn located(
        &self,
        chosen: Destination<Option<RegionName>>,
        beside: &Path,
    ) -> Result<Option<Destination>, Error> {
        self.check_region_flag(&chosen)?;
        let Some(region) = self.region(&chosen).await else { return Ok(None) };
        let mut destination = chosen.with_region(region);
        destination.route.aws_profile = self.global.aws_profile.clone().or(destination.route.aws_profile);
        destination.local = self.local_folder(beside);
        Ok(Some(destination))
    }

    /// Refuses `--region` if the target's name contains another region, because the name would be wrong.
    fn check_region_flag(&self, chosen: &Destination<Option<RegionName>>) -> Result<(), Error> {
        let (Some(region), Some(name)) = (&self.global.region, &chosen.name) else { return Ok(()) };
        match name.rsplit_once('/') {
            Some((_, own)) if own != region.as_str() => {
                let message = format!("the target {name} is in {own}, but --region is {region}");
                Err(Error::usage(message, "remove --region, or select the target of that region with --target"))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the accounts of a section in patterns `SECTION/ACCOUNT/REGION`.
fn named_accounts(section: &str, patterns: &[TargetPattern]) -> Vec<AccountId> {
    let account = |pattern: &TargetPattern| match pattern.as_str().split('/').collect::<Vec<_>>()[..] {
        [of, account, _] if of == section && check_account(account).is_ok() => Some(AccountId::new(account)),
        _ => None,
    };
    let mut accounts: Vec<AccountId> = patterns.iter().filter_map(account).collect();
    accounts.sort();
    accounts.dedup();
    accounts
}

/// Returns the one target that a pattern matches.
pub(super) fn one_target(
    manifest: &Manifest,
    policy_root: &PolicyRoot,
    pattern: &TargetPattern,
) -> Result<Destination<Option<RegionName>>, Error> {
    // The account is in the name, and is later compared with that of the credentials.
    let searches = manifest.searches().map(|(name, _)| (name, named_accounts(name, std::slice::from_ref(pattern))));
    let named: Discovered = searches
        .filter(|(_, accounts)| !accounts.is_empty())
        .map(|(name, accounts)| (name.to_owned(), accounts))
        .collect();
    let mut all = manifest.destinations(policy_root, &named);
    check_patterns(std::slice::from_ref(pattern), &all)?;
    all.retain(|one| one.name.as_deref().is_some_and(|name| pattern.matches(name)));
    let names: Vec<&str> = all.iter().filter_map(|one| one.name.as_deref()).collect();
    if names.len() > 1 {
        let message = format!("{pattern} matches {} targets, and this command uses one: {}", names.len(), some(&names));
        return Err(Error::usage(message, "name one of them with --target"));
    }
    all.pop().ok_or_else(|| Error::internal("a pattern that matches no target was not refused"))
}

/// Refuses a pattern that matches no target, because it is probably mistyped.
pub(super) fn check_patterns(
    patterns: &[TargetPattern],
    targets: &[Destination<Option<RegionName>>],
) -> Result<(), Error> {
    let names = || targets.iter().filter_map(|one| one.name.as_deref());
    let Some(unknown) = patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) else {
        return Ok(());
    };
    let names: Vec<&str> = names().collect();
    // The name of a section matches all its targets.
    let mut known: Vec<&str> = names.iter().flat_map(|name| [*name, name.split('/').next().unwrap_or(name)]).collect();
    known.dedup();
    let hint = match (names.is_empty(), closest(unknown.as_str(), &known)) {
        (true, _) => String::from("the manifest has no [targets.NAME] section: remove --target"),
        (false, Some(name)) => format!("did you mean {name}? Its targets are: {}", some(&names)),
        (false, None) => format!("its targets are: {}", some(&names)),
    };
    Err(Error::usage(format!("the manifest has no target {unknown}"), hint))
}
