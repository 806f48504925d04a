//! Orphans: resources that carry the ownership tag and that the manifest does not list.
//!
//! Two calls list the tagged resources, one for the policy root and one for the region, so that a full page of one does not hide the other.
//! Both run concurrently with the other reads. If they fail, the rest of the plan is unaffected.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use serde::{Deserialize, Serialize};

use super::plan::{Plan, ResourcePlan, Scope, Seen, Unmanaged};
use crate::kind::{Address, ArnName, DesiredResource, KindId, Site};
use crate::provider::Observe;
use crate::resource::Gap;
use crate::resource::call::{CallError, Class};
use crate::resource::tagging::{GET_RESOURCES, TaggedPage};

/// How long a plan waits for the lists after all other reads: the service may be unreachable from a private network.
const GRACE: Duration = Duration::from_secs(3);

/// The resources that carry the ownership tag and that the manifest does not list, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Unmanaged>,
    /// The number of tagged resources that were examined, if there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<usize>,
    /// The reason why some or all of them are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Gap>,
}

impl Orphans {
    /// Returns whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.looked_at.is_none() && self.unknown.is_none()
    }
}

/// The pages of the two lists.
pub(super) type Lists = Vec<Result<TaggedPage, CallError>>;

/// Lists the tagged resources while the other reads run. Returns no lists if those reads fail.
pub(super) async fn alongside<T, E>(
    provider: &impl Observe,
    key: &str,
    reads: impl Future<Output = Result<T, E>>,
) -> Result<(T, Lists), E> {
    let lists = pin!(async {
        let sites = [Site::PolicyRoot, Site::Region].map(|site| {
            let of_site = KindId::ALL.iter().map(|kind| kind.about()).filter(|about| about.site == site);
            of_site.map(|about| about.resource_type).collect::<Vec<_>>()
        });
        let [root, region] = &sites;
        // The region's list may repeat the resources of the root's list.
        let region: Vec<&str> = region.iter().copied().filter(|one| !root.contains(one)).collect();
        let (root, region) = future::join(provider.tagged(root, key), provider.tagged(&region, key)).await;
        vec![root, region]
    });
    match future::select(pin!(reads), lists).await {
        Either::Right((lists, reads)) => Ok((reads.await?, lists)),
        Either::Left((read, lists)) => {
            let read = read?;
            let lists = tokio::time::timeout(GRACE, lists).await.unwrap_or_else(|_| {
                let message = format!("no answer within {} s after all other reads", GRACE.as_secs());
                vec![Err(CallError::new(GET_RESOURCES, Class::Unreachable, message))]
            });
            Ok((read, lists))
        }
    }
}

/// Returns the orphans in the lists. Pure.
///
/// `desired` is the whole manifest, regardless of filters: a resource in it is not an orphan.
pub(super) fn of(plan: &Plan, desired: &[DesiredResource], lists: Lists) -> Orphans {
    let Plan { target, scope, resources, .. } = plan;
    let named: HashSet<(KindId, &str)> = desired.iter().map(|one| (one.address().kind, one.name())).collect();
    let mut orphans = Orphans::default();
    let (mut looked_at, mut more) = (0, false);
    for list in lists {
        let page = match list {
            Ok(page) => page,
            Err(error) => {
                orphans.unknown.get_or_insert_with(|| Gap::new(None, &error));
                continue;
            }
        };
        looked_at += page.arns.len();
        more |= page.more;
        for arn in page.arns {
            let Some((kind, found)) = KindId::of_arn(&arn, &target.policy_root) else { continue };
            let (name, key, is_named) = match found {
                ArnName::Name { name, key } => {
                    let is_named = named.contains(&(kind, name.as_str()));
                    (name, key, is_named)
                }
                ArnName::Id(id) => {
                    let may_be_named = is_live(&arn, kind, resources) || !all_read(kind, desired, resources);
                    (id.clone(), id, may_be_named)
                }
            };
            if !is_named && scope.holds(&Address::new(kind, key)) {
                orphans.resources.push(Unmanaged { kind, name });
            }
        }
    }
    orphans.looked_at = more.then_some(looked_at);
    orphans.resources.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    orphans.resources.dedup();
    orphans
}

fn is_live(arn: &str, kind: KindId, resources: &[ResourcePlan]) -> bool {
    resources.iter().any(|one| one.address.kind == kind && one.facts.arn.as_deref() == Some(arn))
}

/// Returns whether the live ARNs of all the manifest's resources of a kind are known. If a resource was filtered or could not be read, any
/// ID may belong to it.
fn all_read(kind: KindId, desired: &[DesiredResource], resources: &[ResourcePlan]) -> bool {
    let read = |address: &Address| {
        let found = resources.iter().find(|one| one.address == *address);
        found.is_some_and(|one| match one.seen {
            Seen::Absent => true,
            Seen::Present(_) => one.facts.arn.is_some(),
            Seen::Unknown => false,
        })
    };
    desired.iter().map(DesiredResource::address).filter(|address| address.kind == kind).all(read)
}

