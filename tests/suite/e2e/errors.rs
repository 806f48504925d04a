//! Errors of AWS or of the connection before anything is planned: each has a message, a code and a fix.

use super::project;
use crate::world::{Answer, World, finish};

fn error_output(world: &World, status: u16, code: &'static str, message: &'static str) -> String {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error></ErrorResponse>"
    );
    world.clear_faults();
    world.fault(move |call| {
        let answer = || Answer { status, content_type: "text/xml", body: body.clone().into_bytes() };
        (call.operation == "GetCallerIdentity").then(answer)
    });
    world.run(&["plan"]).expect(1).stderr
}

#[test]
fn each_credentials_error_has_a_fix() {
    let world = project();
    let cases = [
        (
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
            "E105",
            "the key was deleted",
        ),
        (403, "ExpiredToken", "The security token included in the request is expired", "E106", "get new ones"),
        (
            403,
            "SignatureDoesNotMatch",
            "Signature expired: 20200101T000000Z is now earlier than 20200101T001500Z",
            "E107",
            "set this machine's clock",
        ),
        (
            403,
            "AccessDenied",
            "with an explicit deny in a service control policy",
            "E201",
            "ask for sts:GetCallerIdentity",
        ),
    ];
    for (status, code, message, expected, hint) in cases {
        let output = error_output(&world, status, code, message);
        let head = format!("error[{expected}]: checking the credentials (sts:GetCallerIdentity): {code}: {message}");
        assert!(output.contains(&head) && output.contains(&format!("hint: {hint}")), "{output}");
    }
}

