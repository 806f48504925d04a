//! The SSM parameter of a profile's policy: its names, and its differences from other parameters.

mod live;
mod manifest;
mod names;
mod role;
mod schema;
mod steps;

use std::collections::HashSet;
use std::sync::Arc;

use aws_types::SdkConfig;

use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{DiscoverError, Discovered, Importer, Wanted};
use super::parameter_store::{self as store, Role, Stored, Write, api, key, metadata, secrets};
use super::permission::{Location, On, Permission, Purpose};
use super::references::{Named, Reference};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, DesiredResource, Kind, Search, Shown, Site, Unlisted, Waiting};
use crate::change::{FieldChange, FieldValue, Sides};
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::CallError;
use crate::resource::call::{
    DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS, GET_PARAMETERS_BY_PATH, LIST_PARAMETER_TAGS, Operation,
};
use crate::resource::caller::Identity;
use crate::resource::names::PolicyRoot;
use crate::resource::pacer::Pacer;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags};

pub use super::parameter_store::key::KeySetting;
pub use super::parameter_store::{
    Content, Create, Delete, Field, Overwrite, ParameterApi, ParameterPolicies, ParameterType, Reading, Secret,
    Settings, Tier, Version, arn,
};
pub use manifest::ProfileSection;
pub use names::{check_below, check_content, check_length, check_profile, check_root, profile_of};
pub use role::RoleSetting;
pub use steps::PolicyStep;

/// A policy parameter that was found.
pub type Found = super::import::Found<PolicyParameter>;

/// A policy parameter, live or desired.
pub type PolicyParameter = Stored<Policies>;

/// Parameters that contain policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policies;

impl Role for Policies {
    const STATEMENT: &'static str = "SentinelPolicy";
    const VALUE: Field = Field::Content;
    const OTHER_TYPE: &'static str = "it cannot contain a policy; delete the parameter, and apply creates it again";
    const SECRET: &'static str = "written as a new version; plan --show-secrets shows the difference";
    const REWRITABLE: store::Rewritable = store::Rewritable::Plain;

    fn sides(values: Sides<&str>) -> Sides<FieldValue> {
        let document = |text: &str| FieldValue::Document(text.into());
        Sides { live: document(values.live), desired: document(values.desired) }
    }
}

/// Reads the content and version of one parameter.
pub async fn read(api: &ParameterApi, name: &str) -> Result<Option<Live<PolicyParameter>>, CallError> {
    api::read(api, name).await
}

/// Reads the versions of one parameter, the oldest first.
pub async fn history(api: &ParameterApi, name: &str, reading: Reading) -> Result<Vec<Version>, CallError> {
    store::history::read(api, name, reading).await
}

/// Lists the parameters under a path, at any depth, by name.
pub async fn discover(api: &ParameterApi, root: &PolicyRoot) -> Result<Vec<Found>, CallError> {
    api::discover(api, root).await
}

/// Returns the permission to read a policy that is a secret.
pub fn decryption(desired: &Desired<PolicyParameter>, location: &Location) -> Option<Permission> {
    secrets::decryption(desired, location)
}

/// Allows the secrets of policies to be shown.
pub fn reveal(desired: &mut [DesiredResource]) {
    for one in desired {
        if let DesiredResource::Policy(policy) = one {
            secrets::reveal(Arc::make_mut(policy));
        }
    }
}

impl Kind for PolicyParameter {
    type Section = ProfileSection;
    type Step = PolicyStep;
    type Field = Field;
    type Api = ParameterApi;

    const ABOUT: About = About {
        section: "profiles",
        id: "policy_parameter",
        noun: "policy parameter",
        service: "Parameter Store",
        statement: "Policy",
        shares_statements: true,
        provisions: "Admin",
        heading: "Policy parameters",
        site: Site::PolicyRoot,
        shown: Shown::ByName,
        unmanaged: "Unmanaged parameters (not in the manifest, without the ownership tag; not changed)",
        resource_type: "ssm:parameter",
        members: store::MEMBERS,
        listed_by: "aws ssm describe-parameters",
        // Each parameter is one short call, paced by its quota.
        concurrency: 16,
        // The maximum of one `GetParameters` call.
        batch: 10,
        shows_layout: false,
        is_free_text: |setting| ["description", "allowed_pattern"].contains(&setting),
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<ProfileSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &ProfileSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &ProfileSection) -> Option<Desired<Self>> {
        Some(manifest::resolve(resolver, key, section))
    }

    fn name_of(key: &str, _: &ProfileSection, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        Ok(format!("{policy_root}/{key}"))
    }

