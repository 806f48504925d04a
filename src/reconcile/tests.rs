//! Tests the pass with an in-memory fake.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::*;
use crate::change::{ChangeMethod, Consent};
use crate::kind::parameter_store::{Create, Overwrite, Write};
use crate::kind::policy_parameter::{Content, ParameterType, PolicyParameter, PolicyStep};
use crate::kind::table::{
    Attribute, AttributeType, Index, IndexKey, IndexStatus, Key, Projection, Table, TableStep, Ttl,
};
use crate::kind::{Address, Batch, Desired, KindId, ObservedResource, Pair, Search, Step, Unlisted};
use crate::resource::call::{CREATE_TABLE, Class, DESCRIBE_TABLE, PUT_PARAMETER};
use crate::resource::caller::Caller;
use crate::resource::destination::{Destination, Region};
use crate::resource::names::{AccountId, PolicyRoot, RegionName, UserId};
use crate::resource::tagging::TaggedPage;
use crate::resource::{Facts, Gap, Live, Observed, StepOutcome};

/// An in-memory AWS that records the changes.
#[derive(Default)]
struct Fake {
    policies: RefCell<BTreeMap<String, Content>>,
    tables: RefCell<BTreeMap<String, Live<Table>>>,
    done: RefCell<Vec<String>>,
    /// Resources whose steps fail.
    broken: Vec<&'static str>,
    /// Resources that cannot be read.
    denied: Vec<&'static str>,
    /// The number of policy reads that do not show a write yet.
    stale_looks: Cell<u32>,
    interrupt_after: Option<(&'static str, Interrupt)>,
}

fn failure(class: Class) -> CallError {
    CallError::new(DESCRIBE_TABLE, class, String::from("by the test"))
}

impl Observe for Fake {
    async fn identify(&self) -> Result<Caller, CallError> {
        Ok(Caller {
            account: AccountId::new("123456789012"),
            arn: String::from("arn:aws:iam::123456789012:user/x"),
            // A saved plan does not contain it.
            user_id: UserId::default(),
        })
    }

    async fn read<'a>(&self, batch: Batch<'a>) -> Vec<(usize, ObservedResource<'a>)> {
        let policy = |(index, desired): (usize, &'a Desired<PolicyParameter>), stale| {
            let observed = match self.policies.borrow().get(&desired.name) {
                _ if self.denied.contains(&desired.name.as_str()) => {
                    Observed::Unknown(Gap::new(None, &failure(Class::Denied)))
                }
                Some(content) if stale == 0 => Observed::Present(Live {
                    state: PolicyParameter {
                        content: Some(content.clone()),
                        parameter_type: Some(ParameterType::String),
                        ..PolicyParameter::default()
                    },
                    facts: Facts { version: Some(1), ..Facts::default() },
                    gaps: Vec::new(),
                }),
                _ => Observed::Absent,
            };
            (index, ObservedResource::Policy(Box::new(Pair { desired, observed })))
        };
        let table = |(index, desired): (usize, &'a Desired<Table>)| {
            let live = self.tables.borrow().get(&desired.name).cloned();
            let observed = live.map_or(Observed::Absent, Observed::Present);
            (index, ObservedResource::Table(Box::new(Pair { desired, observed })))
        };
        if let Batch::Table(batch) = batch {
            return batch.into_iter().map(table).collect();
        }
        let Batch::Policy(batch) = batch else { panic!("{batch:?}") };
        let stale = self.stale_looks.get();
        self.stale_looks.set(stale.saturating_sub(1));
        batch.into_iter().map(|one| policy(one, stale)).collect()
    }

    async fn owned(&self, _: KindId, _: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        None
    }

    async fn tagged(&self, _: &[&str], _: &str) -> Result<TaggedPage, CallError> {
        Ok(TaggedPage::default())
    }

    async fn unlisted(&self, _: &Search<'_>) -> Vec<Unlisted> {
        Vec::new()
    }
}

