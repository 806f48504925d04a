//! From a manifest to desired state.

use std::collections::BTreeMap;
use std::path::Path;

use super::{DEFAULT_ROOT, Manifest, Parsed};
use crate::diagnostic::Faults;
use crate::document::Folder;
use crate::kind::section::Resolver;
use crate::kind::{Address, DesiredResource};

/// What the command line says over the manifest.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub policy_root: Option<String>,
}

/// A manifest in full: what is desired, and what the pass needs beside it.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    pub policy_root: String,
    pub desired: Vec<DesiredResource>,
    /// The line, from 1, on which each resource begins.
    pub lines: BTreeMap<Address, usize>,
}

/// Turns a manifest into desired state. `folder` is where its policy paths start.
///
/// What cannot be resolved is a fault; the result means something only when there is none.
pub fn resolve(parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    let Parsed { manifest, source, places } = parsed;
    let root = overrides.policy_root.clone().or_else(|| manifest.policy_root.clone());
    let policy_root = root.unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    let mut resolver = Resolver {
        policy_root: &policy_root,
        source: &source,
        places: &places,
        folder,
        files: Folder::new(folder),
        tags: manifest.aws.tags.as_ref(),
        ownership: manifest.aws.ownership_key(),
        names: BTreeMap::new(),
        faults,
    };
    let desired = manifest.sections.resolve(&mut resolver);
    let line = |address: &Address| source.line(places.get(&[address.kind.section(), &address.key]).start);
    let lines = desired.iter().map(|one| (one.address().clone(), line(one.address()))).collect();
    Loaded { policy_root, desired, lines, manifest }
}
