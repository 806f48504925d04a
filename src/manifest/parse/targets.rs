//! Reads `[targets.NAME]`.

use std::collections::{HashMap, HashSet};

use super::{check_account, check_role};
use crate::document::{Entry, Node, Reader};
use crate::manifest::targets::{ACCOUNT, TargetSection, section_of};
use crate::manifest::{AwsSection, Discovered, Manifest, vary};
use crate::resource::caller::account_of;
use crate::resource::destination::Route;
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn};
use crate::resource::organization::{Depth, Search, check_unit};
use crate::resource::{Invalid, check_region};

/// The maximum number of accounts or regions of a section. No organization has as many.
const MAX: usize = 100_000;

pub(super) fn read_target(reader: &mut Reader<'_>, aws: &AwsSection, entry: &Entry) -> Option<TargetSection> {
    let name = &entry.key;
    let mut fields = reader.map(&entry.node, &format!("targets.{name}"))?;
    let region =
        fields.get("region").and_then(|entry| reader.checked(&entry.node, "region", check_region)).map(RegionName::new);
    let profile = fields.get("profile");
    let role = fields.get("role_arn");
    let account = fields.get("account_id");
    let (accounts, regions) = (fields.get("accounts"), fields.get("regions"));
    let organization = fields.get("organization");
    let several = accounts.is_some() || organization.is_some();
    let route = Route {
        aws_profile: profile
            .and_then(|entry| {
                reader.checked(&entry.node, "profile", |name| match several {
                    // With a single account, a role contains no placeholder.
                    true => check_placeholders(name),
                    false => Ok(()),
                })
            })
            .map(AwsProfile::new),
        role_arn: role.and_then(|entry| reader.checked(&entry.node, "role_arn", check_role_pattern)).map(RoleArn::new),
        account_id: account
            .and_then(|entry| reader.checked(&entry.node, "account_id", check_account))
            .map(AccountId::new),
    };
    let target = TargetSection {
        region,
        route,
        accounts: accounts.and_then(|entry| read_list(reader, &entry.node, "accounts", check_account, AccountId::new)),
        regions: regions.and_then(|entry| read_list(reader, &entry.node, "regions", check_region, RegionName::new)),
        organization: organization.and_then(|entry| read_search(reader, &entry.node)),
        overrides: fields.get("override").map(|entry| vary::read(reader, &entry.node)).unwrap_or_default(),
    };
    let mut both = |one: Option<&Entry>, other: Option<&Entry>, help: &str| {
        if let (Some(one), Some(other)) = (one, other) {
            let message = format!("`targets.{name}` has both `{}` and `{}`", one.key, other.key);
            let later = if one.key_span.start > other.key_span.start { one } else { other };
            reader.fault(later.key_span.clone(), message, "one too many", help);
        }
    };
    both(profile, role, "remove one; Sentinel assumes a role with the credentials of [aws] profile or --aws-profile");
    both(accounts, organization, "remove one: the accounts come from the organization");
    both(account, organization, "remove account_id: each target refuses every account but its own");
    both(account, accounts, "remove account_id: each target refuses every account but its own");
    let region_entry = fields.get("region");
    both(region_entry, regions, "remove one");
    fields.finish(reader);
    check_accounts(reader, aws, (entry, &target), accounts.or(organization), (profile, role));
    if target.regions.is_none() && target.is_several_accounts() && target.region.is_none() && aws.region.is_none() {
        let message = format!("`targets.{name}` has accounts and no region");
        let help =
            "add regions = [\"us-east-1\"], or region, or region under [aws]: the region is part of each target's name";
        reader.fault(entry.key_span.clone(), message, "no region", help);
    }
    Some(target)
}

