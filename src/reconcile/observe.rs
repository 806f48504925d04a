//! Bounded concurrent reads: everything independent is in flight together.

use futures_util::stream::{self, StreamExt};

use crate::provider::{Observe, POLICY_BATCH};
use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::policy_parameter::PolicyParameter;
use crate::resource::table::Table;
use crate::resource::{Desired, DesiredResource, ObservedResource, Pair};

/// How many reads are under way at once.
const READS: usize = 32;

/// One unit of reading, with the places of its resources in the manifest.
enum Read<'a> {
    Policies(Vec<(usize, &'a Desired<PolicyParameter>)>),
    Table(usize, &'a Desired<Table>),
}

/// Reads who is calling and all that is desired, in the manifest's order.
pub(super) async fn observe(
    provider: &impl Observe,
    desired: &[DesiredResource],
) -> Result<(Caller, Vec<ObservedResource>), CallError> {
    let read = |read| async move {
        match read {
            Read::Policies(batch) => {
                let wanted: Vec<_> = batch.iter().map(|(_, desired)| *desired).collect();
                let observed = provider.policies(&wanted).await;
                let pair = |((place, desired), observed): (&(usize, &Desired<_>), _)| {
                    (*place, ObservedResource::Policy(Pair { desired: (*desired).clone(), observed }))
                };
                batch.iter().zip(observed).map(pair).collect::<Vec<_>>()
            }
            Read::Table(place, desired) => {
                let observed = provider.table(desired).await;
                vec![(place, ObservedResource::Table(Pair { desired: desired.clone(), observed }))]
            }
        }
    };
    let reads = stream::iter(batches(desired)).map(read).buffer_unordered(READS).collect::<Vec<_>>();
    let (caller, found) = futures_util::future::join(provider.identify(), reads).await;
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    found.sort_by_key(|(place, _)| *place);
    Ok((caller?, found.into_iter().map(|(_, resource)| resource).collect()))
}

fn batches(desired: &[DesiredResource]) -> Vec<Read<'_>> {
    let mut policies = Vec::new();
    let mut reads = Vec::new();
    for (place, resource) in desired.iter().enumerate() {
        match resource {
            DesiredResource::Policy(policy) => policies.push((place, policy)),
            DesiredResource::Table(table) => reads.push(Read::Table(place, table)),
        }
    }
    reads.extend(policies.chunks(POLICY_BATCH).map(|batch| Read::Policies(batch.to_vec())));
    reads
}
