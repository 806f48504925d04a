//! Exports of several targets of one account, which has each role once.

use serde_json::json;

use super::*;

const ROLES: &str =
    "[roles.base]\ntrusted_by = { accounts = [\"111111111111\"] }\nmanaged_policies = []\n[topics.alerts]\n";

fn roles() -> Vec<DesiredResource> {
    desired(ROLES, Path::new("."))
}

/// The accounts.
const ONE: Option<u64> = Some(111_111_111_111);
const OTHER: Option<u64> = Some(222_222_222_222);

fn ireland() -> RegionName {
    RegionName::new("eu-west-1")
}

fn virginia() -> RegionName {
    RegionName::new("us-east-1")
}

/// Returns a target in an account and a region.
fn at<'a>(desired: &'a [DesiredResource], name: &str, account: Option<u64>, region: RegionName) -> Target<'a> {
    let account = account.map(|digits| AccountId::new(digits.to_string()));
    Target { region, account, ..target(desired, Some(name)) }
}

/// Returns the targets of two accounts. The first one has two regions.
fn two_accounts(desired: &[DesiredResource]) -> [Target<'_>; 3] {
    [at(desired, "a", ONE, ireland()), at(desired, "b", ONE, virginia()), at(desired, "c", OTHER, virginia())]
}

fn json_of(exported: &Exported, name: &str) -> Value {
    serde_json::from_str(text_of(exported, name)).unwrap()
}

#[test]
fn the_commands_acknowledge_roles_with_names() {
    const OPTION: &str = "--capabilities CAPABILITY_NAMED_IAM";
    let with = roles();
    let without = desired("[topics.alerts]\n", Path::new("."));
    for (desired, count) in [(&with, 1), (&without, 0)] {
        let targets = [target(desired, Some("a"))];
        let exported = cloudformation::export(&targets, Delivery::Inline).unwrap();
        assert_eq!(text_of(&exported, "deploy.sh").matches(OPTION).count(), count);
        // One for the creation of the stack set, and one for its update.
        let exported = cloudformation::export_stack_set(&targets, Delivery::Inline).unwrap();
        assert_eq!(text_of(&exported, "deploy.sh").matches(OPTION).count(), 2 * count);
    }
}

#[test]
fn only_the_first_stack_of_an_account_has_its_roles() {
    let desired = roles();
    let exported = cloudformation::export(&two_accounts(&desired), Delivery::Inline).unwrap();
    let has_role = ["a", "b", "c"].map(|name| {
        let template = json_of(&exported, &format!("{name}.template.json"));
        assert_eq!(template["Resources"]["TopicAlerts"]["Type"], "AWS::SNS::Topic");
        template["Resources"].get("RoleBase").is_some()
    });
    assert_eq!(has_role, [true, false, true]);
    let notes: Vec<String> = exported.notes.iter().map(|note| format!("{}: {}", note.address, note.text)).collect();
    assert_eq!(notes, ["roles.base: it is global, so only the first target of each account creates it"]);
}

#[test]
fn a_target_whose_roles_are_all_in_another_stack_has_no_commands() {
    let desired = desired("[roles.base]\ntrusted_by = { accounts = [\"111111111111\"] }\n", Path::new("."));
    let exported = cloudformation::export(&two_accounts(&desired), Delivery::Inline).unwrap();
    assert_eq!(exported.stacks.len(), 2);
    let script = text_of(&exported, "deploy.sh");
    assert!(
        script.contains("if wanted b; then\n    : # The stacks of other targets have its resources.\nfi\n"),
        "{script}"
    );
}

#[test]
fn terraform_has_a_role_once_for_each_account() {
    let desired = roles();
    for version in [Version::V5, Version::V6] {
        let exported = terraform::export(&two_accounts(&desired), version);
        let has_role =
            ["a", "b", "c"].map(|name| text_of(&exported, &format!("{name}.tf")).contains("\"aws_iam_role\""));
        assert_eq!(has_role, [true, false, true]);
        assert!(text_of(&exported, "b.tf").contains("aws_sns_topic"));
    }
}

