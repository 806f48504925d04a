//! The kinds of resource that sentinel reconciles. All that is known of a kind is in its folder below this module; the
//! list at the end of this file is the registry. Nothing outside names a kind, except features that are about one kind
//! alone: policies are more than a resource.

mod arn;
mod deletion;
mod desired;
pub mod document;
pub mod export;
pub mod import;
pub mod members;
pub mod parameter_store;
mod pattern;
pub mod permission;
pub mod references;
mod registry;
pub mod schema;
pub mod section;
mod step;
mod unlisted;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::future;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::change::FieldChange;
use crate::document::{Entry, Fields, GivenFile};
use crate::resource::call::{CallError, Operation};
use crate::resource::caller::Identity;
use crate::resource::names::{OwnerKey, PolicyRoot, RegionName};
use crate::resource::pacer::Pacer;
use crate::resource::{Fields as Seen, Gap, Invalid, Live, Observed, StepOutcome, Tags};

pub use arn::ArnName;
pub use deletion::Deletion;
pub use desired::{Address, Desired, Pair, Presence, Said};
use document::PolicyDocument;
use export::cloudformation::Stack;
use export::terraform::Module;
use import::{DiscoverError, Discovered, Found, Importer, Request, Wanted, Warning};
use members::Members;
pub use pattern::AddressPattern;
use permission::{On, Permission, Place, Purpose, Use};
use references::{Named, Reference, Service};
use schema::Schema;
use section::{Resolver, SectionReader};
pub use step::{KindStep, NewDocument, StepTime};
pub use unlisted::{Search, Unlisted};

/// A kind of resource, implemented by the type of its state: live and desired alike, `None` where a field is not managed or
/// was not read.
pub trait Kind: Any + fmt::Debug + Clone + Default + PartialEq + Eq + Serialize + DeserializeOwned {
    /// Its section of a manifest.
    type Section: fmt::Debug + Clone + PartialEq + Eq;
    /// One AWS call that writes a resource of the kind, or one wait.
    type Step: KindStep + Clone + PartialEq + Eq + Serialize + DeserializeOwned;
    /// A field that is compared: what its diff names and its repair looks for. A plan has the text of it.
    type Field: fmt::Debug + fmt::Display + PartialEq;
    /// What makes its AWS calls.
    type Api: fmt::Debug;

    const ABOUT: About;

    /// Reads its section of a manifest.
    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<Self::Section>;

    /// Returns a section as TOML, which reads back as the same section.
    fn write(key: &str, section: &Self::Section) -> String;

    /// Returns its part of the JSON Schemas.
    fn schema() -> Schema;

    /// Returns what a section refers to.
    fn references(_: &Self::Section) -> Vec<Reference> {
        Vec::new()
    }

    /// Returns the names in AWS by which a section uses what may be a resource of the manifest.
    fn uses(_: &Self::Section) -> Vec<Named> {
        Vec::new()
    }

    /// Returns by what name, known before anything exists, other resources refer to it in AWS.
    fn referred_as(_key: &str, _section: &Self::Section) -> Option<String> {
        None
    }

    /// Returns what a section is to others, by which they refer to it without its name.
    fn serves_as(_: &Self::Section) -> Option<Service> {
        None
    }

    /// Returns what a section refers to without its name, each with the keys of the setting that does.
    fn relies_on(_: &Self::Section) -> Vec<(Vec<String>, Service)> {
        Vec::new()
    }

    /// Returns for what use of the manifest's resources a section wants permissions.
    fn derives(_: &Self::Section) -> Option<Use> {
        None
    }

