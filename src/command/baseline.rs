//! `--baseline FILE`: a fingerprint of the drifted resources, so that a scheduled run can report only changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output;
use super::pass::Attempt;
use crate::cli::{OutputArgs, StatusArgs};
use crate::error::Error;
use crate::files;
use crate::reconcile::Action;
use crate::resource::digest;

/// The first line of a baseline. Sentinel does not replace a file without it.
const HEAD: &str = "sentinel baseline 2";

/// The prefix of each digest.
const DIGEST: &str = "sha256:";

/// A baseline: which resources had drifted, and which were read. It contains only digests, so it is not confidential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    fingerprint: String,
    /// The digest of the manifest's path and the filters.
    selection: String,
    /// For each target, the digest of its account and region, by the digest of its name.
    targets: BTreeMap<String, String>,
}

impl Kept {
    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n{}\n{}\n", self.fingerprint, self.selection);
        for (name, at) in &self.targets {
            text.push_str(&format!("{name} {at}\n"));
        }
        text
    }

    /// Parses a file, if it is a baseline.
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return None;
        }
        let fingerprint = lines.next().filter(|line| is_digest(line))?.to_owned();
        let selection = lines.next().filter(|line| is_digest(line))?.to_owned();
        let target = |line: &str| {
            let (name, at) = line.split_once(' ').filter(|(name, at)| is_short(name) && is_short(at))?;
            Some((name.to_owned(), at.to_owned()))
        };
        let targets = lines.map(target).collect::<Option<_>>()?;
        Some(Self { fingerprint, selection, targets })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix(DIGEST).is_some_and(|hex| hex.len() == 64 && is_hex(hex))
}

/// The number of digits of a digest that identify a target.
const ID_DIGITS: usize = 32;

fn is_short(text: &str) -> bool {
    text.len() == ID_DIGITS && is_hex(text)
}

fn short(text: &str) -> String {
    digest(text).chars().skip(DIGEST.len()).take(ID_DIGITS).collect()
}

/// Returns whether a file is a baseline.
pub(super) fn is_one(path: &Path) -> bool {
    files::read_beginning(path, HEAD.len() as u64).is_ok_and(|begin| begin == HEAD.as_bytes())
}

/// The comparison with a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// Whether the set of drifted resources changed. Without a baseline, it changed if any resource drifted.
    pub(super) changed: bool,
    pub(super) fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    /// The number of resources that drifted or could not be read. A target that could not be read counts as one.
    pub(super) drifted: usize,
}

impl Compared {
    /// Returns it as text.
    pub(super) fn describe(&self, path: &Path) -> String {
        let what = match self.drifted {
            0 => String::from("nothing has drifted"),
            1 => String::from("1 resource has drifted or could not be read"),
            count => format!("{count} resources have drifted or could not be read"),
        };
        let how = match (self.changed, self.before.is_some()) {
            (true, true) => "not the same as before",
            (true, false) => "there is no baseline to compare with",
            (false, true) => "the same as before",
            (false, false) => "there was no baseline",
        };
        format!("Baseline {}: {what}; {how}.\n", path.display())
    }
}

/// Returns a text for each drifted resource, without its settings: it does not matter which of them differ.
fn drifted(attempts: &[Attempt]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (destination, attempt) in attempts {
        let target = destination.name.as_deref().unwrap_or_default();
        match attempt {
            Err(_) => {
                found.insert(format!("{target}\t\tunread"));
            }
            Ok(planned) => {
                let plan = &planned.pass.plan;
                for one in &plan.resources {
                    let state = match one.action {
                        Action::Unchanged if one.gaps.is_empty() => continue,
                        Action::Unchanged | Action::Unknown { .. } => "unread",
                        _ => "drifted",
                    };
                    found.insert(format!("{target}\t{}\t{state}", one.address));
                }
            }
        }
    }
    found
}

/// Returns whether anything was read, if there was anything to read: a shard can have no target.
fn any_read(attempts: &[Attempt]) -> bool {
    attempts.is_empty()
        || attempts.iter().filter_map(|(_, attempt)| attempt.as_ref().ok()).any(|planned| {
            let resources = &planned.pass.plan.resources;
            resources.is_empty() || resources.iter().any(|one| !matches!(one.action, Action::Unknown { .. }))
        })
}

/// Returns the digests of the names of the targets that were read, and of their accounts and regions.
fn targets(attempts: &[Attempt]) -> BTreeMap<String, (String, String)> {
    let read = attempts.iter().filter(|(_, attempt)| attempt.is_ok());
    let target = |(destination, attempt): &Attempt| {
        let target = attempt.as_ref().map_or(destination, |planned| &planned.pass.plan.target);
        let name = destination.name.clone().unwrap_or_default();
        let account = target.account().map_or("", |account| account);
        (short(&name), (short(&format!("{name}\t{account}\t{}", target.region.name)), name))
    };
    read.map(target).collect()
}

