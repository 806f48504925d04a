//! The users of the AWS emulator in a manifest.

use std::path::Path;
use std::sync::Arc;

use crate::command::access::read_manifest;
use crate::command::context::{Context, Project};
use crate::error::Error;
use crate::iam::{self, AdditionalPermissions, Location, Use};
use crate::local::{self, LocalAws};
use crate::manifest::{LocalDocument, LocalUser};
use crate::resource::names::AccountId;

/// The users of the AWS emulator whose permissions are limited by policies.
#[derive(Debug, Clone, Default)]
pub(in crate::command) struct Users(Arc<Vec<User>>);

#[derive(Debug)]
struct User {
    name: String,
    /// Policy documents as JSON.
    documents: Vec<String>,
}

impl Users {
    /// Returns the users of a manifest. The policy of a role is derived from this manifest.
    pub(in crate::command) fn of(project: &Project) -> Self {
        let loaded = &project.loaded;
        // The emulator has all regions.
        let location = Location { region: None, account: Some(AccountId::new(local::ACCOUNT)) };
        let documents = |document: &LocalDocument| match document {
            LocalDocument::Text(text) => vec![text.clone()],
            LocalDocument::Role(role) => {
                let derived = iam::policies(
                    Use::Role(*role),
                    &location,
                    &loaded.policy_root,
                    &loaded.desired,
                    AdditionalPermissions::default(),
                );
                derived.iter().map(|document| serde_json::json!(document).to_string()).collect()
            }
        };
        let user = |LocalUser { name, policies }: &LocalUser| User {
            name: name.clone(),
            documents: policies.iter().flat_map(documents).collect(),
        };
        Self(Arc::new(loaded.local_users.iter().map(user).collect()))
    }

    /// Returns the users of a manifest's file. Reads its policies only if it has users.
    pub(in crate::command) fn of_file(context: &Context, file: &Path) -> Result<Self, Error> {
        if read_manifest(file)?.local_users.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self::of(&context.project(&[file.to_owned()])?))
    }

    /// Returns their names.
    pub(in crate::command) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|user| user.name.as_str())
    }

    /// Returns an AWS emulator with these users.
    pub(in crate::command) fn on(&self, local: &LocalAws) -> Result<LocalAws, Error> {
        let mut users = local::Users::default();
        for User { name, documents } in self.0.iter() {
            let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
            users.add(name, &documents).map_err(Error::LocalUsers)?;
        }
        Ok(local.with_users(users))
    }
}