    /// Gives a resource the permissions that its section wants.
    ///
    /// # Errors
    ///
    /// Says why it cannot have them.
    fn give(_: &mut Desired<Self>, _: Vec<PolicyDocument>) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns what should be of a section. What cannot be resolved is a fault.
    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &Self::Section) -> Option<Desired<Self>>;

    /// Returns the name in AWS of the resource of a section, which may say no more than that it is removed.
    ///
    /// # Errors
    ///
    /// Says why sentinel does not delete it.
    fn name_of(key: &str, section: &Self::Section, policy_root: &PolicyRoot) -> Result<String, Invalid>;

    /// Returns the section of a manifest that says what is managed: desired state from elsewhere may be no other than what a
    /// manifest could say.
    fn section_of(desired: &Desired<Self>) -> Self::Section;

    /// Returns the files that such a section names, each with its text.
    fn files_of(_: &Desired<Self>) -> Vec<GivenFile> {
        Vec::new()
    }

    /// Returns its tags, where they are managed or were read.
    fn tags(&self) -> Option<&Tags>;

    /// Returns the key of a resource that sentinel created and the manifest no longer names.
    ///
    /// # Errors
    ///
    /// Says why sentinel would not delete it.
    fn key_of(name: &str, policy_root: &PolicyRoot) -> Result<String, Invalid>;

    /// Returns which resource of the kind an ARN of its [`About::resource_type`] is of, from what follows the type; nothing where
    /// it is none that a manifest with this policy root could name.
    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName>;

    /// Returns what makes its calls over a connection. Makes no call. The identity tells the account, of which the ARNs of
    /// some resources are made.
    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> Self::Api;

    /// Returns the operations that observing this resource calls.
    fn reads(desired: &Desired<Self>) -> Vec<Operation>;

    /// Returns what IAM has to allow an operation of this resource on.
    fn allowed_on(operation: Operation, desired: &Desired<Self>, place: &Place) -> On;

    /// Returns what the names of a resource's IAM statements begin with; they take letters and digits only.
    fn statement(key: &str) -> String {
        let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("Sentinel{plain}{}", Self::ABOUT.statement)
    }

    /// Returns what IAM has to allow its user besides the calls, because the service of a resource makes calls of its own for them.
    fn lent(_: &Desired<Self>, _: &Place) -> Vec<Permission> {
        Vec::new()
    }

    /// Returns what IAM has to allow to look for what the manifest does not name, and to delete of that what may be deleted.
    fn looks_for_more(place: &Place, policy_root: &PolicyRoot, purpose: Purpose) -> Vec<Permission>;

    /// Reads what is live of up to [`About::batch`] resources, and answers in the order asked.
    fn observe(api: &Self::Api, batch: &[&Desired<Self>]) -> impl Future<Output = Vec<Observed<Self>>>;

    /// Returns the names under the policy root that carry the ownership tag, where one call for all tells that more cheaply
    /// than [`Kind::observe`] does for each.
    fn owned(api: &Self::Api, search: &Search<'_>) -> impl Future<Output = Option<Result<HashSet<String>, CallError>>>;

    /// Looks for what is live and not in the manifest.
    fn unlisted(api: &Self::Api, search: &Search<'_>) -> impl Future<Output = Unlisted>;

    /// Checks a name in AWS that the user gives.
    ///
    /// # Errors
    ///
    /// Says why AWS has nothing of this name.
    fn check_name(name: &str) -> Result<(), Invalid>;

    /// Returns state of which everything is managed, so that everything is read.
    fn everything() -> Self;

    /// Looks for what can be imported, and reads all that a section can say of it: what the user names, or else what
    /// carries the ownership tag.
    fn discover(api: &Self::Api, wanted: &Wanted<'_>) -> impl Future<Output = Result<Discovered<Self>, DiscoverError>> {
        import::discover(api, wanted)
    }

    /// Returns the key of the section that a live resource becomes.
    ///
    /// # Errors
    ///
    /// Says that no section can be written for it: `left out: it is no plain string`.
    fn key_of_live(found: &Found<Self>, policy_root: &PolicyRoot) -> Result<String, String>;

    /// Returns what AWS calls a live resource where another one refers to it.
    fn known_as(found: &Found<Self>) -> Vec<String> {
        std::iter::once(&found.name).chain(&found.live.facts.arn).cloned().collect()
    }

    /// Returns the section that says what is live, on which a plan is empty. What it cannot say is left unmanaged, with a
    /// warning. Files that it names are added to the import.
    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> Self::Section;

    /// Runs one step.
    fn execute(
        api: &Self::Api,
        step: &Self::Step,
        waiting: Waiting,
    ) -> impl Future<Output = Result<StepOutcome, CallError>>;

    /// Returns all that differs: in what the manifest manages, and the ownership tag when it is to be given. Pure, as all
    /// that follow.
    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Self::Field>>;

    /// Returns the steps that create it.
    fn create(desired: &Desired<Self>) -> Vec<Self::Step>;

    /// Returns the steps that make the differences go away, as far as AWS can do that.
    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Self::Field>]) -> Vec<Self::Step>;

    /// Returns what deleting it takes; no step where sentinel never does.
    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self>;

    /// Returns what a resource in its present status comes to: one that AWS is still creating or deleting differs in
    /// another way than one that is there.
    fn settle(
        _: &Desired<Self>,
        _: &Live<Self>,
        changes: Vec<FieldChange<Self::Field>>,
        repair: Vec<Self::Step>,
    ) -> Settled<Self> {
        Settled::Compared { changes, repair }
    }

    /// Returns why nothing can use it as it is, so that what refers to it has to wait: `its status is Disabled`.
    fn unusable(_: &Live<Self>) -> Option<String> {
        None
    }

    /// Returns what was seen of it, for a saved plan to hold on to.
    fn seen(live: &Live<Self>) -> Seen;

    /// Returns a live resource that differs from what is managed in every way that can be repaired, so that what any repair
    /// may take is known without a look at AWS.
    fn opposite(desired: &Desired<Self>) -> Live<Self>;

    /// Returns about how many calls observing so many resources takes. What they are created with is given where a plan
    /// holds it.
    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        layouts.len().div_ceil(Self::ABOUT.batch)
    }

    /// Returns it as it may be shown, where it has something that may not: a password in a URL.
    fn shown(_state: &Self) -> Option<Self> {
        None
    }

    /// Returns what cannot be in a region, of what is desired there.
    fn misplaced(_: &Desired<Self>, _region: &RegionName) -> Option<Misplaced> {
        None
    }

    /// Returns the variable that the content of a resource comes from, where that is not set.
    fn unset(_: &Desired<Self>) -> Option<&str> {
        None
    }

    /// Gives desired state of a saved plan, which has only the digests of secrets, the texts that these are of, as far as they are
    /// what the manifest desires now.
    fn recall(_saved: &mut Desired<Self>, _now: &Desired<Self>) {}

    /// Gives a step of a saved plan the text that it has the digest of, from what is desired; says whether it has all that it writes.
    fn recall_step(_step: &mut Self::Step, _desired: &Desired<Self>) -> bool {
        true
    }

    /// Returns any sections of the kind that a manifest may have, for properties.
    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<IndexMap<String, Self::Section>>;

    /// Adds what CloudFormation has for it to a stack. What is live is given where that was read.
    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack);

    /// Adds what Terraform has for it to a module. What is live is given where that was read.
    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module);

    /// Returns what a new resource is created with, setting by setting, for people.
    fn layout(state: &Self) -> Vec<Line>;

    /// Returns the few lines that say what a resource is in a picture, and where its content comes from.
    fn sketch(state: &Self, origin: Option<&str>) -> Vec<Line>;

    /// Returns whether the picture of a new resource shows a setting of [`Kind::layout`].
    fn is_drawn(_setting: &str) -> bool {
        false
    }
}