impl Execute for Fake {
    async fn execute(&self, step: &Step) -> Result<StepOutcome, CallError> {
        let (name, what) = match step {
            Step::Policy(PolicyStep(Write::Create(Create { name, content, .. }))) => {
                self.policies.borrow_mut().insert(name.clone(), content.clone());
                (name, "create")
            }
            Step::Policy(PolicyStep(Write::Overwrite(Overwrite { name, content, .. }))) => {
                if let Some(content) = content {
                    self.policies.borrow_mut().insert(name.clone(), content.clone());
                }
                (name, "overwrite")
            }
            Step::Table(TableStep::CreateTable { name, table }) => {
                let facts = Facts { status: Some(String::from("ACTIVE")), ..Facts::default() };
                let state = Table { ttl: Some(Ttl::Disabled), ..(**table).clone() };
                self.tables.borrow_mut().insert(name.clone(), Live { state, facts, gaps: Vec::new() });
                (name, "create")
            }
            Step::Table(TableStep::WaitForTable { name }) => (name, "wait"),
            Step::Table(TableStep::EnableTimeToLive { name, attribute }) => {
                if let Some(live) = self.tables.borrow_mut().get_mut(name) {
                    live.state.ttl = Some(Ttl::Enabled(attribute.clone()));
                }
                (name, "ttl")
            }
            Step::Table(TableStep::Defer { name, why, .. }) => {
                self.done.borrow_mut().push(format!("defer {name}"));
                return Ok(StepOutcome::Deferred(why.clone()));
            }
            other => panic!("{other:?}"),
        };
        if self.broken.contains(&name.as_str()) {
            self.policies.borrow_mut().remove(name);
            self.tables.borrow_mut().remove(name);
            return Err(failure(Class::Rejected));
        }
        self.done.borrow_mut().push(format!("{what} {name}"));
        if let Some((last, interrupt)) = &self.interrupt_after
            && *last == name.as_str()
        {
            interrupt.raise();
        }
        Ok(StepOutcome::Done)
    }
}

struct Silent;

impl Progress for Silent {
    fn step(&self, _: &ResourcePlan, _: &Step) {}
    fn done(&self, _: &ResourcePlan, _: &Outcome) {}
}

fn policy(name: &str, content: &str) -> DesiredResource {
    let managed = PolicyParameter {
        content: Some(content.into()),
        parameter_type: Some(ParameterType::String),
        ..PolicyParameter::default()
    };
    DesiredResource::Policy(Arc::new(Desired::new(Address::new(KindId::Policy, name), name, managed)))
}

fn table(name: &str) -> DesiredResource {
    let managed = Table {
        key: Some(Key { partition: Attribute { name: String::from("id"), kind: AttributeType::S }, sort: None }),
        ttl: Some(Ttl::Enabled(String::from("expires_at"))),
        ..Table::default()
    };
    DesiredResource::Table(Arc::new(Desired::new(Address::new(KindId::Table, name), name, managed)))
}

fn target() -> Destination {
    Destination::new(
        Region { name: RegionName::new("us-east-1"), source: String::from("the test") },
        PolicyRoot::new("/s"),
    )
}

async fn pass(fake: &Fake, desired: &[DesiredResource], intent: Intent) -> (Plan, ApplyReport) {
    let pass = plan(fake, target(), desired, Scope::of(intent)).await.unwrap();
    let interrupt = fake.interrupt_after.as_ref().map(|(_, interrupt)| interrupt.clone()).unwrap_or_default();
    let report = apply(fake, &pass, &interrupt, &Silent).await;
    (pass.plan, report)
}

fn outcomes(report: &ApplyReport) -> Vec<(&str, &Outcome)> {
    report.resources.iter().map(|one| (one.name.as_str(), &one.outcome)).collect()
}

#[tokio::test]
async fn missing_resources_are_created_and_verified() {
    let fake = Fake::default();
    let desired = [table("t-1"), policy("a", "x"), policy("b", "y")];
    let (plan, report) = pass(&fake, &desired, Intent::Converge).await;
    assert_eq!(plan.summary(), Summary { create: 3, ..Summary::default() });
    let mut done = fake.done.borrow().clone();
    done.sort();
    assert_eq!(done, ["create a", "create b", "create t-1", "ttl t-1", "wait t-1"]);
    assert_eq!(report.verification, Verification::InSync);
    let (plan, report) = pass(&fake, &desired, Intent::Converge).await;
    assert!(!plan.has_steps() && !plan.has_differences());
    assert_eq!(report.verification, Verification::NotNeeded);
}

#[tokio::test]
async fn one_failure_does_not_stop_other_resources() {
    let fake = Fake { broken: vec!["a", "t-1"], ..Fake::default() };
    let desired = [policy("a", "x"), policy("b", "y"), table("t-1"), table("t-2")];
    let (_, report) = pass(&fake, &desired, Intent::Converge).await;
    assert!(matches!(
        &outcomes(&report)[..],
        [
            ("a", Outcome::Failed { .. }),
            ("b", Outcome::Applied),
            ("t-1", Outcome::Failed { .. }),
            ("t-2", Outcome::Applied)
        ]
    ));
    let differing = vec![Address::new(KindId::Policy, "a"), Address::new(KindId::Table, "t-1")];
    assert_eq!(report.verification, Verification::Differs { addresses: differing });
}

