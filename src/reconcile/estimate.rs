//! About how many calls an apply makes and how long it takes, from the plan's steps alone. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::apply::WORKERS;
use super::plan::{Plan, ResourcePlan};
use crate::resource::Kind;
use crate::resource::call::Operation;

/// What an apply takes, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Calls to AWS, those that look whether a wait is over and the last reading included.
    pub calls: usize,
    /// The seconds it takes when AWS is quick.
    pub seconds_at_least: u64,
    /// The seconds it takes when AWS takes its time.
    pub seconds_at_most: u64,
}

/// From how many seconds on an estimate is worth a line.
const WORTH_SAYING: u64 = 5;
/// How often a wait looks, on average.
const POLL: Duration = Duration::from_secs(5);
/// How long a call takes there and back.
const ROUND_TRIP: Duration = Duration::from_millis(100);

impl Estimate {
    /// Returns whether it takes so long that people want to know before they start.
    pub fn is_worth_saying(self) -> bool {
        self.seconds_at_most > WORTH_SAYING
    }
}

/// The longest of several that run side by side, and the sum.
#[derive(Debug, Default)]
struct Work {
    longest: Duration,
    sum: Duration,
}

impl Work {
    fn add(&mut self, own: Duration) {
        self.longest = self.longest.max(own);
        self.sum += own;
    }

    fn side_by_side(&self) -> Duration {
        self.longest.max(self.sum / number(WORKERS))
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Plan {
    /// Returns about what applying it takes; on the embedded AWS, which has no quotas, no time worth an estimate.
    ///
    /// Three things take time: AWS's work on each table, one step after another; the pace that each operation's quota
    /// allows; and a round trip for each call, several at once.
    pub fn estimate(&self) -> Estimate {
        let mut calls: BTreeMap<String, (Operation, usize)> = BTreeMap::new();
        let mut count = |operation: Operation, times: usize| {
            calls.entry(operation.action()).or_insert((operation, 0)).1 += times;
        };
        let (mut quick, mut slow) = (Work::default(), Work::default());
        for resource in self.resources.iter().filter(|resource| !resource.steps.is_empty()) {
            let mut own = (Duration::ZERO, Duration::ZERO);
            for step in &resource.steps {
                let (least, most) = step.time();
                own = (own.0 + least, own.1 + most);
                let operations = step.operations();
                for operation in operations {
                    count(*operation, 1);
                }
                // Whether AWS is through with it is looked at again and again.
                let looks = usize::try_from(least.as_secs() / POLL.as_secs()).unwrap_or(0);
                if let Some(operation) = operations.last().filter(|operation| !operation.writes()) {
                    count(*operation, looks);
                }
            }
            quick.add(own.0);
            slow.add(own.1);
        }
        let made: usize = calls.values().map(|(_, times)| times).sum();
        let paced = calls.values().map(|(operation, times)| operation.time_for(*times)).max().unwrap_or_default();
        let trips = ROUND_TRIP * number(made) / number(WORKERS);
        let seconds = |work: &Work| match self.target.local {
            Some(_) => 0,
            None => (work.side_by_side().max(paced) + trips).as_secs(),
        };
        let verified = if made > 0 { self.verification() } else { 0 };
        Estimate { calls: made + verified, seconds_at_least: seconds(&quick), seconds_at_most: seconds(&slow) }
    }

    /// Returns the calls that look whether live is as desired: parameters in tens, tables by what they are made of.
    fn verification(&self) -> usize {
        let changed = |resource: &&ResourcePlan| !resource.steps.is_empty();
        let parameters = self.of_kind(Kind::PolicyParameter).filter(changed).count();
        let of_table = |resource: &ResourcePlan| {
            let layout = resource.layout.as_ref();
            let recovery = layout.is_some_and(|layout| layout.point_in_time_recovery.is_some());
            1 + usize::from(layout.is_none_or(|layout| layout.ttl.is_some())) + usize::from(recovery)
        };
        parameters.div_ceil(10) + self.of_kind(Kind::Table).filter(changed).map(of_table).sum::<usize>()
    }
}
