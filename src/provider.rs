//! The engine's interface to AWS: `Observe` and `Execute`. They are separate types, so code with only a reader cannot write.

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

pub use aws::{Connection, Reader, Writer, accounts, known_region, profile_of_environment};
pub use gateway::{Gateway, Issued, Named, Origin, Stamp};
pub use post::{PostError, Poster};
pub use profiles::{NoCredentials, aws_profiles};
pub use session::Sessions;
pub use signing::Unsigned;

/// Reads live state.
pub trait Observe {
    /// Identifies the caller.
    fn identify(&self) -> impl Future<Output = Result<Caller, CallError>>;

    /// Reads the resources of a batch; each keeps its index.
    fn read<'a>(&self, batch: Batch<'a>) -> impl Future<Output = Vec<(usize, ObservedResource<'a>)>>;

    /// Lists the names of a kind's resources that carry the ownership tag, if the kind supports this.
    fn owned(
        &self,
        kind: KindId,
        search: &Search<'_>,
    ) -> impl Future<Output = Option<Result<HashSet<String>, CallError>>>;

    /// Lists the resources of these types, across services, that carry the ownership tag with this key. Reads one page.
    fn tagged(&self, types: &[&str], key: &str) -> impl Future<Output = Result<TaggedPage, CallError>>;

    /// Finds resources of every kind that the manifest does not list.
    fn unlisted(&self, search: &Search<'_>) -> impl Future<Output = Vec<Unlisted>>;
}

/// Runs steps.
pub trait Execute: Observe {
    /// Runs one step.
    fn execute(&self, step: &Step) -> impl Future<Output = Result<StepOutcome, CallError>>;
}
