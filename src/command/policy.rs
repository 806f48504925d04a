//! `sentinel policy test` and `sentinel policy lint`.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::{Context, Project};
use super::enforced;
use crate::cli::{PolicyLintArgs, PolicyTestArgs};
use crate::diagnostic::{Faults, Source};
use crate::error::{Error, Exit};
use crate::files::{self, Root};
use crate::manifest::cases_file;
use crate::policy::cases;
use crate::policy::lint::{self, Finding, Setting};
use crate::policy::{BreakglassLimits, Policy, parse};
use crate::report::policy::{Tested, TestedCase, TestedFile, linted, tested};
use crate::report::{escape, gates, json};

/// The hint for a policy file that does not exist.
const NO_POLICY: &str =
    "name the file of a policy, such as policies/dev.yaml, or no file for all policies of the manifest";

pub(super) fn test(context: &Context, args: &PolicyTestArgs) -> Result<Exit, Error> {
    let (policies, reader) = if args.policies.is_empty() {
        of_manifest(context, &args.manifest.file)?
    } else {
        (args.policies.clone(), Reader::Anywhere)
    };
    let mut faults = Faults::default();
    let mut results: Vec<TestedFile> = Vec::new();
    for path in policies {
        let shown = path.display().to_string();
        let text = reader.read(&path, files::POLICY, Some(String::from(NO_POLICY)))?;
        let policy = parse(&Source::new(shown.clone(), text), &mut faults);
        let cases_path = cases_file(&path);
        let hint = format!(
            "write the test cases of {shown} there: a list of user, profile, at and expect under \
             cases:"
        );
        let source = Source::new(cases_path.display().to_string(), reader.read(&cases_path, files::CASES, Some(hint))?);
        let policy = policy.unwrap_or(Policy {
            credentials: None,
            rules: Vec::new(),
            breakglass_limits: BreakglassLimits::default(),
        });
        let cases = cases::parse(&source, &policy, &mut faults);
        let judged = cases.into_iter().map(|case| {
            let finding = cases::judge(&policy, &case);
            TestedCase { case, finding }
        });
        results.push(TestedFile { path: source.path.clone(), cases: judged.collect() });
    }
    if !faults.is_empty() {
        return Err(Error::Faults(faults.into_sorted()));
    }
    let all = || results.iter().flat_map(|file| &file.cases);
    let failed = all().filter(|one| !one.finding.passed).count();
    let passed = all().count() - failed;
    let file = |TestedFile { path, cases }: &TestedFile| {
        let case = |TestedCase { case, finding }: &TestedCase| {
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
    context.terminal.messages(
        || tested(&Tested { files: &results, passed, failed }),
        || {
            let files: Vec<_> = results.iter().map(file).collect();
            json::document("policy test", json!({ "files": files, "passed": passed, "failed": failed }))
        },
    )?;
    Ok(if failed > 0 { Exit::Error } else { Exit::Done })
}

pub(super) fn lint(context: &Context, args: &PolicyLintArgs) -> Result<Exit, Error> {
    // Without a manifest, policies are checked on their own.
    let is_there = args.manifest.file.iter().any(|file| file.is_file());
    let manifest = match is_there || args.policies.is_empty() {
        true => Some(context.project(&args.manifest.file)?),
        false => None,
    };
    let review_inputs = manifest.as_ref().map(Project::review_inputs).unwrap_or_default();
    let mut paths = args.policies.clone();
    // The profiles of each file, by its canonical path.
    let mut owners: HashMap<PathBuf, BTreeSet<String>> = HashMap::new();
    let mut listed = BTreeSet::new();
    let of_manifest =
        review_inputs.resources.iter().filter_map(|(address, one)| Some((address, one.policy.as_ref()?, one.secret)));
    for (address, policy, secret) in of_manifest {
        let path = PathBuf::from(policy);
        let of_file = owners.entry(whole(&path)).or_default();
        // Findings show lines of the policy. Lines of a secret policy are shown only if the user names its file.
        if args.policies.is_empty() && !secret && listed.insert(whole(&path)) {
            paths.push(path);
        }
        of_file.insert(address.key.clone());
    }
    let reader = match &manifest {
        Some(project) if args.policies.is_empty() => Reader::within(project)?,
        _ => Reader::Anywhere,
    };
    let mut faults = Faults::default();
    let mut findings: Vec<(Arc<Source>, Finding)> = Vec::new();
    for path in &paths {
        let setting = owners.get(&whole(path));
        let setting =
            setting.map(|own| Setting { profiles: &review_inputs.profiles, own, tables: &review_inputs.tables });
        let text = reader.read(path, files::POLICY, Some(String::from(NO_POLICY)))?;
        let source = Source::new(path.display().to_string(), text);
        let found = lint::lint(&source, setting, &mut faults);
        findings.extend(found.into_iter().map(|finding| (Arc::clone(&source), finding)));
    }
    if !faults.is_empty() {
        return Err(Error::Faults(faults.into_sorted()));
    }
    let found: Vec<&Finding> = findings.iter().map(|(_, finding)| finding).collect();
    let of_project = |project: &Project| enforced::gates(&project.loaded.manifest, &project.loaded.desired, None);
    let gates = manifest.as_ref().map(of_project).unwrap_or_default();
    let lines = || gates::notes(&gates).iter().map(|note| escape(note) + "\n").collect::<String>();
    context.terminal.messages(
        || linted(&findings, paths.len()) + &lines(),
        || json::document("policy lint", json!({ "policies": paths.len(), "findings": found, "gates": gates })),
    )?;
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Error })
}

