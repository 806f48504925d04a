//! IAM roles, end to end.

use serde_json::{Value, json};

use crate::world::World;

const MANIFEST: &str = r#"[profiles.dev]
role = { role = "admin" }

[roles.broker]
trust = "roles/broker.json"
permissions = "broker"

[roles.admin]
name = "prod-admin"
path = "/sentinel/"
description = "Production"
trusted_by = { broker = true }
max_session_duration = 7200
permissions_boundary = "arn:aws:iam::aws:policy/AdministratorAccess"
managed_policies = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
policies = { own = "roles/own.json" }
tags = { team = "security" }
"#;

const ADMIN: (&str, &str) = ("RoleName", "prod-admin");

fn trust(principal: &Value) -> String {
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn policy(action: &str) -> String {
    let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn world(manifest: &str) -> World {
    let world = World::quick();
    world.write("roles/broker.json", &trust(&json!({ "Service": "ecs-tasks.amazonaws.com" })));
    world.write("roles/own.json", &policy("s3:GetObject"));
    world.write("sentinel.toml", manifest);
    world
}

fn applied(manifest: &str) -> World {
    let world = world(manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.calls();
    world
}

/// Returns the paths of all differences, each after its resource.
fn changes(world: &World) -> Vec<String> {
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let changed_paths = |resource: &Value| {
        let address = resource["address"].as_str().unwrap().to_owned();
        let changes = resource["changes"].as_array().unwrap().clone();
        changes.into_iter().map(move |change| format!("{address} {}", change["path"].as_str().unwrap()))
    };
    plan["resources"].as_array().unwrap().iter().flat_map(changed_paths).collect()
}

/// Checks that a change outside of Sentinel is shown and repaired.
#[track_caller]
fn drifts(world: &World, path: &str, repair: &str) {
    assert_eq!(changes(world), [path]);
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.writes(), [repair], "{path}");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn roles_are_created_in_the_order_of_their_trust_and_then_in_sync() {
    let world = world(MANIFEST);
    let plan = world.run(&["plan"]).expect(0).stdout;
    assert!(plan.contains("IAM roles (all regions)"), "{plan}");
    assert!(plan.contains("arn:${sentinel:partition}:iam::${sentinel:account}:role/broker"), "{plan}");
    world.calls();
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains("Verified"), "{}", run.stdout);
    let calls = world.calls();
    let at = |operation: &str, role: &str| {
        calls.iter().position(|call| call.operation == operation && call.body["RoleName"] == role).unwrap()
    };
    assert!(at("CreateRole", "broker") < at("CreateRole", "prod-admin"), "{calls:?}");
    let parameter = calls.iter().position(|call| call.operation == "PutParameter").unwrap();
    assert!(at("CreateRole", "prod-admin") < parameter, "{calls:?}");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // Some emulators do not escape slashes.
    let trust = world.iam("GetRole", &[ADMIN]).replace("%2F", "/");
    assert!(trust.contains("arn%3Aaws%3Aiam%3A%3A123456789012%3Arole/broker"), "{trust}");
}

#[test]
fn a_saved_plan_of_roles_is_applied() {
    let world = world(MANIFEST);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["show", "p.json"]).expect(0);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn the_drift_of_each_setting_of_a_role_is_shown_and_repaired() {
    let world = applied(MANIFEST);
    let admin = |action: &str, fields: &[(&str, &str)]| drop(world.iam(action, &[&[ADMIN], fields].concat()));
    admin("UpdateRole", &[("Description", "by hand"), ("MaxSessionDuration", "7200")]);
    drifts(&world, "roles.admin description", "UpdateRole");
    admin("UpdateRole", &[("Description", "Production"), ("MaxSessionDuration", "3600")]);
    drifts(&world, "roles.admin max_session_duration", "UpdateRole");
    admin("DeleteRolePermissionsBoundary", &[]);
    drifts(&world, "roles.admin permissions_boundary", "PutRolePermissionsBoundary");
    admin("UpdateAssumeRolePolicy", &[("PolicyDocument", &trust(&json!({ "AWS": "*" })))]);
    drifts(&world, "roles.admin trust", "UpdateAssumeRolePolicy");
    admin("DetachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")]);
    drifts(&world, "roles.admin managed policy arn:aws:iam::aws:policy/ReadOnlyAccess", "AttachRolePolicy");
    admin("AttachRolePolicy", &[("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")]);
    drifts(&world, "roles.admin managed policy arn:aws:iam::aws:policy/AdministratorAccess", "DetachRolePolicy");
    admin("PutRolePolicy", &[("PolicyName", "own"), ("PolicyDocument", &policy("s3:*"))]);
    drifts(&world, "roles.admin policy own", "PutRolePolicy");
    admin("PutRolePolicy", &[("PolicyName", "stray"), ("PolicyDocument", &policy("*"))]);
    drifts(&world, "roles.admin policy stray", "DeleteRolePolicy");
    admin("TagRole", &[("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")]);
    drifts(&world, "roles.admin tags.team", "TagRole");
    admin("TagRole", &[("Tags.member.1.Key", "extra"), ("Tags.member.1.Value", "x")]);
    drifts(&world, "roles.admin tags.extra", "UntagRole");
    world.iam("DeleteRolePolicy", &[("RoleName", "broker"), ("PolicyName", "sentinel")]);
    drifts(&world, "roles.broker policy sentinel", "PutRolePolicy");
}