/// Returns the key of the ownership tag if the pass looks for orphans. `init` does not, because its manifest only has the resources that it
/// creates. Pruning lists all tagged resources itself.
pub(super) fn key(scope: &Scope) -> Option<&str> {
    scope.ownership.as_deref().filter(|_| !scope.prune && scope.intent == super::Intent::Converge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Desired;
    use crate::kind::key::Key;
    use crate::kind::policy_parameter::PolicyParameter;
    use crate::kind::table::Table;
    use crate::reconcile::{Intent, diff};
    use crate::resource::destination::{Destination, Region};
    use crate::resource::names::{OwnerKey, PolicyRoot, RegionName};
    use crate::resource::{Facts, Live, Observed};

    fn arn(service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:us-east-1:123456789012:{resource}")
    }

    fn page(arns: &[String]) -> Lists {
        vec![Ok(TaggedPage { arns: arns.to_vec(), more: false })]
    }

    fn plan(scope: Scope, resources: Vec<ResourcePlan>) -> Plan {
        let region = Region { name: RegionName::new("us-east-1"), source: String::new() };
        let target = Destination::new(region, PolicyRoot::new("/s/policies"));
        Plan {
            target,
            scope,
            resources,
            unmanaged: Vec::new(),
            unlisted: Vec::new(),
            orphans: Orphans::default(),
            gates: Vec::new(),
        }
    }

    fn names(orphans: &Orphans) -> Vec<&str> {
        orphans.resources.iter().map(|one| one.name.as_str()).collect()
    }

    fn table(name: &str) -> DesiredResource {
        Desired::new(Address::new(KindId::Table, name), name, Table::default()).into()
    }

    #[test]
    fn unlisted_resources_with_the_tag_are_orphans() {
        let policy =
            Desired::new(Address::new(KindId::Policy, "dev"), "/s/policies/dev", PolicyParameter::default()).into();
        let desired = [policy, table("kept")];
        let found = [
            arn("ssm", "parameter/s/policies/dev"),
            arn("ssm", "parameter/s/policies/old"),
            arn("ssm", "parameter/elsewhere/old"),
            arn("ssm", "parameter/old"),
            arn("dynamodb", "table/kept"),
            arn("dynamodb", "table/old"),
            arn("dynamodb", "table/old/index/x"),
            arn("dynamodb", "global-table/old"),
            arn("kms", "key/1"),
            // A topic may have the same name as a table of the manifest.
            arn("sns", "kept"),
            arn("sns", "kept:1d-0f"),
            arn("s3", "old"),
            String::from("no ARN"),
        ];
        let orphans = of(&plan(Scope::default(), Vec::new()), &desired, page(&found));
        assert_eq!(names(&orphans), ["/s/policies/old", "old", "1", "kept"]);
        assert_eq!((orphans.looked_at, orphans.unknown), (None, None));
    }

    #[test]
    fn filtered_resources_are_not_orphans() {
        let scope = |only: &[&str], exclude: &[&str]| {
            let parsed = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
            Scope { only: parsed(only), exclude: parsed(exclude), ..Scope::default() }
        };
        let found = || page(&[arn("dynamodb", "table/kept"), arn("dynamodb", "table/old"), arn("sns", "old")]);
        let desired = [table("kept")];
        let of = |only: &[&str], exclude: &[&str]| of(&plan(scope(only, exclude), Vec::new()), &desired, found());
        assert_eq!(names(&of(&["tables.*"], &[])), ["old"]);
        assert_eq!(names(&of(&[], &["tables.kept"])), ["old", "old"]);
        assert_eq!(names(&of(&[], &["tables.o*"])), ["old"]);
        assert_eq!(names(&of(&["tables.kept"], &[])), [""; 0]);
    }

    /// The plan of a key that was read, is absent, or could not be read.
    fn key_plan(observed: Observed<Key>) -> (DesiredResource, ResourcePlan) {
        let desired = Desired::new(Address::new(KindId::Key, "records"), "alias/records", Key::default());
        let pair = crate::kind::Pair { desired: &desired, observed };
        let planned = diff::resource(&crate::kind::ObservedResource::Key(Box::new(pair)), Intent::Converge);
        (desired.into(), planned)
    }

    #[test]
    fn keys_are_identified_by_the_live_arn() {
        let found = || page(&[arn("kms", "key/1"), arn("kms", "key/2")]);
        let live = |arn| {
            Observed::Present(Live {
                state: Key::default(),
                facts: Facts { arn, ..Facts::default() },
                gaps: Vec::new(),
            })
        };
        let gap = Gap { path: None, action: String::from("kms:DescribeKey"), denied: true, message: String::new() };
        let orphans = |observed| {
            let (desired, planned) = key_plan(observed);
            of(&plan(Scope::default(), vec![planned]), &[desired], found())
        };
        assert_eq!(names(&orphans(live(Some(arn("kms", "key/1"))))), ["2"]);
        assert_eq!(names(&orphans(Observed::Absent)), ["1", "2"]);
        // If the ARN of one key is unknown, either of the live keys may be that key.
        assert_eq!(names(&orphans(live(None))), [""; 0]);
        assert_eq!(names(&orphans(Observed::Unknown(gap))), [""; 0]);
        let (desired, _) = key_plan(Observed::Absent);
        assert_eq!(names(&of(&plan(Scope::default(), Vec::new()), &[desired], found())), [""; 0]);
    }

    #[test]
    fn unexamined_resources_are_reported() {
        let empty = plan(Scope::default(), Vec::new());
        let more = vec![
            Ok(TaggedPage { arns: vec![arn("dynamodb", "table/old")], more: true }),
            Err(CallError::new(GET_RESOURCES, Class::Denied, "no")),
        ];
        let orphans = of(&empty, &[], more);
        assert_eq!((names(&orphans), orphans.looked_at), (vec!["old"], Some(1)));
        assert!(orphans.unknown.is_some_and(|gap| gap.denied && gap.action == "tag:GetResources"));
    }

    #[test]
    fn orphans_are_listed_only_for_a_manifest_without_pruning() {
        let scope = Scope { ownership: Some(OwnerKey::new("mark")), ..Scope::default() };
        assert_eq!(key(&scope), Some("mark"));
        assert_eq!(key(&Scope { prune: true, ..scope.clone() }), None);
        assert_eq!(key(&Scope { intent: Intent::CreateOnly, ..scope.clone() }), None);
        assert_eq!(key(&Scope { ownership: None, ..scope }), None);
    }
}
