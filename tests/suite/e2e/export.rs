//! `export`: the files of a manifest for CloudFormation and Terraform.

use serde_json::Value;

use super::{MANIFEST, POLICY};
use crate::snapshot;
use crate::world::World;

fn project() -> World {
    let world = World::quick();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    world
}

fn read(world: &World, path: &str) -> String {
    std::fs::read_to_string(world.folder.path().join(path)).unwrap()
}

fn json(world: &World, path: &str) -> Value {
    serde_json::from_str(&read(world, path)).unwrap()
}

#[test]
fn an_export_makes_no_call_and_can_be_repeated() {
    let world = project();
    for engine in ["cloudformation", "terraform"] {
        let out = format!("out-{engine}");
        let args = ["export", engine, "-o", &out];
        let first = world.run(&args).expect(0).stdout;
        assert!(first.starts_with("Wrote "), "{first}");
        assert_eq!(world.run(&args).expect(0).stdout, first);
    }
    assert_eq!(world.calls().len(), 0);
    world.run(&["export", "cloudformation", "-o", "large", "--from-s3"]).expect(0);
    assert!(read(&world, "large/deploy.sh").contains("--template-url %s/%s"));
    let template = json(&world, "out-cloudformation/sentinel.template.json");
    assert_eq!(template["Resources"]["TableSessions"]["Properties"]["TableName"], "acme-sessions");
    assert_eq!(template["Resources"]["TableSessions"]["DeletionPolicy"], "Retain");
    assert!(read(&world, "out-terraform/sentinel.tf").contains("resource \"aws_dynamodb_table\" \"table_sessions\" {"));
    // An edited file is not overwritten.
    world.write("out-terraform/sentinel.tf", "mine\n");
    let refused = world.run(&["export", "terraform", "-o", "out-terraform"]).expect(1).stderr;
    assert!(refused.contains("out-terraform/sentinel.tf: this file is not from an earlier export"), "{refused}");
    assert_eq!(read(&world, "out-terraform/sentinel.tf"), "mine\n");
}

/// Every setting of every kind.
#[test]
fn everything_is_exported_for_each_engine() {
    let world = World::quick();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/everything/sentinel.toml");
    let run = |engine: &str, out: &str, extra: &[&str]| {
        let args = [&["export", engine, "-f", manifest, "-o", out, "--allow-gaps"], extra].concat();
        world.run(&args).expect(0).stdout
    };
    let output = [
        run("cloudformation", "cf", &[]),
        run("terraform", "six", &[]),
        run("terraform", "five", &["--provider", "5"]),
    ];
    snapshot!(output.join("\n"));
    snapshot!(read(&world, "cf/sentinel.template.json"));
    snapshot!(read(&world, "cf/deploy.sh"));
    snapshot!(read(&world, "six/sentinel.tf"));
    snapshot!(read(&world, "six/providers.tf") + &read(&world, "six/variables.tf"));
}

