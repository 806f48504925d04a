//! A parameter in CloudFormation and Terraform.

use serde_json::{Value, json};

use super::{ParameterType, Role, Stored, Tier};
use crate::kind::export::cloudformation::{Stack, properties, set};
use crate::kind::export::terraform::{Body, Module, PreventDestroy, add_tags};
use crate::kind::{Desired, KindId};
use crate::resource::Live;

/// Returns the environment variable of a value.
fn variable<R: Role>(desired: &Desired<Stored<R>>) -> Option<&str> {
    desired.origin.as_deref()?.strip_prefix("env ")
}

/// Returns AWS's name of a tier.
fn word(tier: Tier) -> &'static str {
    match tier {
        Tier::Standard => "Standard",
        Tier::Advanced => "Advanced",
        Tier::Intelligent => "Intelligent-Tiering",
    }
}

pub(in crate::kind) fn cloudformation<R: Role>(
    desired: &Desired<Stored<R>>,
    live: Option<&Live<Stored<R>>>,
    stack: &mut Stack,
) {
    let Stored { content, parameter_type, tier, settings, labels, tags, role: _ } = &desired.initial;
    let address = &desired.address;
    let kind = parameter_type.clone().unwrap_or(ParameterType::String);
    if !matches!(kind, ParameterType::String | ParameterType::StringList) {
        let why = "CloudFormation cannot create a SecureString: the Type of AWS::SSM::Parameter is String or \
             StringList";
        let help =
            format!("keep it in Sentinel with --exclude {address}, export for Terraform, or use AWS Secrets Manager");
        stack.export.refuses(address, why, help);
        return;
    }
    if labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
        let help = "remove labels, and set them with: aws ssm label-parameter-version";
        stack.export.lacks(address, "labels", "AWS::SSM::Parameter has no labels", help);
    }
    let settings = settings.without_none();
    let value = match content.as_ref().and_then(|content| content.shown()) {
        Some(text) => json!(text),
        None => stack.secret(address, "Value", format!("The value of {}", desired.name), variable(desired)),
    };
    let mut all = properties([("Name", json!(desired.name)), ("Type", json!(kind.as_str())), ("Value", value)]);
    set(&mut all, "Description", settings.description);
    set(&mut all, "AllowedPattern", settings.allowed_pattern);
    set(&mut all, "DataType", settings.data_type);
    set(&mut all, "Tier", tier.map(word));
    set(&mut all, "Policies", settings.parameter_policies.map(|policies| policies.document()));
    let tags = tags.as_ref().filter(|tags| !tags.is_empty());
    set(
        &mut all,
        "Tags",
        tags.map(|tags| tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Value>()),
    );
    if desired.managed.content.is_none() {
        let text = "its value is written when the stack creates it, and again only if the template has another one";
        stack.export.note(address, text);
    }
    let resource = stack.add(desired, "", "AWS::SSM::Parameter", all);
    resource.existing = live.map(|_| properties([("Name", json!(desired.name))]));
}

pub(in crate::kind) fn terraform<R: Role>(
    desired: &Desired<Stored<R>>,
    live: Option<&Live<Stored<R>>>,
    module: &mut Module,
) {
    let Stored { content, parameter_type, tier, settings, labels, tags, role: _ } = &desired.initial;
    let address = &desired.address;
    let kind = parameter_type.clone().unwrap_or(ParameterType::String);
    let settings = settings.without_none();
    if labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
        let help = "remove labels, and set them with: aws ssm label-parameter-version";
        module.export.lacks(address, "labels", "aws_ssm_parameter has no labels", help);
    }
    if settings.parameter_policies.is_some() {
        let help = "remove parameter_policies, or keep the parameter in Sentinel with --exclude";
        module.export.lacks(address, "parameter_policies", "aws_ssm_parameter has no parameter policies", help);
    }
    let mut body = Body::new();
    body.set("name", &desired.name).set("type", kind.as_str());
    let mut ignored = Vec::new();
    let initial = desired.managed.content.is_none();
    if let Some(text) = content.as_ref().and_then(|content| content.shown()) {
        body.set("value", text);
        ignored.extend(initial.then_some("value"));
    } else {
        let from =
            variable(desired).map(|variable| format!(", which Sentinel reads from {variable}")).unwrap_or_default();
        let name = format!("{}_value", module.name(address));
        let value = module.secret(name, format!("The value of {}{from}", desired.name));
        body.set("value_wo", value).set("value_wo_version", 1);
        // The value is write-only; only its version number is compared.
        ignored.extend(initial.then_some("value_wo_version"));
        if !initial && live.is_some() {
            let text = "the first apply after the import writes its value again, so that Terraform does not keep it \
                 in its state";
            module.export.note(address, text);
        }
    }
    body.maybe("tier", tier.map(word));
    body.maybe("description", settings.description.as_ref());
    body.maybe("allowed_pattern", settings.allowed_pattern.as_ref());
    body.maybe("data_type", settings.data_type.as_ref());
    body.maybe("key_id", settings.key.as_ref());
    let alias = module.export.referred(&desired.depends_on, KindId::Key);
    let alias = alias.map(|key| format!("aws_kms_alias.{}", module.name(key)));
    let unmanaged = [
        ("allowed_pattern", desired.managed.settings.allowed_pattern.is_none()),
        ("description", desired.managed.settings.description.is_none()),
        ("tier", desired.managed.tier.is_none()),
    ];
    ignored.extend(unmanaged.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name));
    let resource = module.add(desired, "aws_ssm_parameter", body);
    resource.prevent_destroy = PreventDestroy::Yes;
    resource.ignored = ignored;
    resource.depends_on.extend(alias);
    resource.existing = live.map(|_| desired.name.clone());
    add_tags(resource, tags.as_ref(), desired.managed.tags.as_ref());
}
