//! The kinds of resource that Sentinel manages. Each kind has a folder below this module, and the registry is the list at the end of this
//! file. Other modules do not name a kind, except features that concern a single kind, such as policies.

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
pub use desired::{Address, AsManifest, Desired, Pair, Presence};
use document::PolicyDocument;
use export::cloudformation::Stack;
use export::terraform::Module;
use import::{DiscoverError, Discovered, Found, Importer, Request, Wanted, Warning};
use members::Members;
pub use pattern::AddressPattern;
use permission::{Location, On, Permission, Purpose, Use};
use references::{Named, Reference, Service};
use schema::Schema;
use section::{Resolver, SectionReader};
pub use step::{KindStep, NewDocument, StepTime};
pub use unlisted::{Search, Unlisted};

/// A kind of resource, implemented by the type of its state. Live and desired state have the same type, in which `None` is a field that is
/// not managed or was not read.
pub trait Kind: Any + fmt::Debug + Clone + Default + PartialEq + Eq + Serialize + DeserializeOwned {
    /// Its section of a manifest.
    type Section: fmt::Debug + Clone + PartialEq + Eq;
    /// One AWS call that changes a resource of the kind, or one wait.
    type Step: KindStep + Clone + PartialEq + Eq + Serialize + DeserializeOwned;
    /// A field that is compared, in differences and repairs. Its text is shown in a plan.
    type Field: fmt::Debug + fmt::Display + PartialEq;
    /// The client of its AWS calls.
    type Api: fmt::Debug;

    const ABOUT: About;

    /// Reads its section of a manifest.
    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<Self::Section>;

    /// Returns a section as TOML, which reads back as the same section.
    fn write(key: &str, section: &Self::Section) -> String;

    /// Returns its part of the JSON Schemas.
    fn schema() -> Schema;

    /// Returns the references of a section.
    fn references(_: &Self::Section) -> Vec<Reference> {
        Vec::new()
    }

    /// Returns the AWS names with which a section may refer to a resource of the manifest.
    fn uses(_: &Self::Section) -> Vec<Named> {
        Vec::new()
    }

    /// Returns the AWS name, known before anything exists, by which other resources refer to it.
    fn referred_as(_key: &str, _section: &Self::Section) -> Option<String> {
        None
    }

    /// Returns the service that a section provides to others, which they can refer to without a name.
    fn provides(_: &Self::Section) -> Option<Service> {
        None
    }

    /// Returns the services that a section refers to without a name, each with the keys of the setting.
    fn service_references(_: &Self::Section) -> Vec<(Vec<String>, Service)> {
        Vec::new()
    }

    /// Returns the use of the manifest's resources that a section requests permissions for.
    fn derives(_: &Self::Section) -> Option<Use> {
        None
    }

