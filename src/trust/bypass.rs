//! Permissions that let their principal bypass the broker. AWS decides on each of them; this module names them and sums up the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::gate::COMPUTE;
use super::statement::{self, Effect, Principal};
use crate::resource::caller::Caller;
use crate::resource::names::RegionName;
use crate::resource::simulation::{Decision, MatchedStatement, Simulated};

/// Starts compute with the broker's role, together with an action such as `ecs:RunTask`.
pub const PASS_ROLE: &str = "iam:PassRole";

/// Change who can assume a role, or what it may do.
pub const ROLE_ACTIONS: [&str; 3] = ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"];

/// Change a managed policy of a role.
pub const POLICY_ACTIONS: [&str; 2] = ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"];

/// Change what a role may do, by the role itself, or the session names that somebody can assume it with.
pub const OWN_ROLE_ACTIONS: [&str; 7] = [
    "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
];

/// Change what a user may do, by the user themselves.
pub const OWN_USER_ACTIONS: [&str; 6] = [
    "iam:AttachUserPolicy",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
];

/// Change what the users of a group may do, or who is in it.
pub const GROUP_ACTIONS: [&str; 6] = [
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:DeleteGroupPolicy",
    "iam:DetachGroupPolicy",
    "iam:PutGroupPolicy",
    "iam:RemoveUserFromGroup",
];

/// Obtain the credentials of another user.
pub const USER_TAKEOVER_ACTIONS: [&str; 3] =
    ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"];

/// Let others assume a role.
pub const ROLE_TAKEOVER_ACTIONS: [&str; 1] = ["iam:UpdateAssumeRolePolicy"];

pub const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Change the policy of a profile.
pub const PARAMETER_ACTIONS: [&str; 1] = ["ssm:PutParameter"];

/// Read or write items of a table.
pub const TABLE_ACTIONS: [&str; 12] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLSelect",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
];

/// Let others read or write items of a table: a resource-based policy suffices for principals of the table's account.
pub const TABLE_POLICY_ACTIONS: [&str; 1] = ["dynamodb:PutResourcePolicy"];

/// Those of [`TABLE_ACTIONS`] that only read.
const TABLE_READS: [&str; 5] =
    ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLSelect", "dynamodb:Query", "dynamodb:Scan"];

/// Returns whether an action that is simulated gives access without the broker. Reading records does not.
pub fn gives_access(action: &str) -> bool {
    !TABLE_READS.contains(&action)
}

/// Actions that run code in a broker, and examples of the resources that they are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeActions {
    pub actions: &'static [&'static str],
    /// The service and the resource of an ARN.
    examples: &'static [(&'static str, &'static str)],
}

impl ComputeActions {
    /// Returns the ARNs of the examples in the caller's account.
    pub fn examples(&self, caller: &Caller, region: &RegionName) -> Vec<String> {
        let (partition, account) = (caller.partition(), &caller.account);
        let arn =
            |(service, resource): &(&str, &str)| format!("arn:{partition}:{service}:{region}:{account}:{resource}");
        self.examples.iter().map(arn).collect()
    }
}

/// Returns the actions that run code in a broker on a compute service: by the service, or as a session on its machine. An Amazon ECS task
/// is also a target of Session Manager. An instance runs its user data as root when it starts.
///
/// Source: Service Authorization Reference, "Resource types defined by" each of these services.
pub fn compute_actions(service: &str) -> &'static [ComputeActions] {
    match service {
        "ecs-tasks.amazonaws.com" => &[
            ComputeActions {
                actions: &["ecs:ExecuteCommand"],
                examples: &[("ecs", "cluster/any"), ("ecs", "task/any/0123456789abcdef0123456789abcdef")],
            },
            ComputeActions {
                actions: &["ssm:StartSession"],
                examples: &[("ecs", "task/any/0123456789abcdef0123456789abcdef")],
            },
        ],
        "lambda.amazonaws.com" => &[ComputeActions {
            actions: &["lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"],
            examples: &[("lambda", "function:any")],
        }],
        "ec2.amazonaws.com" => &[
            ComputeActions {
                actions: &[
                    "ec2-instance-connect:SendSSHPublicKey",
                    "ec2:ModifyInstanceAttribute",
                    "ssm:CreateAssociation",
                    "ssm:CreateAssociationBatch",
                    "ssm:SendCommand",
                    "ssm:StartSession",
                ],
                examples: &[("ec2", "instance/i-0123456789abcdef0")],
            },
            ComputeActions {
                actions: &["ssm:UpdateAssociation"],
                examples: &[
                    ("ec2", "instance/i-0123456789abcdef0"),
                    ("ssm", "association/01234567-89ab-cdef-0123-456789abcdef"),
                ],
            },
            ComputeActions {
                actions: &["ssm:StartAutomationExecution"],
                examples: &[("ssm", "automation-definition/any:1"), ("ssm", "document/any")],
            },
        ],
        "pods.eks.amazonaws.com" => &[
            ComputeActions { actions: &["eks:CreateAccessEntry"], examples: &[("eks", "cluster/any")] },
            ComputeActions {
                actions: &["eks:AssociateAccessPolicy", "eks:UpdateAccessEntry"],
                examples: &[("eks", "access-entry/any/role/123456789012/any/01234567-89ab-cdef-0123-456789abcdef")],
            },
        ],
        _ => &[],
    }
}