#[test]
fn a_stack_set_creates_roles_in_one_region_of_each_account() {
    let desired = roles();
    let exported = cloudformation::export_stack_set(&two_accounts(&desired), Delivery::Inline).unwrap();
    templates(&exported);
    let template = json_of(&exported, "sentinel.template.json");
    assert_eq!(template["Parameters"]["RegionOfGlobalResources"]["Default"], "eu-west-1");
    let condition = json!({ "Fn::Equals": [{ "Ref": "AWS::Region" }, { "Ref": "RegionOfGlobalResources" }] });
    assert_eq!(template["Conditions"], json!({ "CreatesGlobalResources": condition }));
    assert_eq!(template["Resources"]["RoleBase"]["Condition"], "CreatesGlobalResources");
    assert_eq!(template["Resources"]["TopicAlerts"].get("Condition"), None);
    // The regions of the first account have the default. The second account creates the role in its only region.
    let set = json_of(&exported, "sentinel.stackset.json");
    let instances: Vec<Value> = set["Instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["Accounts"], one["ParameterOverrides"]]))
        .collect();
    let home = json!({ "ParameterKey": "RegionOfGlobalResources", "ParameterValue": "us-east-1" });
    assert_eq!(instances, [json!([["111111111111"], []]), json!([["222222222222"], [home]])]);
}

#[test]
fn a_stack_set_with_one_region_for_each_account_has_no_condition() {
    let desired = roles();
    let targets = [at(&desired, "a", ONE, ireland()), at(&desired, "b", OTHER, virginia())];
    let exported = cloudformation::export_stack_set(&targets, Delivery::Inline).unwrap();
    let template = json_of(&exported, "sentinel.template.json");
    assert_eq!((template.get("Conditions"), template.get("Parameters")), (None, None));
    assert_eq!(exported.notes, []);
}

#[test]
fn a_stack_set_cannot_have_role_names_that_differ_in_some_accounts_only() {
    let (base, named) =
        (roles(), desired(&ROLES.replace("managed_policies", "name = \"other\"\nmanaged_policies"), Path::new(".")));
    let targets = [
        at(&base, "a", ONE, ireland()),
        at(&base, "b", ONE, virginia()),
        at(&base, "c", OTHER, ireland()),
        at(&named, "d", OTHER, virginia()),
    ];
    let failed = cloudformation::export_stack_set(&targets, Delivery::Inline).unwrap_err();
    let cloudformation::Failure::Differs(differs) = failed else { panic!("{failed:?}") };
    assert_eq!(differs.targets, [Some(String::from("c")), Some(String::from("d"))]);
    assert_eq!((differs.address.to_string().as_str(), differs.property.as_deref()), ("roles.base", Some("name")));
}

#[test]
fn a_role_that_differs_within_an_account_is_refused() {
    let (base, described) =
        (roles(), desired(&ROLES.replace("managed_policies", "description = \"x\"\nmanaged_policies"), Path::new(".")));
    let targets = [at(&base, "a", ONE, ireland()), at(&described, "b", ONE, virginia())];
    let exports =
        [terraform::export(&targets, Version::V6), cloudformation::export(&targets, Delivery::Inline).unwrap()];
    for exported in exports {
        let refused: Vec<String> =
            exported.unsupported.iter().map(|one| format!("{}: {}", one.what(), one.why)).collect();
        assert_eq!(refused, ["roles.base: it is global, and differs between targets a and b of one account"]);
    }
}

#[test]
fn roles_with_another_name_in_each_region_are_all_exported() {
    let named = |name: &str| {
        desired(&ROLES.replace("managed_policies", &format!("name = \"{name}\"\nmanaged_policies")), Path::new("."))
    };
    let (one, other) = (named("one"), named("other"));
    let targets = [at(&one, "a", ONE, ireland()), at(&other, "b", ONE, virginia())];
    let exported = terraform::export(&targets, Version::V6);
    assert!(["a.tf", "b.tf"].iter().all(|name| text_of(&exported, name).contains("\"aws_iam_role\"")));
}

/// Without the account, Sentinel cannot know whether two AWS profiles belong to one account.
#[test]
fn unknown_accounts_are_reported_if_they_may_be_the_same() {
    let desired = roles();
    let of = |name: &str, profile: &str| Target {
        profile: Some(crate::resource::names::AwsProfile::new(profile)),
        ..at(&desired, name, None, ireland())
    };
    let note = "the account of a target is unknown: if two targets have the same account, add account_id to both";
    let notes = |targets: &[Target<'_>]| {
        let exported = terraform::export(targets, Version::V6);
        exported.notes.iter().filter(|one| one.text == note).count()
    };
    assert_eq!(notes(&[of("a", "one"), of("b", "other")]), 1);
    // The same credentials belong to the same account.
    assert_eq!(notes(&[of("a", "one"), of("b", "one")]), 0);
    assert_eq!(notes(&two_accounts(&desired)), 0);
}