    fn section_of(desired: &Desired<Self>) -> ProfileSection {
        let Stored { content, parameter_type, tier, settings, labels, tags, role: _ } = &desired.managed;
        let policy = desired.origin.clone().filter(|_| content.is_some());
        let key = settings.key.clone().map(KeySetting::Id);
        let settings = Settings { key: None, ..settings.clone() };
        let secure = parameter_type.clone().filter(|kind| *kind == ParameterType::SecureString);
        let (labels, tags) = (labels.clone(), tags.clone());
        ProfileSection { policy, parameter_type: secure, key, role: None, tier: *tier, settings, labels, tags }
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        let content = desired.managed.content.as_ref().and_then(secrets::as_file);
        desired.origin.clone().zip(content).map(|(path, text)| GivenFile { path, text }).into_iter().collect()
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        check_below(name, policy_root)?;
        Ok(name.strip_prefix(policy_root.as_str()).unwrap_or(name).trim_start_matches('/').to_owned())
    }

    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName> {
        let name = format!("/{resource}");
        let key = Self::key_of(&name, policy_root).ok()?;
        Some(ArnName::Name { name, key })
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
        String::from(Policies::STATEMENT)
    }

    fn delegated(desired: &Desired<Self>, location: &Location) -> Vec<Permission> {
        secrets::delegated(desired, location)
    }

    fn references(section: &ProfileSection) -> Vec<Reference> {
        let role = role::references(section.role.as_ref());
        key::references(section.key.as_ref()).into_iter().chain(role).collect()
    }

    fn uses(section: &ProfileSection) -> Vec<Named> {
        key::uses(section.key.as_ref())
    }

    fn unlisted_permissions(location: &Location, policy_root: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let mut operations = vec![GET_PARAMETERS_BY_PATH, GET_PARAMETERS];
        if purpose == Purpose::Write {
            operations.extend([DELETE_PARAMETERS, LIST_PARAMETER_TAGS]);
        }
        let statement = || String::from("SentinelPolicyPrune");
        let on = On::Resources(below(location, policy_root));
        vec![
            Permission { statement: statement(), shared: false, operations, on },
            Permission { statement: statement(), shared: true, operations: vec![DESCRIBE_PARAMETERS], on: On::Any },
        ]
    }

    async fn observe(api: &ParameterApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        api::observe(api, batch).await
    }

    async fn owned(api: &ParameterApi, search: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        Some(metadata::owned(api, Some(search.policy_root), search.ownership).await)
    }

