//! `sentinel policy test` and `sentinel policy lint`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::{Context, Project, cases_file};
use crate::cli::{PolicyLintArgs, PolicyTestArgs};
use crate::diagnostic::{Faults, Source};
use crate::error::{Error, Exit};
use crate::policy::cases::{self, Case, Finding as Judged};
use crate::policy::lint::{self, Finding, Setting};
use crate::policy::{Policy, parse};
use crate::report::json;
use crate::report::policy::{Tested, linted, tested};

pub(super) fn test(context: &Context, args: &PolicyTestArgs) -> Result<Exit, Error> {
    let policies =
        if args.policies.is_empty() { of_manifest(context, &args.manifest.file)? } else { args.policies.clone() };
    let mut faults = Faults::default();
    let mut results: Vec<(String, Vec<(Case, Judged)>)> = Vec::new();
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
    let file = |(path, cases): &(String, Vec<(Case, Judged)>)| {
        let case = |(case, finding): &(Case, Judged)| {
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

pub(super) fn lint(context: &Context, args: &PolicyLintArgs) -> Result<Exit, Error> {
    // Without a manifest a policy is looked at by itself; one with faults is no reason to look less closely.
    let manifest = match args.manifest.file.is_file() || args.policies.is_empty() {
        true => Some(context.project(&args.manifest.file)?),
        false => None,
    };
    let named = manifest.iter().flat_map(|project| project.materials().of);
    let of_profiles: Vec<(String, PathBuf)> =
        named.filter_map(|(address, material)| Some((address.key, PathBuf::from(material.policy?)))).collect();
    let mut paths = args.policies.clone();
    if paths.is_empty() {
        for (_, path) in &of_profiles {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
    }
    let materials = manifest.as_ref().map(Project::materials);
    let mut faults = Faults::default();
    let mut findings: Vec<(Arc<Source>, Finding)> = Vec::new();
    for path in &paths {
        let same = |other: &Path| {
            other == path
                || other.canonicalize().ok().is_some_and(|other| path.canonicalize().is_ok_and(|path| path == other))
        };
        let own: BTreeSet<String> =
            of_profiles.iter().filter(|(_, other)| same(other)).map(|(profile, _)| profile.clone()).collect();
        let setting = materials.as_ref().filter(|_| !own.is_empty());
        let setting = setting.map(|all| Setting { profiles: &all.profiles, own: &own, tables: &all.tables });
        let source = Source::new(path.display().to_string(), read(path, None)?);
        let found = lint::lint(&source, setting, &mut faults);
        findings.extend(found.into_iter().map(|finding| (Arc::clone(&source), finding)));
    }
    if !faults.is_empty() {
        return Err(Error::Faults(faults.into_sorted()));
    }
    let found: Vec<&Finding> = findings.iter().map(|(_, finding)| finding).collect();
    context.terminal.either(
        || linted(&findings, paths.len()),
        || json::document("policy lint", json!({ "policies": paths.len(), "findings": found })),
    );
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Error })
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
