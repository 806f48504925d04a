//! Where a command works: one type from the manifest to the saved plan.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use crate::resource::caller::Caller;
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName, RoleArn};

/// A region and where it was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    #[serde(rename = "region")]
    pub name: RegionName,
    /// Such as `--region` or `AWS_REGION`.
    #[serde(rename = "region_source")]
    pub source: String,
}

/// With whose credentials a destination is reached, and the account they must be of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The AWS credentials profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_profile: Option<AwsProfile>,
    /// A role that is assumed with those credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<RoleArn>,
    /// The account that the manifest names. A saved plan is for the account of its caller.
    #[serde(skip)]
    pub account_id: Option<AccountId>,
}

/// An account and region, and how it is reached.
///
/// `R` is what is known of the region: `Option<RegionName>` while only the manifest has been read, and [`Region`] once the options, the
/// environment and the AWS profile have been consulted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination<R = Region> {
    /// Its name in the manifest, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub region: R,
    pub policy_root: PolicyRoot,
    /// The account and identity, once AWS has told.
    pub caller: Option<Caller>,
    /// The folder of the AWS emulator, where the command works on that.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub local: Option<PathBuf>,
    /// A plan does not show it, and a saved plan holds it next to this.
    #[serde(skip)]
    pub route: Route,
    /// Where it is among all targets of its manifest, from 0.
    #[serde(skip)]
    pub position: usize,
}

impl<R> Destination<R> {
    /// Returns a destination of which no more is known than its region and policy root.
    pub fn new(region: R, policy_root: PolicyRoot) -> Self {
        let route = Route::default();
        Self { name: None, region, policy_root, caller: None, local: None, route, position: 0 }
    }

    /// Returns the same destination with another region.
    pub fn with_region<S>(self, region: S) -> Destination<S> {
        let Self { name, region: _, policy_root, caller, local, route, position } = self;
        Destination { name, region, policy_root, caller, local, route, position }
    }

    /// Returns the account that the credentials are of, once AWS has told.
    pub fn account(&self) -> Option<&AccountId> {
        self.caller.as_ref().map(|caller| &caller.account)
    }
}

/// Writes a path as people see it: a part of it that is not UTF-8 does not keep a plan from being written.
pub fn shown<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::display).map(|path| path.to_string()).serialize(serializer)
}