/// Checks that each account of a section has its own role or AWS profile.
fn check_accounts(
    reader: &mut Reader<'_>,
    aws: &AwsSection,
    (entry, target): (&Entry, &TargetSection),
    accounts: Option<&Entry>,
    (profile, role): (Option<&Entry>, Option<&Entry>),
) {
    let name = &entry.key;
    let by = role.zip(target.route.role_arn.as_deref()).or(profile.zip(target.route.aws_profile.as_deref()));
    let filled = by.is_some_and(|(_, text)| text.contains(ACCOUNT));
    if !target.is_several_accounts() {
        // A section with regions inherits the account of `[aws]`, which replaces the placeholder.
        let is_filled = |by: &Entry| {
            let of_aws = aws.account_id.is_some() && by.key != "role_arn";
            target.regions.is_some() && (target.own_account().is_some() || of_aws)
        };
        if let Some((by, _)) = by.filter(|(by, _)| filled && !is_filled(by)) {
            let message =
                format!("`{}` of `targets.{name}` contains {ACCOUNT}, and the section lists no accounts", by.key);
            reader.fault(by.node.span.clone(), message, "no accounts", "add accounts = [\"123456789012\"]");
        }
        let of_role = target.route.role_arn.as_deref().and_then(account_of).filter(|account| *account != ACCOUNT);
        if let (Some(by), Some(other), Some(own)) = (role, of_role, &target.route.account_id)
            && other != own.as_str()
        {
            let message = format!("the role of `targets.{name}` is in account {other}, but account_id is {own}");
            let help = "name a role in that account, or remove account_id, which defaults to that of the role";
            reader.fault(by.node.span.clone(), message, "of another account", help);
        }
        if target.regions.is_some() && target.own_account().is_none() && aws.account_id.is_none() {
            let message = format!("`targets.{name}` has regions and no account");
            let help = "add accounts = [\"123456789012\"], or account_id: the account is part of each target's name";
            reader.fault(entry.key_span.clone(), message, "no account", help);
        }
        return;
    }
    let known = target.accounts.as_deref().unwrap_or_default();
    match by {
        Some(_) if filled => {}
        Some((by, text)) => {
            let fixed = account_of(text).filter(|_| by.key == "role_arn");
            if let Some(other) = known.iter().find(|account| fixed.is_some_and(|fixed| **account != *fixed)) {
                let message = format!("the role of `targets.{name}` is not of account {other}");
                let help = format!("write {ACCOUNT} in the place of the account: arn:aws:iam::{ACCOUNT}:role/sentinel");
                reader.fault(by.node.span.clone(), message, "of another account", help);
            } else if known.len() > 1 {
                let message = format!("one `{}` cannot serve {} accounts", by.key, known.len());
                reader.fault(by.node.span.clone(), message, "of one account", format!("write {ACCOUNT} in it"));
            }
        }
        None if known.len() > 1 || target.organization.is_some() => {
            let help =
                format!("add role_arn = \"arn:aws:iam::{ACCOUNT}:role/sentinel\", or a profile with {ACCOUNT} in it");
            let (span, message) = (
                accounts.unwrap_or(entry).key_span.clone(),
                format!("`targets.{name}` has several accounts and neither `role_arn` nor `profile`"),
            );
            reader.fault(span, message, "no credentials for these accounts", help);
        }
        None => {}
    }
}

/// Reads `organization`.
fn read_search(reader: &mut Reader<'_>, node: &Node) -> Option<Search> {
    let mut fields = reader.map(node, "organization")?;
    let unit = fields.required(reader, "ou", "add ou = \"ou-ab12-11111111\", or the ID of the root for all accounts");
    let unit = unit.and_then(|entry| reader.checked(&entry.node, "ou", check_unit));
    let recursive = fields.get("recursive").and_then(|entry| reader.boolean(&entry.node, "recursive"));
    let excluded = |text: &str| check_account(text).or_else(|_| check_unit(text));
    let exclude =
        fields.get("exclude").and_then(|entry| read_list(reader, &entry.node, "exclude", excluded, String::from));
    fields.finish(reader);
    Some(Search {
        unit: unit?,
        depth: if recursive == Some(true) { Depth::Below } else { Depth::Unit },
        exclude: exclude.unwrap_or_default().into_iter().collect(),
    })
}

