//! `sentinel validate`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::context::{Context, Project};
use crate::cli::ManifestArgs;
use crate::diagnostic::{Faults, Source};
use crate::error::{Error, Exit};
use crate::kind::policy_parameter::PolicyParameter;
use crate::kind::table::Table;
use crate::policy::{cases, parse};
use crate::report::json;

/// Reports every fault of the cases that are kept beside policies.
fn check_cases(project: &Project) -> Result<(), Error> {
    let mut faults = Faults::default();
    let contents = project.loaded.desired.iter().filter_map(|one| one.of::<PolicyParameter>());
    let contents: BTreeMap<_, _> =
        contents.filter_map(|one| Some((&one.address, one.managed.content.as_deref()?))).collect();
    let mut seen = BTreeSet::new();
    for (address, material) in project.materials().of {
        if let (Some(cases), Some(content)) = (material.cases, contents.get(&address))
            && !seen.contains(&cases.path)
            && let Some(policy) = parse(&Source::new(cases.path.clone(), *content), &mut Faults::default())
        {
            cases::parse(&cases, &policy, &mut faults);
            seen.insert(cases.path.clone());
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Faults(faults.into_sorted())) }
}

pub(super) fn run(context: &Context, args: &ManifestArgs) -> Result<Exit, Error> {
    let project = context.project(&args.file)?;
    check_cases(&project)?;
    let desired = &project.loaded.desired;
    let tables = desired.iter().filter(|one| one.of::<Table>().is_some()).count();
    let profiles = desired.len() - tables;
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let targets = project.loaded.manifest.targets.len();
    let mut counts = format!("{}, {}", plural(profiles, "profile"), plural(tables, "table"));
    if targets > 0 {
        counts.push_str(&format!(", for {}", plural(targets, "target")));
    }
    context.terminal.either(
        || format!("{} is valid: {counts}.\n", args.file.display()),
        || {
            json::document(
                "validate",
                json!({ "valid": true, "profiles": profiles, "tables": tables, "targets": targets }),
            )
        },
    )?;
    Ok(Exit::Done)
}
