//! `[parameters.NAME]`: any SSM parameter.

use serde_json::{Value, json};

use crate::world::{Run, World, finish};

const AWS: &str = "[aws]\nregion = \"us-east-1\"\n";

fn world(manifest: &str) -> World {
    let world = World::new();
    world.write("sentinel.toml", &format!("{AWS}{manifest}"));
    world
}

/// Runs the binary with an environment variable.
fn run_with(world: &World, variable: (&str, &str), args: &[&str]) -> Run {
    let mut command = world.command(args);
    command.env("AWS_ENDPOINT_URL", world.url()).env(variable.0, variable.1);
    finish(command.spawn().unwrap())
}

fn value(world: &World, name: &str) -> String {
    let read = json!({ "Name": name, "WithDecryption": true });
    world.aws("AmazonSSM.GetParameter", &read)["Parameter"]["Value"].as_str().unwrap().to_owned()
}

/// Returns the metadata of a parameter, without parts that each write changes.
fn metadata(world: &World, name: &str) -> Value {
    let filters = json!({ "ParameterFilters": [{ "Key": "Name", "Values": [name] }] });
    let mut found = world.aws("AmazonSSM.DescribeParameters", &filters)["Parameters"][0].clone();
    for moving in ["Version", "LastModifiedDate"] {
        found.as_object_mut().unwrap().remove(moving);
    }
    found
}

fn put(world: &World, name: &str, extra: &Value) {
    let mut body = json!({ "Name": name, "Overwrite": true });
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    world.aws("AmazonSSM.PutParameter", &body);
}

/// Every source and every setting.
const ALL: &str = r#"[keys.secrets]

[parameters.url]
name = "/app/url"
value = "https://example.com/"
description = "where the app is"
allowed_pattern = "https://.*"
data_type = "text"
tier = "advanced"
parameter_policies = { no_change_notifications = ["20 days"] }
labels = ["live"]
tags = { team = "app" }

[parameters."/app/hosts"]
value = ["a.example.com", "b.example.com"]

[parameters.config]
name = "/app/config"
file = "config.json"

[parameters.token]
name = "/app/token"
file = "token.txt"
type = "SecureString"
key = { key = "secrets" }

[parameters.counter]
name = "/app/counter"
initial = "1"

[parameters.plain]
value = "no slash"
"#;

fn all() -> World {
    let world = world(ALL);
    world.write("config.json", "{\n  \"a\": 1\n}\n").write("token.txt", "s3cret-token");
    world
}

#[test]
fn every_source_and_setting_is_created_and_then_in_sync() {
    let world = all();
    let plan = world.run(&["plan"]).expect(0).stdout;
    for line in ["SSM parameters (us-east-1)", "/app/url", "file config.json", "initial value", "+ plain"] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    assert!(!plan.contains("s3cret-token"), "{plan}");
    world.run(&["apply", "--yes"]).expect(0);
    for (name, kind, expected) in [
        ("/app/url", "String", "https://example.com/"),
        ("/app/hosts", "StringList", "a.example.com,b.example.com"),
        ("/app/config", "String", "{\n  \"a\": 1\n}\n"),
        ("/app/token", "SecureString", "s3cret-token"),
        ("/app/counter", "String", "1"),
        ("plain", "String", "no slash"),
    ] {
        assert_eq!(value(&world, name), expected);
        assert_eq!(metadata(&world, name)["Type"], json!(kind), "{name}");
    }
    let url = metadata(&world, "/app/url");
    assert_eq!((&url["Tier"], &url["AllowedPattern"]), (&json!("Advanced"), &json!("https://.*")));
    assert_eq!(metadata(&world, "/app/token")["KeyId"], json!("alias/secrets"));
    let labeled = world.aws("AmazonSSM.GetParameter", &json!({ "Name": "/app/url:live" }));
    assert_eq!(labeled["Parameter"]["Version"], json!(1));
    let plan = world.run(&["plan", "--all", "--detailed-exitcode"]).expect(0).stdout;
    assert!(plan.contains("= /app/url (exists, v1)"), "{plan}");
    world.run(&["status", "--detailed-exitcode"]).expect(0);
    let status = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!((&status["parameters"], status["ssm_parameters"].as_array().unwrap().len()), (&json!([]), 6));
    world.run(&["graph"]).expect(0);
    assert!(world.run(&["iam"]).expect(0).stdout.contains("parameter/app/hosts"));
}