    /// Adds the permissions that its section requests.
    ///
    /// # Errors
    ///
    /// Returns the reason why it cannot have them.
    fn add_permissions(_: &mut Desired<Self>, _: Vec<PolicyDocument>) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns the desired state of a section. A setting that cannot be resolved is a fault.
    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &Self::Section) -> Option<Desired<Self>>;

    /// Returns the AWS name of a section's resource. The section may only declare it as removed.
    ///
    /// # Errors
    ///
    /// Returns the reason why Sentinel does not delete it.
    fn name_of(key: &str, section: &Self::Section, policy_root: &PolicyRoot) -> Result<String, Invalid>;

    /// Returns the section that expresses desired state, to check that desired state from a saved plan could come from a manifest.
    fn section_of(desired: &Desired<Self>) -> Self::Section;

    /// Returns the files of such a section with their texts.
    fn files_of(_: &Desired<Self>) -> Vec<GivenFile> {
        Vec::new()
    }

    /// Returns its tags, if they are managed or were read.
    fn tags(&self) -> Option<&Tags>;

    /// Returns the key of a resource that Sentinel created and that is no longer in the manifest.
    ///
    /// # Errors
    ///
    /// Returns the reason why Sentinel would not delete it.
    fn key_of(name: &str, policy_root: &PolicyRoot) -> Result<String, Invalid>;

    /// Returns the resource of an ARN, given the part after [`About::resource_type`]; `None` if no manifest with this policy root could
    /// name it.
    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName>;

    /// Returns the client for a connection. Makes no call. The identity supplies the account, which is part of some ARNs.
    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> Self::Api;

    /// Returns the operations that observe this resource.
    fn reads(desired: &Desired<Self>) -> Vec<Operation>;

    /// Returns the resources that an operation needs permission for.
    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On;

    /// Returns the prefix of a resource's IAM statement names, which contain only letters and digits.
    fn statement(key: &str) -> String {
        let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("Sentinel{plain}{}", Self::ABOUT.statement)
    }

    /// Returns additional permissions that the caller needs because AWS makes calls on the caller's behalf.
    fn delegated(_: &Desired<Self>, _: &Location) -> Vec<Permission> {
        Vec::new()
    }

    /// Returns the permissions to find resources that the manifest does not list and, depending on the purpose, to delete them.
    fn unlisted_permissions(location: &Location, policy_root: &PolicyRoot, purpose: Purpose) -> Vec<Permission>;

    /// Reads up to [`About::batch`] live resources, in the order of the arguments.
    fn observe(api: &Self::Api, batch: &[&Desired<Self>]) -> impl Future<Output = Vec<Observed<Self>>>;

    /// Returns the names under the policy root that carry the ownership tag, if one list takes fewer calls than [`Kind::observe`] for each.
    fn owned(api: &Self::Api, search: &Search<'_>) -> impl Future<Output = Option<Result<HashSet<String>, CallError>>>;

    /// Finds live resources that are not in the manifest.
    fn unlisted(api: &Self::Api, search: &Search<'_>) -> impl Future<Output = Unlisted>;

    /// Checks an AWS name from the user.
    ///
    /// # Errors
    ///
    /// Returns the reason why AWS cannot have a resource with this name.
    fn check_name(name: &str) -> Result<(), Invalid>;

    /// Returns state in which everything is managed, so that everything is read.
    fn everything() -> Self;

    /// Finds importable resources, with all settings that a section supports: those that the user names, or else those with the ownership
    /// tag.
    fn discover(api: &Self::Api, wanted: &Wanted<'_>) -> impl Future<Output = Result<Discovered<Self>, DiscoverError>> {
        import::discover(api, wanted)
    }

    /// Returns the section key of a live resource.
    ///
    /// # Errors
    ///
    /// Returns the reason why it has no section, such as `omitted: its type is not supported`.
    fn key_of_live(found: &Found<Self>, policy_root: &PolicyRoot) -> Result<String, String>;

    /// Returns the AWS names by which other resources refer to a live resource.
    fn known_as(found: &Found<Self>) -> Vec<String> {
        std::iter::once(&found.name).chain(&found.live.facts.arn).cloned().collect()
    }

    /// Returns the section of a live resource, for which a plan has no changes. Settings that it cannot express are not managed and produce
    /// a warning. Its files are added to the import.
    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> Self::Section;

    /// Runs one step.
    fn execute(
        api: &Self::Api,
        step: &Self::Step,
        waiting: Waiting,
    ) -> impl Future<Output = Result<StepOutcome, CallError>>;

    /// Returns all differences in the managed settings, and in the ownership tag if it is to be added. This function and all following ones
    /// are pure.
    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Self::Field>>;

    /// Returns the steps that create it.
    fn create(desired: &Desired<Self>) -> Vec<Self::Step>;

    /// Returns the steps that repair the differences, as far as AWS supports it.
    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Self::Field>]) -> Vec<Self::Step>;

    /// Returns its deletion, which has no steps if Sentinel never deletes the kind.
    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self>;

    /// Adjusts the differences to the status of a resource that AWS is still creating or deleting.
    fn settle(
        _: &Desired<Self>,
        _: &Live<Self>,
        changes: Vec<FieldChange<Self::Field>>,
        repair: Vec<Self::Step>,
    ) -> Settled<Self> {
        Settled::Compared { changes, repair }
    }

    /// Returns the reason why dependents must wait for it, such as `its status is Disabled`.
    fn unusable(_: &Live<Self>) -> Option<String> {
        None
    }

    /// Returns the observed fields, which are the baseline of a saved plan.
    fn seen(live: &Live<Self>) -> Seen;

    /// Returns a live resource with a repairable difference in every managed field, which shows the operations of any repair without a call
    /// to AWS.
    fn opposite(desired: &Desired<Self>) -> Live<Self>;

    /// Returns the approximate number of calls that observe these resources. A layout is given if the plan has one.
    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        layouts.len().div_ceil(Self::ABOUT.batch)
    }

    /// Returns the state for display, if it contains secrets such as a password in a URL.
    fn shown(_state: &Self) -> Option<Self> {
        None
    }

    /// Returns the part of the desired state that is not available in a region.
    fn misplaced(_: &Desired<Self>, _region: &RegionName) -> Option<Misplaced> {
        None
    }

    /// Returns the environment variable of its content, if it is not set.
    fn unset(_: &Desired<Self>) -> Option<&str> {
        None
    }

    /// Restores the secrets of a saved plan, which only has their digests, from the manifest's current values with the same digests.
    fn restore_secrets(_saved: &mut Desired<Self>, _now: &Desired<Self>) {}

    /// Restores the secret of a saved step from the desired state. Returns whether the step is complete.
    fn restore_step_secret(_step: &mut Self::Step, _desired: &Desired<Self>) -> bool {
        true
    }

    /// Generates sections of the kind for property tests.
    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<IndexMap<String, Self::Section>>;

    /// Adds its CloudFormation resources to a stack. The live state is given if it was read.
    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack);

    /// Adds its Terraform resources to a module. The live state is given if it was read.
    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module);

    /// Returns the settings of a new resource for display.
    fn layout(state: &Self) -> Vec<Line>;

    /// Returns the lines of a resource's diagram, which include the source of its content.
    fn sketch(state: &Self, origin: Option<&str>) -> Vec<Line>;

    /// Returns whether the diagram of a new resource shows a setting of [`Kind::layout`].
    fn is_drawn(_setting: &str) -> bool {
        false
    }
}

