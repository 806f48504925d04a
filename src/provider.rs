//! What the engine needs of AWS: to observe, and to execute. Reading and writing are two types, so that what only
//! holds the reading one cannot write.

mod aws;
mod bounded;
mod gateway;
mod policies;
mod post;
mod profiles;
mod session;
mod shared;
mod signing;

use std::collections::HashSet;

use crate::kind::{Batch, KindId, ObservedResource, Search, Step, Unlisted};
use crate::resource::StepOutcome;
use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::tagging::TaggedPage;

pub use aws::{Connection, Reader, Writer, accounts, known_region};
pub use gateway::{Gateway, Issued, Named, Origin, Stamp};
pub use post::{Poster, Undelivered};
pub use profiles::{NoCredentials, aws_profiles};
pub use session::Sessions;
pub use signing::Unsigned;

/// Reads what is live.
pub trait Observe {
    /// Tells who is calling.
    fn identify(&self) -> impl Future<Output = Result<Caller, CallError>>;

    /// Reads the resources of a batch; each keeps its index.
    fn read<'a>(&self, batch: Batch<'a>) -> impl Future<Output = Vec<(usize, ObservedResource<'a>)>>;

    /// Lists the names of the resources of a kind that carry the ownership tag, where the kind has such a list.
    fn owned(
        &self,
        kind: KindId,
        search: &Search<'_>,
    ) -> impl Future<Output = Option<Result<HashSet<String>, CallError>>>;

    /// Lists resources of these types that carry the ownership tag of this key, of all services, as far as one call tells.
    fn tagged(&self, types: &[&str], key: &str) -> impl Future<Output = Result<TaggedPage, CallError>>;

    /// Looks for resources that the manifest does not name, of every kind.
    fn unlisted(&self, search: &Search<'_>) -> impl Future<Output = Vec<Unlisted>>;
}

/// Runs steps.
pub trait Execute: Observe {
    /// Runs one step.
    fn execute(&self, step: &Step) -> impl Future<Output = Result<StepOutcome, CallError>>;
}
