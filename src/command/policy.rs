//! `sentinel policy test`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::{Context, cases_file};
use crate::cli::PolicyTestArgs;
use crate::diagnostic::{Faults, Source};
use crate::error::{Error, Exit};
use crate::policy::cases::{self, Case, Finding};
use crate::policy::{Policy, parse};
use crate::report::json;
use crate::report::policy::{Tested, tested};

pub(super) fn test(context: &Context, args: &PolicyTestArgs) -> Result<Exit, Error> {
    let policies =
        if args.policies.is_empty() { of_manifest(context, &args.manifest.file)? } else { args.policies.clone() };
    let mut faults = Faults::default();
    let mut results: Vec<(String, Vec<(Case, Finding)>)> = Vec::new();
    for path in policies {
        let shown = path.display().to_string();
        let policy = parse(&Source::new(shown.clone(), read(&path, None)?), &mut faults);
        let cases_path = cases_file(&path);
        let hint = format!("write the cases of {shown} there: a list of user, profile, at and expect under cases:");
        let source = Source::new(cases_path.display().to_string(), read(&cases_path, Some(hint))?);
        let policy = policy.unwrap_or(Policy { rules: Vec::new() });
        let cases = cases::parse(&source, &policy, &mut faults);
        let judged = cases.into_iter().map(|case| {
            let finding = cases::judge(&policy, &case);
            (case, finding)
        });
        results.push((source.path.clone(), judged.collect()));
    }
    if !faults.is_empty() {
        return Err(Error::Faults(faults.into_sorted()));
    }
    let all = || results.iter().flat_map(|(_, cases)| cases);
    let failed = all().filter(|(_, finding)| !finding.passed).count();
    let passed = all().count() - failed;
    let file = |(path, cases): &(String, Vec<(Case, Finding)>)| {
        let case = |(case, finding): &(Case, Finding)| {
            json!({
                "name": case.name,
                "line": case.line,
                "passed": finding.passed,
                "expected": case.expect.word(),
                "expected_rule": case.rule,
                "found": finding.found.word(),
                "rule": finding.rule,
            })
        };
        json!({ "path": path, "cases": cases.iter().map(case).collect::<Vec<_>>() })
    };
    context.terminal.either(
        || tested(&Tested { files: &results, passed, failed }),
        || {
            let files: Vec<_> = results.iter().map(file).collect();
            json::document("policy test", json!({ "files": files, "passed": passed, "failed": failed }))
        },
    );
    Ok(if failed > 0 { Exit::Error } else { Exit::Done })
}

/// Returns the policies of the manifest that have cases, each once.
fn of_manifest(context: &Context, manifest: &Path) -> Result<Vec<PathBuf>, Error> {
    let project = context.project(manifest)?;
    let named = project.loaded.manifest.profiles.values().filter_map(|profile| profile.policy.as_ref());
    let mut found: Vec<PathBuf> = Vec::new();
    for policy in named {
        let path = project.policy_path(policy);
        if !found.contains(&path) && cases_file(&path).is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        let hint = "the cases of policies/dev.yaml are in policies/dev.test.yaml";
        return Err(Error::usage(format!("no policy of {} has cases beside it", manifest.display()), hint));
    }
    Ok(found)
}

fn read(path: &Path, hint: Option<String>) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File {
        path: path.display().to_string(),
        what: match error.kind() {
            std::io::ErrorKind::NotFound => String::from("there is no such file"),
            _ => error.to_string(),
        },
        hint,
    })
}
