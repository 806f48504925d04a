//! An IAM role: state and names. Its diff is in `diff`, its steps in `steps`, its reads in `api`, and its writes in `calls`.
//!
//! A role belongs to an account, not to a region. Every target of the account has the same desired state of the role: the first pass writes
//! it, and the others find it in sync.

mod api;
mod calls;
mod diff;
mod display;
mod export;
mod express;
mod field;
mod home;
mod live;
mod manifest;
mod rules;
mod schema;
mod simulation;
mod steps;
mod trust;
mod trusted;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

use super::document::PolicyDocument;
use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{Found, Importer};
use super::permission::{Location, On, Permission, Purpose, Use};
use super::references::Service;
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Search, Settled, Shown, Site, Unlisted, Waiting};
use crate::change::FieldChange;
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::{CallError, Operation};
use crate::resource::caller::Identity;
use crate::resource::names::PolicyRoot;
use crate::resource::pacer::Pacer;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags};

pub use api::RoleApi;
pub use field::Field;
pub use home::{ACCOUNT, anywhere};
pub use manifest::{Permissions, RoleSection};
pub use rules::check_arn;
pub use simulation::{ContextValue, SIMULATE, Simulation, simulate};
pub use steps::RoleStep;
pub use steps::{GET_ROLE, LIST_ATTACHED, LIST_ROLES};
pub use trust::{GitHub, Jobs, Principals, Trust, TrustedBy};
pub use trusted::{CHECK_READS, managed_policies, role_arn, role_arns, role_named, trust, trust_in};

/// A role, live or desired. `None` means "not managed" in desired state and "not read" in live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// In seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_session_duration: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<Boundary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<PolicyDocument>,
    /// ARNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_policies: Option<BTreeSet<String>>,
    /// By name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<BTreeMap<String, PolicyDocument>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// The instance profiles that contain it. Read only for a role to delete.
    #[serde(skip)]
    pub instance_profiles: Option<Vec<String>>,
}

/// The permissions boundary of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    Off,
    /// The ARN of a managed policy.
    Policy(String),
}

/// Returns the resource part of a role's ARN, which lacks the account.
fn role_resource(name: &str, path: Option<&str>) -> String {
    format!("role{}{name}", path.unwrap_or("/"))
}

/// Returns the ARN of a role.
pub fn arn(location: &Location, name: &str, path: Option<&str>) -> String {
    location.global_arn("iam", &role_resource(name, path))
}

impl Kind for Role {
    type Section = RoleSection;
    type Step = RoleStep;
    type Field = Field;
    type Api = RoleApi;