    async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
        live::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        check_length(name)
    }

    fn everything() -> Self {
        Self::everything()
    }

    async fn discover(api: &ParameterApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        // Boxed because many of these futures are joined.
        Box::pin(live::discover(api, wanted)).await
    }

    fn key_of_live(found: &Found, policy_root: &PolicyRoot) -> Result<String, String> {
        live::key(found, policy_root)
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found) -> ProfileSection {
        live::section(importer, key, found)
    }

    async fn execute(api: &ParameterApi, step: &PolicyStep, _: Waiting) -> Result<StepOutcome, CallError> {
        api::execute::<Policies>(api, &step.0).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        store::changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<PolicyStep> {
        wrapped(store::create(desired))
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<PolicyStep> {
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

    fn restore_secrets(saved: &mut Desired<Self>, now: &Desired<Self>) {
        secrets::restore_secrets(saved, now);
    }

    fn restore_step_secret(step: &mut PolicyStep, desired: &Desired<Self>) -> bool {
        secrets::restore_step_secret(&mut step.0, desired)
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, ProfileSection>> {
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
        vec![Line::new("policy", origin.unwrap_or_default())]
    }
}

/// Converts steps to those of a policy.
fn wrapped(steps: Vec<Write>) -> Vec<PolicyStep> {
    steps.into_iter().map(PolicyStep).collect()
}

/// Returns the ARNs of a policy root and of everything below it.
pub fn below(location: &Location, policy_root: &PolicyRoot) -> Vec<String> {
    vec![arn(location, policy_root), arn(location, &format!("{policy_root}/*"))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::ChangeMethod;
    use crate::kind::KindStep;
    use crate::kind::parameter_store::{
        Delete, Tag, Untag, changes, create, delete, diff, opposite, reads, repair, seen,
    };
    use crate::kind::{Address, KindId, Presence};
    use crate::resource::names::OwnerKey;
    use crate::resource::{Facts, OWNER, digest};

    fn state(content: &str) -> PolicyParameter {
        PolicyParameter {
            content: Some(content.into()),
            parameter_type: Some(ParameterType::String),
            ..PolicyParameter::default()
        }
    }

    fn desired(managed: PolicyParameter) -> Desired<PolicyParameter> {
        Desired {
            address: Address::new(KindId::Policy, "dev"),
            presence: Presence::Present,
            ownership: None,
            adopt: false,
            name: String::from("/s/dev"),
            label: String::from("dev"),
            origin: None,
            depends_on: std::collections::BTreeSet::new(),
            initial: managed.clone(),
            managed,
        }
    }

    fn live(state: PolicyParameter) -> Live<PolicyParameter> {
        Live { state, facts: Facts { version: Some(4), ..Facts::default() }, gaps: Vec::new() }
    }

    #[test]
    fn different_content_is_overwritten_at_the_observed_version() {
        let (wanted, found) = (desired(state("new")), live(state("old")));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].path, changes[0].method), (&Field::Content, ChangeMethod::InPlace));
        let steps = repair(&wanted, &found, &changes);
        let expected = Overwrite {
            name: String::from("/s/dev"),
            content: Some("new".into()),
            tier: None,
            settings: Settings::default(),
            expects_version: 4,
        };
        assert_eq!(steps, [Write::Overwrite(expected)]);
    }

    #[test]
    fn a_secure_string_would_be_a_replacement_and_is_not_written() {
        let mut found = live(state("ciphertext"));
        found.state.parameter_type = Some(ParameterType::SecureString);
        let wanted = desired(state("new"));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes.len(), 1, "ciphertext is not compared");
        assert_eq!(changes[0].method, ChangeMethod::NewResource);
        let (before, after) = (FieldValue::text("SecureString"), FieldValue::text("String"));
        assert_eq!((&changes[0].sides.live, &changes[0].sides.desired), (&before, &after));
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    #[test]
    fn a_tier_goes_up_in_place_and_never_down() {
        let mut wanted = desired(state("text"));
        let mut found = live(state("text"));
        (wanted.managed.tier, found.state.tier) = (Some(Tier::Advanced), Some(Tier::Standard));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes[0].method, ChangeMethod::InPlace);
        let (before, after) = (FieldValue::text("standard"), FieldValue::text("advanced"));
        assert_eq!((&changes[0].sides.live, &changes[0].sides.desired), (&before, &after));
        assert!(matches!(
            repair(&wanted, &found, &changes)[..],
            [Write::Overwrite(Overwrite { tier: Some(Tier::Advanced), .. })]
        ));
        (wanted.managed.tier, found.state.tier) = (Some(Tier::Standard), Some(Tier::Advanced));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes[0].method, ChangeMethod::NewResource);
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    /// A secret is read as ciphertext. Writing that back, even to change only the tier, would destroy the policy.
    #[test]
    fn a_secret_of_a_bare_profile_is_never_written_back() {
        let managed = PolicyParameter { tier: Some(Tier::Advanced), ..PolicyParameter::default() };
        let wanted = desired(managed);
        let mut found = live(state("ciphertext"));
        found.state.parameter_type = Some(ParameterType::SecureString);
        found.state.tier = Some(Tier::Standard);
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!((&changes[0].path, changes[0].method), (&Field::Tier, ChangeMethod::NotPossible));
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    #[test]
    fn managed_tags_are_complete_except_for_those_of_aws() {
        let tags = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Tags>())
        };
        let mut wanted = desired(state("x"));
        let mut found = live(state("x"));
        wanted.managed.tags = tags(&[("team", "security")]);
        found.state.tags = tags(&[("team", "web"), ("stray", "1"), ("aws:cloudformation:stack-name", "s")]);
        let changes = diff(&wanted.managed, &found.state);
        let paths: Vec<String> = changes.iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["tags.stray", "tags.team"]);
        let steps = repair(&wanted, &found, &changes);
        assert!(matches!(&steps[..], [Write::Untag(Untag { keys, .. }), Write::Tag(_)] if keys == &["stray"]));
    }

    #[test]
    fn unmanaged_settings_are_never_a_difference() {
        let mut found = state("anything");
        found.tier = Some(Tier::Advanced);
        found.tags = Some(Tags::from([(String::from("a"), String::from("b"))]));
        assert_eq!(diff(&PolicyParameter::default(), &found), []);
    }

    #[test]
    fn only_managed_settings_are_observed() {
        let names = |tier: Option<Tier>, tags: Option<Tags>, adopt| -> Vec<&str> {
            let managed = PolicyParameter { tier, tags, ..state("x") };
            reads(&Desired { adopt, ..desired(managed) }).iter().map(|operation| operation.name).collect()
        };
        let (tier, tags) = (Some(Tier::Standard), Some(Tags::new()));
        assert_eq!(names(None, None, false), ["GetParameters"]);
        assert_eq!(names(tier, None, false), ["GetParameters", "DescribeParameters"]);
        assert_eq!(names(None, None, true), ["GetParameters", "DescribeParameters"]);
        assert_eq!(names(None, tags.clone(), false), ["GetParameters", "ListTagsForResource"]);
        assert_eq!(names(tier, tags, true), ["GetParameters", "DescribeParameters", "ListTagsForResource"]);
    }

    #[test]
    fn the_baseline_has_each_field_and_digests_of_texts() {
        let tags = Some(Tags::from([(String::from("team"), String::from("web"))]));
        let found = live(PolicyParameter { tier: Some(Tier::Advanced), tags, ..state("text") });
        let of_text = digest("text");
        let expected = [
            ("content", of_text.as_str()),
            ("tags", "team=web"),
            ("tier", "advanced"),
            ("type", "String"),
            ("version", "4"),
        ];
        assert_eq!(seen(&found), expected.into_iter().map(|(field, text)| (field, text.to_owned())).collect());
        assert_eq!(seen(&Live { facts: Facts::default(), ..live(PolicyParameter::default()) }), Fields::default());
    }

    #[test]
    fn the_opposite_of_a_parameter_needs_every_kind_of_repair() {
        let managed = PolicyParameter {
            tier: Some(Tier::Advanced),
            tags: Some(Tags::from([("team", "x")].map(owned))),
            ..state("x")
        };
        let wanted = Desired { ownership: Some(OwnerKey::new("managed-by")), adopt: true, ..desired(managed) };
        let found = opposite(&wanted);
        let steps = repair(&wanted, &found, &changes(&wanted, &found));
        let descriptions: Vec<String> = steps.iter().map(Write::describe).collect();
        assert_eq!(descriptions, ["writing a new version", "removing tags", "tagging"]);
        let Write::Tag(Tag { tags, .. }) = &steps[2] else { panic!("{steps:?}") };
        assert_eq!(*tags, Tags::from([("team", "x"), ("managed-by", OWNER)].map(owned)));
        // A resource without managed settings differs only by its owner.
        let bare = Desired { managed: PolicyParameter::default(), ..wanted };
        assert_eq!(opposite(&bare).state, PolicyParameter::default());
        assert_eq!(repair(&bare, &opposite(&bare), &changes(&bare, &opposite(&bare))).len(), 1);
    }

    fn owned((key, value): (&str, &str)) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn steps_have_a_description_and_operations() {
        let ends = |step: &Write| {
            let step = PolicyStep(step.clone());
            let names: Vec<&str> = step.operations().iter().map(|operation| operation.name).collect();
            format!("{}: {}", step.describe(), names.join(" "))
        };
        let mut wanted = desired(state("x"));
        assert_eq!(ends(&create(&wanted)[0]), "creating: PutParameter GetParameters");
        wanted.initial.tags = Some(Tags::from([("team", "x")].map(owned)));
        assert_eq!(ends(&create(&wanted)[0]), "creating: PutParameter AddTagsToResource GetParameters");
        assert_eq!(delete(&wanted, &Facts::default()), [], "nobody's is deleted");
        wanted.ownership = Some(OwnerKey::new("managed-by"));
        let deletion = delete(&wanted, &Facts { version: Some(4), ..Facts::default() });
        assert_eq!(ends(&deletion[0]), "deleting: DeleteParameters GetParameters ListTagsForResource");
        assert!(
            matches!(&deletion[..], [Write::Delete(Delete { expects_version: 4, owner_key, .. })] if owner_key.as_str() == "managed-by")
        );
    }

    #[test]
    fn the_profile_is_the_part_of_the_name_below_the_root() {
        let root = PolicyRoot::new("/sentinel/policies");
        assert_eq!(profile_of("/sentinel/policies/dev", &root), "dev");
        assert_eq!(profile_of("/sentinel/policies/team/dev", &root), "team/dev");
        assert_eq!(profile_of("/elsewhere/dev", &root), "elsewhere/dev");
    }

    #[test]
    fn content_has_the_tiers_limits() {
        assert!(check_content(&"x".repeat(4096), Tier::Standard).is_ok());
        let refused = |size, tier| check_content(&"x".repeat(size), tier).unwrap_err();
        for size in [4097, 8192] {
            assert!(refused(size, Tier::Standard).help.contains("set tier = \"advanced\""), "{size}");
        }
        assert!(check_content(&"x".repeat(8192), Tier::Advanced).is_ok());
        for tier in [Tier::Standard, Tier::Advanced] {
            let refused = refused(8193, tier);
            assert!(
                refused.help.starts_with("shorten it: a parameter has at most 8,192 bytes"),
                "no tier helps: {refused}"
            );
            assert!(refused.problem.contains(tier.as_str()), "{refused}");
        }
        assert!(check_content("a: {{ x }}", Tier::Standard).is_err());
        assert!(check_content(" \n", Tier::Standard).is_err());
    }
}
