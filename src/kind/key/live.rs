//! Converts a live key to the section that describes it.

use serde_json::json;

use super::state::KeyState;
use super::{ALIAS, Key, KeySection, ROTATION_DAYS, Rotation, check_policy, manifest};
use crate::kind::document::PolicyDocument;
use crate::kind::import::{self, Found, Importer};

/// Returns the section key of a live key: its alias without `alias/`.
///
/// # Errors
///
/// Returns the reason why it has no section: the key is not enabled, or has another type. A plan would always differ.
pub(super) fn key(found: &Found<Key>) -> Result<String, String> {
    if let Some(what) = &found.live.state.unlike {
        return Err(format!("omitted: it is {what}, and a section describes a symmetric encryption key"));
    }
    match KeyState::of(&found.live.facts) {
        KeyState::Enabled | KeyState::Updating => {}
        state => return Err(format!("omitted: its state is {state}")),
    }
    Ok(found.name.strip_prefix(ALIAS).unwrap_or(&found.name).replace('/', "-"))
}

/// Returns the names by which other services refer to a live key: its alias, its ID, and the ARN of either.
pub(super) fn known_as(found: &Found<Key>) -> Vec<String> {
    let arn = found.live.facts.arn.as_deref();
    let parts = arn.and_then(|arn| arn.rsplit_once(":key/"));
    let others = parts.into_iter().flat_map(|(head, id)| [id.to_owned(), format!("{head}:{}", found.name)]);
    std::iter::once(found.name.clone()).chain(arn.map(str::to_owned)).chain(others).collect()
}

/// Returns the section that describes a live key, with its policy in a file. Settings at AWS's default (no description, the default policy,
/// no rotation, a single region) and missing tags are not managed.
pub(super) fn section(importer: &mut Importer<'_>, key: &str, found: Found<Key>) -> KeySection {
    let Found { name, live } = found;
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = live.state;
    let default = live.facts.arn.as_deref().and_then(default_policy);
    let policy = policy.filter(|policy| Some(policy) != default.as_ref());
    let rotation = rotation.filter(|rotation| *rotation != Rotation::Off).filter(|rotation| match rotation {
        Rotation::Days(days) if !ROTATION_DAYS.contains(days) => {
            importer.warn(format!("rotation is not managed: a manifest cannot have {}", rotation.describe()));
            false
        }
        Rotation::Days(_) | Rotation::On | Rotation::Off => true,
    });
    let initial = manifest::initial_description(&name);
    KeySection {
        description: description.filter(|text| !text.is_empty() && *text != initial),
        policy: policy.and_then(|policy| policy_file(importer, key, &policy)),
        rotation,
        multi_region: multi_region.filter(|on| *on),
        tags: import::tags(tags.as_ref()),
        alias: Some(name).filter(|name| *name != format!("{ALIAS}{key}")),
    }
}

fn policy_file(importer: &mut Importer<'_>, key: &str, policy: &PolicyDocument) -> Option<String> {
    let text = policy.pretty();
    match PolicyDocument::parse(&text).and_then(|policy| check_policy(&policy)) {
        Ok(()) => Some(importer.file(key, "json", text)),
        Err(invalid) => {
            importer.warn(format!("policy is not managed: {}", invalid.problem));
            None
        }
    }
}

/// Returns the policy of a key that was created without one. Source: "Default key policy" in the AWS Key Management Service
/// Developer Guide.
fn default_policy(arn: &str) -> Option<PolicyDocument> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "kms", _, account, _] = parts[..] else { return None };
    let statement = json!({
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
        "Action": "kms:*",
        "Resource": "*",
    });
    Some(json!({ "Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement] }).into())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::kind::FoundResources;
    use crate::kind::import::Imported;
    use crate::resource::names::PolicyRoot;
    use crate::resource::{Facts, Live, Tags};

    const ARN: &str = "arn:aws:kms:us-east-1:123456789012:key/1234-5678";

    fn found(alias: &str, state: Key) -> Found<Key> {
        let facts = Facts { arn: Some(ARN.to_owned()), status: Some(String::from("Enabled")), ..Facts::default() };
        Found { name: alias.to_owned(), live: Live { state, facts, gaps: Vec::new() } }
    }

    fn import(found: Found<Key>) -> Imported {
        FoundResources { keys: vec![found], ..FoundResources::default() }.import(&PolicyRoot::new("/s"))
    }

    fn with_policy(policy: Value) -> Imported {
        import(found("alias/records", Key { policy: Some(policy.into()), ..Key::default() }))
    }

    #[test]
    fn settings_at_their_default_are_not_imported() {
        let state = Key {
            description: Some(String::from("alias/records, created by sentinel")),
            policy: default_policy(ARN),
            rotation: Some(Rotation::Off),
            multi_region: Some(false),
            tags: Some(Tags::new()),
            unlike: None,
        };
        let imported = import(found("alias/records", state));
        assert_eq!(imported.sections.keys["records"], KeySection::default());
        assert!(imported.files.is_empty() && imported.warnings.is_empty(), "{imported:?}");
    }

    #[test]
    fn an_alias_with_a_path_is_written_explicitly() {
        let imported = import(found("alias/app/records", Key::default()));
        assert_eq!(imported.sections.keys["app-records"].alias.as_deref(), Some("alias/app/records"));
    }

    #[test]
    fn a_non_default_policy_is_written_to_a_file() {
        let mut policy = default_policy(ARN).unwrap().value().clone();
        policy["Statement"][0]["Principal"]["AWS"] = json!("arn:aws:iam::210987654321:root");
        let imported = with_policy(policy.clone());
        assert_eq!(imported.sections.keys["records"].policy.as_deref(), Some("policies/records.json"));
        assert_eq!(PolicyDocument::parse(&imported.files[0].text), Ok(policy.into()));
    }

    #[test]
    fn a_policy_that_a_manifest_cannot_express_is_omitted_with_a_warning() {
        let imported =
            with_policy(json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*" }] }));
        assert_eq!(imported.sections.keys["records"].policy, None);
        assert_eq!(imported.warnings[0].why, "policy is not managed: statement 1 of the policy has no Principal");
    }

    #[test]
    fn a_disabled_key_is_not_imported() {
        let mut disabled = found("alias/records", Key::default());
        disabled.live.facts.status = Some(String::from("Disabled"));
        let imported = import(disabled);
        assert!(imported.sections.keys.is_empty());
        assert_eq!(imported.warnings[0].why, "omitted: its state is Disabled");
    }

    #[test]
    fn a_key_is_found_by_alias_id_and_arn() {
        let known = known_as(&found("alias/records", Key::default()));
        let alias = "arn:aws:kms:us-east-1:123456789012:alias/records";
        assert_eq!(known, ["alias/records", ARN, "1234-5678", alias]);
    }
}
