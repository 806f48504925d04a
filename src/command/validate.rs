//! `sentinel validate`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::context::{Context, Project};
use crate::cli::ManifestArgs;
use crate::diagnostic::{Faults, Source, some};
use crate::error::{Error, Exit};
use crate::kind::KindId;
use crate::kind::policy_parameter::PolicyParameter;
use crate::manifest::Discovered;
use crate::policy::{cases, parse};
use crate::report::json;

/// Reports every fault of the policies' test cases.
fn check_cases(project: &Project) -> Result<(), Error> {
    let mut faults = Faults::default();
    let contents = project.loaded.desired.iter().filter_map(|one| one.of::<PolicyParameter>());
    let contents: BTreeMap<_, _> =
        contents.filter_map(|one| Some((&one.address, one.managed.content.as_ref()?.text()?))).collect();
    let mut seen = BTreeSet::new();
    for (address, inputs) in project.review_inputs().resources {
        if let (Some(cases), Some(content)) = (inputs.cases, contents.get(&address))
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
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let manifest = &project.loaded.manifest;
    let targets = match manifest.targets.is_empty() {
        true => 0,
        false => manifest.destinations(&project.loaded.policy_root, &Discovered::default()).len(),
    };
    let counts: Vec<(KindId, usize)> = KindId::ALL
        .iter()
        .map(|kind| (*kind, desired.iter().filter(|one| one.address().kind == *kind).count()))
        .collect();
    // The name of a section is a plural.
    let word = |(kind, count): &(KindId, usize)| plural(*count, kind.section().trim_end_matches('s'));
    let there = counts.iter().filter(|(_, count)| *count > 0).map(word).collect::<Vec<_>>().join(", ");
    let mut words = if there.is_empty() { String::from("no resources") } else { there };
    if targets > 0 {
        words.push_str(&format!(", for {}", plural(targets, "target")));
    }
    // The number of these accounts is not known without AWS calls.
    let searches: Vec<&str> = manifest.searches().map(|(name, _)| name).collect();
    if !searches.is_empty() {
        let and = if targets > 0 { " and" } else { ", for" };
        words.push_str(&format!("{and} the accounts that AWS Organizations lists for {}", some(&searches)));
    }
    context.terminal.either(
        || format!("{} is valid: {words}.\n", project.source.path),
        || {
            let mut body = json!({ "valid": true, "targets": targets, "organizations": searches });
            for (kind, count) in &counts {
                body[kind.section()] = json!(count);
            }
            json::document("validate", body)
        },
    )?;
    Ok(Exit::Done)
}