#[tokio::test]
async fn a_resource_is_applied_after_its_dependencies() {
    let fake = Fake::default();
    let on_table = [Address::new(KindId::Table, "t-1")];
    let on_policy = [Address::new(KindId::Policy, "b")];
    let desired = [policy("a", "x").depending(&on_table), policy("b", "y"), table("t-1").depending(&on_policy)];
    let (_, report) = pass(&fake, &desired, Intent::Converge).await;
    assert_eq!(*fake.done.borrow(), ["create b", "create t-1", "wait t-1", "ttl t-1", "create a"]);
    let names: Vec<&str> = report.resources.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "t-1"], "the report is in the manifest's order");
}

#[tokio::test]
async fn dependents_of_a_failed_resource_are_skipped_and_name_it() {
    let fake = Fake { broken: vec!["t-1"], ..Fake::default() };
    let on_table = [Address::new(KindId::Table, "t-1")];
    let on_policy = [Address::new(KindId::Policy, "a")];
    let desired =
        [policy("a", "x").depending(&on_table), policy("b", "y").depending(&on_policy), policy("c", "z"), table("t-1")];
    let (_, report) = pass(&fake, &desired, Intent::Converge).await;
    let why = |index: usize| match &report.resources[index].outcome {
        Outcome::Skipped { why } => why.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(0), "it depends on tables.t-1, which was not applied");
    assert_eq!(why(1), "it depends on profiles.a, which was not applied");
    assert_eq!(report.resources[0].not_done, ["creating"]);
    assert_eq!(report.resources[2].outcome, Outcome::Applied);
    assert_eq!(*fake.done.borrow(), ["create c"]);
}

#[tokio::test]
async fn drifted_content_is_overwritten_by_apply_and_never_by_init() {
    let fake = Fake::default();
    fake.policies.borrow_mut().insert(String::from("a"), "old".into());
    let (plan, report) = pass(&fake, &[policy("a", "new")], Intent::CreateOnly).await;
    assert_eq!(plan.resources[0].action, Action::Drift);
    assert_eq!(outcomes(&report), [("a", &Outcome::NotChanged)]);
    assert!(fake.done.borrow().is_empty());
    let (plan, report) = pass(&fake, &[policy("a", "new")], Intent::Converge).await;
    assert_eq!(plan.resources[0].action, Action::Update);
    assert_eq!(outcomes(&report), [("a", &Outcome::Applied)]);
    assert_eq!(*fake.done.borrow(), ["overwrite a"]);
}

#[tokio::test]
async fn unreadable_resources_are_planned_but_never_applied() {
    let fake = Fake { denied: vec!["a"], ..Fake::default() };
    let (plan, report) = pass(&fake, &[policy("a", "x")], Intent::Converge).await;
    assert!(matches!(&plan.resources[0].action, Action::Unknown { if_absent } if if_absent.len() == 1));
    // A later apply of the plan must not treat it as absent.
    assert_eq!(plan.resources[0].seen, Seen::Unknown);
    let saved = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&saved).unwrap(), plan);
    assert!(!plan.has_steps());
    assert!(matches!(outcomes(&report)[..], [("a", Outcome::Skipped { .. })]));
}