#[test]
fn missing_entries_in_the_shared_files_are_named() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    world.write(
        ".aws/config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\nregion = us-east-1\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\nsso_registration_scopes = sso:account:access\n\
         [profile failing]\ncredential_process = /bin/false\n[profile admin]\naws_access_key_id = A\naws_secret_access_key = B\n",
    );
    let plan = |profile: &str| {
        let mut command = world.command(&["plan", "--aws-profile", profile, "--endpoint-url", "http://127.0.0.1:9"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        finish(command.spawn().unwrap()).expect(1).stderr
    };
    for (profile, words) in [
        (
            "sso",
            [
                "error[E102]: no credentials from the AWS profile sso: there is no SSO session",
                "aws sso login --profile sso",
            ],
        ),
        (
            "failing",
            [
                "error[E104]: no credentials from the AWS profile failing: the credential process exited with code",
                "credential_process",
            ],
        ),
        (
            "amdin",
            [
                "error[E103]: no credentials from the AWS profile amdin: it is not in ~/.aws/config",
                "did you mean admin?",
            ],
        ),
    ] {
        let output = plan(profile);
        assert!(words.iter().all(|word| output.contains(word)), "{output}");
    }
    // The profile that the environment selects is named too.
    let mut command = world.command(&["plan"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_PROFILE", "amdin");
    let output = finish(command.spawn().unwrap()).expect(1).stderr;
    let head = "error[E103]: no credentials from the AWS profile amdin: it is not in ~/.aws/config";
    assert!(output.contains(head) && output.contains("did you mean admin?"), "{output}");
    let mut command = world.command(&["plan"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let output = finish(command.spawn().unwrap()).expect(1).stderr;
    assert!(
        output.contains("error[E101]: checking the credentials (sts:GetCallerIdentity): no credentials were found"),
        "{output}"
    );
}

/// An exceeded quota, a refusal and a missing permission are shown in the line of their resource, and the other resources continue.
#[test]
fn errors_of_a_resource_are_shown_in_its_line() {
    let world = project();
    world.fault(|call| {
        let full = "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber";
        let matches = call.operation == "CreateTable" && call.body.to_string().contains("sentinel-requests");
        matches.then(|| Answer::error(400, "LimitExceededException", full))
    });
    world.fail("PutParameter", "AccessDeniedException", "policies/dev");
    let run = world.run(&["apply", "--yes"]).expect(5);
    assert!(
        run.stdout.contains(
            "X Approvals table: sentinel-requests: while creating: dynamodb:CreateTable: LimitExceededException"
        ),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("E203: delete what is not needed, or request an increase under Service Quotas"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("E201: request the permission that the message names"), "{}", run.stdout);
}

/// Runs `exec` with AWS profiles that supply no credentials, and without any in the environment.
fn exec(world: &World, args: &[&str]) -> crate::world::Run {
    let mut command = world.command(&[&["exec"], args, &["--", "env"]].concat());
    command.env("AWS_ENDPOINT_URL", world.url()).env("AWS_REGION", "us-east-1");
    finish(command.spawn().unwrap())
}

#[test]
fn each_reason_for_no_credentials_has_its_own_code() {
    let world = World::new();
    world.write(
        ".aws/config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin\nregion = us-east-1\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\nsso_registration_scopes = sso:account:access\n\
         [profile failing]\ncredential_process = /bin/false\n\
         [profile broken]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = nowhere\n\
         [profile circle]\ncredential_process = sentinel credentials --profile dev\n\
         [profile mfa]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = keys\nmfa_serial = arn:aws:iam::123456789012:mfa/alice\n\
         [profile keys]\naws_access_key_id = test\naws_secret_access_key = test\n",
    );
    world.run(&["init", "bootstrap", "--profile", "dev", "--write-manifest", "sentinel.toml"]).expect(0);
    world.write(
        "allow.yaml",
        "version: \"1\"\nrules:\n  - name: all\n    effect: allow\n    conditions:\n      profiles: [dev]\n",
    );
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"allow.yaml\"\n");
    world.run(&["apply", "--yes"]).expect(0);
    let with_profile = |profile: &'static str| ["--profile", "dev", "--credentials-profile", profile];
    let cases = [
        (with_profile("none"), "E103"),
        (with_profile("broken"), "E103"),
        (with_profile("sso"), "E102"),
        (with_profile("failing"), "E104"),
        (with_profile("mfa"), "E111"),
        (["--profile", "dev", "--aws-profile", "circle"], "E109"),
        (["--profile", "dev", "--aws-profile", "none"], "E103"),
    ];
    for (args, code) in cases {
        let output = exec(&world, &args).expect(1).stderr;
        assert!(output.contains(&format!("error[{code}]: ")), "{args:?}: {output}");
    }
    world.write(".aws/config", "[profile x\n");
    let output = exec(&world, &with_profile("x")).expect(1).stderr;
    assert!(output.contains("error[E110]: the shared AWS files cannot be read"), "{output}");
}

#[test]
fn a_missing_file_is_not_an_invalid_argument() {
    let world = World::new();
    let code = |args: &[&str]| world.run(&[args, &["--json"]].concat()).expect(1).json()["error"]["code"].take();
    assert_eq!(code(&["check", "0123456789abcdef"]), "E207");
    assert_eq!(code(&["import", "--out", "new", "--table", "none"]), "E207");
    assert_eq!(code(&["import", "--out", "new", "--resource", "topics=none"]), "E207");
    world.run(&["init", "approvals", "--yes"]).expect(0);
    assert_eq!(code(&["check", "0123456789abcdef"]), "E503");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serve = world.command(&["local", "serve", "--port", &port]).spawn().unwrap();
    let output = finish(serve).expect(1).stderr;
    assert!(output.contains("error[E006]: the AWS emulator: cannot listen on"), "{output}");
}

#[test]
fn errors_about_files_say_what_to_do() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"dev.yaml\"\n").write("folder/x", "");
    world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: all, effect: deny }\n");
    let hint = |args: &[&str]| {
        let error = world.run(&[args, &["--json"]].concat()).expect(1).json()["error"].take();
        error["help"].as_str().unwrap_or_else(|| panic!("{error:#}")).to_owned()
    };
    assert_eq!(
        hint(&["policy", "lint", "none.yaml"]),
        "name the file of a policy, such as policies/dev.yaml, or no file for all policies of the manifest"
    );
    assert_eq!(hint(&["policy", "test", "folder"]), "name a file");
    assert_eq!(hint(&["report", "merge", "dev.yaml"]), "correct the path: a folder is expected where there is a file");
    assert_eq!(hint(&["import", "--out", "dev.yaml"]), "name another one, or move the existing one away");
    assert_eq!(hint(&["plan", "--out-html", "folder"]), "name a file");
    assert_eq!(hint(&["plan", "--out-html", "none/plan.html"]), "create the folder, or correct the path");
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"folder\"\n");
    let fault = world.run(&["validate", "--json"]).expect(1).json()["error"]["faults"][0].take();
    assert_eq!(fault["help"], "correct the path, which is relative to the manifest's folder", "{fault:#}");
}

#[test]
fn the_json_of_an_error_has_its_causes() {
    let world = World::new();
    let error = world.run(&["plan", "--json"]).expect(1).json()["error"].take();
    assert_eq!(error["code"], "E002");
    assert_eq!(error["causes"], serde_json::json!(["No such file or directory (os error 2)"]));
    assert!(error["help"].as_str().unwrap().starts_with("name one with -f FILE"), "{error:#}");
    let verbose = world.run(&["plan", "-v"]).expect(1).stderr;
    assert!(verbose.contains("caused by: No such file or directory"), "{verbose}");
}

/// A manifest that exists and cannot be read is not reported as missing, and the system's error has no number.
#[test]
fn an_unreadable_manifest_is_not_reported_as_missing() {
    let world = World::new();
    let folder = world.folder.path();
    std::fs::create_dir(folder.join("folder.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("link.toml")).unwrap();
    std::fs::write(folder.join("bytes.toml"), [0xff, 0xfe]).unwrap();
    for (file, expected) in [
        ("folder.toml", "this is a folder, not a file"),
        ("link.toml", "this is a link to a file that does not exist"),
        ("bytes.toml", "this is not UTF-8 text"),
        ("bytes.toml/sentinel.toml", "Not a directory"),
    ] {
        let run = world.run(&["validate", "-f", file]).expect(1);
        assert!(run.stderr.starts_with(&format!("error[E002]: {file}: {expected}\n")), "{file}: {}", run.stderr);
        assert_eq!(run.stderr.contains("init bootstrap"), file.contains('/'), "{file}: {}", run.stderr);
    }
    let missing = world.run(&["validate", "-f", "none.toml"]).expect(1);
    assert!(
        missing.stderr.contains("there is no such manifest\nhint: name one with -f FILE, or start one with"),
        "{}",
        missing.stderr
    );
}
