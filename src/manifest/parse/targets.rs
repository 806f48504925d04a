//! Reads `[targets.NAME]`.

use std::collections::HashSet;

use super::{check_account, check_role};
use crate::document::{Entry, Node, Reader};
use crate::manifest::targets::{ACCOUNT, TargetSection};
use crate::manifest::{AwsSection, vary};
use crate::resource::caller::account_of;
use crate::resource::destination::Route;
use crate::resource::names::{AccountId, AwsProfile, RegionName, RoleArn};
use crate::resource::organization::{Depth, Search, check_unit};
use crate::resource::{Invalid, check_region};

/// The most accounts or regions of a section: far more than any organization has, and no manifest by mistake.
const MOST: usize = 100_000;

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
                    // Where there is one account, it is no placeholder.
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
    let mut both = |one: &Option<&Entry>, other: &Option<&Entry>, help: &str| {
        if let (Some(one), Some(other)) = (one, other) {
            let message = format!("`targets.{name}` has both `{}` and `{}`", one.key, other.key);
            let later = if one.key_span.start > other.key_span.start { one } else { other };
            reader.fault(later.key_span.clone(), message, "one too many", help);
        }
    };
    both(&profile, &role, "leave one out; a role is assumed with the credentials of [aws] profile or --aws-profile");
    both(&accounts, &organization, "leave one out: the organization is asked which accounts there are");
    both(&account, &organization, "leave account_id out: each target refuses every account but its own");
    both(&account, &accounts, "leave account_id out: each target refuses every account but its own");
    let region_entry = fields.get("region");
    both(&region_entry, &regions, "leave one out");
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

/// Checks that each account of a section can be reached, and by a role or a profile of its own.
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
        let role = role.filter(|_| filled && (target.regions.is_none() || target.own_account().is_none()));
        if let Some(by) = role {
            let message =
                format!("`role_arn` of `targets.{name}` contains {ACCOUNT}, and the section lists no accounts");
            reader.fault(by.node.span.clone(), message, "no accounts", "add accounts = [\"123456789012\"]");
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
                let message = format!("one `{}` cannot be that of {} accounts", by.key, known.len());
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
            reader.fault(span, message, "nothing leads to them", help);
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

/// Reads a list of texts without repetition.
fn read_list<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    rule: impl Fn(&str) -> Result<(), Invalid>,
    of: fn(String) -> T,
) -> Option<Vec<T>> {
    let items = reader.list(node, what)?;
    if items.is_empty() || items.len() > MOST {
        let message = format!("`{what}` has {} entries", items.len());
        reader.fault(node.span.clone(), message, "1 to 100,000", "list those that the section is for, or leave it out");
    }
    let mut seen: HashSet<String> = HashSet::new();
    let mut read = Vec::new();
    for item in items {
        let Some(text) = reader.checked(item, what, &rule) else { continue };
        if !seen.insert(text.clone()) {
            reader.fault(item.span.clone(), format!("{text} is listed twice"), "again", "leave one out");
        }
        read.push(of(text));
    }
    Some(read)
}

/// Checks the ARN of a role, in which the account may be `{account}`.
pub(super) fn check_role_pattern(arn: &str) -> Result<(), Invalid> {
    check_placeholders(arn)?;
    let before = format!(":iam::{ACCOUNT}:role/");
    if arn.contains(ACCOUNT) && (arn.matches(ACCOUNT).count() > 1 || !arn.contains(&before)) {
        let problem = format!("\"{arn}\" has {ACCOUNT} where no account is");
        return Err(Invalid::new(problem, "write arn:aws:iam::{account}:role/sentinel"));
    }
    check_role(&arn.replacen(ACCOUNT, "000000000000", 1)).map_err(|_| {
        let problem = format!("\"{arn}\" is not the ARN of a role");
        Invalid::new(problem, "write one such as arn:aws:iam::123456789012:role/sentinel")
    })
}

/// Checks that a text has no placeholder but `{account}`.
fn check_placeholders(text: &str) -> Result<(), Invalid> {
    let rest = text.replace(ACCOUNT, "");
    if rest.contains(['{', '}']) {
        let problem = format!("\"{text}\" has a placeholder that is unknown here");
        return Err(Invalid::new(problem, format!("the one there is: {ACCOUNT}")));
    }
    Ok(())
}