#[test]
fn an_equivalent_policy_is_in_sync() {
    let world = applied(MANIFEST);
    let statement = json!({ "Resource": ["*"], "Action": ["S3:getobject"], "Effect": "Allow" });
    let document = json!({ "Statement": statement, "Version": "2012-10-17" }).to_string();
    world.iam("PutRolePolicy", &[ADMIN, ("PolicyName", "own"), ("PolicyDocument", &document)]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_plan_of_imported_roles_has_no_changes() {
    let world = applied(MANIFEST);
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    for line in [
        "[roles.prod-admin]",
        "path = \"/sentinel/\"",
        "trust = \"policies/prod-admin-trust.json\"",
        "managed_policies = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]",
        "policies = { own = \"policies/prod-admin-own.json\" }",
        "[roles.broker]",
    ] {
        assert!(manifest.contains(line), "{line} is not in\n{manifest}");
    }
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

/// Returns the policies that were removed since the last call. Without the role, the broker's own permissions shrink too.
fn taken_away(world: &World) -> Vec<String> {
    world.writes().into_iter().filter(|write| write.starts_with("De")).collect()
}

/// The manifest without the profile's role, and with the role declared as removed.
fn removed() -> String {
    let manifest = MANIFEST.replace("role = { role = \"admin\" }\n", "");
    manifest.replace("[roles.admin]\n", "[roles.admin]\nremoved = true\n")
}

#[test]
fn a_role_is_deleted_with_consent_after_its_policies() {
    let world = applied(MANIFEST);
    world.write("sentinel.toml", &removed());
    world.run(&["apply", "--yes"]).expect(4);
    world.run(&["apply", "--yes", "--allow-destructive", "prune"]).expect(4);
    assert_eq!(taken_away(&world), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "prune,role"]).expect(0);
    assert_eq!(world.writes(), ["DetachRolePolicy", "DeleteRolePolicy", "DeleteRole"]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_role_of_an_instance_profile_is_not_deleted() {
    let world = applied(MANIFEST);
    world.iam("CreateInstanceProfile", &[("InstanceProfileName", "web")]);
    world.iam("AddRoleToInstanceProfile", &[("InstanceProfileName", "web"), ADMIN]);
    world.write("sentinel.toml", &removed());
    let run = world.run(&["apply", "--yes", "--allow-destructive", "prune,role"]).expect(4);
    assert!(run.stdout.contains("remove-role-from-instance-profile"), "{}", run.stdout);
    assert_eq!(taken_away(&world), [""; 0]);
}

#[test]
fn an_unlisted_role_is_pruned() {
    let world = applied(MANIFEST);
    world.iam(
        "CreateRole",
        &[("RoleName", "theirs"), ("AssumeRolePolicyDocument", &trust(&json!({ "AWS": "123456789012" })))],
    );
    world.write("sentinel.toml", "[profiles.dev]\n");
    // AWS's lists do not contain the tags of roles, so an ordinary plan does not look for them.
    assert!(!world.run(&["plan"]).expect(0).stdout.contains("prod-admin"));
    let plan = world.run(&["plan", "--prune"]).expect(0).stdout;
    assert!(plan.contains("prod-admin") && plan.contains("broker") && plan.contains("theirs"), "{plan}");
    world.run(&["apply", "--prune", "--yes", "--allow-destructive", "prune,role"]).expect(0);
    let left = world.iam("ListRoles", &[]);
    assert!(left.contains("theirs") && !left.contains("prod-admin") && !left.contains("<RoleName>broker<"), "{left}");
}

const FEDERATED: &str = r#"[roles.ci]
trusted_by = { github = { repository = "acme/infra", environment = "production" } }
permissions = "apply"
"#;

#[test]
fn a_missing_provider_is_reported_before_any_creation() {
    let world = world(FEDERATED);
    let plan = world.run(&["plan"]).stdout;
    let command = "aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com";
    assert!(plan.contains(command), "{plan}");
    world.run(&["apply", "--yes"]);
    assert_eq!(world.writes(), [""; 0]);
    let fields = [
        ("Url", "https://token.actions.githubusercontent.com"),
        ("ClientIDList.member.1", "sts.amazonaws.com"),
        ("ThumbprintList.member.1", "0000000000000000000000000000000000000000"),
    ];
    world.iam("CreateOpenIDConnectProvider", &fields);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn the_regions_of_an_account_share_the_same_role() {
    let world = world(
        "[targets.one]\nregion = \"us-east-1\"\n[targets.two]\nregion = \"eu-west-1\"\n[profiles.dev]\n[roles.reader]\ntrusted_by = { \
             accounts = [\"123456789012\"] }\npermissions = \"requester\"\n",
    );
    world.run(&["apply", "--yes"]).expect(0);
    let writes = world.writes();
    let policies = writes.iter().filter(|write| *write == "PutRolePolicy").count();
    assert!((1..=2).contains(&policies), "{writes:?}");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.iam("DeleteRolePolicy", &[("RoleName", "reader"), ("PolicyName", "sentinel")]);
    world.run(&["apply", "--yes", "--target", "two"]).expect(0);
    world.run(&["plan", "--detailed-exitcode", "--target", "one"]).expect(0);
}

#[test]
fn unpropagated_iam_resources_are_retried() {
    let world = world(MANIFEST);
    let mut left = 2;
    world.fault(move |call| {
        let answer = match call.operation.as_str() {
            "PutRolePolicy" => call.refusal("NoSuchEntity", "The role with name broker cannot be found."),
            "CreateRole" if call.body["RoleName"] == "prod-admin" => {
                call.refusal("MalformedPolicyDocument", "Invalid principal in policy: AWS")
            }
            _ => return None,
        };
        left -= 1;
        (left >= 0).then_some(answer)
    });
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_role_with_a_lost_creation_response_is_not_created_twice() {
    let world = world(MANIFEST);
    world.lose("CreateRole");
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_concurrently_created_role_is_not_changed() {
    let world = world(MANIFEST);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let theirs = trust(&json!({ "AWS": "123456789012" }));
    world.iam("CreateRole", &[ADMIN, ("AssumeRolePolicyDocument", &theirs)]);
    world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    let run = world.run(&["apply", "--yes"]);
    assert!(run.stdout.contains("set when a role is created"), "{}", run.stdout);
}

#[test]
fn an_exceeded_quota_is_explained() {
    let world = world(MANIFEST);
    world.fault(|call| {
        (call.operation == "AttachRolePolicy")
            .then(|| call.refusal("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"))
    });
    let run = world.run(&["apply", "--yes"]).expect(5);
    let output = format!("{}{}", run.stdout, run.stderr);
    assert!(output.contains("PoliciesPerRole: 10; a quota of the account is reached"), "{output}");
}

/// Returns the faults of a manifest.
fn refused(manifest: &str) -> String {
    let world = world(manifest);
    world.run(&["validate"]).expect(1).stderr
}

#[test]
fn invalid_role_settings_are_faults_with_their_line() {
    let errors_of = |settings: &str| refused(&format!("[roles.x]\n{settings}\n"));
    for (settings, message) in [
        ("", "`roles.x` does not define who may assume it"),
        ("trusted_by = { broker = true }", "the manifest has no role for the broker"),
        ("trusted_by = {}", "`trusted_by` names nobody"),
        ("trusted_by = { principals = [\"*\"] }", "\"*\" is not the ARN of a user or a role"),
        ("trusted_by = { github = { repository = \"acme/infra\" } }", "`github` does not restrict the jobs"),
        ("trust = \"roles/own.json\"", "has no Principal"),
        ("trust = \"roles/broker.json\"\npolicies = { a = \"roles/broker.json\" }", "has a Principal"),
        ("trust = \"roles/broker.json\"\nmax_session_duration = 60", "`max_session_duration` cannot be 60"),
        (
            "trust = \"roles/broker.json\"\nmanaged_policies = [\"ReadOnlyAccess\"]",
            "is not the ARN of a managed policy",
        ),
        ("trust = \"roles/broker.json\"\npath = \"/aws-service-role/x/\"", "is reserved for AWS"),
    ] {
        let output = errors_of(settings);
        assert!(output.contains(message) && output.contains("sentinel.toml:"), "{settings}: {output}");
    }
}

#[test]
fn permissions_too_large_for_one_role_are_a_fault() {
    let tables: String = (0..60)
        .map(|number| format!("[tables.t{number}]\nname = \"a-long-name-of-a-table-{number}\"\npartition_key = {{ name = \"id\", type = \
             \"S\" }}\n"))
        .collect();
    let output = refused(&format!("{tables}[roles.ci]\ntrust = \"roles/broker.json\"\npermissions = \"apply\"\n"));
    assert!(output.contains("the inline policies have") && output.contains("10,240"), "{output}");
}
