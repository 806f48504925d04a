//! Converts a live role to the section that describes it.

use indexmap::IndexMap;

use super::manifest::RoleSection;
use super::rules::{
    self, DEFAULT_SESSION, check_description, check_inline_size, check_managed, check_managed_count, check_policy_name,
};
use super::trust::Trust;
use super::{Boundary, Role, home};
use crate::kind::document::{Form, PolicyDocument};
use crate::kind::import::{self, Found, Importer};
use crate::resource::Invalid;

/// Returns the section key of a live role: its name.
///
/// # Errors
///
/// Returns the reason why it has no section: it is one of AWS's own, or no manifest could express its trust policy.
pub(super) fn key(found: &Found<Role>) -> Result<String, String> {
    let state = &found.live.state;
    if let Some(path) = state.path.as_ref().filter(|path| rules::is_of_aws(path)) {
        return Err(format!("omitted: it belongs to an AWS service, at {path}"));
    }
    let Some(trust) = &state.trust else { return Err(String::from("omitted: its trust policy was not read")) };
    match check(trust, Form::Trust) {
        Ok(()) => Ok(found.name.clone()),
        Err(invalid) => Err(format!("omitted: a manifest cannot express its trust policy: {}", invalid.problem)),
    }
}

fn check(document: &PolicyDocument, form: Form) -> Result<(), Invalid> {
    let text = document.pretty();
    home::check(&text)?;
    PolicyDocument::parse_as(&text, form).map(|_| ())
}

/// Returns the names by which other services refer to a live role: its name, its ARN, and the ARN's resource part.
pub(super) fn known_as(found: &Found<Role>) -> Vec<String> {
    let arn = found.live.facts.arn.as_deref();
    let resource = arn.and_then(|arn| arn.splitn(6, ':').nth(5)).map(str::to_owned);
    std::iter::once(found.name.clone()).chain(arn.map(str::to_owned)).chain(resource).collect()
}

/// Returns the section that describes a live role, with its documents in files. Settings at IAM's default (no description, an hour, no
/// boundary) and absent settings are not managed.
pub(super) fn section(importer: &mut Importer<'_>, key: &str, found: Found<Role>) -> RoleSection {
    let Found { name, live } = found;
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        instance_profiles: _,
    } = live.state;
    let description = description.filter(|text| !text.is_empty());
    let description = kept(importer, "description", description, |text| check_description(text));
    let boundary = permissions_boundary.filter(|boundary| *boundary != Boundary::Off);
    let boundary = kept(importer, "permissions_boundary", boundary, |boundary| match boundary {
        Boundary::Off => Ok(()),
        Boundary::Policy(arn) => check_managed(arn),
    });
    let managed = managed_policies.filter(|all| !all.is_empty());
    let managed = kept(importer, "managed_policies", managed, |all| {
        all.iter().try_for_each(|arn| check_managed(arn)).and_then(|()| check_managed_count(all))
    });
    let policies = policies.filter(|all| !all.is_empty());
    let policies = kept(importer, "policies", policies, |all| {
        let each = |(name, policy): (&String, &PolicyDocument)| {
            check_policy_name(name).and_then(|()| check(policy, Form::Identity))
        };
        all.iter().try_for_each(each).and_then(|()| check_inline_size(all))
    });
    let trust = trust.map(|trust| Trust::File(importer.file(&format!("{key}-trust"), "json", trust.pretty())));
    let policies = policies.map(|all| {
        let file = |(name, policy): (String, PolicyDocument)| {
            let path = importer.file(&format!("{key}-{name}"), "json", policy.pretty());
            (name, path)
        };
        all.into_iter().map(file).collect::<IndexMap<_, _>>()
    });
    RoleSection {
        name: Some(name).filter(|name| name != key),
        path: path.filter(|path| path != "/"),
        description,
        max_session_duration: max_session_duration.filter(|seconds| *seconds != DEFAULT_SESSION),
        permissions_boundary: boundary,
        trust,
        managed_policies: managed.map(|all| all.into_iter().collect()),
        policies,
        permissions: None,
        tags: import::tags(tags.as_ref()),
    }
}