/// Refuses two sections with the same account and region, as far as they are known: their passes would undo each other.
pub(super) fn check_duplicates(reader: &mut Reader<'_>, manifest: &Manifest, sections: &[Entry]) {
    let mut seen: HashMap<(AccountId, RegionName), String> = HashMap::new();
    let mut reported: HashSet<(String, String)> = HashSet::new();
    for target in manifest.destinations(&PolicyRoot::default(), &Discovered::default()) {
        let (Some(name), Some(account), Some(region)) = (target.name, target.route.account_id, target.region) else {
            continue;
        };
        let place = (account, region);
        let Some(twin) = seen.get(&place) else {
            seen.insert(place, name);
            continue;
        };
        let pair = (section_of(twin).to_owned(), section_of(&name).to_owned());
        let span =
            |section: &str| sections.iter().find(|entry| entry.key == section).map(|entry| entry.key_span.clone());
        let spans = span(&pair.0).zip(span(&pair.1));
        if let Some((first, again)) = spans.filter(|_| reported.insert(pair)) {
            let (account, region) = place;
            let message = format!("targets {twin} and {name} are the same: account {account}, region {region}");
            reader.twice(first, again, message, "give each its own account or region, or remove one");
        }
    }
}

/// Reads a list of texts without repetition.
fn read_list<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    rule: impl Fn(&str) -> Result<(), Invalid>,
    of: fn(String) -> T,
) -> Option<Vec<T>> {
    let items = reader.list(node, what)?;
    if items.is_empty() || items.len() > MAX {
        let message = format!("`{what}` has {} entries", items.len());
        reader.fault(node.span.clone(), message, "1 to 100,000", "list the entries of this section, or remove it");
    }
    let mut seen: HashSet<String> = HashSet::new();
    let mut read = Vec::new();
    for item in items {
        let Some(text) = reader.checked(item, what, &rule) else { continue };
        if !seen.insert(text.clone()) {
            reader.fault(item.span.clone(), format!("{text} is listed twice"), "again", "remove one");
        }
        read.push(of(text));
    }
    Some(read)
}

/// Checks the ARN of a role whose account may be `{account}`.
pub(super) fn check_role_pattern(arn: &str) -> Result<(), Invalid> {
    check_placeholders(arn)?;
    let before = format!(":iam::{ACCOUNT}:role/");
    if arn.contains(ACCOUNT) && (arn.matches(ACCOUNT).count() > 1 || !arn.contains(&before)) {
        let problem = format!("\"{arn}\" has {ACCOUNT} in the wrong part");
        return Err(Invalid::new(problem, "write arn:aws:iam::{account}:role/sentinel"));
    }
    check_role(&arn.replacen(ACCOUNT, "000000000000", 1)).map_err(|_| {
        let problem = format!("\"{arn}\" is not the ARN of a role");
        Invalid::new(problem, "write one such as arn:aws:iam::123456789012:role/sentinel")
    })
}

/// Checks that a text contains no placeholder except `{account}`.
fn check_placeholders(text: &str) -> Result<(), Invalid> {
    let rest = text.replace(ACCOUNT, "");
    if rest.contains(['{', '}']) {
        let problem = format!("\"{text}\" has a placeholder that is unknown here");
        return Err(Invalid::new(problem, format!("the only one is {ACCOUNT}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Faults, Source};

    fn faults(manifest: &str) -> Vec<String> {
        let mut faults = Faults::default();
        crate::manifest::parse(&Source::new("sentinel.toml", manifest), &mut faults);
        faults.into_sorted().into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn a_role_of_another_account_is_refused() {
        let of = |account: &str| {
            let role = "role_arn = \"arn:aws:iam::111111111111:role/s\"";
            faults(&format!("[targets.b]\nregion = \"us-east-1\"\naccount_id = \"{account}\"\n{role}\n"))
        };
        assert_eq!(of("111111111111"), [""; 0]);
        assert_eq!(
            of("222222222222"),
            ["the role of `targets.b` is in account 111111111111, but account_id is 222222222222"]
        );
    }

    #[test]
    fn the_account_is_filled_in_only_for_sections_with_several_targets() {
        let of = |more: &str| faults(&format!("[targets.b]\nprofile = \"x-{{account}}\"\n{more}"));
        let refused = ["`profile` of `targets.b` contains {account}, and the section lists no accounts"];
        assert_eq!(of("region = \"us-east-1\"\naccount_id = \"222222222222\"\n"), refused);
        assert_eq!(of("region = \"us-east-1\"\n"), refused);
        assert_eq!(of("regions = [\"us-east-1\"]\naccount_id = \"222222222222\"\n"), [""; 0]);
        assert_eq!(of("regions = [\"us-east-1\"]\n[aws]\naccount_id = \"222222222222\"\n"), [""; 0]);
    }
}