#[tokio::test(start_paused = true)]
async fn an_outdated_verification_read_is_repeated() {
    let fake = Fake::default();
    fake.stale_looks.set(3);
    let (_, report) = pass(&fake, &[policy("a", "x")], Intent::Converge).await;
    assert_eq!(report.verification, Verification::InSync);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_becomes_visible_is_a_failure() {
    let fake = Fake::default();
    fake.stale_looks.set(100);
    let (_, report) = pass(&fake, &[policy("a", "x")], Intent::Converge).await;
    assert!(matches!(outcomes(&report)[..], [("a", Outcome::Failed { .. })]));
}

#[tokio::test]
async fn an_interrupt_keeps_completed_steps_and_starts_no_others() {
    let fake = Fake { interrupt_after: Some(("a", Interrupt::default())), ..Fake::default() };
    let (_, report) = pass(&fake, &[policy("a", "x"), table("t-1")], Intent::Converge).await;
    assert!(report.interrupted);
    assert_eq!(*fake.done.borrow(), ["create a"]);
    assert!(matches!(outcomes(&report)[..], [("a", Outcome::Applied), ("t-1", Outcome::Interrupted)]));
}

fn live_table(status: &str, ttl: Ttl) -> Live<Table> {
    let DesiredResource::Table(desired) = table("t-1") else { panic!("not a table") };
    let facts = Facts { status: Some(status.to_owned()), ..Facts::default() };
    Live { state: Table { ttl: Some(ttl), ..desired.initial.clone() }, facts, gaps: Vec::new() }
}

async fn planned(live: Live<Table>, intent: Intent) -> ResourcePlan {
    let fake = Fake::default();
    fake.tables.borrow_mut().insert(String::from("t-1"), live);
    plan(&fake, target(), &[table("t-1")], Scope::of(intent)).await.unwrap().plan.resources.remove(0)
}

#[tokio::test]
async fn a_table_being_created_is_completed() {
    for intent in [Intent::Converge, Intent::CreateOnly] {
        let plan = planned(live_table("CREATING", Ttl::Disabled), intent).await;
        assert_eq!(plan.action, Action::Finish);
        let steps: Vec<String> = plan.steps.iter().map(Step::describe).collect();
        assert_eq!(steps, ["waiting until ACTIVE", "enabling TTL"]);
    }
}

#[tokio::test]
async fn drift_of_a_table_is_repaired_by_apply_and_never_by_init() {
    let plan = planned(live_table("ACTIVE", Ttl::Disabled), Intent::Converge).await;
    assert_eq!((plan.action, plan.steps.len(), plan.changes.len()), (Action::Update, 1, 1));
    let plan = planned(live_table("ACTIVE", Ttl::Disabled), Intent::CreateOnly).await;
    assert_eq!((plan.action, plan.steps.len(), plan.changes.len()), (Action::Drift, 0, 1));
}

/// The layout of a table that is being created can differ; the settings that follow a creation are not a difference.
#[tokio::test]
async fn a_table_that_someone_else_is_creating_is_drift() {
    let mut live = live_table("CREATING", Ttl::Disabled);
    live.state.key.as_mut().unwrap().partition.name = String::from("other");
    let plan = planned(live, Intent::Converge).await;
    let paths: Vec<&str> = plan.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!((plan.action, paths), (Action::Refused, vec!["partition_key"]));
}

/// A setting that could not be read is reported as unknown even if the table exists.
#[tokio::test]
async fn unread_settings_are_part_of_the_plan() {
    let mut live = live_table("ACTIVE", Ttl::Disabled);
    live.gaps.push(Gap::new(Some("tags"), &failure(Class::Denied)));
    let fake = Fake::default();
    fake.tables.borrow_mut().insert(String::from("t-1"), live);
    let plan = plan(&fake, target(), &[table("t-1")], Scope::of(Intent::Converge)).await.unwrap().plan;
    assert_eq!((plan.gaps().count(), plan.resources[0].gaps.len()), (1, 1));
    assert!(plan.has_steps() && plan.has_differences() && plan.resources[0].exists());
    let denied = Fake { denied: vec!["a"], ..Fake::default() };
    let unread = super::plan(&denied, target(), &[policy("a", "x")], Scope::of(Intent::Converge)).await.unwrap().plan;
    assert_eq!((unread.gaps().count(), unread.has_differences(), unread.resources[0].exists()), (1, false, false));
}

#[tokio::test]
async fn partly_read_resources_count_as_unknown() {
    let counted = |gaps: Vec<Gap>| async move {
        let live = Live { gaps, ..live_table("ACTIVE", Ttl::Enabled(String::from("expires_at"))) };
        let fake = Fake::default();
        fake.tables.borrow_mut().insert(String::from("t-1"), live);
        plan(&fake, target(), &[table("t-1")], Scope::of(Intent::Converge)).await.unwrap().plan.summary()
    };
    assert_eq!(counted(Vec::new()).await, Summary { unchanged: 1, ..Summary::default() });
    let gap = Gap::new(Some("tags"), &failure(Class::Denied));
    assert_eq!(counted(vec![gap]).await, Summary { unknown: 1, ..Summary::default() });
}

/// Returns an index on the partition key of its table.
fn index(table: &Table) -> Index {
    Index {
        key: IndexKey::new(table.key.clone().unwrap().partition, None),
        projection: Projection::All,
        capacity: None,
        status: IndexStatus::Active,
        limits: None,
        warm: None,
    }
}

#[tokio::test]
async fn deferred_index_builds_are_counted() {
    let mut wanted = table("t-1");
    let DesiredResource::Table(desired) = &mut wanted else { panic!("not a table") };
    let index = index(&desired.managed);
    let indexes = ["a-index", "b-index"].map(|name| (name.to_owned(), index.clone()));
    Arc::make_mut(desired).managed.indexes = Some(BTreeMap::from(indexes));
    let mut live = live_table("ACTIVE", Ttl::Disabled);
    live.state.indexes = Some(BTreeMap::new());
    let fake = Fake::default();
    let fresh = plan(&fake, target(), std::slice::from_ref(&wanted), Scope::of(Intent::Converge)).await.unwrap().plan;
    assert_eq!(fresh.index_builds(), 0, "a new table comes with its indexes");
    fake.tables.borrow_mut().insert(String::from("t-1"), live);
    let planned = plan(&fake, target(), &[wanted], Scope::of(Intent::Converge)).await.unwrap().plan;
    assert_eq!(planned.index_builds(), 2);
}

#[tokio::test]
async fn destructive_changes_are_withheld_with_their_consent() {
    let mut wanted = table("t-1");
    let DesiredResource::Table(desired) = &mut wanted else { panic!("not a table") };
    Arc::make_mut(desired).managed.indexes = Some(BTreeMap::new());
    let mut live = live_table("ACTIVE", Ttl::Enabled(String::from("expires_at")));
    let index = index(&live.state);
    live.state.indexes = Some(BTreeMap::from([(String::from("more-index"), index)]));
    let fake = Fake::default();
    fake.tables.borrow_mut().insert(String::from("t-1"), live);
    let planned = plan(&fake, target(), &[wanted], Scope::of(Intent::Converge)).await.unwrap().plan;
    let one = &planned.resources[0];
    assert_eq!((&one.action, one.steps.len()), (&Action::Refused, 0));
    let withheld: Vec<String> = one.withheld.iter().map(Step::describe).collect();
    assert!(withheld[0].contains("more-index") && withheld.len() == 2, "{withheld:?}");
    assert_eq!(one.needs, std::collections::BTreeSet::from([Consent::Index]));
}

#[test]
fn a_scope_contains_selected_addresses_without_excluded_ones() {
    let scope = |only: &[&str], exclude: &[&str]| {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Scope { only: parsed(only), exclude: parsed(exclude), ..Scope::default() }
    };
    let (dev, audit) = (Address::new(KindId::Policy, "dev"), Address::new(KindId::Table, "audit"));
    let held = |scope: &Scope| (scope.holds(&dev), scope.holds(&audit), scope.is_filtered());
    assert_eq!(held(&scope(&[], &[])), (true, true, false));
    assert_eq!(held(&scope(&["profiles.*"], &[])), (true, false, true));
    assert_eq!(held(&scope(&[], &["profiles.*"])), (false, true, true));
    assert_eq!(held(&scope(&["*"], &["tables.a*"])), (true, false, true));
}

#[tokio::test]
async fn a_table_being_deleted_is_in_progress() {
    let plan = planned(live_table("DELETING", Ttl::Disabled), Intent::Converge).await;
    assert!(matches!(&plan.steps[..], [Step::Table(TableStep::Defer { .. })]));
    assert_eq!((plan.changes[0].path.as_str(), plan.changes[0].method), ("status", ChangeMethod::Time));
}

#[tokio::test]
async fn a_table_with_inaccessible_encryption_is_refused() {
    let plan = planned(live_table("INACCESSIBLE_ENCRYPTION_CREDENTIALS", Ttl::Disabled), Intent::Converge).await;
    assert_eq!(plan.action, Action::Refused);
}

#[test]
fn the_first_operation_of_a_step_is_the_write() {
    let name = String::from("x");
    let create = Create {
        name: name.clone(),
        content: "".into(),
        parameter_type: None,
        tier: crate::kind::policy_parameter::Tier::Standard,
        settings: crate::kind::policy_parameter::Settings::default(),
        tags: BTreeMap::new(),
        content_managed: true,
    };
    assert_eq!(Step::Policy(PolicyStep(Write::Create(create))).operations()[0], PUT_PARAMETER);
    let create = TableStep::CreateTable { name, table: Box::default() };
    assert_eq!(Step::Table(create).operations()[0], CREATE_TABLE);
}