/// What a kind says of itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its section in the manifest: `tables`.
    pub section: &'static str,
    /// Its name in documents: `table`.
    pub id: &'static str,
    /// What one is called in a sentence: `table`.
    pub noun: &'static str,
    /// The AWS service that has them, as people call it: `DynamoDB`.
    pub service: &'static str,
    /// What the names of IAM statements call it: `Table`.
    pub statement: &'static str,
    /// Whether its resources share IAM statements, so that hundreds fill few policies.
    pub shares_statements: bool,
    /// What the names of IAM statements call creating and repairing it: `Provisioning`.
    pub provisions: &'static str,
    /// What several are called as a heading: `DynamoDB tables`.
    pub heading: &'static str,
    /// Where they are, beside that heading.
    pub site: Site,
    /// How a report names one and what differs of it.
    pub shown: Shown,
    /// What a plan says of those that it leaves alone: `Unmanaged keys (not in the manifest; never deleted)`.
    pub unmanaged: &'static str,
    /// What the Resource Groups Tagging API calls it: the service in its ARN, and the type where that has one.
    pub resource_type: &'static str,
    /// What AWS tells of one, member by member, and what is done with each.
    pub members: &'static [Members],
    /// The command that lists their names in AWS.
    pub listed_by: &'static str,
    /// How many resources are worked on at once.
    pub concurrency: u32,
    /// How many resources one observation reads.
    pub batch: usize,
    /// Whether a plan holds what a new resource is created with.
    pub shows_layout: bool,
    /// Whether a setting is a text in which braces may mean anything. Every other text is a name, an ARN or a path: its braces are those of
    /// placeholders for what differs by target.
    pub is_free_text: fn(&str) -> bool,
}

