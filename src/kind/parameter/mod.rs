//! Any SSM parameter: its value comes from the manifest, from a file, or from an environment variable. A value from a variable, or of a
//! `SecureString`, is compared and sent, but never shown, saved or logged.

mod live;
mod manifest;
mod schema;
mod source;
mod steps;

use std::collections::HashSet;
use std::sync::Arc;

use aws_types::SdkConfig;

use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{DiscoverError, Discovered, Found, Importer, Wanted};
use super::parameter_store::{
    self as store, Field, ParameterApi, Role, Stored, Write, api, key, metadata, names, secrets,
};
use super::permission::{Location, On, Permission, Purpose};
use super::references::{Named, Reference};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Search, Shown, Site, Unlisted, Waiting};
use crate::change::{FieldChange, FieldValue, Sides};
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::{
    CallError, DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS, Operation,
};
use crate::resource::caller::Identity;
use crate::resource::names::PolicyRoot;
use crate::resource::pacer::Pacer;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags};

pub use manifest::ParameterSection;
pub use source::{Source, Text, is_shown};
pub use steps::ParameterStep;

/// A parameter, live or desired.
pub type Parameter = Stored<Values>;

/// Parameters with user-defined values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Values;

impl Role for Values {
    const STATEMENT: &'static str = "SentinelParameter";
    const VALUE: Field = Field::Value;
    const OTHER_TYPE: &'static str = "AWS cannot change the type of a parameter; delete it, and apply creates it again";
    const SECRET: &'static str = "written as a new version; values are not shown";
    const REWRITABLE: store::Rewritable = store::Rewritable::All;

    fn sides(values: Sides<&str>) -> Sides<FieldValue> {
        let lines = values.live.contains('\n') || values.desired.contains('\n');
        let side = |text: &str| if lines { FieldValue::Document(text.into()) } else { FieldValue::text(text) };
        Sides { live: side(values.live), desired: side(values.desired) }
    }
}

impl Kind for Parameter {
    type Section = ParameterSection;
    type Step = ParameterStep;
    type Field = Field;
    type Api = ParameterApi;

    const ABOUT: About = About {
        section: "parameters",
        id: "parameter",
        noun: "parameter",
        service: "Parameter Store",
        statement: "Parameter",
        shares_statements: true,
        provisions: "Admin",
        heading: "SSM parameters",
        site: Site::Region,
        shown: Shown::ByName,
        unmanaged: "Unmanaged parameters (policies of another policy root; not changed)",
        resource_type: "ssm:parameter",
        members: store::MEMBERS,
        listed_by: "aws ssm describe-parameters",
        // Each parameter is one short call, paced by its quota.
        concurrency: 16,
        // The maximum of one `GetParameters` call.
        batch: 10,
        shows_layout: false,
        // A mistyped setting may contain a secret, so nothing about it is reported.
        is_free_text: |setting| !is_shown(setting) || ["description", "allowed_pattern"].contains(&setting),
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<ParameterSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &ParameterSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &ParameterSection) -> Option<Desired<Self>> {
        manifest::resolve(resolver, key, section)
    }

    fn name_of(key: &str, section: &ParameterSection, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        let name = manifest::name(key, section);
        manifest::check_own(&name, policy_root)?;
        Ok(name)
    }

    fn section_of(desired: &Desired<Self>) -> ParameterSection {
        manifest::section_of(desired)
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        source::files(desired)
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        names::check_name(name)?;
        manifest::check_own(name, policy_root)?;
        Ok(name.to_owned())
    }

    fn of_arn(_: &str, _: &PolicyRoot) -> Option<ArnName> {
        // An ARN does not show whether it is a policy below the root of another manifest.
        None
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, _: &Arc<Identity>) -> ParameterApi {
        ParameterApi::new(config, pacer)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        store::reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On {
        store::allowed_on(operation, desired, location)
    }

    fn statement(_: &str) -> String {
        String::from(Values::STATEMENT)
    }

    fn delegated(desired: &Desired<Self>, location: &Location) -> Vec<Permission> {
        secrets::delegated(desired, location)
    }

    fn references(section: &ParameterSection) -> Vec<Reference> {
        key::references(section.key.as_ref())
    }

    fn uses(section: &ParameterSection) -> Vec<Named> {
        key::uses(section.key.as_ref())
    }

    fn unlisted_permissions(location: &Location, _: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let mut operations = vec![GET_PARAMETERS];
        if purpose == Purpose::Write {
            operations.extend([DELETE_PARAMETERS, LIST_PARAMETER_TAGS]);
        }
        let statement = || String::from("SentinelParameterPrune");
        let on = On::Resources(vec![store::arn(location, "*")]);
        vec![
            Permission { statement: statement(), shared: false, operations, on },
            Permission { statement: statement(), shared: true, operations: vec![DESCRIBE_PARAMETERS], on: On::Any },
        ]
    }

    async fn observe(api: &ParameterApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        api::observe(api, batch).await
    }

    async fn owned(api: &ParameterApi, search: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        Some(metadata::owned(api, None, search.ownership).await)
    }

    async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
        live::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        names::check_name(name)
    }

    fn everything() -> Self {
        Self::everything()
    }

    async fn discover(api: &ParameterApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        // Boxed because many of these futures are joined.
        Box::pin(live::discover(api, wanted)).await
    }

    fn key_of_live(found: &Found<Self>, policy_root: &PolicyRoot) -> Result<String, String> {
        live::key(found, policy_root)
    }

    fn import(importer: &mut Importer<'_>, _: &str, found: Found<Self>) -> ParameterSection {
        live::section(importer, found)
    }

    async fn execute(api: &ParameterApi, step: &ParameterStep, _: Waiting) -> Result<StepOutcome, CallError> {
        api::execute::<Values>(api, &step.0).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        store::changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<ParameterStep> {
        wrapped(store::create(desired))
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<ParameterStep> {
        wrapped(store::repair(desired, live, changes))
    }

    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self> {
        Deletion::of(wrapped(store::delete(desired, &live.facts)))
    }

    fn seen(live: &Live<Self>) -> Fields {
        store::seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        store::opposite(desired)
    }

    fn unset(desired: &Desired<Self>) -> Option<&str> {
        source::unset(desired)
    }

    fn restore_secrets(saved: &mut Desired<Self>, now: &Desired<Self>) {
        secrets::restore_secrets(saved, now);
    }

    fn restore_step_secret(step: &mut ParameterStep, desired: &Desired<Self>) -> bool {
        secrets::restore_step_secret(&mut step.0, desired)
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, ParameterSection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack) {
        store::export::cloudformation(desired, live, stack);
    }

    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module) {
        store::export::terraform(desired, live, module);
    }

    fn layout(_: &Self) -> Vec<Line> {
        Vec::new()
    }

    fn sketch(_: &Self, origin: Option<&str>) -> Vec<Line> {
        vec![Line::new("value", origin.unwrap_or_default())]
    }
}

/// Converts steps to those of a parameter.
fn wrapped(steps: Vec<Write>) -> Vec<ParameterStep> {
    steps.into_iter().map(ParameterStep).collect()
}
