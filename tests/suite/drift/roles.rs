//! IAM roles.

use serde_json::{Value, json};

use super::{Case, Drift, End};
use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[profiles.dev]
role = { role = "admin" }
[roles.broker]
trust = "broker.json"
permissions = "broker"
[roles.admin]
name = "prod-admin"
path = "/sentinel/"
description = "Production"
trusted_by = { broker = true }
max_session_duration = 7200
permissions_boundary = "arn:aws:iam::aws:policy/AdministratorAccess"
managed_policies = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
policies = { own = "own.json" }
tags = { team = "security" }
[roles.bare]
trusted_by = { accounts = ["123456789012"] }
permissions_boundary = false
"#;

fn trust(principal: &Value) -> String {
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn policy(action: &str) -> String {
    let statement = json!({ "Effect": "Allow", "Action": [action], "Resource": ["*"] });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// Makes a call for the role with every setting.
fn admin(action: &'static str, fields: &'static [(&'static str, &'static str)]) -> impl Fn(&World) {
    move |world| {
        let named = [("RoleName", "prod-admin")];
        drop(world.iam(action, &[&named[..], fields].concat()));
    }
}

/// Deletes a role with its policies, and recreates it with another path.
fn moved(world: &World, path: &str) {
    let named = ("RoleName", "bare");
    world.iam("DeleteRole", &[named]);
    let document = trust(&json!({ "AWS": "123456789012" }));
    let tags = [("Tags.member.1.Key", "managed-by"), ("Tags.member.1.Value", "sentinel")];
    let fields = [named, ("Path", path), ("AssumeRolePolicyDocument", document.as_str())];
    world.iam("CreateRole", &[&fields[..], &tags[..]].concat());
    // The actions with which Sentinel trusts accounts.
    let full = document.replace("\"sts:AssumeRole\"", "[\"sts:AssumeRole\",\"sts:SetSourceIdentity\"]");
    world.iam("UpdateAssumeRolePolicy", &[named, ("PolicyDocument", &full)]);
}

pub(super) fn case() -> Case {
    Case {
        files: vec![
            ("sentinel.toml", MANIFEST.to_owned()),
            ("broker.json", trust(&json!({ "Service": "ecs-tasks.amazonaws.com" }))),
            ("own.json", policy("s3:GetObject")),
        ],
        before: |_| {},
        drifts: vec![
            Drift::new(
                "another description of a role",
                &["role.description"],
                &["roles.admin description"],
                admin("UpdateRole", &[("Description", "by hand"), ("MaxSessionDuration", "7200")]),
            ),
            Drift::new(
                "longer sessions",
                &["role.max_session_duration"],
                &["roles.admin max_session_duration"],
                admin("UpdateRole", &[("Description", "Production"), ("MaxSessionDuration", "43200")]),
            ),
            Drift::new(
                "no boundary",
                &["role.permissions_boundary"],
                &["roles.admin permissions_boundary"],
                admin("DeleteRolePermissionsBoundary", &[]),
            ),
            Drift::new("a boundary too many", &[], &["roles.bare permissions_boundary"], |world| {
                let boundary = ("PermissionsBoundary", "arn:aws:iam::aws:policy/ReadOnlyAccess");
                world.iam("PutRolePermissionsBoundary", &[("RoleName", "bare"), boundary]);
            })
            .ends(End::With("protection")),
            Drift::new("trust in everyone", &["role.trusted_by"], &["roles.admin trust"], |world| {
                let document = trust(&json!({ "AWS": "*" }));
                world.iam("UpdateAssumeRolePolicy", &[("RoleName", "prod-admin"), ("PolicyDocument", &document)]);
            }),
            Drift::new("trust in another service", &["role.trust"], &["roles.broker trust"], |world| {
                let document = trust(&json!({ "Service": "lambda.amazonaws.com" }));
                world.iam("UpdateAssumeRolePolicy", &[("RoleName", "broker"), ("PolicyDocument", &document)]);
            }),
            Drift::new("trust in other words", &[], &[], |world| {
                let statement = json!({ "Action": ["sts:AssumeRole"], "Principal": { "Service": ["ecs-tasks.amazonaws.com"] }, "Effect": "Allow" });
                let document = json!({ "Statement": statement, "Version": "2012-10-17" }).to_string();
                world.iam("UpdateAssumeRolePolicy", &[("RoleName", "broker"), ("PolicyDocument", &document)]);
            })
            .ends(End::InSync),
            Drift::new(
                "a managed policy less",
                &["role.managed_policies"],
                &["roles.admin managed policy arn:aws:iam::aws:policy/ReadOnlyAccess"],
                admin("DetachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")]),
            ),
            Drift::new(
                "a managed policy too many",
                &[],
                &["roles.admin managed policy arn:aws:iam::aws:policy/AdministratorAccess"],
                admin("AttachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")]),
            ),
            Drift::new("another inline policy", &["role.policies"], &["roles.admin policy own"], |world| {
                let document = policy("s3:*");
                let fields = [("RoleName", "prod-admin"), ("PolicyName", "own"), ("PolicyDocument", document.as_str())];
                world.iam("PutRolePolicy", &fields);
            }),
            Drift::new("an inline policy too many", &[], &["roles.admin policy stray"], |world| {
                let document = policy("*");
                let fields = [("RoleName", "prod-admin"), ("PolicyName", "stray"), ("PolicyDocument", document.as_str())];
                world.iam("PutRolePolicy", &fields);
            }),
            Drift::new("no derived policy", &["role.permissions"], &["roles.broker policy sentinel"], |world| {
                world.iam("DeleteRolePolicy", &[("RoleName", "broker"), ("PolicyName", "sentinel")]);
            }),
            Drift::new(
                "another tag of a role",
                &["role.tags"],
                &["roles.admin tags.team"],
                admin("TagRole", &[("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")]),
            ),
            Drift::new(
                "a tag too many of a role",
                &[],
                &["roles.admin tags.extra"],
                admin("TagRole", &[("Tags.member.1.Key", "extra"), ("Tags.member.1.Value", "x")]),
            ),
            Drift::new("another path", &["role.path"], &["roles.bare path"], |world| moved(world, "/other/"))
                .refused(|world| moved(world, "/")),
            Drift::new("no role", &["role.name"], &["roles.bare missing"], |world| {
                world.iam("DeleteRole", &[("RoleName", "bare")]);
            }),
        ],
    }
}
