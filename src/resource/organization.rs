//! The accounts of an organization: those of an organizational unit and the units below it.
//!
//! Sources: ListAccountsForParent, ListOrganizationalUnitsForParent, Account and OrganizationalUnit in the AWS Organizations API Reference.
//! The names of accounts and units are chosen by their owners, so they are not used.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_organizations::Client;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::Invalid;
use super::call::{CallError, Class, Operation, operation};
use super::names::AccountId;
use super::pacer::Pacer;

// A low start: the pacer finds the organization's limit.
pub const LIST_ACCOUNTS: Operation = operation!("organizations", "ListAccountsForParent", 5.0, 5.0);
pub const LIST_UNITS: Operation = operation!("organizations", "ListOrganizationalUnitsForParent", 5.0, 5.0);

/// The maximum number of pages of one unit, and of units of one search. An organization has at most 1,000 units and 10,000 accounts
/// ("Quotas for AWS Organizations" in the User Guide), so an endless list ends with an error.
const PAGES: usize = 1_000;
const UNITS: usize = 5_000;

/// A search for accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The ID of an organizational unit or of the root.
    pub unit: String,
    /// Whether units below it are included.
    pub depth: Depth,
    /// The IDs of excluded accounts and units.
    pub exclude: BTreeSet<String>,
}

/// The depth of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    #[default]
    Unit,
    Below,
}

/// The result of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In order.
    pub accounts: Vec<AccountId>,
    /// Accounts that are suspended, closed or not yet active, with their states.
    pub inactive: BTreeMap<AccountId, String>,
}

/// Checks the ID of an organizational unit or of a root. Source: the patterns of `ParentId` in ListAccountsForParent.
pub fn check_unit(id: &str) -> Result<(), Invalid> {
    let plain = |text: &str, least: usize| {
        (least..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let fits = match id.split('-').collect::<Vec<_>>()[..] {
        ["r", root] => plain(root, 4),
        ["ou", root, unit] => plain(root, 4) && plain(unit, 8),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let help =
        "write one such as ou-ab12-11111111, or r-ab12 for the root; the console of AWS Organizations shows them";
    Err(Invalid::new(format!("\"{id}\" is not the ID of an organizational unit"), help))
}

/// Lists the accounts of an organization. The search fails if AWS returns an invalid ID.
pub async fn discover(config: &SdkConfig, pacer: &Pacer, search: &Search) -> Result<Found, CallError> {
    // The service is global, with one endpoint in each partition.
    let region = config.region().map(|region| home(region.as_ref()));
    let client = Client::new(&config.to_builder().region(region.map(Region::new)).build());
    let mut found = Found::default();
    let mut units = vec![search.unit.clone()];
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(unit) = units.pop() {
        if search.exclude.contains(&unit) || !seen.insert(unit.clone()) {
            continue;
        }
        if seen.len() > UNITS {
            return Err(unexpected(LIST_UNITS, format!("the organization has more than {UNITS} units")));
        }
        accounts(&client, pacer, &unit, search, &mut found).await?;
        if search.depth == Depth::Below {
            units.extend(below(&client, pacer, &unit).await?);
        }
    }
    found.accounts.sort();
    found.accounts.dedup();
    Ok(found)
}

/// Returns the region of the endpoint for a region's partition. Source: "AWS Organizations endpoints and quotas" in the AWS General
/// Reference.
fn home(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "cn-northwest-1",
        region if region.starts_with("us-gov-") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

async fn accounts(
    client: &Client,
    pacer: &Pacer,
    unit: &str,
    search: &Search,
    found: &mut Found,
) -> Result<(), CallError> {
    let mut next: Option<String> = None;
    for _ in 0..PAGES {
        let call = || client.list_accounts_for_parent().parent_id(unit).set_next_token(next.clone()).send();
        let answer = pacer.call(LIST_ACCOUNTS, &[], call).await?;
        for account in answer.accounts.unwrap_or_default() {
            let id = account.id.clone().unwrap_or_default();
            if id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(unexpected(
                    LIST_ACCOUNTS,
                    format!("the answer has the account {id:?}, which is not an account ID"),
                ));
            }
            if search.exclude.contains(&id) {
                continue;
            }
            match state(&account).as_str() {
                "ACTIVE" => found.accounts.push(AccountId::new(id)),
                other => {
                    found.inactive.insert(AccountId::new(id), other.to_ascii_lowercase());
                }
            }
        }
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(());
        }
    }
    Err(unexpected(LIST_ACCOUNTS, format!("the list of accounts of {unit} does not end")))
}

/// Returns the state of an account. `State` replaces `Status` (Account in the API Reference).
fn state(account: &aws_sdk_organizations::types::Account) -> String {
    let state = account.state.as_ref().map(|state| state.as_str().to_owned());
    #[allow(deprecated, reason = "an emulator of AWS may have no other")]
    let status = account.status.as_ref().map(|status| status.as_str().to_owned());
    state.or(status).unwrap_or_else(|| String::from("unknown"))
}

async fn below(client: &Client, pacer: &Pacer, unit: &str) -> Result<Vec<String>, CallError> {
    let mut units = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES {
        let call = || client.list_organizational_units_for_parent().parent_id(unit).set_next_token(next.clone()).send();
        let answer = pacer.call(LIST_UNITS, &[], call).await?;
        for unit in answer.organizational_units.unwrap_or_default() {
            let id = unit.id.unwrap_or_default();
            if check_unit(&id).is_err() {
                return Err(unexpected(
                    LIST_UNITS,
                    format!("the answer has the unit {id:?}, which is not the ID of a unit"),
                ));
            }
            units.push(id);
        }
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(units);
        }
    }
    Err(unexpected(LIST_UNITS, format!("the list of units of {unit} does not end")))
}

fn unexpected(operation: Operation, message: String) -> CallError {
    CallError::new(operation, Class::Rejected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_ids_are_checked() {
        for good in ["ou-ab12-11111111", "r-ab12", "ou-examplerootid111-exampleouid111"] {
            assert!(check_unit(good).is_ok(), "{good}");
        }
        for bad in
            ["", "ou", "ou-ab12", "ou-ab12-1", "OU-AB12-11111111", "r-", "ou-ab12-11111111-x", "o-ab12", "../r-ab12"]
        {
            assert!(check_unit(bad).is_err(), "{bad}");
        }
        assert_eq!(
            [home("eu-west-1"), home("cn-north-1"), home("us-gov-east-1")],
            ["us-east-1", "cn-northwest-1", "us-gov-west-1"]
        );
    }
}
