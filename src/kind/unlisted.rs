//! The search for resources that no manifest lists.

use std::collections::HashSet;
use std::fmt;

use futures_util::future;

use super::{Address, Desired, DesiredResource, KindId, Presence};
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::{Gap, OWNER, Tags};

/// The parameters of a search for unlisted resources.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    pub policy_root: &'a PolicyRoot,
    /// The key of the ownership tag.
    pub ownership: &'a OwnerKey,
    /// The kinds and AWS names of the manifest's resources. A table and a topic may have the same name.
    pub named: &'a HashSet<(KindId, &'a str)>,
    /// Whether an address is in scope.
    pub holds: &'a dyn Fn(&Address) -> bool,
}

impl Search<'_> {
    /// Returns whether the manifest lists a resource.
    pub fn names(&self, kind: KindId, name: &str) -> bool {
        self.named.contains(&(kind, name))
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Search").field("policy_root", &self.policy_root).finish_non_exhaustive()
    }
}

/// Live resources of a kind that are not in the manifest.
#[derive(Debug)]
pub struct Unlisted {
    pub kind: KindId,
    /// Those with the ownership tag, as resources to delete.
    pub owned: Vec<DesiredResource>,
    /// The names of the others.
    pub unmanaged: Vec<String>,
    /// The reads that failed.
    pub gaps: Vec<Gap>,
}

/// The maximum number of resources of a kind whose tags are read to find their owner. AWS has no list of tagged resources for these kinds,
/// so each takes a call, of which it allows 10 to 15 a second. The limit is the default quota of tables in a region; that of roles in an
/// account is 1,000. Sources: "Quotas in Amazon DynamoDB" in its Developer Guide, "IAM and AWS STS quotas" in the IAM User Guide.
const TAGS_READ: usize = 2500;

/// The search parameters of a kind that AWS lists only by name.
pub(super) struct TagSearch {
    pub(super) kind: KindId,
    /// The plural of the kind's noun, such as `tables`.
    pub(super) plural: &'static str,
    /// The operation that lists the tags of a resource.
    pub(super) tags: Operation,
}

/// Divides the names of all resources of a kind into those that Sentinel created and the others.
///
/// Reads the tags of unlisted resources in scope. If there are too many, the rest counts as not created by Sentinel, and a gap reports
/// this.
pub(super) async fn by_tags<State>(
    sought: &TagSearch,
    names: Result<Vec<String>, CallError>,
    search: &Search<'_>,
    tags: impl AsyncFn(&str) -> Result<Tags, CallError>,
) -> Unlisted
where
    State: Default + Clone,
    Desired<State>: Into<DesiredResource>,
{
    let TagSearch { kind, plural, .. } = *sought;
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
                // One gap for all reads that fail for the same reason.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::topic::Topic;
    use crate::resource::call::operation;

    const TAGS: Operation = operation!("sns", "ListTagsForResource", 10.0, 10.0);

    /// Searches for topics of which each has the ownership tag.
    async fn search(count: usize) -> Unlisted {
        let sought = TagSearch { kind: KindId::Topic, plural: "topics", tags: TAGS };
        let (root, ownership, named) = (PolicyRoot::new("/s/policies"), OwnerKey::new("mark"), HashSet::new());
        let search = Search { policy_root: &root, ownership: &ownership, named: &named, holds: &|_| true };
        let names = (0..count).map(|number| format!("topic-{number}")).collect();
        let tags = async |_: &str| Ok(Tags::from([(String::from("mark"), String::from(OWNER))]));
        by_tags::<Topic>(&sought, Ok(names), &search, tags).await
    }

    #[tokio::test]
    async fn the_tags_of_more_than_a_hundred_resources_are_read() {
        let found = search(101).await;
        assert_eq!((found.owned.len(), found.unmanaged.len(), found.gaps.len()), (101, 0, 0));
    }

    #[tokio::test]
    async fn resources_beyond_the_limit_are_reported() {
        let found = search(TAGS_READ + 2).await;
        assert_eq!((found.owned.len(), found.unmanaged.len()), (TAGS_READ, 2));
        let said = format!("the tags of {TAGS_READ} topics were read, and those of 2 more were not: narrow the search");
        assert!(found.gaps.len() == 1 && found.gaps[0].message.contains(&said), "{:?}", found.gaps);
    }
}
