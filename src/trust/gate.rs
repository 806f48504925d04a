//! Decides by trust policies whether AWS enforces the gate of a profile: whether only the broker can assume its role, and only a compute
//! service can assume the broker's role.

use std::fmt;

use serde_json::Value;

use super::{Intended, Opening, may_admit, openings};
use crate::resource::names::RoleArn;

/// Services that run a broker, by the names of their principals: Amazon ECS, AWS Lambda, Amazon EKS by Pod Identity, Amazon EC2. IAM roles
/// for service accounts of Amazon EKS name the OpenID Connect provider of the cluster instead of a service.
pub const COMPUTE: [&str; 4] =
    ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com", "pods.eks.amazonaws.com", "ec2.amazonaws.com"];

/// What is known of a role.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// The manifest names no role.
    Unnamed,
    Absent(&'a RoleArn),
    /// The role could not be read, and why.
    Unread(&'a RoleArn, &'a str),
    /// The role with its trust policy.
    Live(&'a RoleArn, &'a Value),
}

/// Why AWS does not enforce the gate of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    NoRole,
    NoBroker,
    Absent(RoleArn),
    /// A role could not be read, and why.
    Unread(RoleArn, String),
    /// A statement of the role's trust policy allows a principal other than the broker.
    Opening(RoleArn, Opening),
    /// The broker itself cannot assume the role.
    Shut(RoleArn),
    /// A statement of the trust policy of the broker's role allows a principal that is not a compute service.
    BrokerOpening(RoleArn, Opening),
    /// The role is the broker's own role.
    Same(RoleArn),
}

/// Returns why AWS does not enforce the gate of a profile with this role, for a broker with that role; empty if AWS enforces it.
pub fn findings(role: Role<'_>, broker: Role<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let known_broker = match broker {
        Role::Unnamed => {
            found.push(Finding::NoBroker);
            None
        }
        Role::Absent(arn) => {
            found.push(Finding::Absent(arn.clone()));
            None
        }
        Role::Unread(arn, why) => {
            found.push(Finding::Unread(arn.clone(), why.to_owned()));
            None
        }
        Role::Live(arn, trust) => {
            let of = |opening| Finding::BrokerOpening(arn.clone(), opening);
            found.extend(openings(trust, Intended::Compute(&COMPUTE)).into_iter().map(of));
            Some(arn)
        }
    };
    match role {
        Role::Unnamed => found.push(Finding::NoRole),
        Role::Absent(arn) => found.push(Finding::Absent(arn.clone())),
        Role::Unread(arn, why) => found.push(Finding::Unread(arn.clone(), why.to_owned())),
        Role::Live(arn, _) if known_broker == Some(arn) => found.push(Finding::Same(arn.clone())),
        Role::Live(arn, trust) => {
            let Some(broker) = known_broker else { return found };
            let of = |opening| Finding::Opening(arn.clone(), opening);
            found.extend(openings(trust, Intended::Role(broker)).into_iter().map(of));
            if !may_admit(trust, broker) {
                found.push(Finding::Shut(arn.clone()));
            }
        }
    }
    found
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole => formatter.write_str("the manifest names no role for the profile"),
            Self::NoBroker => formatter.write_str("the manifest has no role with permissions = \"broker\""),
            Self::Absent(role) => write!(formatter, "the role {role} does not exist"),
            Self::Unread(role, why) => write!(formatter, "the role {role} could not be read: {why}"),
            Self::Opening(role, Opening { statement, principal }) => {
                write!(
                    formatter,
                    "{statement} of the trust policy of {role} lets {principal} assume it without the broker"
                )
            }
            Self::Shut(role) => {
                write!(formatter, "the trust policy of {role} does not let the broker's role assume it")
            }
            Self::BrokerOpening(role, Opening { statement, principal }) => write!(
                formatter,
                "{statement} of the trust policy of the broker's role {role} lets {principal}, which is not a compute service, assume it"
            ),
            Self::Same(role) => write!(formatter, "{role} is the broker's own role"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trust(principal: Value) -> Value {
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" }] })
    }

    #[test]
    fn a_gate_is_enforced_only_where_each_role_is_for_one_alone() {
        let (broker, role) = (
            RoleArn::new("arn:aws:iam::111111111111:role/broker"),
            RoleArn::new("arn:aws:iam::111111111111:role/prod"),
        );
        let service = trust(json!({ "Service": "ecs-tasks.amazonaws.com" }));
        let own = trust(json!({ "AWS": "arn:aws:iam::111111111111:role/broker" }));
        let account = trust(json!({ "AWS": "111111111111" }));
        let describe = |role, broker| findings(role, broker).iter().map(ToString::to_string).collect::<Vec<_>>();
        let live = Role::Live(&broker, &service);
        assert_eq!(describe(Role::Live(&role, &own), live), [""; 0]);
        let prod = "arn:aws:iam::111111111111:role/prod";
        for (given, by, expected) in [
            (Role::Unnamed, live, String::from("the manifest names no role for the profile")),
            (Role::Absent(&role), live, format!("the role {prod} does not exist")),
            (Role::Unread(&role, "no"), live, format!("the role {prod} could not be read: no")),
            (
                Role::Live(&role, &account),
                live,
                format!(
                    "statement 1 of the trust policy of {prod} lets the account 111111111111 assume it without the broker"
                ),
            ),
            (
                Role::Live(&broker, &service),
                live,
                String::from("arn:aws:iam::111111111111:role/broker is the broker's own role"),
            ),
            (
                Role::Live(&role, &own),
                Role::Unnamed,
                String::from("the manifest has no role with permissions = \"broker\""),
            ),
            (
                Role::Live(&role, &own),
                Role::Live(&broker, &account),
                String::from(
                    "statement 1 of the trust policy of the broker's role arn:aws:iam::111111111111:role/broker lets the account \
                     111111111111, which is not a compute service, assume it",
                ),
            ),
        ] {
            assert_eq!(describe(given, by), [expected]);
        }
        let shut = describe(Role::Live(&role, &trust(json!({ "Service": "ec2.amazonaws.com" }))), live);
        assert_eq!(shut.len(), 2, "{shut:?}");
        assert!(shut[1].contains("does not let the broker's role assume it"), "{shut:?}");
    }
}