/// Returns the digest of the options that select the manifest and a part of it.
fn selection(args: &StatusArgs) -> String {
    let filter = &args.filter;
    let mut words: Vec<String> = args.manifest.file.iter().map(|path| format!("file {}", path.display())).collect();
    words.extend(filter.only.iter().map(|one| format!("only {one}")));
    words.extend(filter.exclude.iter().map(|one| format!("exclude {one}")));
    words.extend(filter.targets.iter().map(|one| format!("target {one}")));
    words.extend(filter.shard.iter().map(|one| format!("shard {one}")));
    words.extend(args.root.policy_root.iter().map(|root| format!("root {root}")));
    digest(&words.join("\n"))
}

/// The file that `--baseline` names.
#[derive(Debug)]
pub(super) struct Baseline {
    path: PathBuf,
    selection: String,
    before: Option<Kept>,
    after: Option<Kept>,
}

impl Baseline {
    /// Reads the file. Refuses one that cannot be replaced, before the first AWS call.
    pub(super) fn open(path: &Path, args: &StatusArgs) -> Result<Self, Error> {
        output::check(path)?;
        check_reports(path, &args.output)?;
        let selection = selection(args);
        let before = match files::read_text(path, files::BASELINE) {
            Ok(text) => Some(Kept::read(&text).ok_or_else(|| {
                let error = Error::file(path, "this file is not a baseline, and was not changed");
                error.with_hint("name another file with --baseline; Sentinel creates it if it does not exist")
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(path, error)),
        };
        if before.as_ref().is_some_and(|before| before.selection != selection) {
            return Err(of_another(path, "another manifest, or of other targets or filters"));
        }
        Ok(Self { path: path.to_owned(), selection, before, after: None })
    }

    /// Compares the drifted resources with the file, unless nothing could be read.
    pub(super) fn compare(&mut self, attempts: &[Attempt]) -> Result<Option<Compared>, Error> {
        if !any_read(attempts) {
            return Ok(None);
        }
        let known = self.before.as_ref().map(|before| &before.targets);
        let read = targets(attempts);
        for (digest, (at, name)) in &read {
            if known.and_then(|known| known.get(digest)).is_some_and(|known| known != at) {
                let of = if name.is_empty() { String::new() } else { format!(" for the target {name}") };
                return Err(of_another(&self.path, &format!("another account or region{of}")));
            }
        }
        if !read.is_empty()
            && known.is_some_and(|known| !known.is_empty() && !read.keys().any(|digest| known.contains_key(digest)))
        {
            return Err(of_another(&self.path, "other targets"));
        }
        let drifted = drifted(attempts);
        let fingerprint = digest(&drifted.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
        let before = self.before.as_ref().map(|before| before.fingerprint.clone());
        let changed = before.as_ref().map_or(!drifted.is_empty(), |before| *before != fingerprint);
        // A target that could not be read keeps its previous entries.
        let names = attempts.iter().map(|(destination, _)| short(destination.name.as_deref().unwrap_or_default()));
        let at = |name: String| {
            let at = read.get(&name).map(|(at, _)| at).or_else(|| known.and_then(|known| known.get(&name)))?;
            Some((name, at.clone()))
        };
        let targets = names.filter_map(at).collect();
        self.after = Some(Kept { fingerprint: fingerprint.clone(), selection: self.selection.clone(), targets });
        Ok(Some(Compared { changed, fingerprint, before, drifted: drifted.len() }))
    }

    /// Writes the new baseline, if there was a comparison.
    pub(super) fn keep(&self) -> Result<(), Error> {
        let Some(kept) = &self.after else { return Ok(()) };
        files::write(&self.path, kept.text().as_bytes(), files::SHARED).map_err(|error| Error::io(&self.path, error))
    }
}

fn of_another(path: &Path, what: &str) -> Error {
    let error = Error::file(path, format!("this is the baseline of {what}, and was not changed"));
    error.with_hint("name another file with --baseline, or delete this one to start over")
}

/// Refuses a baseline in the file of a report.
fn check_reports(path: &Path, output: &OutputArgs) -> Result<(), Error> {
    if output.files().iter().any(|(_, report)| output::is_same(path, report)) {
        return Err(output::same(path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_baseline_is_read() {
        let kept = Kept {
            fingerprint: digest("a"),
            selection: digest("b"),
            targets: [(short("prod"), short("there")), (short("dev"), short("here"))].into(),
        };
        let text = kept.text();
        assert!(!text.contains("prod"), "{text}");
        assert_eq!(Kept::read(&text), Some(kept));
        for bad in [
            String::new(),
            format!("{HEAD}\n"),
            format!("{HEAD}\nmine\n{}\n", digest("b")),
            format!("{HEAD}\n{}\nmine\n", digest("a")),
            format!("{text}mine\n"),
            text.replace("sha256:", "sha256:0"),
            text.replace(HEAD, "sentinel baseline 1"),
        ] {
            assert_eq!(Kept::read(&bad), None, "{bad}");
        }
    }
}
