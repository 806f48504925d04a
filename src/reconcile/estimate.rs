//! Estimates how many calls an apply makes and how long it takes, from the plan's steps alone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::kind::{KindId, Layout, StepTime};
use crate::resource::call::Operation;

/// An estimate of an apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Calls to AWS, including the polling of waits and the final verification.
    pub calls: usize,
    /// The lower bound in seconds, when AWS responds fast.
    pub seconds_at_least: u64,
    /// The upper bound in seconds, when AWS responds slowly.
    pub seconds_at_most: u64,
}

/// The shortest estimate, in seconds, that is printed.
const NOTABLE_SECONDS: u64 = 5;
/// The average polling interval of a wait.
const POLL: Duration = Duration::from_secs(5);
/// The duration of a round trip.
const ROUND_TRIP: Duration = Duration::from_millis(100);

impl Estimate {
    /// Returns whether it takes long enough to be printed.
    pub fn is_notable(self) -> bool {
        self.seconds_at_most > NOTABLE_SECONDS
    }
}

/// The time of all resources of a kind that are processed concurrently.
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

    fn concurrent(&self, kind: KindId) -> Duration {
        self.longest.max(self.sum / kind.about().concurrency)
    }
}

/// The calls and the time of the steps of a kind.
#[derive(Debug, Default)]
struct KindWork {
    calls: usize,
    /// The time that AWS works on the resources: lower and upper bound.
    quick: Work,
    slow: Work,
    /// The time that the quotas impose on the calls.
    paced: Duration,
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Plan {
    /// Estimates the apply. The AWS emulator has no quotas, so its time is zero.
    ///
    /// Three things take time: AWS's work on each table, one step after another; the rate limit of each operation; and a round trip for
    /// each call, with several calls in flight. Kinds are processed concurrently, except for dependencies.
    pub fn estimate(&self) -> Estimate {
        let mut made = 0;
        let mut times: BTreeMap<KindId, StepTime> = BTreeMap::new();
        for kind in KindId::ALL.iter().copied() {
            let work = self.work_of(kind);
            made += work.calls;
            let trips = ROUND_TRIP * number(work.calls) / kind.about().concurrency;
            let time = |own: &Work| own.concurrent(kind).max(work.paced) + trips;
            times.insert(kind, StepTime { quick: time(&work.quick), slow: time(&work.slow) });
        }
        let chain = |kind: &KindId, time: fn(&StepTime) -> Duration| {
            self.with_dependencies(*kind).iter().map(|kind| time(&times[kind])).sum::<Duration>()
        };
        let longest =
            |time: fn(&StepTime) -> Duration| times.keys().map(|kind| chain(kind, time)).max().unwrap_or_default();
        let seconds = |time: Duration| if self.target.local.is_some() { 0 } else { time.as_secs() };
        let verified = if made > 0 { self.verification() } else { 0 };
        let (quick, slow) = (longest(|time| time.quick), longest(|time| time.slow));
        Estimate { calls: made + verified, seconds_at_least: seconds(quick), seconds_at_most: seconds(slow) }
    }

    /// Returns a kind and the kinds that its resources depend on, directly or indirectly.
    fn with_dependencies(&self, kind: KindId) -> BTreeSet<KindId> {
        let (mut found, mut next) = (BTreeSet::from([kind]), vec![kind]);
        while let Some(kind) = next.pop() {
            let on = self.of_kind(kind).filter(|resource| !resource.steps.is_empty());
            for other in on.flat_map(|resource| &resource.depends_on).map(|address| address.kind) {
                if found.insert(other) {
                    next.push(other);
                }
            }
        }
        found
    }

    /// Returns the calls and the time of a kind's steps.
    fn work_of(&self, kind: KindId) -> KindWork {
        let mut calls: BTreeMap<String, (Operation, usize)> = BTreeMap::new();
        let mut count = |operation: Operation, times: usize| {
            calls.entry(operation.action()).or_insert((operation, 0)).1 += times;
        };
        let mut work = KindWork::default();
        for resource in self.of_kind(kind).filter(|resource| !resource.steps.is_empty()) {
            let mut own = StepTime::default();
            for step in &resource.steps {
                let time = step.time();
                own = StepTime { quick: own.quick + time.quick, slow: own.slow + time.slow };
                let operations = step.operations();
                for operation in operations {
                    count(*operation, 1);
                }
                // A wait polls the status.
                let polls = usize::try_from(time.quick.as_secs() / POLL.as_secs()).unwrap_or(0);
                if let Some(operation) = operations.last().filter(|operation| !operation.writes()) {
                    count(*operation, polls);
                }
            }
            work.quick.add(own.quick);
            work.slow.add(own.slow);
        }
        work.calls = calls.values().map(|(_, times)| times).sum();
        work.paced = calls.values().map(|(operation, times)| operation.time_for(*times)).max().unwrap_or_default();
        work
    }

    /// Returns the number of calls that verify the changed resources.
    fn verification(&self) -> usize {
        let of_kind = |kind: KindId| {
            let changed = self.of_kind(kind).filter(|resource| !resource.steps.is_empty());
            let layouts: Vec<Option<&Layout>> = changed.map(|resource| resource.layout.as_deref()).collect();
            kind.calls_to_observe(&layouts)
        };
        KindId::ALL.iter().copied().map(of_kind).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Layout};
    use crate::kind::policy_parameter::{PolicyParameter, Tier};
    use crate::kind::table::{
        Attribute, AttributeType, Index, IndexKey, IndexStatus, Key, Projection, Recovery, Table, TableStep, Ttl,
    };
    use crate::kind::{Address, Desired, KindId, ObservedResource, Pair, Step};
    use crate::reconcile::{Intent, Orphans, Plan, Scope, diff};
    use crate::resource::destination::{Destination, Region};
    use crate::resource::names::{PolicyRoot, RegionName};
    use crate::resource::{Observed, Tags};

    /// Returns a plan that creates this many policies and tables with three indexes each.
    fn creating(policies: usize, tables: usize) -> Plan {
        let attribute = |name: &str| Attribute { name: name.to_owned(), kind: AttributeType::S };
        let key = |name: &str| Key { partition: attribute(name), sort: None };
        let index = |name: &str| {
            let index = Index {
                key: IndexKey::new(attribute(name), None),
                projection: Projection::All,
                capacity: None,
                status: IndexStatus::Active,
                limits: None,
                warm: None,
            };
            (format!("{name}-index"), index)
        };
        let policy = |number: usize| {
            let policy = PolicyParameter {
                content: Some("x".into()),
                tier: Some(Tier::Standard),
                tags: Some(Tags::new()),
                ..PolicyParameter::default()
            };
            let desired =
                Desired::new(Address::new(KindId::Policy, format!("p{number}")), format!("/p{number}"), policy);
            let pair = Pair { desired: &desired, observed: Observed::Absent };
            diff::resource(&ObservedResource::Policy(Box::new(pair)), Intent::Converge)
        };
        let table = |number: usize| {
            let table = Table {
                key: Some(key("id")),
                indexes: Some(["a", "b", "c"].map(index).into_iter().collect()),
                ttl: Some(Ttl::Enabled(String::from("expires_at"))),
                ..Table::default()
            };
            let desired =
                Desired::new(Address::new(KindId::Table, format!("t{number}")), format!("table-{number}"), table);
            let pair = Pair { desired: &desired, observed: Observed::Absent };
            diff::resource(&ObservedResource::Table(Box::new(pair)), Intent::Converge)
        };
        let target = Destination::new(
            Region { name: RegionName::new("us-east-1"), source: String::from("a test") },
            PolicyRoot::new("/p"),
        );
        let resources = (0..policies).map(policy).chain((0..tables).map(table)).collect();
        Plan {
            target,
            scope: Scope::default(),
            resources,
            unmanaged: Vec::new(),
            unlisted: Vec::new(),
            orphans: Orphans::default(),
            gates: Vec::new(),
        }
    }

    /// The estimate is the lower bound set by AWS's quotas and speed, for all sizes.
    #[test]
    fn an_estimate_equals_the_lower_bound_of_aws() {
        let seconds = |policies, tables| {
            let estimate = creating(policies, tables).estimate();
            (estimate.seconds_at_least, estimate.seconds_at_most)
        };
        assert_eq!(seconds(0, 0), (0, 0));
        // Within the burst of the `PutParameter` quota, it takes a round trip or two.
        assert_eq!(seconds(3, 0), (0, 0));
        // After the burst, the quota allows three a second.
        let (least, most) = seconds(1000, 0);
        assert!((325..=365).contains(&least) && least == most, "{least} to {most}");
        // Tables are created concurrently, each in 14 to 22 seconds with its indexes.
        let (least, most) = seconds(0, 3);
        assert!((14..=17).contains(&least) && (22..=26).contains(&most), "{least} to {most}");
        assert!(!Estimate { seconds_at_most: 5, ..Estimate::default() }.is_notable());
        assert!(Estimate { seconds_at_most: 6, ..Estimate::default() }.is_notable());
        // Sixteen round trips run at once, so 2,000 calls take twelve seconds in addition to the quota.
        let (least, _) = seconds(10_000, 0);
        assert!((3328 + 120..=3328 + 135).contains(&least), "{least}");
        assert!(!creating(3, 0).estimate().is_notable() && creating(0, 1).estimate().is_notable());
    }

    #[test]
    fn the_estimate_counts_steps_polling_and_verification() {
        assert_eq!(creating(0, 0).estimate().calls, 0);
        // One `PutParameter` and one check that the parameter is absent for each, then one `GetParameters` for all ten.
        assert_eq!(creating(10, 0).estimate().calls, 21);
        assert_eq!(creating(11, 0).estimate().calls, 24);
        // `CreateTable`, `DescribeTable`, `UpdateTimeToLive` and their preceding reads, two polls during creation, then the managed
        // settings.
        let with = |recovery, ttl| {
            let mut plan = creating(0, 1);
            let Some(Layout::Table(layout)) = plan.resources[0].layout.as_deref_mut() else { panic!("no table") };
            layout.settings.point_in_time_recovery = recovery;
            layout.ttl = ttl;
            plan.estimate().calls
        };
        let ttl = || Some(Ttl::Enabled(String::from("expires_at")));
        let least = with(None, None);
        assert_eq!(least, 8, "four for CreateTable, one for the wait, two for TTL, and one look at the end");
        assert_eq!(
            (with(None, ttl()), with(Some(Recovery::On), None), with(Some(Recovery::On), ttl())),
            (least + 1, least + 1, least + 2)
        );
        // A deferred step makes no call.
        let mut deferred = creating(0, 1);
        let (name, why) = (String::from("table-0"), String::from("not yet"));
        deferred.resources[0].steps = vec![Step::Table(TableStep::Defer { name, why, seconds: None })];
        assert_eq!(deferred.estimate().calls, 0);
        let local =
            Plan { target: Destination { local: Some("x".into()), ..creating(0, 0).target }, ..creating(100, 3) };
        assert_eq!((local.estimate().seconds_at_least, local.estimate().seconds_at_most), (0, 0));
        assert!(local.estimate().calls > 200);
    }
}
