//! AWS Organizations: paginated lists of units and accounts. Without an organization, the response is AWS's error for that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Failure, parse};

/// The maximum number of items of a page. Source: `MaxResults` in ListAccountsForParent.
const PAGE: usize = 20;

/// An organization, built by tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organization {
    /// Units, each with its parent.
    units: BTreeMap<String, String>,
    /// Accounts, each with its unit and its state.
    accounts: BTreeMap<String, (String, String)>,
}

impl Organization {
    /// Adds a unit below another one, or below the root.
    #[must_use]
    pub fn with_unit(mut self, id: &str, parent: &str) -> Self {
        self.units.insert(id.to_owned(), parent.to_owned());
        self
    }

    /// Adds an account to a unit.
    #[must_use]
    pub fn with_account(mut self, id: &str, parent: &str, state: &str) -> Self {
        self.accounts.insert(id.to_owned(), (parent.to_owned(), state.to_owned()));
        self
    }

    /// Answers a call.
    pub fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        self.result(operation, body).unwrap_or_else(Answer::from)
    }

    pub(super) fn result(&self, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
        let request = parse(body)?;
        if self.units.is_empty() && self.accounts.is_empty() {
            let message = "Your account is not a member of an organization.";
            return Err(Failure::new("AWSOrganizationsNotInUseException", message));
        }
        let parent = request["ParentId"].as_str().unwrap_or_default();
        if !parent.starts_with("r-") && !self.units.contains_key(parent) {
            return Err(Failure::new("ParentNotFoundException", "You specified parent that doesn't exist."));
        }
        match operation {
            "ListOrganizationalUnitsForParent" => {
                let units = self.units.iter().filter(|(_, above)| *above == parent);
                let units = units.map(|(id, _)| json!({ "Id": id, "Name": "a unit" })).collect();
                page(&request, "OrganizationalUnits", units)
            }
            "ListAccountsForParent" => {
                let accounts = self.accounts.iter().filter(|(_, (above, _))| above == parent);
                let account = |(id, (_, state)): (&String, &(String, String))| json!({ "Id": id, "Name": "an account", "State": state });
                page(&request, "Accounts", accounts.map(account).collect())
            }
            other => Err(Failure::unsupported(&format!("organizations:{other}"))),
        }
    }
}

/// Returns a page of a list. The token is the number of the first item.
fn page(request: &Value, name: &str, items: Vec<Value>) -> Result<Answer, Failure> {
    let invalid = || Failure::new("InvalidInputException", "You specified an invalid value for NextToken.");
    let first = match request["NextToken"].as_str() {
        None => 0,
        Some(token) => token.parse::<usize>().ok().filter(|first| *first < items.len()).ok_or_else(invalid)?,
    };
    let most =
        request["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let more = first + most < items.len();
    let shown: Vec<Value> = items.into_iter().skip(first).take(most).collect();
    let mut body = json!({ name: shown });
    if more {
        body["NextToken"] = json!((first + most).to_string());
    }
    Ok(Answer::json(&body))
}
