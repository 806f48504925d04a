//! `sentinel iam`.

use serde_json::{Value, json};

use super::context::Context;
use super::pass::{Chosen, scope};
use crate::cli::{IamArgs, Purpose, ReachArgs};
use crate::error::{Error, Exit};
use crate::iam::{self, Beyond, Document, Place, Use};
use crate::kind::DesiredResource;
use crate::report::json;

pub(super) async fn run(context: &Context, args: &IamArgs) -> Result<Exit, Error> {
    if args.purpose == Purpose::Runtime && (args.prune || args.adopt) {
        return Err(Error::usage("nothing is pruned or adopted at run time", "leave --prune and --adopt out"));
    }
    let project = context.project(&args.manifest.file)?;
    let reach = ReachArgs { prune: args.prune, adopt: args.adopt, ..ReachArgs::default() };
    let scope = scope(&project, &args.filter, &reach)?;
    let chosen = project.loaded.desired.iter().filter(|one| scope.holds(one.address())).cloned();
    let desired: Vec<DesiredResource> = chosen.map(|one| if scope.adopt { one.adopted() } else { one }).collect();
    let purpose = match args.purpose {
        Purpose::Plan => Use::Plan,
        Purpose::Apply => Use::Apply,
        Purpose::Runtime => Use::RunTime,
    };
    let mut policies = Vec::new();
    for target in context.chosen(&project, &args.filter.targets)? {
        let place = place(context, &target).await;
        let root = &project.loaded.policy_root;
        let documents = iam::policies(purpose, &place, root, &desired, Beyond { prune: scope.prune });
        if documents.len() > 1 {
            let count = documents.len();
            context.terminal.note(&format!("Split into {count} policies: a managed policy holds 6,144 characters.\n"));
        }
        policies.push((target.name, documents));
    }
    let json = || match policies.as_slice() {
        [(None, documents)] => json::document("iam", json!({ "policies": documents })),
        several => {
            let named = several.iter().map(|(name, documents)| json!({ "name": name, "policies": documents }));
            json::targets("iam", named.collect())
        }
    };
    context.terminal.either(|| text(&policies), json);
    Ok(Exit::Done)
}

/// Returns where a target is, as far as that is known without asking AWS.
async fn place(context: &Context, target: &Chosen) -> Place {
    Place {
        region: context.region(&target.aws).await.map(|region| region.name),
        account: target.aws.account_id.clone(),
    }
}

/// A document as it is pasted; several as a list, and those of several targets under their names.
fn text(policies: &[(Option<String>, Vec<Document>)]) -> String {
    let pretty = |value: &Value| json::text(value);
    let of = |documents: &[Document]| match documents {
        [one] => json!(one),
        several => json!(several),
    };
    match policies {
        [(_, documents)] => pretty(&of(documents)),
        several => {
            let named = several.iter().map(|(name, documents)| (name.clone().unwrap_or_default(), of(documents)));
            pretty(&Value::Object(named.collect()))
        }
    }
}
