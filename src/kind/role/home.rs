//! Markers in documents for the account and the partition of a role. Only AWS supplies these, and a plan has no values that become known
//! later, so desired state and steps contain the markers, and the calls replace them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Boundary, Role};
use crate::kind::document::PolicyDocument;
use crate::resource::caller::Caller;
use crate::resource::{Facts, Invalid};

/// The marker for the account ID. IAM has no policy variable with this prefix.
pub const ACCOUNT: &str = "${sentinel:account}";
/// The marker for the partition: `aws`, `aws-cn`.
pub(super) const PARTITION: &str = "${sentinel:partition}";
const PREFIX: &str = "${sentinel:";

/// The account of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    partition: String,
    account: String,
}

impl Home {
    /// Returns the caller's account, in which all resources are created.
    pub(super) fn of_caller(caller: &Caller) -> Self {
        Self { partition: caller.partition().to_owned(), account: caller.account.to_string() }
    }

    /// Returns the account of a live role.
    pub(super) fn of_live(facts: &Facts) -> Option<Self> {
        let parts: Vec<&str> = facts.arn.as_deref()?.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, _] = parts[..] else { return None };
        Some(Self { partition: partition.to_owned(), account: account.to_owned() })
    }

    /// Returns a text with its markers replaced.
    pub(super) fn fill(&self, text: &str) -> String {
        if !text.contains(PREFIX) {
            return text.to_owned();
        }
        text.replace(ACCOUNT, &self.account).replace(PARTITION, &self.partition)
    }

    /// Returns a document with its markers replaced.
    pub(super) fn document(&self, document: &PolicyDocument) -> PolicyDocument {
        document.mapped(&|text| self.fill(text))
    }

    /// Returns a role with its markers replaced.
    pub(super) fn role(&self, role: &Role) -> Role {
        let Role { permissions_boundary, trust, managed_policies, policies, .. } = role;
        Role {
            permissions_boundary: permissions_boundary.as_ref().map(|boundary| match boundary {
                Boundary::Off => Boundary::Off,
                Boundary::Policy(arn) => Boundary::Policy(self.fill(arn)),
            }),
            trust: trust.as_ref().map(|trust| self.document(trust)),
            managed_policies: managed_policies
                .as_ref()
                .map(|all| all.iter().map(|arn| self.fill(arn)).collect::<BTreeSet<_>>()),
            policies: policies.as_ref().map(|all| {
                all.iter().map(|(name, policy)| (name.clone(), self.document(policy))).collect::<BTreeMap<_, _>>()
            }),
            ..role.clone()
        }
    }

    /// Returns the ARN of an IAM resource in the account.
    pub(super) fn arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition, self.account)
    }
}

/// Returns a document with markers in place of the account and partition of a plan's role.
pub fn anywhere(document: &PolicyDocument) -> PolicyDocument {
    // The partition follows from a known region.
    document.mapped(&|text| match text.strip_prefix("arn:aws:") {
        Some(rest) => format!("arn:{PARTITION}:{rest}"),
        None => text.to_owned(),
    })
}

/// Checks that a text contains only known markers.
pub(super) fn check(text: &str) -> Result<(), Invalid> {
    let rest = text.replace(ACCOUNT, "").replace(PARTITION, "");
    match rest.find(PREFIX) {
        None => Ok(()),
        Some(at) => {
            let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
            let problem = format!("{} is not a known marker", &rest[at..end]);
            Err(Invalid::new(problem, format!("the markers are {ACCOUNT} and {PARTITION}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn home() -> Home {
        let arn = Some(String::from("arn:aws-cn:iam::123456789012:role/x"));
        Home::of_live(&Facts { arn, ..Facts::default() }).unwrap()
    }

    #[test]
    fn markers_are_replaced_by_the_account_and_partition() {
        let arn = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/broker");
        assert_eq!(home().fill(&arn), "arn:aws-cn:iam::123456789012:role/broker");
        assert_eq!(home().fill("${aws:userid}"), "${aws:userid}");
        let document = PolicyDocument::from(json!({ "Statement": [{ "Principal": { "AWS": arn } }] }));
        let filled = json!({ "Statement": [{ "Principal": { "AWS": "arn:aws-cn:iam::123456789012:role/broker" } }] });
        assert_eq!(home().document(&document), PolicyDocument::from(filled));
    }

    #[test]
    fn an_unknown_marker_is_refused() {
        assert_eq!(check(&format!("a {ACCOUNT} b {PARTITION} ${{aws:userid}}")), Ok(()));
        let refused = check("arn:aws:iam::${sentinel:acount}:role/x").unwrap_err();
        assert_eq!(refused.problem, "${sentinel:acount} is not a known marker");
        assert!(check("${sentinel:").is_err());
    }

    #[test]
    fn a_document_for_any_account_has_no_partition() {
        let of = |resource: &str| {
            let statement = json!({ "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": resource });
            PolicyDocument::from(json!({ "Version": "2012-10-17", "Statement": [statement] }))
        };
        let anywhere = anywhere(&of("arn:aws:ssm:*:1:parameter/a"));
        assert_eq!(anywhere, of("arn:${sentinel:partition}:ssm:*:1:parameter/a"));
        assert_eq!(super::anywhere(&of("arn:aws-cn:ssm:*:1:parameter/a")), of("arn:aws-cn:ssm:*:1:parameter/a"));
    }
}
