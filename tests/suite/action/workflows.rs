//! The files of the action, the example workflows, and the name of the repository.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::docs::root;

/// `repository` in Cargo.toml defines the repository's name. `scripts/repository` writes it to the other files.
#[test]
fn every_file_names_the_repository_of_cargo_toml() {
    let name = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/").unwrap();
    let listed = Command::new(root().join("scripts/repository")).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut files: Vec<&str> = listed.lines().collect();
    assert!(files.contains(&"install.sh") && files.contains(&"packaging/sentinel.rb.in"), "{files:?}");
    files.extend(["README.md", "action.yml", "setup/action.yml", "scripts/formula", "docs/guide/reviewing.md"]);
    for file in files {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for (at, _) in text.match_indices("/sentinel") {
            let start = text[..at]
                .rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
                .map_or(0, |at| at + 1);
            let rest = &text[at + "/sentinel".len()..];
            let on_github = text[..start].ends_with("github.com/");
            let used = text[..start].ends_with("uses: ") && (rest.starts_with('@') || rest.starts_with("/setup@"));
            if on_github || used {
                assert_eq!(&text[start..at + "/sentinel".len()], name, "{file}: run scripts/repository {name}");
            }
        }
    }
    let script = std::fs::read_to_string(root().join("install.sh")).unwrap();
    assert!(script.contains(&format!("\nname_on_github={name}\n")), "run scripts/repository {name}");
}

/// A fork gets no credentials, and only the default branch is applied.
#[test]
fn forks_get_no_role_and_only_the_default_branch_is_applied() {
    let condition = |file: &str, job: &str| {
        let workflow = yaml(&root().join(format!("examples/github-actions/{file}.yml")));
        workflow["jobs"][job]["if"].as_str().unwrap().to_owned()
    };
    let own = "github.event.pull_request.head.repo.full_name == github.repository";
    assert_eq!(condition("plan", "plan"), own);
    let apply = condition("apply", "apply");
    assert!(apply.contains(own), "{apply}");
    assert!(apply.contains("github.event.pull_request.base.ref == github.event.repository.default_branch"), "{apply}");
    assert!(condition("apply", "plan").contains("github.ref_name == github.event.repository.default_branch"));
    let steps = yaml(&root().join("examples/github-actions/apply.yml"))["jobs"]["apply"]["steps"].clone();
    let at = |words: &str| steps.as_array().unwrap().iter().position(|step| step.to_string().contains(words)).unwrap();
    assert!(at("\"verify\"") < at("aws-actions/configure-aws-credentials@"));
}

/// Returns a YAML file as a value.
fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The inputs and outputs of the action's files match, and no script contains an external text.
#[test]
fn the_action_and_the_workflows_fit_together() {
    let action = yaml(&root().join("action.yml"));
    let inputs: Vec<&String> = action["inputs"].as_object().unwrap().keys().collect();
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    for input in &inputs {
        assert!(text.contains(&format!("inputs.{input}")), "{input} is used nowhere");
    }
    for used in text.split("inputs.").skip(1) {
        let name: String = used.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        assert!(inputs.iter().any(|input| **input == name), "{name} is no input");
    }
    for step in action["runs"]["steps"].as_array().unwrap() {
        let run = step["run"].as_str().unwrap();
        assert!(!run.contains("${{"), "{run}");
        assert!(!run.contains("cargo") && !run.contains("install"), "the action must not install anything: {run}");
        for script in run.split(['"', '\'', ' ']).filter_map(|word| word.strip_prefix("$GITHUB_ACTION_PATH/")) {
            assert!(root().join(script).is_file(), "{script}");
        }
    }
    for workflow in ["plan", "apply", "drift", "drift-matrix"] {
        let workflow = yaml(&root().join(format!("examples/github-actions/{workflow}.yml")));
        for job in workflow["jobs"].as_object().unwrap().values() {
            let steps = job["steps"].as_array().unwrap();
            let first = |name: &str| {
                steps.iter().position(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with(name)))
            };
            // sentinel is installed before there are credentials.
            if let Some(credentials) = first("aws-actions/configure-aws-credentials@") {
                assert!(first("your-org/sentinel/setup@").is_some_and(|setup| setup < credentials), "{workflow}");
            }
            for step in steps {
                let run = step["run"].as_str().unwrap_or_default();
                let outside = ["github.event", "github.head_ref", "inputs."];
                assert!(!outside.iter().any(|word| run.contains(word)), "{run}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("your-org/sentinel@")) {
                    assert!(step["with"]["command"].is_string());
                    for input in step["with"].as_object().unwrap().keys() {
                        assert!(inputs.contains(&input), "{input} is no input of the action");
                    }
                }
            }
        }
        // The workflow has only the permissions that it lists.
        assert!(workflow["permissions"].is_object());
    }
}