/// Returns a setting that a manifest can express. For another one, a warning explains why it is not managed.
fn kept<T>(
    importer: &mut Importer<'_>,
    setting: &str,
    value: Option<T>,
    rule: impl FnOnce(&T) -> Result<(), Invalid>,
) -> Option<T> {
    let value = value?;
    match rule(&value) {
        Ok(()) => Some(value),
        Err(invalid) => {
            importer.warn(format!("{setting} is not managed: {}", invalid.problem));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Value, json};

    use super::*;
    use crate::kind::FoundResources;
    use crate::kind::import::Imported;
    use crate::resource::names::PolicyRoot;
    use crate::resource::{Facts, Live, Tags};

    fn trust(principal: &Value) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    fn import(state: Role) -> Imported {
        let facts = Facts { arn: Some(String::from("arn:aws:iam::123456789012:role/prod")), ..Facts::default() };
        let live = Live { state, facts, gaps: Vec::new() };
        let roles = vec![Found { name: String::from("prod"), live }];
        FoundResources { roles, ..FoundResources::default() }.import(&PolicyRoot::new("/s"))
    }

    fn plain() -> Role {
        Role {
            path: Some(String::from("/")),
            description: Some(String::new()),
            max_session_duration: Some(3600),
            permissions_boundary: Some(Boundary::Off),
            trust: Some(trust(&json!({ "AWS": "123456789012" }))),
            managed_policies: Some(BTreeSet::new()),
            policies: Some(BTreeMap::new()),
            tags: Some(Tags::new()),
            instance_profiles: None,
        }
    }

    fn reasons(imported: &Imported) -> Vec<&str> {
        imported.warnings.iter().map(|warning| warning.why.as_str()).collect()
    }

    #[test]
    fn settings_at_their_default_are_not_imported() {
        let imported = import(plain());
        let trust = Some(Trust::File(String::from("policies/prod-trust.json")));
        assert_eq!(imported.sections.roles["prod"], RoleSection { trust, ..RoleSection::default() });
        assert_eq!(reasons(&imported), [""; 0]);
    }

    #[test]
    fn documents_are_written_to_files() {
        let statement = json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" });
        let policy = PolicyDocument::from(json!({ "Version": "2012-10-17", "Statement": [statement] }));
        let imported =
            import(Role { policies: Some(BTreeMap::from([(String::from("own"), policy.clone())])), ..plain() });
        let policies = imported.sections.roles["prod"].policies.clone().unwrap();
        assert_eq!(policies["own"], "policies/prod-own.json");
        let file = imported.files.iter().find(|file| file.path == policies["own"]).unwrap();
        assert_eq!(PolicyDocument::parse_as(&file.text, Form::Identity), Ok(policy));
    }

    #[test]
    fn a_role_that_no_manifest_can_express_is_not_imported() {
        let linked = import(Role { path: Some(String::from("/aws-service-role/x/")), ..plain() });
        assert_eq!(reasons(&linked), ["omitted: it belongs to an AWS service, at /aws-service-role/x/"]);
        let strange = import(Role { trust: Some(PolicyDocument::from_aws("x")), ..plain() });
        assert!(reasons(&strange)[0].starts_with("omitted: a manifest cannot express its trust policy"), "{strange:?}");
        assert!(strange.sections.roles.is_empty());
    }

    #[test]
    fn a_setting_that_no_manifest_can_express_is_omitted_with_a_warning() {
        let managed = (0..30).map(|number| format!("arn:aws:iam::aws:policy/P{number}")).collect();
        let imported = import(Role { managed_policies: Some(managed), ..plain() });
        assert_eq!(imported.sections.roles["prod"].managed_policies, None);
        assert_eq!(
            reasons(&imported),
            ["managed_policies is not managed: 30 managed policies are too many for a role"]
        );
    }
}