/// The compute services that a trust policy of the broker's role may admit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compute {
    /// Those to which the role is passed.
    pub passed_to: BTreeSet<&'static str>,
    /// Those that may run the broker: also Amazon EKS, for a service account.
    pub run_on: BTreeSet<&'static str>,
}

impl Compute {
    /// Returns the services of a trust policy; all for one that could not be read or understood.
    pub fn of(trust: Option<&Value>) -> Self {
        let all = || COMPUTE.into_iter().collect();
        let statements = trust.and_then(statement::read);
        let Some(statements) = statements.filter(|all| all.iter().all(|one| !one.unsupported)) else {
            return Self { passed_to: all(), run_on: all() };
        };
        let allowed = || statements.iter().filter(|one| one.effect == Effect::Allow);
        let principals = || allowed().flat_map(|one| one.principals.list());
        if principals().any(|one| matches!(one, Principal::Everyone | Principal::Unsupported(_))) {
            return Self { passed_to: all(), run_on: all() };
        }
        let is_named =
            |service: &&str| principals().any(|one| matches!(one, Principal::Service(name) if name == service));
        let passed_to: BTreeSet<&str> = COMPUTE.into_iter().filter(is_named).collect();
        let on_eks = allowed().any(|one| (0..one.principals.list().len()).any(|at| one.names_service_account(at)));
        let run_on = passed_to.iter().copied().chain(on_eks.then_some("pods.eks.amazonaws.com")).collect();
        Self { passed_to, run_on }
    }
}

/// What a permission is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    BrokerRole,
    ProfileRole,
    /// A managed policy of one of these roles.
    ManagedPolicy,
    /// The parameter with the policy of a profile.
    ProfilePolicy,
    /// A table with the records of access.
    Table,
    /// Every resource, and so the one on which the broker runs.
    Compute,
    /// An example of the resources that a permission by pattern includes.
    Example,
    /// The principal itself.
    Itself,
    /// A managed policy of the principal itself.
    OwnPolicy,
    /// The user or role of another approver or operator.
    Approver,
}

/// The permissions of a principal on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bypass {
    pub target: Target,
    /// An ARN, or `*`.
    pub resource: String,
    pub actions: BTreeSet<String>,
    /// The statements that allow them.
    pub statements: BTreeSet<MatchedStatement>,
}

impl Bypass {
    /// Returns whether it gives access without the broker. Reading records does not.
    pub fn gives_access(&self) -> bool {
        self.actions.iter().any(|action| gives_access(action))
    }
}

impl Target {
    /// Returns whether a permission bypasses the gates of all profiles, whichever resource it is on.
    pub fn concerns_all_profiles(self) -> bool {
        match self {
            Self::BrokerRole | Self::ProfileRole | Self::ManagedPolicy | Self::ProfilePolicy => false,
            Self::Table | Self::Compute | Self::Example | Self::Itself | Self::OwnPolicy | Self::Approver => true,
        }
    }