#[test]
fn unsupported_settings_are_reported_and_omitted_only_if_allowed() {
    let world = World::quick();
    let parameters = "[aws]\nregion = \"us-east-1\"\n[parameters.host]\nname = \"/h\"\nvalue = \"x\"\nlabels = [\"live\"]\n\
        [parameters.password]\nname = \"/p\"\nenv = \"PASSWORD\"\ntype = \"SecureString\"\n";
    world.write("sentinel.toml", parameters);
    let run = |args: &[&str]| {
        let mut command = world.command(args);
        crate::world::finish(command.env("PASSWORD", "swordfish").spawn().unwrap())
    };
    let refused = run(&["export", "cloudformation", "-o", "out"]).expect(1).stderr;
    for words in
        ["error[E012]", "parameters.host labels", "parameters.password: CloudFormation cannot create a SecureString"]
    {
        assert!(refused.contains(words), "{words} in {refused}");
    }
    assert!(!world.folder.path().join("out").exists());
    let document = run(&["export", "cloudformation", "-o", "out", "--allow-gaps", "--json"]).expect(0).json();
    assert_eq!(document["left_out"].as_array().unwrap().len(), 2);
    let template = json(&world, "out/sentinel.template.json");
    assert_eq!(template["Resources"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ParameterHost"]);
    run(&["export", "terraform", "-o", "tf", "--exclude", "parameters.host"]).expect(0);
    let configuration = read(&world, "tf/sentinel.tf");
    assert!(configuration.contains("value_wo         = var.parameter_password_value"), "{configuration}");
    for folder in ["out", "tf"] {
        for entry in std::fs::read_dir(world.folder.path().join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains("swordfish"), "{text}");
        }
    }
}

#[test]
fn existing_resources_are_imported_and_each_update_adds_one_index() {
    let world = project();
    world.run(&["apply", "--yes", "--only", "tables.audit", "--only", "profiles.dev"]).expect(0);
    let extra: String = ["one", "two"]
        .iter()
        .map(|name| {
            format!("[tables.audit.indexes.{name}-index]\npartition_key = {{ name = \"{name}\", type = \"S\" }}\n")
        })
        .collect();
    world.write("sentinel.toml", &format!("{MANIFEST}{extra}"));
    let before = world.calls().len();
    world.run(&["export", "cloudformation", "-o", "cf", "--live"]).expect(0);
    assert!(world.calls().iter().skip(before).all(|call| !call.writes()));
    let indexes = |file: &str| {
        let template = json(&world, &format!("cf/{file}"));
        let audit = &template["Resources"]["TableAudit"]["Properties"];
        let names = audit["GlobalSecondaryIndexes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["IndexName"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>(), template["Resources"].as_object().unwrap().len())
    };
    assert_eq!(indexes("sentinel.import.template.json"), (vec!["actor-index".into()], 2));
    assert_eq!(indexes("sentinel.update-00.template.json"), (vec!["actor-index".into()], 5));
    assert_eq!(indexes("sentinel.update-01.template.json").0, ["actor-index", "one-index"]);
    assert_eq!(indexes("sentinel.template.json").0, ["actor-index", "one-index", "two-index"]);
    let imports = json(&world, "cf/sentinel.resources-to-import.json");
    let ids: Vec<&str> =
        imports.as_array().unwrap().iter().filter_map(|one| one["LogicalResourceId"].as_str()).collect();
    assert_eq!(ids, ["PolicyParameterDev", "TableAudit"]);
    world.run(&["export", "terraform", "-o", "tf", "--live"]).expect(0);
    let imports = read(&world, "tf/sentinel-imports.tf");
    assert!(imports.contains("to = aws_dynamodb_table.table_audit\n  id = \"acme-audit@us-east-1\""), "{imports}");
    assert_eq!(imports.matches("import {").count(), 2);
}

#[test]
fn one_root_module_has_all_targets_and_a_provider_for_each_account() {
    let world = World::quick();
    let manifest = "[targets.one]\nregion = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::111111111111:role/s\"\naccount_id = \"111111111111\"\n\
        [targets.two]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111111111111:role/s\"\naccount_id = \"111111111111\"\n\
        [targets.three]\nregion = \"us-east-1\"\naccount_id = \"333333333333\"\n[topics.alerts]\nname = \"alerts\"\n";
    world.write("sentinel.toml", manifest);
    world.run(&["export", "terraform", "-o", "six"]).expect(0);
    let providers = read(&world, "six/providers.tf");
    assert_eq!(providers.matches("provider \"aws\"").count(), 2, "{providers}");
    let two = read(&world, "six/two.tf");
    assert!(two.contains("resource \"aws_sns_topic\" \"two_topic_alerts\""), "{two}");
    assert!(two.contains("provider = aws.account_111111111111\n  region   = \"us-east-1\""), "{two}");
    world.run(&["export", "terraform", "-o", "five", "--provider", "5"]).expect(0);
    assert_eq!(read(&world, "five/providers.tf").matches("provider \"aws\"").count(), 3);
    assert!(!read(&world, "five/two.tf").contains("region "));
    world.run(&["export", "cloudformation", "-o", "set", "--stack-set"]).expect(0);
    let set = json(&world, "set/sentinel.stackset.json");
    assert_eq!(set["Instances"].as_array().unwrap().len(), 2);
    assert_eq!(set["Instances"][0]["OperationPreferences"]["ConcurrencyMode"], "SOFT_FAILURE_TOLERANCE");
}

/// Replaces the AWS CLI: records its arguments, and responds to each call of `deploy.sh`.
const AWS_CLI: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$CALLS"
case "$2" in describe-stacks | describe-stack-set) exit 254 ;; esac
"#;

/// Runs the commands of an export with a replaced AWS CLI. Returns the result and the calls.
fn deploy(world: &World, folder: &str, args: &[&str]) -> (std::process::Output, Vec<String>) {
    use std::os::unix::fs::PermissionsExt;

    world.write("bin/aws", AWS_CLI).write("calls", "");
    let bin = world.folder.path().join("bin");
    std::fs::set_permissions(bin.join("aws"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = std::process::Command::new("sh");
    command.arg(world.folder.path().join(folder).join("deploy.sh")).args(args);
    let calls = world.folder.path().join("calls");
    let output = command.env("PATH", path).env("CALLS", &calls).env("YES", "1").output().unwrap();
    let calls = std::fs::read_to_string(calls).unwrap().lines().map(str::to_owned).collect();
    (output, calls)
}

#[test]
fn the_commands_of_an_export_acknowledge_roles() {
    let world = World::quick();
    let manifest = "[targets.one]\nregion = \"eu-west-1\"\naccount_id = \"111111111111\"\n\
        [targets.two]\nregion = \"us-east-1\"\naccount_id = \"111111111111\"\n\
        [topics.alerts]\nname = \"alerts\"\n[roles.base]\ntrusted_by = { accounts = [\"111111111111\"] }\n";
    world.write("sentinel.toml", manifest);
    let run = world.run(&["export", "cloudformation", "-o", "cf"]).expect(0);
    assert!(
        run.stdout.contains("roles.base: it is global, so only the first target of each account creates it"),
        "{}",
        run.stdout
    );
    let (output, calls) = deploy(&world, "cf", &[]);
    assert!(output.status.success(), "{output:?}");
    let created: Vec<&String> = calls.iter().filter(|call| call.contains("create-change-set")).collect();
    let with_roles: Vec<bool> =
        created.iter().map(|call| call.ends_with(" --capabilities CAPABILITY_NAMED_IAM")).collect();
    assert_eq!(with_roles, [true, false], "{created:?}");
    let (output, calls) = deploy(&world, "cf", &["two"]);
    assert!(output.status.success() && calls.iter().all(|call| call.contains("us-east-1")), "{calls:?}");
    let (output, calls) = deploy(&world, "cf", &["three"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("deploy.sh: there is no target three; the targets are: one two\n"), "{said}");
    assert_eq!((output.status.code(), calls.len()), (Some(1), 0));
    world.run(&["export", "cloudformation", "-o", "set", "--stack-set"]).expect(0);
    let (output, calls) = deploy(&world, "set", &[]);
    assert!(output.status.success(), "{output:?}");
    let created = calls.iter().find(|call| call.contains("create-stack-set ")).unwrap();
    assert!(
        created.ends_with("--template-body file://sentinel.template.json --capabilities CAPABILITY_NAMED_IAM"),
        "{created}"
    );
    let instances: Vec<&String> = calls.iter().filter(|call| call.contains("create-stack-instances")).collect();
    assert!(instances.len() == 1 && !instances[0].contains("--capabilities"), "{instances:?}");
}

#[test]
fn an_export_names_the_next_command_and_what_it_does_not_import() {
    let world = World::quick();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[topics.alerts]\nname = \"alerts\"\n");
    let export = |args: &[&str]| world.run(&[&["export"], args].concat()).expect(0).stdout;
    let terraform = export(&["terraform", "-o", "my tf"]);
    assert!(terraform.ends_with("\nNext: cd 'my tf' && terraform init && terraform plan\n"), "{terraform}");
    assert!(terraform.contains("without --live, resources that exist already are not imported"), "{terraform}");
    let live = export(&["terraform", "-o", "live", "--live"]);
    assert!(!live.contains("--live"), "{live}");
    let stacks = export(&["cloudformation", "-o", "cf"]);
    assert!(stacks.contains(": 1 resource, ") && stacks.ends_with("\nNext: cd cf && ./deploy.sh\n"), "{stacks}");
    assert!(stacks.contains("without --live, keys, topics and subscriptions"), "{stacks}");
    world.run(&["apply", "--yes"]).expect(0);
    let live = export(&["cloudformation", "-o", "cf-live", "--live"]);
    assert!(live.ends_with("\nNext: cd cf-live && ./deploy.sh --import\n"), "{live}");
}
