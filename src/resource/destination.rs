//! The destination of a command, from the manifest to the saved plan.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::resource::caller::Caller;
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn};

/// A region, and the source of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    #[serde(rename = "region")]
    pub name: RegionName,
    /// Such as `--region` or `AWS_REGION`.
    #[serde(rename = "region_source")]
    pub source: String,
}

/// The credentials of a destination, and their expected account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The AWS credentials profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_profile: Option<AwsProfile>,
    /// The role that these credentials assume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// The account in the manifest. A saved plan is for the account of its caller.
    #[serde(skip)]
    pub account_id: Option<AccountId>,
}

/// An account and region, and the credentials to use.
///
/// `R` is the state of the region: `Option<RegionName>` while only the manifest has been read, and [`Region`] once the options, the
/// environment and the AWS profile have been consulted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination<R = Region> {
    /// Its name in the manifest, if the manifest has several targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub region: R,
    pub policy_root: PolicyRoot,
    /// The account and identity, after the call to STS.
    pub caller: Option<Caller>,
    /// The folder of the AWS emulator, if the command uses it.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub local: Option<PathBuf>,
    /// A plan does not show it, and a saved plan stores it separately.
    #[serde(skip)]
    pub route: Route,
    /// Its index among the targets of its manifest, from 0.
    #[serde(skip)]
    pub position: usize,
}

impl<R> Destination<R> {
    /// Returns a destination with only a region and a policy root.
    pub fn new(region: R, policy_root: PolicyRoot) -> Self {
        let route = Route::default();
        Self { name: None, region, policy_root, caller: None, local: None, route, position: 0 }
    }

    /// Returns the same destination with another region.
    pub fn with_region<S>(self, region: S) -> Destination<S> {
        let Self { name, region: _, policy_root, caller, local, route, position } = self;
        Destination { name, region, policy_root, caller, local, route, position }
    }

    /// Returns the account of the credentials, after the call to STS.
    pub fn account(&self) -> Option<&AccountId> {
        self.caller.as_ref().map(|caller| &caller.account)
    }
}

/// Serializes a path for display. Invalid UTF-8 is replaced, so that the plan can still be written.
pub fn shown<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::display).map(|path| path.to_string()).serialize(serializer)
}
