//! `--baseline FILE`: a fingerprint of what drifted, kept by the caller, so that a scheduled run says something only when that changes.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::output;
use super::pass::Attempt;
use crate::error::Error;
use crate::files;
use crate::reconcile::Action;
use crate::resource::digest;

/// The first line of such a file. One that does not begin with it is left as it is.
const HEAD: &str = "sentinel baseline 1";

/// A comparison with what had drifted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// Whether the set of resources that drifted is another one. Without a baseline it is, if any drifted.
    pub(super) changed: bool,
    pub(super) fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    /// How many resources drifted or could not be read. A target that could not be read counts as one.
    pub(super) drifted: usize,
}

impl Compared {
    /// Returns it in words.
    pub(super) fn words(&self, path: &Path) -> String {
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

/// Returns what drifted, one text for each resource: which setting differs does not matter.
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

/// Compares what drifted with what is in a file, and writes it there.
pub(super) fn compare(path: &Path, attempts: &[Attempt]) -> Result<Compared, Error> {
    let before = match files::read_text(path, files::BASELINE) {
        Ok(text) => match text.lines().collect::<Vec<_>>()[..] {
            [HEAD, fingerprint] => Some(fingerprint.to_owned()),
            _ => {
                let error = Error::file(path, "this is no baseline, and it was left as it is");
                return Err(error.with_hint("name another file with --baseline; it is made if it is not there"));
            }
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io(path, error)),
    };
    output::check(path)?;
    let drifted = drifted(attempts);
    let fingerprint = digest(&drifted.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    let changed = match &before {
        Some(before) => *before != fingerprint,
        None => !drifted.is_empty(),
    };
    let text = format!("{HEAD}\n{fingerprint}\n");
    files::write(path, text.as_bytes(), files::SHARED).map_err(|error| Error::io(path, error))?;
    Ok(Compared { changed, fingerprint, before, drifted: drifted.len() })
}
