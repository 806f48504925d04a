//! A key in CloudFormation and Terraform: the key, and the alias that identifies it.

use serde_json::json;

use super::{Key, PolicyDocument, Rotation};
use crate::kind::Desired;
use crate::kind::export::cloudformation::{Properties, Stack, properties, set, tags};
use crate::kind::export::terraform::{Body, Module, PreventDestroy, add_tags, reference};
use crate::resource::Live;

/// Returns the ID of a live key, which AWS generates.
fn key_id(live: &Live<Key>) -> Option<&str> {
    live.facts.arn.as_deref()?.rsplit_once("key/").map(|(_, id)| id)
}

pub(super) fn cloudformation(desired: &Desired<Key>, live: Option<&Live<Key>>, stack: &mut Stack) {
    let Key { description, policy, rotation, multi_region, tags: own_tags, unlike: _ } = &desired.initial;
    let mut key = Properties::new();
    set(&mut key, "Description", description.clone());
    set(&mut key, "KeyPolicy", policy.as_ref().map(|policy| policy.value().clone()));
    set(&mut key, "EnableKeyRotation", rotation.map(|rotation| rotation != Rotation::Off));
    let days = rotation.and_then(|rotation| match rotation {
        Rotation::Days(days) => Some(days),
        Rotation::On | Rotation::Off => None,
    });
    set(&mut key, "RotationPeriodInDays", days);
    set(&mut key, "MultiRegion", *multi_region);
    set(&mut key, "Tags", tags(own_tags.as_ref()));
    let resource = stack.add(desired, "", "AWS::KMS::Key", key);
    resource.first = true;
    resource.existing = live.and_then(key_id).map(|id| properties([("KeyId", json!(id))]));
    let target = json!({ "Fn::GetAtt": [resource.id, "Arn"] });
    let alias = properties([("AliasName", json!(desired.name)), ("TargetKeyId", target)]);
    let resource = stack.add(desired, ALIAS, "AWS::KMS::Alias", alias);
    resource.first = true;
    resource.existing = live.map(|_| properties([("AliasName", json!(desired.name))]));
    if live.is_none() {
        let text = format!(
            "if {} already exists, the stack would create another key and move the alias to it: export with --live, \
             which imports the key",
            desired.name
        );
        stack.export.note(&desired.address, text);
    }
}

/// The prefix of an alias's logical ID.
pub(in crate::kind) const ALIAS: &str = "Alias";

pub(super) fn terraform(desired: &Desired<Key>, live: Option<&Live<Key>>, module: &mut Module) {
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = &desired.initial;
    let mut body = Body::new();
    body.maybe("description", description.as_ref());
    body.maybe("policy", policy.as_ref().map(PolicyDocument::to_json));
    body.maybe("enable_key_rotation", rotation.map(|rotation| rotation != Rotation::Off));
    let days = rotation.and_then(|rotation| match rotation {
        Rotation::Days(days) => Some(i64::from(days)),
        Rotation::On | Rotation::Off => None,
    });
    body.maybe("rotation_period_in_days", days);
    body.maybe("multi_region", *multi_region);
    let resource = module.add(desired, "aws_kms_key", body);
    resource.prevent_destroy = PreventDestroy::Yes;
    resource.existing = live.and_then(key_id).map(str::to_owned);
    // If the manifest has no description, a new key gets one that names its purpose.
    resource.ignored.extend(desired.managed.description.is_none().then_some("description"));
    if rotation.is_none() {
        resource.ignored.extend(["enable_key_rotation", "rotation_period_in_days"]);
    }
    add_tags(resource, tags.as_ref(), desired.managed.tags.as_ref());
    let key = reference("aws_kms_key", &resource.name.clone(), "key_id");
    let mut body = Body::new();
    body.set("name", &desired.name).set("target_key_id", key);
    let resource = module.add(desired, "aws_kms_alias", body);
    resource.existing = live.map(|_| desired.name.clone());
}