#[test]
fn drift_of_each_parameter_setting_is_shown_and_repaired() {
    let world = all();
    world.run(&["apply", "--yes"]).expect(0);
    let created = metadata(&world, "/app/url");
    for (field, drift) in [
        ("value", json!({ "Value": "https://elsewhere/" })),
        ("description", json!({ "Description": "another" })),
        ("allowed_pattern", json!({ "AllowedPattern": ".*" })),
        ("parameter_policies", json!({ "Policies": "[{}]" })),
    ] {
        let mut drift = drift;
        drift["Value"] = drift.get("Value").cloned().unwrap_or_else(|| json!("https://example.com/"));
        // AWS stores the pattern, which the value must match.
        put(&world, "/app/url", &drift);
        let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
        assert!(plan.contains(field) && plan.contains("labels.live"), "{field}: {plan}");
        world.calls();
        world.run(&["apply", "--yes"]).expect(0);
        assert_eq!(world.writes(), ["PutParameter", "LabelParameterVersion"], "{field}");
        assert_eq!(
            (metadata(&world, "/app/url"), value(&world, "/app/url")),
            (created.clone(), "https://example.com/".into())
        );
    }
    // A list, a file and a secret.
    for (name, shown) in
        [("/app/hosts", "c,d"), ("/app/config", "+  \"a\": 1"), ("/app/token", "a secret -> another secret")]
    {
        put(&world, name, &json!({ "Value": "c,d" }));
        let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
        assert!(plan.contains(shown) && !plan.contains("s3cret-token"), "{name}: {plan}");
        world.run(&["apply", "--yes"]).expect(0);
        assert_ne!(value(&world, name), "c,d");
    }
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// The value is not changed afterwards. A changed setting writes the live value again.
#[test]
fn an_initial_value_is_written_once() {
    for kind in ["String", "StringList", "SecureString"] {
        let initial = if kind == "StringList" { "[\"first\"]" } else { "\"first\"" };
        let section =
            format!("[parameters.counter]\nname = \"/app/counter\"\ninitial = {initial}\ntype = \"{kind}\"\n");
        let world = world(&section);
        world.run(&["apply", "--yes"]).expect(0);
        assert_eq!(value(&world, "/app/counter"), "first");
        put(&world, "/app/counter", &json!({ "Value": "second,third" }));
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
        world.write("sentinel.toml", &format!("{AWS}{section}description = \"counts\"\n"));
        world.run(&["plan", "--out", "p.json", "--detailed-exitcode"]).expect(2);
        let saved = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
        assert!(!saved.contains("second,third"), "{saved}");
        world.run(&["apply", "p.json", "--yes"]).expect(0);
        assert_eq!(value(&world, "/app/counter"), "second,third");
        let listed = metadata(&world, "/app/counter");
        assert_eq!((&listed["Description"], &listed["Type"]), (&json!("counts"), &json!(kind)));
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
    }
}

const SECRET: &str = "canary-in-a-variable";
const ENV: &str = "[parameters.password]\nname = \"/app/password\"\nenv = \"DB_PASSWORD\"\n";

#[test]
fn a_value_from_a_variable_is_written_compared_and_never_shown() {
    for kind in ["String", "SecureString"] {
        let world = world(&format!("{ENV}type = \"{kind}\"\n"));
        let mut output = String::new();
        let mut run = |value: &str, args: &[&str], code: i32| {
            let run = run_with(&world, ("DB_PASSWORD", value), args).expect(code);
            output.push_str(&run.stdout);
            output.push_str(&run.stderr);
            run.stdout
        };
        let plan = run(SECRET, &["plan", "-vv", "--out", "new.plan", "--out-html", "p.html"], 0);
        assert!(plan.contains("env DB_PASSWORD"), "{plan}");
        run(SECRET, &["apply", "new.plan", "--yes", "-vv"], 0);
        assert_eq!(value(&world, "/app/password"), SECRET);
        run(SECRET, &["plan", "--detailed-exitcode", "--show-secrets"], 0);
        let plan = run("another-canary", &["plan", "--detailed-exitcode", "--show-secrets"], 2);
        assert!(plan.contains("a secret -> another secret"), "{plan}");
        run("another-canary", &["apply", "--yes", "--json"], 0);
        assert_eq!(value(&world, "/app/password"), "another-canary");
        for secret in [SECRET, "another-canary"] {
            assert!(!output.contains(secret), "{output}");
            for file in ["new.plan", "p.html"] {
                let text = std::fs::read_to_string(world.folder.path().join(file)).unwrap();
                assert!(!text.contains(secret), "{file}");
            }
        }
    }
}

#[test]
fn an_unset_variable_is_a_fault_only_if_its_value_is_needed() {
    let world = world(&format!("{ENV}[profiles.dev]\n"));
    for args in [&["plan"][..], &["apply", "--yes"], &["plan", "--only", "parameters.*"]] {
        let run = world.run(args).expect(1);
        assert!(run.stderr.contains("the environment variable DB_PASSWORD is not set"), "{}", run.stderr);
        assert!(run.stderr.contains("sentinel.toml:5"), "{}", run.stderr);
    }
    assert_eq!(world.writes(), [""; 0]);
    for args in [
        &["validate"][..],
        &["iam"],
        &["graph"],
        &["plan", "--exclude", "parameters.password"],
        &["apply", "--yes", "--only", "profiles.*"],
    ] {
        world.run(args).expect(0);
    }
    // The output says that the parameter exists, and that its value is not compared.
    run_with(&world, ("DB_PASSWORD", SECRET), &["apply", "--yes"]).expect(0);
    let status = world.run(&["status", "--detailed-exitcode"]).expect(3).stdout;
    assert!(status.contains("env DB_PASSWORD is not set"), "{status}");
    run_with(&world, ("DB_PASSWORD", SECRET), &["status", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_saved_plan_reads_the_variable_again() {
    let world = world(ENV);
    run_with(&world, ("DB_PASSWORD", SECRET), &["plan", "--out", "new.plan"]).expect(0);
    let run = world.run(&["apply", "new.plan", "--yes"]).expect(4);
    assert!(
        run.stderr.contains("contains only its digest") && run.stderr.contains("set DB_PASSWORD"),
        "{}",
        run.stderr
    );
    let run = run_with(&world, ("DB_PASSWORD", "exchanged"), &["apply", "new.plan", "--yes"]).expect(4);
    assert!(run.stderr.contains("env DB_PASSWORD has changed since"), "{}", run.stderr);
    let run = run_with(&world, ("DB_PASSWORD", SECRET), &["apply", "new.plan", "--yes", "--detached"]).expect(4);
    assert!(run.stderr.contains("remove --detached"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    run_with(&world, ("DB_PASSWORD", SECRET), &["apply", "new.plan", "--yes"]).expect(0);
    assert_eq!(value(&world, "/app/password"), SECRET);
    // A plan that writes no value does not need the variable.
    world.write("sentinel.toml", &format!("{AWS}{ENV}tags = {{ team = \"a\" }}\n"));
    run_with(&world, ("DB_PASSWORD", SECRET), &["plan", "--out", "tags.plan"]).expect(0);
    world.run(&["apply", "tags.plan", "--yes"]).expect(0);
}

#[test]
fn invalid_parameter_settings_are_faults_of_the_manifest() {
    let long = format!("value = \"{}\"", "x".repeat(4097));
    for (body, expected) in [
        ("description = \"x\"", "has no value"),
        ("value = \"a\"\nenv = \"B\"", "are both set"),
        ("value = \"\"", "the value is empty"),
        (&long, "the value has 4097 bytes"),
        ("value = \"a {{b}}\"", "contains {{"),
        ("value = 7", "must be a string"),
        ("value = [\"a,b\"]", "has a comma"),
        ("value = [\"a\"]\ntype = \"SecureString\"", "a list is a StringList"),
        ("value = \"a\"\nkey = \"alias/x\"", "has no key"),
        ("value = \"a\"\ndata_type = \"json\"", "no data type"),
        ("env = \"A-B\"", "cannot be the name of a variable"),
        ("file = \"../x\"", "leaves the manifest's folder"),
        ("file = \"none.txt\"", "there is no file none.txt"),
        ("value = \"a\"\nname = \"app/x\"", "does not begin with /"),
        ("value = \"a\"\nname = \"/aws/x\"", "is reserved"),
        ("value = \"a\"\nlabels = [\"1st\"]", "cannot be a label"),
        ("value = \"a\"\nname = \"/sentinel/policies/dev\"", "is below the policy root"),
        ("value = \"a\"\nparameter_policies = { no_change_notifications = [\"1 days\"] }", "the standard tier has no"),
    ] {
        let world = world(&format!("[parameters.x]\n{body}\n"));
        let run = world.run(&["validate"]).expect(1);
        assert!(run.stderr.contains(expected), "{body}: {}", run.stderr);
    }
    let both = world(
        "[profiles.dev]\n[parameters.a]\nname = \"/app/x\"\nvalue = \"a\"\n[parameters.\"/app/x\"]\nvalue = \"b\"\n",
    );
    assert!(both.run(&["validate"]).expect(1).stderr.contains("both name the AWS parameter \"/app/x\""));
}

/// A line of the manifest is shown with a fault in it.
#[test]
fn a_fault_does_not_show_a_value() {
    for section in [
        "[parameters]\nx = { value = \"canary\", type = \"SecureString\", tir = \"advanced\" }\n",
        "[parameters.x]\ntype = \"SecureString\"\nvalue = [\"canary\"]\n",
        "[parameters.x]\ntype = \"SecureString\"\nvalue = \"canary {{x}}\"\n",
        "[parameters.x]\ninitial = \"\"\"\ncanary {{x}}\"\"\"\n",
    ] {
        let run = world(section).run(&["validate"]).expect(1);
        assert!(!run.stderr.contains("canary") && run.stderr.contains("sentinel.toml:"), "{}", run.stderr);
    }
}

#[test]
fn a_live_parameter_is_imported_with_all_settings() {
    let world = all();
    world.run(&["apply", "--yes"]).expect(0);
    put(&world, "/other/list", &json!({ "Value": "x,,y", "Type": "StringList" }));
    put(&world, "/other/image", &json!({ "Value": "ami-1", "Type": "String", "DataType": "aws:ec2:image" }));
    let named = ["--resource", "parameters=/other/list", "--resource", "parameters=/other/image"];
    world.run(&[&["import", "--region", "us-east-1", "-o", "other"][..], &named].concat()).expect(0);
    world.run(&["plan", "-f", "other/sentinel.toml", "--detailed-exitcode"]).expect(0);
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    assert!(run.stdout.contains("its value is not managed: it is a secret"), "{}", run.stdout);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    for line in [
        "[parameters.app-url]\nname = \"/app/url\"\nvalue = \"https://example.com/\"\n",
        "value = [\"a.example.com\", \"b.example.com\"]",
        "allowed_pattern = \"https://.*\"",
        "labels = [\"live\"]",
        "tags = { team = \"app\" }",
        "tier = \"advanced\"",
        "type = \"SecureString\"\nkey = { key = ",
    ] {
        assert!(manifest.contains(line), "{line}: {manifest}");
    }
    assert!(!manifest.contains("s3cret"), "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_parameter_is_adopted_and_pruned_and_removed_with_consent() {
    let world = world("[profiles.dev]\n[parameters.x]\nname = \"/app/x\"\nvalue = \"a\"\n");
    put(&world, "/app/x", &json!({ "Value": "a", "Type": "String" }));
    let plan = world.run(&["plan", "--adopt"]).expect(0).stdout;
    assert!(plan.contains("adopted"), "{plan}");
    world.run(&["apply", "--adopt", "--yes"]).expect(0);
    world.run(&["plan", "--adopt", "--detailed-exitcode"]).expect(0);
    // A policy below another root carries the tag too, and is not changed.
    let policy = "version: \"1\"\nrules:\n  - { name: a, effect: deny }\n";
    let tags = json!([{ "Key": "managed-by", "Value": "sentinel" }]);
    let theirs = json!({ "Name": "/other/policies/dev", "Value": policy, "Type": "String", "Tags": tags });
    world.aws("AmazonSSM.PutParameter", &theirs);
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n"));
    world.run(&["apply", "--prune", "--yes"]).expect(4);
    world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(0);
    let found = json!({ "Names": ["/app/x", "/other/policies/dev"] });
    assert_eq!(world.aws("AmazonSSM.GetParameters", &found)["InvalidParameters"], json!(["/app/x"]));
    // The section with this name can be used too.
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n[parameters.y]\nname = \"/app/y\"\nvalue = \"a\"\n"));
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n[parameters.y]\nname = \"/app/y\"\nremoved = true\n"));
    world.run(&["apply", "--yes"]).expect(4);
    world.run(&["apply", "--allow-destructive", "prune", "--yes"]).expect(0);
    assert_eq!(world.aws("AmazonSSM.GetParameters", &json!({ "Names": ["/app/y"] }))["Parameters"], json!([]));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn the_type_of_a_parameter_is_never_changed() {
    let world = world("[parameters.x]\nname = \"/app/x\"\nvalue = \"a\"\ntype = \"String\"\n");
    put(&world, "/app/x", &json!({ "Value": "a", "Type": "SecureString" }));
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
    assert!(plan.contains("SecureString -> String") && plan.contains("cannot change the type"), "{plan}");
    world.run(&["apply", "--yes"]).expect(4);
    // An omitted type is not String if the live value is a secret.
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[parameters.x]\nname = \"/app/x\"\nvalue = \"b\"\n");
    world.calls();
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
    assert!(plan.contains("only with type = \"SecureString\""), "{plan}");
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
}

/// A label moves with each written version, and other labels are not changed.
#[test]
fn labels_of_a_policy_move_to_the_newest_version() {
    let world = world("[profiles.dev]\npolicy = \"dev.yaml\"\nlabels = [\"live\"]\n");
    world.write("dev.yaml", super::POLICY);
    world.run(&["apply", "--yes"]).expect(0);
    let name = "/sentinel/policies/dev";
    world.aws("AmazonSSM.LabelParameterVersion", &json!({ "Name": name, "Labels": ["theirs"] }));
    world.calls();
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let read: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(read.iter().filter(|one| *one == "GetParameters").count(), 2, "{read:?}");
    world.write("dev.yaml", &super::POLICY.replace("alice", "eve"));
    world.run(&["apply", "--yes"]).expect(0);
    let version = |label: &str| {
        let read = json!({ "Name": format!("{name}:{label}") });
        world.aws("AmazonSSM.GetParameter", &read)["Parameter"]["Version"].clone()
    };
    assert_eq!((version("live"), version("theirs")), (json!(2), json!(1)));
    // Someone moves it back.
    let back = json!({ "Name": name, "Labels": ["live"], "ParameterVersion": 1 });
    world.aws("AmazonSSM.LabelParameterVersion", &back);
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout;
    assert!(plan.contains("labels.live"), "{plan}");
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.writes(), ["LabelParameterVersion"]);
    // No call is made if no label is managed.
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\npolicy = \"dev.yaml\"\n"));
    world.calls();
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let read: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(read.iter().filter(|one| *one == "GetParameters").count(), 1, "{read:?}");
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(manifest.contains("labels = [\"live\"]"), "{manifest}");
}