/// The description of a kind.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its section in the manifest, such as `tables`.
    pub section: &'static str,
    /// Its name in documents, such as `table`.
    pub id: &'static str,
    /// Its noun in a sentence, such as `table`.
    pub noun: &'static str,
    /// The name of its AWS service, such as `DynamoDB`.
    pub service: &'static str,
    /// Its name in IAM statement names, such as `Table`.
    pub statement: &'static str,
    /// Whether its resources share IAM statements, so that hundreds of resources need few policies.
    pub shares_statements: bool,
    /// The word for creation and repair in IAM statement names, such as `Provisioning`.
    pub provisions: &'static str,
    /// Its heading in a report, such as `DynamoDB tables`.
    pub heading: &'static str,
    /// The location of its resources, shown next to the heading.
    pub site: Site,
    /// How a report shows a resource and its differences.
    pub shown: Shown,
    /// The heading of its unlisted resources, such as `Unmanaged keys (not in the manifest; never deleted)`.
    pub unmanaged: &'static str,
    /// Its type in the Resource Groups Tagging API: the service of its ARN, and the type if there is one.
    pub resource_type: &'static str,
    /// The members of its AWS types, with the handling of each.
    pub members: &'static [Members],
    /// The command that lists their names in AWS.
    pub listed_by: &'static str,
    /// The maximum number of resources that are processed at once.
    pub concurrency: u32,
    /// The maximum number of resources of one read.
    pub batch: usize,
    /// Whether a plan contains the layout of a new resource.
    pub shows_layout: bool,
    /// Whether a setting is free text, in which braces can have any meaning. All other texts are names, ARNs or paths, whose braces are
    /// placeholders for values that differ by target.
    pub is_free_text: fn(&str) -> bool,
}

/// A setting whose value is not available in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// The keys of the setting, relative to its section.
    pub setting: Vec<String>,
    pub problem: Invalid,
}

/// The location of a kind's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    PolicyRoot,
    Region,
    /// The account: they are the same in every region.
    Account,
}

/// How a report shows a resource and its differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// By its name, and its few fields by name.
    ByName,
    /// By its label and its name, and the number of its fields.
    ByLabel,
}

/// The result of adjusting differences to a resource's status.
#[derive(Debug)]
pub enum Settled<K: Kind> {
    /// It is compared normally.
    Compared { changes: Vec<FieldChange<K::Field>>, repair: Vec<K::Step> },
    /// Its creation is in progress; these steps complete it.
    Unfinished { steps: Vec<K::Step> },
}

/// The name and text of a setting, or of a part of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub text: String,
}

impl Line {
    /// Returns a line.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// The layout of a new resource, divided into the diagram and the other settings.
#[derive(Debug)]
pub struct Drawn {
    pub sketch: Vec<Line>,
    pub rest: Vec<Line>,
}

/// The limits of waiting for AWS.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub limit: Duration,
    /// Whether to wait for index builds, which take minutes.
    pub for_indexes: bool,
}

/// An operation on an observed resource of any kind.
pub trait Visitor {
    type Output;
    fn visit<K: Kind>(self, pair: &Pair<'_, K>) -> Self::Output
    where
        Step: From<K::Step>,
        Layout: From<K>;
}

impl KindId {
    /// Returns its section in the manifest.
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

/// Records whether a resource to adopt carries the ownership tag.
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
    fn a_resource_has_one_kind() {
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
            // The error of serde lists the variants of an enum.
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
    fn steps_name_their_operations_and_consent() {
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