    /// Returns the words that introduce a number of resources.
    fn describe(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::BrokerRole, _) => "the broker's role ",
            (Self::ProfileRole, 1) => "the role ",
            (Self::ProfileRole, _) => "the roles ",
            (Self::ManagedPolicy, 1) => "the managed policy ",
            (Self::ManagedPolicy, _) => "the managed policies ",
            (Self::ProfilePolicy, 1) => "the policy of a profile, ",
            (Self::ProfilePolicy, _) => "the policies of profiles, ",
            (Self::Table, 1) => "the table ",
            (Self::Table, _) => "the tables ",
            (Self::Compute, _) => "every resource, and so on the one that runs the broker",
            (Self::Example, _) => "resources such as ",
            (Self::Itself, _) => "itself, ",
            (Self::OwnPolicy, 1) => "its own managed policy ",
            (Self::OwnPolicy, _) => "its own managed policies ",
            (Self::Approver, 1) => "the approver or operator ",
            (Self::Approver, _) => "the approvers and operators ",
        }
    }
}

/// Permissions that differ only in their resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    pub first: &'a Bypass,
    pub resources: Vec<&'a str>,
}

impl Group<'_> {
    /// Returns the group in words; `resources` are the resources in words.
    pub fn describe(&self, resources: &str) -> String {
        let Bypass { target, actions, statements, .. } = self.first;
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let on = target.describe(self.resources.len());
        let resources = if *target == Target::Compute { "" } else { resources };
        let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
        let by = if statements.is_empty() { String::new() } else { format!(" ({})", statements.join("; ")) };
        format!("{} on {on}{resources}{by}", actions.join(", "))
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = Group { first: self, resources: vec![&self.resource] };
        formatter.write_str(&group.describe(&self.resource))
    }
}

/// What is known of the permissions of a principal.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    found: BTreeMap<(Target, String), Bypass>,
    /// The condition keys on which actions on resources depend.
    depends: BTreeMap<(Target, String, String), BTreeSet<String>>,
    /// What could not be read, and why.
    unread: Vec<String>,
}

/// An action on a resource that depends on condition keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided<'a> {
    pub target: Target,
    pub action: &'a str,
    pub resource: &'a str,
    pub keys: &'a BTreeSet<String>,
}

impl Permissions {
    /// Adds the results of a simulation.
    pub fn add(&mut self, target: Target, simulated: Vec<Simulated>) {
        for Simulated { action, resource, decision } in simulated {
            match decision {
                Decision::Denied => {}
                Decision::Depends(keys) => {
                    self.depends.entry((target, action, resource)).or_default().extend(keys);
                }
                Decision::Allowed(statements) => {
                    let new = || Bypass {
                        target,
                        resource: resource.clone(),
                        actions: BTreeSet::new(),
                        statements: BTreeSet::new(),
                    };
                    let found = self.found.entry((target, resource.clone())).or_insert_with(new);
                    found.actions.insert(action);
                    found.statements.extend(statements);
                }
            }
        }
    }

    /// Adds something that could not be read, and why.
    pub fn add_unread(&mut self, what: String) {
        self.unread.push(what);
    }

    /// Returns what could not be read, and why.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Returns whether an action on a resource is allowed.
    pub fn allow(&self, target: Target, resource: &str, action: &str) -> bool {
        self.found.get(&(target, resource.to_owned())).is_some_and(|one| one.actions.contains(action))
    }

    /// Returns one entry for each resource.
    pub fn bypasses(&self) -> impl Iterator<Item = &Bypass> {
        self.found.values()
    }

