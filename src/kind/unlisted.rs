//! The search for what no manifest names.

use std::collections::HashSet;
use std::fmt;

use futures_util::future;

use super::{Address, Desired, DesiredResource, KindId, Presence};
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::{Gap, OWNER, Tags};

/// Where to look for resources that the manifest does not name.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    pub policy_root: &'a PolicyRoot,
    /// The key of the ownership tag.
    pub ownership: &'a OwnerKey,
    /// The kinds and names in AWS of what the manifest names: a table and a topic may have one name.
    pub named: &'a HashSet<(KindId, &'a str)>,
    /// Whether an address is within the scope.
    pub holds: &'a dyn Fn(&Address) -> bool,
}

impl Search<'_> {
    /// Returns whether the manifest names a resource.
    pub fn names(&self, kind: KindId, name: &str) -> bool {
        self.named.contains(&(kind, name))
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Search").field("policy_root", &self.policy_root).finish_non_exhaustive()
    }
}

/// What is live of a kind and not in the manifest.
#[derive(Debug)]
pub struct Unlisted {
    pub kind: KindId,
    /// What carries the ownership tag, as resources that should be gone.
    pub owned: Vec<DesiredResource>,
    /// The names of the rest.
    pub unmanaged: Vec<String>,
    /// What could not be listed.
    pub gaps: Vec<Gap>,
}

/// The most resources whose tags are read to find out who created them: AWS has no list of those that carry a tag, so that each takes a
/// call, of which it allows few a second.
const TAGS_READ: usize = 100;

/// What is looked for of a kind that AWS lists by names alone.
pub(super) struct Sought {
    pub(super) kind: KindId,
    /// What resources of the kind are called, such as `tables`.
    pub(super) plural: &'static str,
    /// The operation that lists the tags of one.
    pub(super) tags: Operation,
}

/// Sorts the names of all resources of a kind into those that this program created and the rest.
///
/// The tags are read of those that the manifest does not name and the scope holds. Where these are too many, the rest counts as not
/// created by this program, and a gap says so.
pub(super) async fn by_tags<State>(
    sought: &Sought,
    names: Result<Vec<String>, CallError>,
    search: &Search<'_>,
    tags: impl AsyncFn(&str) -> Result<Tags, CallError>,
) -> Unlisted
where
    State: Default + Clone,
    Desired<State>: Into<DesiredResource>,
{
    let Sought { kind, plural, .. } = *sought;
    let mut unlisted = Unlisted { kind, owned: Vec::new(), unmanaged: Vec::new(), gaps: Vec::new() };
    let what = format!("{plural} not in the manifest");
    let gap = |error: &CallError| Gap::new(Some(&what), error);
    let names = match names {
        Ok(names) => names,
        Err(error) => {
            unlisted.gaps.push(gap(&error));
            return unlisted;
        }
    };
    let address = |name: &str| Address::new(kind, name);
    let within = |name: &String| !search.names(kind, name) && (search.holds)(&address(name));
    let mut names: Vec<String> = names.into_iter().filter(within).collect();
    let rest = names.split_off(names.len().min(TAGS_READ));
    if !rest.is_empty() {
        let message = format!(
            "the tags of {TAGS_READ} {plural} were read, and those of {} more were not: narrow the search with --only {}.NAME",
            rest.len(),
            kind.section()
        );
        unlisted.gaps.push(gap(&CallError::new(sought.tags, Class::Rejected, message)));
    }
    let found = future::join_all(names.iter().map(|name| tags(name))).await;
    for (name, tags) in names.into_iter().zip(found) {
        match tags {
            Ok(tags) if tags.get(search.ownership.as_str()).map(String::as_str) == Some(OWNER) => {
                let ownership = Some(search.ownership.clone());
                let desired = Desired::new(address(&name), name, State::default());
                unlisted.owned.push(Desired { presence: Presence::Absent, ownership, ..desired }.into());
            }
            Ok(_) => unlisted.unmanaged.push(name),
            Err(error) if error.class == Class::NotFound => {}
            Err(error) => {
                // One line for all that fail in one way.
                let gap = gap(&error);
                let known = unlisted.gaps.iter().any(|one| one.action == gap.action && one.denied == gap.denied);
                unlisted.gaps.extend((!known).then_some(gap));
                unlisted.unmanaged.push(name);
            }
        }
    }
    unlisted.unmanaged.extend(rest);
    unlisted
}
