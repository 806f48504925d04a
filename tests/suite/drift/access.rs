//! Policies in Parameter Store.

use serde_json::json;

use super::parameters::{policies, policy, put, replace};
use super::{Case, Drift};
use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[keys.policies]
[profiles.dev]
policy = "dev.yaml"
tier = "advanced"
description = "who may do what"
allowed_pattern = "(?s)version.*"
data_type = "text"
tags = { team = "app" }
parameter_policies = { no_change_notifications = ["20 days"] }
[profiles.labeled]
policy = "dev.yaml"
labels = ["live"]
[profiles.secret]
policy = "dev.yaml"
type = "SecureString"
key = { key = "policies" }
[profiles.small]
policy = "dev.yaml"
tier = "standard"
"#;

const POLICY: &str = "version: \"1\"\nrules:\n  - { name: all, effect: deny }\n";
const OTHER: &str = "version: \"1\"\nrules:\n  - { name: all, effect: allow }\n";
const DEV: &str = "/sentinel/policies/dev";
const SECRET: &str = "/sentinel/policies/secret";
const SMALL: &str = "/sentinel/policies/small";

pub(super) fn case() -> Case {
    let tag = |key: &'static str| {
        move |world: &World| {
            let tags = json!([{ "Key": key, "Value": "web" }]);
            let body = json!({ "ResourceType": "Parameter", "ResourceId": DEV, "Tags": tags });
            world.aws("AmazonSSM.AddTagsToResource", &body);
        }
    };
    let after = policy("NoChangeNotification", &json!({ "After": "21", "Unit": "Days" }));
    Case {
        files: vec![("sentinel.toml", MANIFEST.to_owned()), ("dev.yaml", POLICY.to_owned())],
        before: |_| {},
        drifts: vec![
            Drift::new("another policy", &["profile.policy"], &["profiles.dev content"], put(DEV, OTHER, json!({}))),
            Drift::new("another secret policy", &[], &["profiles.secret content"], put(SECRET, OTHER, json!({}))),
            Drift::new(
                "another description",
                &["profile.description"],
                &["profiles.dev description"],
                put(DEV, POLICY, json!({ "Description": "another" })),
            ),
            Drift::new(
                "another pattern",
                &["profile.allowed_pattern"],
                &["profiles.dev allowed_pattern"],
                put(DEV, POLICY, json!({ "AllowedPattern": "(?s).*" })),
            ),
            Drift::new(
                "another data type",
                &["profile.data_type"],
                &["profiles.dev data_type"],
                put(DEV, POLICY, json!({ "DataType": "aws:ssm:integration" })),
            ),
            Drift::new(
                "another notification",
                &["profile.parameter_policies"],
                &["profiles.dev parameter_policies"],
                put(DEV, POLICY, policies(&[after])),
            ),
            Drift::new("another tag", &["profile.tags"], &["profiles.dev tags.team"], tag("team")),
            Drift::new("a tag too many", &[], &["profiles.dev tags.extra"], tag("extra")),
            Drift::new("a label less", &["profile.labels"], &["profiles.labeled labels.live"], |world| {
                let name = "/sentinel/policies/labeled";
                let read = world.aws("AmazonSSM.GetParameter", &json!({ "Name": name }));
                let body =
                    json!({ "Name": name, "ParameterVersion": read["Parameter"]["Version"], "Labels": ["live"] });
                world.aws("AmazonSSM.UnlabelParameterVersion", &body);
            }),
            Drift::new(
                "another key",
                &["profile.key"],
                &["profiles.secret key"],
                put(SECRET, POLICY, json!({ "Type": "SecureString", "KeyId": "alias/aws/ssm" })),
            ),
            Drift::new(
                "a higher tier",
                &["profile.tier"],
                &["profiles.small tier"],
                put(SMALL, POLICY, json!({ "Tier": "Advanced" })),
            )
            .refused(replace(SMALL, POLICY, json!({ "Tier": "Standard" }))),
            Drift::new(
                "another type",
                &["profile.type"],
                &["profiles.small type"],
                replace(SMALL, POLICY, json!({ "Type": "SecureString" })),
            )
            .refused(replace(SMALL, POLICY, json!({}))),
            Drift::new("no policy", &[], &["profiles.small missing"], |world| {
                world.aws("AmazonSSM.DeleteParameter", &json!({ "Name": SMALL }));
            }),
        ],
    }
}
