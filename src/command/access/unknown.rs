//! Profiles and records that do not exist: warnings and errors, with the name or the command that helps.

use super::{Site, Table};
use crate::command::context::Context;
use crate::command::status::init_status;
use crate::document::closest;
use crate::error::Error;
use crate::report::versions::PolicyOf;

/// A record that does not exist, and the command that lists the existing ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing<'a> {
    pub(super) what: &'a str,
    pub(super) id: &'a str,
    /// The arguments of the command.
    pub(super) list: &'a [&'a str],
    /// Which records the command lists.
    pub(super) listed: &'a str,
}

impl Site {
    /// Returns the profile of the manifest that an unknown name most likely means.
    pub(super) fn profile_meant(&self, name: &str) -> Option<&str> {
        let known: Vec<&str> = self.manifest.sections.profiles.keys().map(String::as_str).collect();
        closest(name, &known).filter(|known| *known != name)
    }

    /// Returns the warning that a profile has no policy, or that the manifest does not have it if the policy cannot be read.
    ///
    /// A broker refuses a profile that it does not know.
    pub(super) async fn unknown_profile(&self, profile: &str) -> Option<String> {
        if self.broker.is_some() {
            return None;
        }
        let profiles = &self.manifest.sections.profiles;
        let parameter = format!("{}/{profile}", self.destination.policy_root);
        match self.gateway.policy(&parameter).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("the profile {profile} has no policy in {}", self.region())),
            Err(_) if profiles.contains_key(profile) => None,
            Err(error) if profiles.is_empty() => {
                Some(format!("the policy of the profile {profile} cannot be read: {error}"))
            }
            Err(_) => Some(format!("the manifest has no profile {profile}")),
        }
    }

    /// Returns the end of a message about an unknown profile: the name that it most likely means.
    pub(super) fn suggestion(&self, profile: &str) -> String {
        self.profile_meant(profile).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
    }

    /// Returns the error for a profile whose policy does not exist.
    pub(super) fn no_policy(&self, context: &Context, PolicyOf { profile, parameter }: PolicyOf<'_>) -> Error {
        let meant = self.profile_meant(profile).map(|name| format!("did you mean {name}? ")).unwrap_or_default();
        Error::NoRecord {
            message: format!("there is no policy {parameter} in {}", self.region()),
            hint: format!("{meant}{} lists the policies that exist", init_status(context, &self.destination)),
        }
    }

    /// Returns the error for a record that does not exist.
    pub(super) fn no_record(&self, context: &Context, table: &Table, missing: &Missing<'_>) -> Error {
        let Missing { what, id, list, listed } = missing;
        let mut words: Vec<String> = std::iter::once(&"sentinel").chain(*list).map(|&word| word.to_owned()).collect();
        words.extend(table.flag());
        Error::NoRecord {
            message: format!("there is no {what} {id} in the table {} ({})", table.name, table.source),
            hint: format!("to list {listed}: {}", self.command(context, words, None)),
        }
    }
}
