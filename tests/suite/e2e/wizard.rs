use serde_json::json;

use super::{MANIFEST, POLICY, project};
use crate::world::World;

/// The shared AWS files of a new user.
fn with_aws_files(world: &World) {
    world.write(
        ".aws/config",
        "[default]\nregion = us-east-1\n[profile dev]\nregion = us-east-1\n[profile prod]\nregion = us-east-1\n",
    );
}

#[test]
fn without_a_terminal_flags_replace_all_questions() {
    let world = World::new();
    with_aws_files(&world);
    let run = world
        .run(&["init", "wizard", "--profile", "dev", "--profile", "prod", "--all", "--pin-account", "--yes"])
        .expect(0);
    assert!(run.stdout.starts_with("Wrote sentinel.toml.\nNext: sentinel plan -f sentinel.toml"), "{}", run.stdout);
    let manifest = std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap();
    let expected = "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n\n[profiles.dev]\n\n[profiles.prod]\n\n\
                    [tables.approvals]\n\n[tables.breakglass]\n\n[tables.sessions]\n";
    assert_eq!(manifest, expected);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["plan", "--detailed-exitcode"]).expect(2);
    // Existing files are not changed.
    let again = world.run(&["init", "wizard", "--profile", "other", "--no-tables", "--yes"]).expect(1);
    assert!(again.stderr.contains("this file exists"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap(), expected);
}

#[test]
fn each_question_that_no_flag_answers_is_named() {
    let world = World::new();
    let ask = |args: &[&str]| world.run(&[&["init", "wizard"][..], args].concat()).expect(1).stderr;
    assert!(ask(&[]).contains("hint: add --profile NAME for each, or --no-profiles"));
    assert!(ask(&["--profile", "dev"]).contains("hint: add --all, --with-approvals and the like, or --no-tables"));
    assert!(ask(&["--profile", "dev", "--with-sessions"]).contains("hint: add --yes"));
    assert!(!world.folder.path().join("sentinel.toml").exists());
}

#[test]
fn the_wizard_checks_the_folder_and_the_terminal_before_its_first_question() {
    let world = World::new();
    let run = |world: &World, args: &[&str]| {
        let mut command = world.command(&[&["init", "wizard"][..], args].concat());
        crate::world::finish(command.spawn().unwrap()).expect(1).stderr
    };
    let missing = "there is no terminal for questions, and no option sets ";
    let stderr = run(&world, &[]);
    assert!(
        stderr.contains(&format!("{missing}which profiles to manage, which tables to manage, the conf")),
        "{stderr}"
    );
    let stderr = run(&world, &["--no-profiles", "--all", "--yes"]);
    assert!(stderr.contains(&format!("{missing}the region")), "{stderr}");
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n");
    let stderr = run(&world, &[]);
    assert!(stderr.contains("sentinel.toml: this file exists; nothing was asked or written"), "{stderr}");
    assert!(stderr.contains("hint: write into another folder with -o"), "{stderr}");
}

/// Live policies are written to files, and a plan of them has no changes.
#[test]
fn live_policies_are_imported_on_request() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let flags = [
        "--profile",
        "dev",
        "--profile",
        "new",
        "--with-approvals",
        "--with-breakglass",
        "--bring-policies",
        "--pin-account=false",
        "--yes",
        "-o",
        "here",
    ];
    world.run(&[&["init", "wizard"][..], &flags].concat()).expect(0);
    let file = |path: &str| std::fs::read_to_string(world.folder.path().join("here").join(path)).unwrap();
    assert_eq!(file("policies/dev.yaml"), POLICY);
    assert!(file("sentinel.toml").contains("[profiles.new]") && !file("sentinel.toml").contains("account_id"));
    let plan = world.run(&["plan", "-f", "here/sentinel.toml", "--json"]).expect(0).json();
    assert_eq!(plan["summary"]["unchanged"], json!(2), "{plan:#}");
    assert_eq!(plan["summary"]["create"], json!(2), "{plan:#}");
    assert!(MANIFEST.contains("[tables.approvals]"));
}

/// A user without read permissions still gets a manifest, and a list of the failed reads.
#[test]
fn the_wizard_continues_after_failed_reads() {
    let world = World::new();
    world.fail("GetParametersByPath", "AccessDeniedException", "");
    world.fail("DescribeTable", "AccessDeniedException", "");
    let run = world.run(&["init", "wizard", "--no-profiles", "--all", "--yes"]).expect(0);
    assert!(
        run.stderr.contains("The live policies were not read: ssm:GetParametersByPath: AccessDenied"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("The table sentinel-requests was not read"), "{}", run.stderr);
    std::fs::remove_file(world.folder.path().join("sentinel.toml")).unwrap();
    let flags = [
        "init",
        "wizard",
        "--no-profiles",
        "--all",
        "--yes",
        "--region",
        "us-east-1",
        "--endpoint-url",
        "http://127.0.0.1:9",
    ];
    let run = crate::world::finish(world.command(&flags).spawn().unwrap()).expect(0);
    assert!(run.stderr.contains("AWS was not read: checking the credentials"), "{}", run.stderr);
}

/// A profile with a policy keeps it.
#[test]
fn the_wizard_writes_a_policy_for_the_given_users() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let flags = [
        "--profile",
        "dev",
        "--profile",
        "new",
        "--no-tables",
        "--bring-policies",
        "--allow",
        "bob",
        "--yes",
        "-o",
        "here",
    ];
    let run = world.run(&[&["init", "wizard"][..], &flags].concat()).expect(0);
    let written =
        "Wrote here/sentinel.toml, here/policies/dev.yaml, here/policies/new.yaml, here/policies/new.test.yaml.";
    assert!(run.stdout.starts_with(written), "{}", run.stdout);
    let file = |path: &str| std::fs::read_to_string(world.folder.path().join("here").join(path)).unwrap();
    assert_eq!(file("policies/dev.yaml"), POLICY);
    assert!(file("policies/new.yaml").contains("users: [bob]"), "{}", file("policies/new.yaml"));
    world.run(&["policy", "test", "-f", "here/sentinel.toml"]).expect(0);
    world.run(&["fmt", "--check", "-f", "here/sentinel.toml"]).expect(0);
}
