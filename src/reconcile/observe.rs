//! Bounded concurrent reads: everything independent is in flight together.

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

/// How many reads of a kind are under way at once.
const READS: usize = 32;

/// Reads who is calling and all that is desired, in the manifest's order.
///
/// # Errors
///
/// Fails when AWS does not tell who is calling.
pub async fn observe<'a>(
    provider: &impl Observe,
    root: &PolicyRoot,
    desired: &'a [DesiredResource],
) -> Result<(Caller, Vec<ObservedResource<'a>>), CallError> {
    let read = |batch: Batch<'a>| {
        let span = tracing::debug_span!("read", what = batch.describe());
        provider.read(batch).instrument(span)
    };
    // Each kind waits for quotas of its own: none delays another.
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

/// Lists which resources carry the ownership tag, of each kind of which one is to be adopted and that lists them.
async fn owned(
    provider: &impl Observe,
    root: &PolicyRoot,
    desired: &[DesiredResource],
) -> Vec<(KindId, Result<HashSet<String>, CallError>)> {
    let adopted = desired.iter().filter_map(|one| Some((one.address().kind, one.adopts()?)));
    // The ownership tag is that of the manifest, and the same on all.
    let adopted: BTreeMap<KindId, &OwnerKey> = adopted.collect();
    let lists = adopted.into_iter().map(|(kind, ownership)| async move {
        let named = HashSet::new();
        let search = Search { policy_root: root, ownership, named: &named, holds: &|_| true };
        provider.owned(kind, &search).await.map(|found| (kind, found))
    });
    future::join_all(lists).await.into_iter().flatten().collect()
}

/// What is live and not in the manifest.
#[derive(Debug, Default)]
pub(super) struct Unlisted {
    /// What carries the ownership tag, as resources that should be gone.
    pub(super) owned: Vec<DesiredResource>,
    pub(super) unmanaged: Vec<Unmanaged>,
    pub(super) gaps: Vec<Gap>,
}

/// Looks for what is live and not in the manifest.
///
/// `desired` is the whole manifest, whatever is filtered: what it names is listed. `key` is the ownership tag's.
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
