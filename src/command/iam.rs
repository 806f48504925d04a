//! `sentinel iam`.

use serde_json::{Value, json};

use super::access::enforcement::{assumed_roles, lists_roles_by_pattern};
use super::context::{Context, ManifestOrigin, Need, no_region};
use super::pass::scope;
use crate::cli::{IamArgs, Purpose, ReachArgs};
use crate::error::{Error, Exit};
use crate::iam::{self, AdditionalPermissions, Document, Location, TrustChecked, Use};
use crate::kind::DesiredResource;
use crate::kind::references::Service;
use crate::manifest::{BrokeredRoles, Builtin};
use crate::report::json;
use crate::resource::destination::{Destination, Region};
use crate::resource::names::RegionName;
use crate::resource::record_key::Role;

/// The policies for one purpose, with the role's name if there are several roles.
struct Part {
    role: Option<Role>,
    documents: Vec<Document>,
}

/// The policies of one target.
struct OfTarget {
    name: Option<String>,
    parts: Vec<Part>,
}

pub(super) async fn run(context: &Context, args: &IamArgs) -> Result<Exit, Error> {
    let uses = uses(args.purpose);
    if (args.prune || args.adopt)
        && uses.iter().any(|purpose| matches!(purpose, Use::Role(_) | Use::Broker | Use::TrustCheck))
    {
        return Err(Error::usage(
            "--prune and --adopt do not apply to the policy of a role",
            "remove --prune and --adopt",
        ));
    }
    let project = context.project(&args.manifest.file)?;
    let reach = ReachArgs { prune: args.prune, adopt: args.adopt, ..ReachArgs::default() };
    let scope = scope(&project, &args.filter, &reach)?;
    if args.purpose == Purpose::Runtime {
        context.terminal.note(
            "A single policy for all users would let each of them write every record, including their own approvals. \
             These are the policies of the four roles by name. To print only one, use --for requester, approver, \
             operator or server.\n",
        );
    }
    let mut policies = Vec::new();
    for target in context.chosen_offline(&project, &args.filter)? {
        let place = place(context, &target).await;
        let wanted = match (&place.region, project.loaded.varies()) {
            (None, true) => return Err(no_region(Need::Anything, ManifestOrigin::File)),
            (region, _) => {
                let name = region.clone().unwrap_or_else(|| RegionName::new(""));
                project.wanted(&target.clone().with_region(Region { name, source: String::new() }))?
            }
        };
        let chosen = wanted.desired.iter().filter(|one| scope.holds(one.address())).cloned();
        let desired: Vec<DesiredResource> = chosen.map(|one| if scope.adopt { one.adopted() } else { one }).collect();
        let root = &project.loaded.policy_root;
        let manifest = &project.loaded.manifest;
        let roles = BrokeredRoles::new(&manifest.broker, &manifest.sections);
        let broker = manifest.sections.serving(Service::Broker);
        let principals = assumed_roles(&manifest.broker);
        let tables: Vec<String> = Builtin::ALL.iter().map(|builtin| manifest.table_name(*builtin).to_owned()).collect();
        let additional = AdditionalPermissions {
            prune: scope.prune,
            orphans: scope.ownership.is_some(),
            roles: roles.as_brokered(),
            checked: TrustChecked {
                broker: broker.as_deref(),
                principals: &principals,
                patterns: lists_roles_by_pattern(&manifest.broker),
                tables: &tables,
            },
        };
        let part = |purpose: &Use| {
            let documents = iam::policies(*purpose, &place, root, &desired, additional);
            if documents.len() > 1 {
                let count = documents.len();
                context
                    .terminal
                    .note(&format!("Split into {count} policies: a managed policy has at most 6,144 characters.\n"));
            }
            let role = if let Use::Role(role) = purpose { Some(*role) } else { None };
            Part { role: role.filter(|_| uses.len() > 1), documents }
        };
        policies.push(OfTarget { name: target.name, parts: uses.iter().map(part).collect() });
    }
    let json = || match policies.as_slice() {
        [OfTarget { name: None, parts }] => json::document("iam", listed(parts)),
        several => {
            let named = several.iter().map(|target| {
                let mut named = json!({ "name": target.name });
                if let (Value::Object(named), Value::Object(listed)) = (&mut named, listed(&target.parts)) {
                    named.extend(listed);
                }
                named
            });
            json::targets("iam", named.map(Ok))
        }
    };
    context.terminal.either(|| text(&policies), json)?;
    Ok(Exit::Done)
}

/// Returns the policies to print for a purpose.
fn uses(purpose: Purpose) -> Vec<Use> {
    match purpose {
        Purpose::Plan => vec![Use::Plan],
        Purpose::Apply => vec![Use::Apply],
        Purpose::Requester => vec![Use::Role(Role::Requester)],
        Purpose::Approver => vec![Use::Role(Role::Approver)],
        Purpose::Operator => vec![Use::Role(Role::Operator)],
        Purpose::Server => vec![Use::Role(Role::Server)],
        Purpose::Broker => vec![Use::Broker],
        Purpose::TrustCheck => vec![Use::TrustCheck],
        Purpose::Runtime => Role::ALL.iter().copied().map(Use::Role).collect(),
    }
}

/// Returns the documents for the JSON output: a list, or a list for each role.
fn listed(parts: &[Part]) -> Value {
    match parts {
        [Part { role: None, documents }] => json!({ "policies": documents }),
        roles => {
            let named = roles.iter().filter_map(|part| Some((part.role?.word().to_owned(), json!(part.documents))));
            json!({ "roles": Value::Object(named.collect()) })
        }
    }
}

/// Returns the account and region of a target, as far as they are known without AWS calls.
async fn place(context: &Context, target: &Destination<Option<RegionName>>) -> Location {
    Location {
        region: context.region(target).await.map(|region| region.name),
        account: target.route.account_id.clone(),
    }
}

/// Returns one document as it is; several as a list; those of several roles or targets under their names.
fn text(policies: &[OfTarget]) -> String {
    let of = |documents: &[Document]| match documents {
        [one] => json!(one),
        several => json!(several),
    };
    let of_target = |target: &OfTarget| match target.parts.as_slice() {
        [Part { role: None, documents }] => of(documents),
        roles => {
            let named = roles.iter().filter_map(|part| Some((part.role?.word().to_owned(), of(&part.documents))));
            Value::Object(named.collect())
        }
    };
    match policies {
        [target] => json::text(&of_target(target)),
        several => {
            let named = several.iter().map(|target| (target.name.clone().unwrap_or_default(), of_target(target)));
            json::text(&Value::Object(named.collect()))
        }
    }
}
