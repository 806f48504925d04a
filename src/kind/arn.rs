//! Parses ARNs to the kind and the name of a resource.

use super::KindId;
use crate::resource::names::PolicyRoot;

/// The resource in an ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArnName {
    /// Its name in AWS and the manifest, and the key that it would have in the manifest.
    Name { name: String, key: String },
    /// An ID that AWS generated. Only the ARNs of live resources show which resource of the manifest it is.
    Id(String),
}

impl KindId {
    /// Returns the kind and name of an ARN's resource, if a manifest with this policy root could name it.
    pub fn of_arn(arn: &str, policy_root: &PolicyRoot) -> Option<(Self, ArnName)> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, service, _, _, resource] = parts[..] else { return None };
        Self::ALL.iter().find_map(|kind| {
            let resource = match kind.about().resource_type.split_once(':') {
                Some((own, kind)) => resource.strip_prefix(kind)?.strip_prefix('/').filter(|_| own == service)?,
                None => Some(resource).filter(|_| kind.about().resource_type == service)?,
            };
            Some((*kind, kind.arn_name(resource, policy_root)?))
        })
    }
}
