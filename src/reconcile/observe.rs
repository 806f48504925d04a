//! Bounded concurrent reads: everything independent is in flight together.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, StreamExt};

use tracing::Instrument;

use super::plan::{Scope, Unmanaged};
use crate::provider::{Observe, POLICY_BATCH};
use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::policy_parameter::{PolicyParameter, profile_of};
use crate::resource::table::Table;
use crate::resource::{Address, Desired, DesiredResource, Gap, Kind, Observed, ObservedResource, Pair, Presence};

/// How many reads of a kind are under way at once.
const READS: usize = 32;

/// One unit of reading, with the places of its resources in the manifest.
enum Read<'a> {
    Policies(Vec<(usize, &'a Desired<PolicyParameter>)>),
    Table(usize, &'a Desired<Table>),
}

/// Reads who is calling and all that is desired, in the manifest's order.
pub(super) async fn observe<'a>(
    provider: &impl Observe,
    root: &str,
    desired: &'a [DesiredResource],
) -> Result<(Caller, Vec<ObservedResource<'a>>), CallError> {
    let read = |read| async move {
        match read {
            Read::Policies(batch) => {
                let wanted: Vec<_> = batch.iter().map(|(_, desired)| *desired).collect();
                let span = tracing::debug_span!("read", policies = batch.len());
                let observed = provider.policies(&wanted).instrument(span).await;
                let pair = |((place, desired), observed)| (place, ObservedResource::Policy(Pair { desired, observed }));
                batch.into_iter().zip(observed).map(pair).collect::<Vec<_>>()
            }
            Read::Table(place, desired) => {
                let span = tracing::debug_span!("read", address = %desired.address);
                let observed = provider.table(desired).instrument(span).await;
                vec![(place, ObservedResource::Table(Box::new(Pair { desired, observed })))]
            }
        }
    };
    // Each kind waits for quotas of its own: none stands in another's way.
    let [policies, tables] =
        batches(desired).map(|reads| stream::iter(reads).map(read).buffer_unordered(READS).collect::<Vec<_>>());
    let (caller, policies, tables, owned) =
        future::join4(provider.identify(), policies, tables, owned(provider, root, desired)).await;
    let mut found: Vec<_> = policies.into_iter().chain(tables).flatten().collect();
    found.sort_by_key(|(place, _)| *place);
    let mut found: Vec<ObservedResource> = found.into_iter().map(|(_, resource)| resource).collect();
    if let Some(owned) = owned {
        mark_owned(&mut found, &owned);
    }
    Ok((caller?, found))
}

/// Returns what is to be read, by kind.
fn batches(desired: &[DesiredResource]) -> [Vec<Read<'_>>; 2] {
    let mut policies = Vec::new();
    let mut tables = Vec::new();
    for (place, resource) in desired.iter().enumerate() {
        match resource {
            DesiredResource::Policy(policy) => policies.push((place, policy.as_ref())),
            DesiredResource::Table(table) => tables.push(Read::Table(place, table)),
        }
    }
    [policies.chunks(POLICY_BATCH).map(|batch| Read::Policies(batch.to_vec())).collect(), tables]
}

/// Lists which parameters carry the ownership tag, where any is to be adopted.
async fn owned(
    provider: &impl Observe,
    root: &str,
    desired: &[DesiredResource],
) -> Option<Result<HashSet<String>, CallError>> {
    let adopted = desired.iter().filter_map(DesiredResource::as_policy).find(|policy| policy.adopt)?;
    Some(provider.owned(root, adopted.ownership.as_ref()?).await)
}

fn mark_owned(found: &mut [ObservedResource<'_>], owned: &Result<HashSet<String>, CallError>) {
    for resource in found {
        if let ObservedResource::Policy(Pair { desired, observed: Observed::Present(live) }) = resource
            && desired.adopt
        {
            match owned {
                Ok(owned) => live.facts.owned = Some(owned.contains(&desired.name)),
                Err(error) => live.gaps.push(Gap::new(Some("tags"), error)),
            }
        }
    }
}

/// What is live and not in the manifest.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The parameters that carry the ownership tag.
    pub(super) owned: Vec<DesiredResource>,
    pub(super) unmanaged: Vec<Unmanaged>,
    pub(super) unlisted: Vec<Gap>,
}

/// Looks for what is live and not in the manifest: parameters under the root, and tables.
///
/// `desired` is the whole manifest, whatever is filtered: what it names is no stray. `key` is the ownership tag's.
pub(super) async fn strays(
    provider: &impl Observe,
    root: &str,
    desired: &[DesiredResource],
    key: &str,
    scope: &Scope,
) -> Strays {
    let (found, owned, tables) =
        future::join3(provider.discover(root), provider.owned(root, key), provider.table_names()).await;
    let mut strays = Strays::default();
    let names: HashSet<&str> = desired.iter().map(DesiredResource::name).collect();
    match (found, owned) {
        (Ok(found), Ok(owned)) => {
            for one in found.into_iter().filter(|one| !names.contains(one.name.as_str())) {
                let below = profile_of(&one.name, root).to_owned();
                let address = Address::profile(below);
                if !scope.holds(&address) {
                    continue;
                }
                if owned.contains(&one.name) {
                    strays.owned.push(stray(address, one.name, key));
                } else {
                    strays.unmanaged.push(Unmanaged { kind: Kind::PolicyParameter, name: one.name });
                }
            }
        }
        (found, owned) => {
            let errors = found.err().into_iter().chain(owned.err());
            strays.unlisted.extend(errors.map(|error| Gap::new(Some("parameters not in the manifest"), &error)));
        }
    }
    match tables {
        Ok(tables) => {
            let unnamed = tables.into_iter().filter(|name| !names.contains(name.as_str()));
            let unnamed = unnamed.filter(|name| scope.holds(&Address::table(name.clone())));
            strays.unmanaged.extend(unnamed.map(|name| Unmanaged { kind: Kind::Table, name }));
        }
        Err(error) => strays.unlisted.push(Gap::new(Some("tables not in the manifest"), &error)),
    }
    strays
}

fn stray(address: Address, name: String, key: &str) -> DesiredResource {
    let ownership = Some(key.to_owned());
    let wish = Desired::new(address, name, PolicyParameter::default());
    DesiredResource::Policy(Arc::new(Desired { presence: Presence::Absent, ownership, ..wish }))
}
