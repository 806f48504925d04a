//! What the engine needs of AWS: to observe, and to execute. Reading and writing are two types, so that what only
//! holds the reading one cannot write.

mod aws;
mod bounded;
mod gateway;
mod profiles;

use std::collections::HashSet;

use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::policy_parameter::{Found, PolicyParameter};
use crate::resource::table::Table;
use crate::resource::{Desired, Observed, Step, StepOutcome};

pub use aws::{Connection, Reader, Region, Writer, known_region};
pub use gateway::{Gateway, Issued, Named, Origin, Stamp};
pub use profiles::{NoCredentials, aws_profiles};

/// The most parameters one observation may ask for, which is what AWS takes in one call.
pub const POLICY_BATCH: usize = 10;

/// Reads what is live.
pub trait Observe {
    /// Tells who is calling.
    fn identify(&self) -> impl Future<Output = Result<Caller, CallError>>;

    /// Reads up to [`POLICY_BATCH`] policy parameters, and answers in the order asked.
    fn policies(&self, batch: &[&Desired<PolicyParameter>]) -> impl Future<Output = Vec<Observed<PolicyParameter>>>;

    /// Reads one table.
    fn table(&self, desired: &Desired<Table>) -> impl Future<Output = Observed<Table>>;

    /// Lists the parameters under a path.
    fn discover(&self, root: &str) -> impl Future<Output = Result<Vec<Found>, CallError>>;

    /// Returns the names of the parameters under a path that carry the ownership tag of this key.
    fn owned(&self, root: &str, key: &str) -> impl Future<Output = Result<HashSet<String>, CallError>>;

    /// Lists the names of all tables.
    fn table_names(&self) -> impl Future<Output = Result<Vec<String>, CallError>>;
}

/// Carries out steps.
pub trait Execute: Observe {
    /// Carries out one step.
    fn execute(&self, step: &Step) -> impl Future<Output = Result<StepOutcome, CallError>>;
}