/// Returns the canonical path of a file.
pub(super) fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns the policies of the manifest with test cases, without repetition, and their reader.
fn of_manifest(context: &Context, manifest: &[PathBuf]) -> Result<(Vec<PathBuf>, Reader), Error> {
    let project = context.project(manifest)?;
    let reader = Reader::within(&project)?;
    let named = project.loaded.manifest.sections.profiles.values().filter_map(|profile| profile.policy.as_ref());
    let mut found: Vec<PathBuf> = Vec::new();
    for policy in named {
        let path = project.policy_path(policy);
        if !found.contains(&path) && reader.has(&cases_file(&path)) {
            found.push(path);
        }
    }
    if found.is_empty() {
        let hint = "the test cases of policies/dev.yaml are in policies/dev.test.yaml";
        return Err(Error::file(Path::new(&project.source.path), "none of its policies has test cases").with_hint(hint));
    }
    Ok((found, reader))
}

/// The folders from which files may be read.
pub(super) enum Reader {
    /// Any folder, because the user names the files.
    Anywhere,
    /// The manifest's folder and its path, because the manifest names the files.
    Within(Root, PathBuf),
}

impl Reader {
    pub(super) fn within(project: &Project) -> Result<Self, Error> {
        let folder = project.folder.clone();
        let root = Root::open(&folder).map_err(|error| failed(&folder, error, None))?;
        Ok(Self::Within(root, folder))
    }

    /// Returns whether the file exists in the manifest's folder.
    pub(super) fn has(&self, path: &Path) -> bool {
        match self {
            Self::Anywhere => false,
            Self::Within(root, folder) => root.size(path.strip_prefix(folder).unwrap_or(path)).is_ok(),
        }
    }

    pub(super) fn read(&self, path: &Path, limit: files::Limit, hint: Option<String>) -> Result<String, Error> {
        let text = match self {
            Self::Anywhere => files::read_text(path, limit),
            Self::Within(root, folder) => root.read_text(path.strip_prefix(folder).unwrap_or(path), limit),
        };
        text.map_err(|error| failed(path, error, hint))
    }
}

fn failed(path: &Path, error: std::io::Error, hint: Option<String>) -> Error {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    let error = Error::read(path, error, "there is no such file");
    match hint {
        Some(hint) if is_missing => error.with_hint(hint),
        _ => error,
    }
}
