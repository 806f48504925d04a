//! Bounded concurrent reads: all independent reads are in flight at once.

use std::collections::{BTreeMap, HashSet};

use futures_util::future;
use futures_util::stream::{self, StreamExt};

use tracing::Instrument;

use super::plan::{Scope, Unmanaged};
use crate::kind::{Address, Batch, DesiredResource, KindId, ObservedResource, Search};
use crate::provider::Observe;
use crate::resource::Gap;
use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::names::{OwnerKey, PolicyRoot};

/// The maximum number of concurrent reads of a kind.
const READS: usize = 32;

/// Reads the caller's identity and all desired resources, in the manifest's order.
///
/// # Errors
///
/// Fails when AWS does not identify the caller.
pub async fn observe<'a>(
    provider: &impl Observe,
    root: &PolicyRoot,
    desired: &'a [DesiredResource],
) -> Result<(Caller, Vec<ObservedResource<'a>>), CallError> {
    let read = |batch: Batch<'a>| {
        let span = tracing::debug_span!("read", what = batch.describe());
        provider.read(batch).instrument(span)
    };
    // Each kind has its own quotas, so no kind delays another.
    let kinds = Batch::divide(desired).into_iter();
    let kinds = kinds.map(|batches| stream::iter(batches).map(read).buffer_unordered(READS).collect::<Vec<_>>());
    let (caller, found, owned) =
        future::join3(provider.identify(), future::join_all(kinds), owned(provider, root, desired)).await;
    let mut found: Vec<_> = found.into_iter().flatten().flatten().collect();
    found.sort_by_key(|(index, _)| *index);
    let mut found: Vec<ObservedResource> = found.into_iter().map(|(_, resource)| resource).collect();
    for (kind, names) in owned {
        for resource in &mut found {
            resource.mark_owned(kind, &names);
        }
    }
    Ok((caller?, found))
}

/// Lists the resources with the ownership tag, for each kind that supports this and has a resource to adopt.
async fn owned(
    provider: &impl Observe,
    root: &PolicyRoot,
    desired: &[DesiredResource],
) -> Vec<(KindId, Result<HashSet<String>, CallError>)> {
    let adopted = desired.iter().filter_map(|one| Some((one.address().kind, one.adopts()?)));
    // The manifest has one ownership tag for all resources.
    let adopted: BTreeMap<KindId, &OwnerKey> = adopted.collect();
    let lists = adopted.into_iter().map(|(kind, ownership)| async move {
        let named = HashSet::new();
        let search = Search { policy_root: root, ownership, named: &named, holds: &|_| true };
        provider.owned(kind, &search).await.map(|found| (kind, found))
    });
    future::join_all(lists).await.into_iter().flatten().collect()
}

/// Live resources that the manifest does not list.
#[derive(Debug, Default)]
pub(super) struct Unlisted {
    /// The resources with the ownership tag, as resources to delete.
    pub(super) owned: Vec<DesiredResource>,
    pub(super) unmanaged: Vec<Unmanaged>,
    pub(super) gaps: Vec<Gap>,
}

/// Finds live resources that the manifest does not list.
///
/// `desired` is the whole manifest, regardless of filters, so every resource in it counts as listed. `key` is the key of the ownership tag.
pub(super) async fn unlisted(
    provider: &impl Observe,
    root: &PolicyRoot,
    desired: &[DesiredResource],
    key: &OwnerKey,
    scope: &Scope,
) -> Unlisted {
    let named: HashSet<(KindId, &str)> = desired.iter().map(|one| (one.address().kind, one.name())).collect();
    let holds = |address: &Address| scope.holds(address);
    let search = Search { policy_root: root, ownership: key, named: &named, holds: &holds };
    let mut unlisted = Unlisted::default();
    for found in provider.unlisted(&search).await {
        let kind = found.kind;
        unlisted.owned.extend(found.owned);
        unlisted.unmanaged.extend(found.unmanaged.into_iter().map(|name| Unmanaged { kind, name }));
        unlisted.gaps.extend(found.gaps);
    }
    unlisted
}
