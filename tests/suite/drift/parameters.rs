//! SSM parameters.

use serde_json::{Value, json};

use super::{Case, Drift, End};
use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[keys.secrets]
[parameters.url]
name = "/app/url"
value = "https://example.com/"
description = "where the app is"
allowed_pattern = "https://.*"
data_type = "text"
tier = "advanced"
tags = { team = "app" }
[parameters.url.parameter_policies]
expiration = "2099-01-01T00:00:00Z"
expiration_notifications = ["15 days"]
no_change_notifications = ["20 days"]
[parameters.labeled]
name = "/app/labeled"
value = "one"
labels = ["live"]
[parameters.secret]
name = "/app/secret"
value = "a secret"
type = "SecureString"
key = { key = "secrets" }
[parameters.small]
name = "/app/small"
value = "one"
tier = "standard"
[parameters.large]
name = "/app/large"
value = "one"
tier = "advanced"
[parameters.counter]
name = "/app/counter"
initial = "0"
"#;

const URL: &str = "https://example.com/";

fn ssm(world: &World, operation: &str, body: &Value) {
    world.aws(&format!("AmazonSSM.{operation}"), body);
}

/// Overwrites a parameter.
pub(super) fn put(name: &'static str, value: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        let mut body = json!({ "Name": name, "Value": value, "Overwrite": true });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ssm(world, "PutParameter", &body);
    }
}

/// Deletes a parameter, and creates another with the same name.
pub(super) fn replace(name: &'static str, value: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        ssm(world, "DeleteParameter", &json!({ "Name": name }));
        let mut body = json!({ "Name": name, "Value": value, "Type": "String", "Tags": [{ "Key": "managed-by", "Value": "sentinel" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ssm(world, "PutParameter", &body);
    }
}

pub(super) fn policies(extra: &[Value]) -> Value {
    json!({ "Policies": Value::Array(extra.to_vec()).to_string() })
}

pub(super) fn policy(kind: &str, attributes: &Value) -> Value {
    json!({ "Type": kind, "Version": "1.0", "Attributes": attributes })
}

pub(super) fn case() -> Case {
    let expires = |at: &str| policy("Expiration", &json!({ "Timestamp": at }));
    let before = |days: &str| policy("ExpirationNotification", &json!({ "Before": days, "Unit": "Days" }));
    let after = |days: &str| policy("NoChangeNotification", &json!({ "After": days, "Unit": "Days" }));
    let same = "2099-01-01T00:00:00.000Z";
    Case {
        files: vec![("sentinel.toml", MANIFEST.to_owned())],
        before: |_| {},
        drifts: vec![
            Drift::new(
                "another value",
                &["Parameter.Value", "parameter.value"],
                &["parameters.url value"],
                put("/app/url", "https://elsewhere/", json!({})),
            ),
            Drift::new(
                "another secret",
                &[],
                &["parameters.secret value"],
                put("/app/secret", "another secret", json!({})),
            ),
            Drift::new("a value that is left alone", &["parameter.initial"], &[], put("/app/counter", "7", json!({})))
                .ends(End::InSync),
            Drift::new(
                "another description",
                &["ParameterMetadata.Description", "parameter.description"],
                &["parameters.url description"],
                put("/app/url", URL, json!({ "Description": "another" })),
            ),
            Drift::new(
                "another pattern",
                &["ParameterMetadata.AllowedPattern", "parameter.allowed_pattern"],
                &["parameters.url allowed_pattern"],
                put("/app/url", URL, json!({ "AllowedPattern": ".*" })),
            ),
            Drift::new(
                "another data type",
                &["Parameter.DataType", "ParameterMetadata.DataType", "parameter.data_type"],
                &["parameters.url data_type"],
                put("/app/url", URL, json!({ "DataType": "aws:ssm:integration" })),
            ),
            Drift::new(
                "another expiration",
                &["ParameterMetadata.Policies", "parameter.parameter_policies", "parameter_policies.expiration"],
                &["parameters.url parameter_policies"],
                put("/app/url", URL, policies(&[expires("2098-01-01T00:00:00.000Z"), before("15"), after("20")])),
            ),
            Drift::new(
                "another notification of the expiration",
                &["parameter_policies.expiration_notifications"],
                &["parameters.url parameter_policies"],
                put("/app/url", URL, policies(&[expires(same), before("16"), after("20")])),
            ),
            Drift::new(
                "another notification without a change",
                &["parameter_policies.no_change_notifications"],
                &["parameters.url parameter_policies"],
                put("/app/url", URL, policies(&[expires(same), before("15"), after("21")])),
            ),
            Drift::new(
                "no policies",
                &[],
                &["parameters.url parameter_policies"],
                put("/app/url", URL, json!({ "Policies": "[{}]" })),
            ),
            Drift::new(
                "another tag",
                &["PutParameterInput.Tags", "parameter.tags"],
                &["parameters.url tags.team"],
                |world| {
                    let tags = json!([{ "Key": "team", "Value": "web" }]);
                    let body = json!({ "ResourceType": "Parameter", "ResourceId": "/app/url", "Tags": tags });
                    ssm(world, "AddTagsToResource", &body);
                },
            ),
            Drift::new("a tag too many", &[], &["parameters.url tags.extra"], |world| {
                let tags = json!([{ "Key": "extra", "Value": "1" }]);
                let body = json!({ "ResourceType": "Parameter", "ResourceId": "/app/url", "Tags": tags });
                ssm(world, "AddTagsToResource", &body);
            }),
            Drift::new("a label less", &["parameter.labels"], &["parameters.labeled labels.live"], |world| {
                let read = world.aws("AmazonSSM.GetParameter", &json!({ "Name": "/app/labeled" }));
                let version = read["Parameter"]["Version"].clone();
                let body = json!({ "Name": "/app/labeled", "ParameterVersion": version, "Labels": ["live"] });
                ssm(world, "UnlabelParameterVersion", &body);
            }),
            Drift::new(
                "another key",
                &["ParameterMetadata.KeyId", "parameter.key"],
                &["parameters.secret key"],
                put("/app/secret", "a secret", json!({ "Type": "SecureString", "KeyId": "alias/aws/ssm" })),
            ),
            Drift::new(
                "a lower tier",
                &["ParameterMetadata.Tier", "parameter.tier"],
                &["parameters.large tier"],
                replace("/app/large", "one", json!({ "Tier": "Standard" })),
            ),
            Drift::new(
                "a higher tier",
                &[],
                &["parameters.small tier"],
                put("/app/small", "one", json!({ "Tier": "Advanced" })),
            )
            .refused(replace("/app/small", "one", json!({ "Tier": "Standard" }))),
            Drift::new(
                "another type",
                &["Parameter.Type", "ParameterMetadata.Type", "parameter.type"],
                &["parameters.small type"],
                replace("/app/small", "one", json!({ "Type": "SecureString" })),
            )
            .refused(replace("/app/small", "one", json!({}))),
            Drift::new(
                "no parameter",
                &["Parameter.Name", "ParameterMetadata.Name", "parameter.name"],
                &["parameters.small missing"],
                |world| ssm(world, "DeleteParameter", &json!({ "Name": "/app/small" })),
            ),
        ],
    }
}