    const ABOUT: About = About {
        section: "roles",
        id: "role",
        noun: "role",
        service: "IAM",
        statement: "Role",
        shares_statements: false,
        provisions: "Provisioning",
        heading: "IAM roles",
        site: Site::Account,
        shown: Shown::ByLabel,
        unmanaged: "Unmanaged roles (not in the manifest, without the ownership tag; not changed)",
        resource_type: "iam:role",
        members: &[],
        listed_by: "aws iam list-roles",
        // Each role takes a few short calls, paced by their quotas.
        concurrency: 8,
        batch: 1,
        shows_layout: true,
        is_free_text: |setting| setting == "description",
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<RoleSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &RoleSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn referred_as(key: &str, section: &RoleSection) -> Option<String> {
        Some(manifest::referred_as(key, section))
    }

    fn provides(section: &RoleSection) -> Option<Service> {
        manifest::provides(section)
    }

    fn service_references(section: &RoleSection) -> Vec<(Vec<String>, Service)> {
        manifest::service_references(section)
    }

    fn derives(section: &RoleSection) -> Option<Use> {
        manifest::derives(section)
    }

    fn add_permissions(desired: &mut Desired<Self>, documents: Vec<PolicyDocument>) -> Result<(), Invalid> {
        manifest::add_permissions(desired, documents)
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &RoleSection) -> Option<Desired<Self>> {
        Some(manifest::resolve(resolver, key, section))
    }

    fn name_of(key: &str, section: &RoleSection, _: &PolicyRoot) -> Result<String, Invalid> {
        Ok(manifest::name(key, section))
    }

    fn section_of(desired: &Desired<Self>) -> RoleSection {
        express::section(desired)
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        express::files(desired)
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, _: &PolicyRoot) -> Result<String, Invalid> {
        rules::check_name(name)?;
        Ok(name.to_owned())
    }

    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName> {
        let name = resource.rsplit('/').next().unwrap_or(resource);
        let key = Self::key_of(name, policy_root).ok()?;
        Some(ArnName::Name { name: name.to_owned(), key })
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> RoleApi {
        RoleApi::new(config, pacer, identity)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        steps::reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On {
        match operation {
            // Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS IAM".
            steps::GET_PROVIDER => On::Resources(vec![location.global_arn("iam", "oidc-provider/*")]),
            // The path of a role to delete is unknown.
            _ if !desired.presence.is_present() => {
                let resource = |path: &str| arn(location, &desired.name, Some(path));
                On::Resources(vec![resource("/"), resource("/*/")])
            }
            _ => On::Resources(vec![arn(location, &desired.name, desired.managed.path.as_deref())]),
        }
    }

    fn unlisted_permissions(location: &Location, _: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let mut operations =
            vec![steps::LIST_TAGS, GET_ROLE, LIST_ATTACHED, steps::LIST_POLICIES, steps::LIST_PROFILES];
        if purpose == Purpose::Write {
            operations.extend([steps::DETACH_POLICY, steps::DELETE_POLICY, steps::DELETE_ROLE]);
        }
        let statement = || String::from("SentinelRolePrune");
        let on = On::Resources(vec![location.global_arn("iam", "role/*")]);
        vec![
            Permission { statement: statement(), shared: false, operations, on },
            Permission { statement: statement(), shared: true, operations: vec![LIST_ROLES], on: On::Any },
        ]
    }

    async fn observe(api: &RoleApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        futures_util::future::join_all(batch.iter().map(|desired| api::observe(api, desired))).await
    }

    async fn owned(_: &RoleApi, _: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        // The tags of a role are read together with it.
        None
    }

    async fn unlisted(api: &RoleApi, search: &Search<'_>) -> Unlisted {
        api::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        rules::check_name(name)
    }

    fn everything() -> Self {
        // All other settings are part of each response.
        Self { managed_policies: Some(BTreeSet::new()), policies: Some(BTreeMap::new()), ..Self::default() }
    }

    fn key_of_live(found: &Found<Self>, _: &PolicyRoot) -> Result<String, String> {
        live::key(found)
    }

    fn known_as(found: &Found<Self>) -> Vec<String> {
        live::known_as(found)
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> RoleSection {
        live::section(importer, key, found)
    }

    async fn execute(api: &RoleApi, step: &RoleStep, waiting: Waiting) -> Result<StepOutcome, CallError> {
        calls::execute(api, step, waiting).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        diff::changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<RoleStep> {
        steps::create(desired)
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<RoleStep> {
        steps::repair(desired, live, changes)
    }

    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self> {
        diff::delete(desired, live)
    }

    fn settle(
        _: &Desired<Self>,
        live: &Live<Self>,
        changes: Vec<FieldChange<Field>>,
        repair: Vec<RoleStep>,
    ) -> Settled<Self> {
        diff::settle(live, changes, repair)
    }

    fn seen(live: &Live<Self>) -> Fields {
        display::seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        steps::opposite(desired)
    }

    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        let of_role = |layout: Option<&Self>| {
            let managed = layout.is_some_and(|layout| layout.managed_policies.is_some());
            let policies = layout.and_then(|layout| layout.policies.as_ref()).map_or(0, |all| 1 + all.len());
            1 + usize::from(managed) + policies
        };
        layouts.iter().copied().map(of_role).sum()
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, RoleSection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack) {
        export::cloudformation(desired, live, stack);
    }

    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module) {
        export::terraform(desired, live, module);
    }

    fn layout(state: &Self) -> Vec<Line> {
        display::layout(state)
    }

    fn sketch(state: &Self, _: Option<&str>) -> Vec<Line> {
        display::sketch(state)
    }
}