    /// Returns the permissions on resources of the same sort, by the same statements, together.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for one in self.bypasses() {
            let same = |group: &&mut Group<'_>| {
                let first = group.first;
                (first.target, &first.actions, &first.statements) == (one.target, &one.actions, &one.statements)
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.resources.push(&one.resource),
                None => groups.push(Group { first: one, resources: vec![&one.resource] }),
            }
        }
        groups
    }

    /// Returns the actions and resources that depend on condition keys, and the keys.
    pub fn undecided(&self) -> impl Iterator<Item = Undecided<'_>> {
        let all = self.depends.iter();
        let all = all.map(|((target, action, resource), keys)| Undecided { target: *target, action, resource, keys });
        all.filter(|open| {
            !self.bypasses().any(|one| one.resource == open.resource && one.actions.contains(open.action))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(action: &str, resource: &str, line: i32) -> Simulated {
        let statement = MatchedStatement { policy: String::from("own"), line, column: 1 };
        let decision = Decision::Allowed(vec![statement]);
        Simulated { action: action.to_owned(), resource: resource.to_owned(), decision }
    }

    fn depends(action: &str, resource: &str) -> Simulated {
        let decision = Decision::Depends(vec![String::from("aws:SourceIp")]);
        Simulated { action: action.to_owned(), resource: resource.to_owned(), decision }
    }

    #[test]
    fn permissions_are_one_finding_for_each_resource_and_grouped_for_text() {
        let mut permissions = Permissions::default();
        permissions.add(Target::BrokerRole, vec![allowed("iam:PassRole", "broker", 1)]);
        permissions.add(Target::BrokerRole, vec![allowed("iam:PutRolePolicy", "broker", 4)]);
        permissions.add(
            Target::ProfileRole,
            vec![
                allowed("iam:PutRolePolicy", "a", 4),
                allowed("iam:PutRolePolicy", "b", 4),
                allowed("iam:PutRolePolicy", "c", 5),
            ],
        );
        permissions.add(Target::Compute, vec![allowed("ssm:StartSession", "*", 9)]);
        assert_eq!(permissions.bypasses().count(), 5);
        let lines: Vec<String> =
            permissions.groups().iter().map(|group| group.describe(&group.resources.join(", "))).collect();
        let expected = [
            "iam:PassRole, iam:PutRolePolicy on the broker's role broker (policy own, statement at line 1, column 1; \
             policy own, statement at line 4, column 1)",
            "iam:PutRolePolicy on the roles a, b (policy own, statement at line 4, column 1)",
            "iam:PutRolePolicy on the role c (policy own, statement at line 5, column 1)",
            "ssm:StartSession on every resource, and so on the one that runs the broker (policy own, statement at line 9, \
             column 1)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_action_that_some_request_may_do_is_not_undecided() {
        let mut permissions = Permissions::default();
        permissions.add(Target::Table, vec![depends("dynamodb:PutItem", "t"), depends("dynamodb:Query", "t")]);
        permissions.add(Target::Table, vec![allowed("dynamodb:PutItem", "t", 1)]);
        let open: Vec<(&str, &str)> = permissions.undecided().map(|one| (one.action, one.resource)).collect();
        assert_eq!(open, [("dynamodb:Query", "t")]);
    }

    #[test]
    fn permissions_on_the_principal_itself_and_on_approvers_concern_all_profiles() {
        let mut permissions = Permissions::default();
        permissions.add(Target::Itself, vec![allowed("iam:PutUserPolicy", "a", 1)]);
        permissions.add(Target::OwnPolicy, vec![allowed("iam:CreatePolicyVersion", "p", 1)]);
        permissions.add(
            Target::Approver,
            vec![allowed("iam:CreateAccessKey", "b", 2), allowed("iam:CreateAccessKey", "c", 2)],
        );
        permissions.add(Target::Example, vec![allowed("ecs:ExecuteCommand", "cluster/any", 3)]);
        assert!(permissions.bypasses().all(|one| one.gives_access() && one.target.concerns_all_profiles()));
        let lines: Vec<String> =
            permissions.groups().iter().map(|group| group.describe(&group.resources.join(", "))).collect();
        let expected = [
            "ecs:ExecuteCommand on resources such as cluster/any (policy own, statement at line 3, column 1)",
            "iam:PutUserPolicy on itself, a (policy own, statement at line 1, column 1)",
            "iam:CreatePolicyVersion on its own managed policy p (policy own, statement at line 1, column 1)",
            "iam:CreateAccessKey on the approvers and operators b, c (policy own, statement at line 2, column 1)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn reading_a_table_gives_no_access_and_writing_it_does() {
        let gives = |action: &str| {
            let mut permissions = Permissions::default();
            permissions.add(Target::Table, vec![allowed("dynamodb:Scan", "t", 1), allowed(action, "t", 1)]);
            permissions.bypasses().any(Bypass::gives_access)
        };
        assert!(!gives("dynamodb:Query"));
        assert!(gives("dynamodb:PutItem"));
    }

    #[test]
    fn a_trust_policy_names_its_compute_services_or_may_admit_all() {
        let of = |principal: Value| {
            let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
            let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
            let Compute { passed_to, run_on } = Compute::of(Some(&policy));
            assert_eq!(passed_to, run_on);
            passed_to.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(json!({ "Service": ["lambda.amazonaws.com", "glue.amazonaws.com"] })), ["lambda.amazonaws.com"]);
        assert_eq!(of(json!({ "AWS": "111111111111" })), [""; 0]);
        assert_eq!(of(json!("*")).len(), COMPUTE.len());
        assert_eq!(of(json!(["x"])).len(), COMPUTE.len());
        assert_eq!(Compute::of(None).passed_to.len(), COMPUTE.len());
    }
}