/// A setting that cannot be what it is in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// The keys of the setting, below its section.
    pub setting: Vec<String>,
    pub problem: Invalid,
}

/// Where the resources of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    PolicyRoot,
    Region,
    /// The account: every region shows the same.
    Account,
}

/// How a report names a resource and what differs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// By its name, which says what it is, and its few fields by theirs.
    ByName,
    /// By its label and its name, and its fields by their number.
    ByLabel,
}

/// What a resource's present status comes to.
#[derive(Debug)]
pub enum Settled<K: Kind> {
    /// It is compared as it is.
    Compared { changes: Vec<FieldChange<K::Field>>, repair: Vec<K::Step> },
    /// Its creation is under way; these steps end it.
    Unfinished { steps: Vec<K::Step> },
}

/// A setting, or a part of a resource, and what it is in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub words: String,
}

impl Line {
    /// Returns a line.
    pub fn new(name: impl Into<String>, words: impl Into<String>) -> Self {
        Self { name: name.into(), words: words.into() }
    }
}

/// What a new resource is created with, divided into what its picture shows and the rest.
#[derive(Debug)]
pub struct Drawn {
    pub sketch: Vec<Line>,
    pub rest: Vec<Line>,
}

/// How long a step may wait for AWS.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub limit: Duration,
    /// Whether to wait until an index is built, which takes minutes.
    pub for_indexes: bool,
}

/// Does something with an observed resource, whatever its kind.
pub trait Visitor {
    type Output;
    fn visit<K: Kind>(self, pair: &Pair<'_, K>) -> Self::Output
    where
        Step: From<K::Step>,
        Layout: From<K>;
}

impl KindId {
    /// Returns the section of the manifest that it is in.
    pub const fn section(self) -> &'static str {
        self.about().section
    }
}

impl Serialize for KindId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.about().id)
    }
}

impl<'de> Deserialize<'de> for KindId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().find(|kind| kind.about().id == text);
        found.copied().ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a kind of resource")))
    }
}

/// Notes whether a resource that is to be adopted carries the ownership tag.
fn mark_owned<K>(pair: &mut Pair<'_, K>, owned: &Result<HashSet<String>, CallError>) {
    let Observed::Present(live) = &mut pair.observed else { return };
    if !pair.desired.adopt {
        return;
    }
    match owned {
        Ok(owned) => live.facts.owned = Some(owned.contains(&pair.desired.name)),
        Err(error) => live.gaps.push(Gap::new(Some("tags"), error)),
    }
}

fn repair_everything<K: Kind>(desired: &Desired<K>) -> Vec<K::Step> {
    let live = K::opposite(desired);
    K::repair(desired, &live, &K::changes(desired, &live))
}

registry::kinds! {
    profiles: Policy = policy_parameter::PolicyParameter;
    tables: Table = table::Table;
    keys: Key = key::Key;
    topics: Topic = topic::Topic;
    parameters: Parameter = parameter::Parameter;
    roles: Role = role::Role;
}

#[cfg(test)]
mod tests {
    use super::parameter_store::{Create, Delete, Write};
    use super::policy_parameter::{PolicyParameter, PolicyStep, Settings, Tier};
    use super::table::{Table, TableStep};
    use super::*;
    use crate::change::Consent;
    use crate::resource::Tags;
    use crate::resource::call::{CREATE_TABLE, DELETE_PARAMETERS, PUT_PARAMETER};

    #[test]
    fn a_resource_is_of_one_kind() {
        let policy = Desired::new(Address::new(KindId::Policy, "dev"), "/s/dev", PolicyParameter::default());
        let table = Desired::new(Address::new(KindId::Table, "audit"), "acme-audit", Table::default());
        let (policy, table) = (DesiredResource::Policy(Arc::new(policy)), DesiredResource::Table(Arc::new(table)));
        assert_eq!((policy.name(), table.name()), ("/s/dev", "acme-audit"));
        assert!(policy.of::<PolicyParameter>().is_some() && policy.of::<Table>().is_none());
        assert!(table.of::<Table>().is_some() && table.of::<PolicyParameter>().is_none());
    }

    #[test]
    fn the_schema_of_a_plan_has_every_step() {
        for kind in KindId::ALL {
            // The message of serde lists the variants of an enum.
            let message = kind.unknown_step();
            let variants: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
            assert_eq!(kind.schema().plan.steps, variants, "{message}");
        }
    }

    #[test]
    fn the_schema_of_a_plan_has_the_layout_of_each_kind_that_shows_it() {
        for kind in KindId::ALL {
            let plan = kind.schema().plan;
            assert_eq!(plan.layout.is_some(), kind.about().shows_layout, "{kind:?}");
            let defined = |name: &str| plan.definitions.iter().any(|(one, _)| *one == name);
            assert!(plan.layout.is_none_or(defined), "{kind:?}");
        }
    }

    #[test]
    fn a_step_says_what_it_writes_and_what_has_to_be_allowed() {
        let name = || String::from("t");
        let delete = Delete { name: name(), expects_version: 1, owner_key: OwnerKey::new("mark") };
        let delete = PolicyStep(Write::Delete(delete));
        let create = TableStep::CreateTable { name: name(), table: Box::default() };
        let defer = TableStep::Defer { name: name(), why: String::from("later"), seconds: None };
        let tier = Tier::Standard;
        let (content, settings, tags) = ("x".into(), Settings::default(), Tags::new());
        let (name_of, parameter_type) = (name(), None);
        let put = Create { name: name_of, content, parameter_type, tier, settings, tags, content_managed: true };
        let put = PolicyStep(Write::Create(put));
        let facts = |step: Step| (step.writes(), step.defers(), step.needs());
        assert_eq!(facts(Step::Policy(put)), (Some(PUT_PARAMETER), false, None));
        assert_eq!(facts(Step::Table(create)), (Some(CREATE_TABLE), false, None));
        assert_eq!(facts(Step::Policy(delete)), (Some(DELETE_PARAMETERS), false, Some(Consent::Prune)));
        assert_eq!(facts(Step::Table(defer)), (None, true, None));
        assert_eq!(facts(Step::Table(TableStep::WaitForTable { name: name() })), (None, false, None));
    }
}
