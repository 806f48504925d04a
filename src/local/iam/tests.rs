mod trust;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::document::{self, Document};
use super::evaluate::{Caller, CallerKind, ConditionKey, Context, RequiredPermission, Verdict, decide};
use super::permissions::{Granted, Layers, Permissions};
use super::{Users, request};

fn caller() -> Caller {
    Caller {
        kind: CallerKind::User,
        account: String::from("123456789012"),
        arn: String::from("arn:aws:iam::123456789012:user/alice"),
        principal: String::from("arn:aws:iam::123456789012:user/alice"),
        user_id: String::from("AIDAALICE"),
        name: Some(String::from("alice")),
        source_identity: None,
        tags: BTreeMap::new(),
        mfa: None,
        now: Some(NOW * 1000 + 999),
    }
}

/// The time of all requests, in seconds: 2026-07-01T12:00:00Z.
const NOW: i64 = 1_782_907_200;

fn permission(keys: ConditionKey) -> RequiredPermission {
    RequiredPermission {
        leading_keys: keys,
        ..request::permission(
            "us-east-1",
            String::from("dynamodb:PutItem"),
            String::from("arn:aws:dynamodb:us-east-1:123456789012:table/requests"),
        )
    }
}

fn values(keys: &[&str]) -> ConditionKey {
    ConditionKey::Values(keys.iter().map(|key| (*key).to_owned()).collect())
}

fn document(statements: &Value) -> Document {
    document::parse(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string()).unwrap()
}

/// Returns the decision of a policy with one statement on everything and this condition.
fn with(effect: &str, condition: &Value, keys: ConditionKey) -> Verdict {
    let all = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
    let one = json!({ "Effect": effect, "Action": "*", "Resource": "*", "Condition": condition });
    let statements = if effect == "Deny" { json!([all, one]) } else { json!([one]) };
    decide(&[document(&statements)], &caller(), &permission(keys))
}

fn allows(condition: &Value, keys: ConditionKey) -> bool {
    with("Allow", condition, keys) == Verdict::Allowed
}

#[test]
fn for_all_values_matches_an_absent_key_unless_null_excludes_it() {
    let like = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["request#*"] } });
    let mut strict = like.clone();
    strict["Null"] = json!({ "dynamodb:LeadingKeys": "false" });
    for (keys, loose, tight) in [
        (values(&["request#1"]), true, true),
        (values(&["request#1", "request#2"]), true, true),
        (values(&["request#1", "decision#2"]), false, false),
        (values(&["decision#2"]), false, false),
        (values(&[]), true, false),
        (ConditionKey::Absent, true, false),
        (ConditionKey::Unknown, false, false),
    ] {
        assert_eq!(allows(&like, keys.clone()), loose, "{keys:?}");
        assert_eq!(allows(&strict, keys.clone()), tight, "{keys:?}");
    }
}

#[test]
fn operators_treat_present_absent_and_negated_keys_as_aws_does() {
    let keys = || values(&["a", "b"]);
    let of = |operator: &str, wanted: Value| json!({ operator: { "dynamodb:LeadingKeys": wanted } });
    for (operator, wanted, present, absent) in [
        ("ForAllValues:StringEquals", json!(["a", "b", "c"]), true, true),
        ("ForAllValues:StringEquals", json!("a"), false, true),
        ("ForAnyValue:StringEquals", json!("a"), true, false),
        ("ForAnyValue:StringEquals", json!("c"), false, false),
        ("ForAnyValue:StringEqualsIfExists", json!("c"), false, true),
        ("ForAllValues:StringNotLike", json!("c*"), true, true),
        ("ForAllValues:StringNotLike", json!("a*"), false, true),
        ("ForAnyValue:StringNotEquals", json!("a"), true, false),
        ("Null", json!("true"), false, true),
        ("Null", json!(false), true, false),
    ] {
        assert_eq!(allows(&of(operator, wanted.clone()), keys()), present, "{operator} {wanted}");
        assert_eq!(allows(&of(operator, wanted.clone()), ConditionKey::Absent), absent, "{operator} {wanted}");
    }
    for (operator, wanted, one, absent) in [
        ("StringEquals", json!("a"), true, false),
        ("StringNotEquals", json!("a"), false, true),
        ("StringNotEquals", json!(["a", "b"]), false, true),
        ("StringEqualsIfExists", json!("b"), false, true),
        ("StringLike", json!("?"), true, false),
        ("StringEquals", json!("?"), false, false),
        ("StringNotLike", json!("b*"), true, true),
        ("StringEqualsIgnoreCase", json!("A"), true, false),
    ] {
        assert_eq!(allows(&of(operator, wanted.clone()), values(&["a"])), one, "{operator} {wanted}");
        assert_eq!(allows(&of(operator, wanted.clone()), ConditionKey::Absent), absent, "{operator} {wanted}");
        // Several values require an operator with a set prefix.
        assert!(!allows(&of(operator, wanted.clone()), keys()), "{operator} {wanted}");
    }
}

#[test]
fn date_operators_compare_the_time_of_the_request_in_whole_seconds() {
    let (earlier, later) = ("2026-07-01T11:59:59Z", "2026-07-01T12:00:01Z");
    for now in ["2026-07-01T12:00:00Z", "2026-07-01T12:00Z", "2026-07-01T12:00:00.0+00:00", "1782907200"] {
        for (operator, of_earlier, of_now, of_later) in [
            ("DateEquals", false, true, false),
            ("DateNotEquals", true, false, true),
            ("DateLessThan", false, false, true),
            ("DateLessThanEquals", false, true, true),
            ("DateGreaterThan", true, false, false),
            ("DateGreaterThanEquals", true, true, false),
        ] {
            for (wanted, expected) in [(earlier, of_earlier), (now, of_now), (later, of_later)] {
                let condition = json!({ operator: { "aws:CurrentTime": wanted } });
                assert_eq!(allows(&condition, ConditionKey::Absent), expected, "{condition}");
                let denied = with("Deny", &condition, ConditionKey::Absent) == Verdict::Explicit;
                assert_eq!(denied, expected, "{condition}");
            }
        }
    }
    let day = |operator: &str, wanted: &str| {
        allows(&json!({ operator: { "AWS:currenttime": wanted } }), ConditionKey::Absent)
    };
    assert!(day("DateGreaterThan", "2026-07-01") && day("DateLessThan", "2026-07-02"));
    assert!(day("DateGreaterThanEqualsIfExists", "2026-07-01"));
    // A simulated request has only the keys that are given.
    let simulated = Caller { now: None, ..caller() };
    let condition = json!({ "DateLessThan": { "aws:CurrentTime": later } });
    let one = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
    let asked = RequiredPermission { context: Context::of(&[""]), ..permission(ConditionKey::Absent) };
    assert_eq!(decide(&[document(&one)], &simulated, &asked), Verdict::Implicit);
}

#[test]
fn variables_resolve_to_the_caller() {
    let like = |wanted: &str| {
        json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": wanted },
            "Null": { "dynamodb:LeadingKeys": "false" } })
    };
    assert!(allows(&like("place#${aws:userid}#*"), values(&["place#AIDAALICE#prod"])));
    assert!(!allows(&like("place#${aws:userid}#*"), values(&["place#AIDAALICEX#prod"])));
    assert!(allows(&like("${AWS:UserName}-*"), values(&["alice-1"])));
    assert!(allows(&like("${*}-${?}-${$}"), values(&["*-?-$"])));
    assert!(!allows(&like("${*}"), values(&["anything"])));
    for unknown in ["${aws:PrincipalTag/team}*", "${aws:SourceIdentity}*", "${aws:userid", "${aws:username, 'x'}*"] {
        assert!(!allows(&like(unknown), values(&["alice", "x"])), "{unknown}");
    }
    // The older language version has no variables.
    let old = json!({ "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": like("${aws:userid}") } });
    let old = document::parse(&old.to_string()).unwrap();
    assert_eq!(decide(std::slice::from_ref(&old), &caller(), &permission(values(&["AIDAALICE"]))), Verdict::Implicit);
    assert_eq!(decide(&[old], &caller(), &permission(values(&["${aws:userid}"]))), Verdict::Allowed);
}

#[test]
fn unknown_policy_elements_deny() {
    for condition in [
        json!({ "StringMatches": { "aws:username": "alice" } }),
        json!({ "NumericEquals": { "aws:username": "1" } }),
        json!({ "NullIfExists": { "dynamodb:LeadingKeys": "false" } }),
        json!({ "ForSomeValues:StringLike": { "dynamodb:LeadingKeys": "*" } }),
        json!({ "stringlike": { "aws:username": "alice" } }),
        json!({ "StringLike": { "aws:SourceVpce": "*" } }),
        json!({ "StringNotLike": { "aws:SourceVpce": "x" } }),
        json!({ "StringLikeIfExists": { "aws:SourceVpce": "*" } }),
        json!({ "ForAllValues:StringLike": { "dynamodb:Attributes": "*" } }),
        json!({ "StringLike": { "aws:username": [] } }),
        json!({ "Null": { "dynamodb:LeadingKeys": ["true", "false"] } }),
        json!({ "Bool": { "aws:SecureTransport": "false" } }),
        json!({ "StringLike": { "aws:username": "${aws:unheard-of}" } }),
        json!({ "DateLessThan": { "aws:username": "2026-07-02" } }),
        json!({ "DateLessThan": { "dynamodb:LeadingKeys": "2026-07-02" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-08" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-07-*" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-13-01" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-07-02T00:00:00" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-07-02T00:00:00.Z" } }),
        json!({ "DateLessThan": { "aws:CurrentTime": "2026-07-02 00:00:00Z" } }),
        json!({ "DateGreaterThan": { "aws:CurrentTime": "tomorrow" } }),
        json!({ "StringLike": { "aws:CurrentTime": "2026*" } }),
        json!({ "StringLike": { "dynamodb:LeadingKeys": ["${aws:CurrentTime}", "${aws:CurrentTime}*"] } }),
    ] {
        assert_eq!(with("Allow", &condition, values(&["a"])), Verdict::Implicit, "{condition}");
        assert_eq!(with("Deny", &condition, values(&["a"])), Verdict::Explicit, "{condition}");
    }
}

#[test]
fn invalid_policies_are_errors() {
    let allow = json!({ "Effect": "Allow", "Action": "ssm:*", "Resource": "*" });
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut statement = allow.clone();
        change(&mut statement);
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    assert!(document::parse(&changed(&|_| {})).is_ok());
    for bad in [
        String::from("{}"),
        String::from("[]"),
        String::from("\"Allow\""),
        json!({ "Version": "2024-01-01", "Statement": [allow] }).to_string(),
        json!({ "Statement": [allow], "Statements": [] }).to_string(),
        changed(&|one| one["Effect"] = json!("allow")),
        changed(&|one| one["Principal"] = json!("*")),
        changed(&|one| one["Action"] = json!([])),
        changed(&|one| one["Action"] = json!("PutItem")),
        changed(&|one| one["NotAction"] = json!("ssm:*")),
        changed(&|one| one["Resource"] = Value::Null),
        changed(&|one| one["Condition"] = json!({})),
        changed(&|one| one["Condition"] = json!({ "StringLike": {} })),
        changed(&|one| one["Condition"] = json!({ "StringLike": { "aws:username": { "a": 1 } } })),
        allow.to_string().replace("\"Effect\"", "\"Effect\":\"Deny\",\"Effect\""),
        changed(&|one| one["Condition"] = json!({ "Null": { "a": "true" } }))
            .replace("\"Null\"", "\"Null\":{\"b\":\"true\"},\"Null\""),
    ] {
        assert!(document::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn actions_and_resources_have_wildcards_and_exceptions() {
    let decide =
        |statement: Value| decide(&[document(&json!([statement]))], &caller(), &permission(ConditionKey::Absent));
    let table = "arn:aws:dynamodb:*:123456789012:table/requests";
    let of = |action: Value, resource: &str| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    for (statement, allowed) in [
        (of(json!("dynamodb:PutItem"), table), true),
        (of(json!(["ssm:*", "DynamoDB:put*"]), table), true),
        (of(json!("dynamodb:Put?tem"), "*"), true),
        (of(json!("dynamodb:Get*"), table), false),
        (of(json!("*"), "arn:aws:dynamodb:*:*:table/request?"), true),
        (of(json!("*"), "arn:aws:dynamodb:*:*:table/request"), false),
        (of(json!("*"), "arn:aws:dynamodb:*:*:table/${aws:username}"), false),
        (of(json!("*"), "arn:aws:dynamodb:*"), false),
        (json!({ "Effect": "Allow", "NotAction": "ssm:*", "Resource": "*" }), true),
        (json!({ "Effect": "Allow", "NotAction": "dynamodb:*", "Resource": "*" }), false),
        (json!({ "Effect": "Allow", "Action": "*", "NotResource": table }), false),
        (json!({ "Effect": "Allow", "Action": "*", "NotResource": "arn:aws:ssm:*:*:*" }), true),
        // It is unknown whether these match.
        (json!({ "Effect": "Allow", "Action": "*", "NotResource": "arn:aws:dynamodb:*" }), false),
    ] {
        assert_eq!(decide(statement.clone()) == Verdict::Allowed, allowed, "{statement}");
    }
}

/// A statement without unknown parts: whether it allows, its action, its table, the prefixes of its keys, and its operator on the time of
/// the request with seconds after [`NOW`].
type Simple = (bool, String, String, Vec<String>, Option<(&'static str, i64)>);

/// A simple evaluator of such statements, for comparison.
fn naive(statements: &[Simple], action: &str, resource: &str, keys: &[String]) -> Verdict {
    let like = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(head) => text.starts_with(head),
        None => text == pattern,
    };
    let is_now = |(operator, after): &(&str, i64)| match *operator {
        "DateEquals" => *after == 0,
        "DateNotEquals" => *after != 0,
        "DateLessThan" => *after > 0,
        "DateLessThanEquals" => *after >= 0,
        "DateGreaterThan" => *after < 0,
        _ => *after <= 0,
    };
    let applies = |(_, wanted, table, prefixes, date): &&Simple| {
        let all = keys.iter().all(|key| prefixes.iter().any(|prefix| like(prefix, key)));
        like(wanted, action) && like(table, resource) && !keys.is_empty() && all && date.iter().all(is_now)
    };
    let effects: Vec<bool> = statements.iter().filter(applies).map(|(allow, ..)| *allow).collect();
    match (effects.contains(&false), effects.contains(&true)) {
        (true, _) => Verdict::Explicit,
        (false, true) => Verdict::Allowed,
        (false, false) => Verdict::Implicit,
    }
}

const DATE_OPERATORS: [&str; 6] =
    ["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"];

proptest! {
    #[test]
    fn policies_decide_like_the_naive_evaluator(
        statements in proptest::collection::vec(
            (any::<bool>(), "dynamodb:(P|Pu|Put|G)?\\*|dynamodb:PutItem", "(a|ab|b)\\*?",
             proptest::collection::vec("(r|rd|d)?#?\\*?", 1..3),
             proptest::option::of((proptest::sample::select(DATE_OPERATORS.to_vec()), -1_i64..=1))),
            0..4,
        ),
        action in "dynamodb:(PutItem|GetItem)",
        resource in "a|ab|abc|b",
        keys in proptest::collection::vec("(r|rd|d)#[12]?", 0..3),
    ) {
        let arn = |name: &str| format!("arn:aws:dynamodb:us-east-1:123456789012:table/{name}");
        let written: Vec<Value> = statements.iter().map(|(allow, action, table, prefixes, date)| {
            let mut condition = json!({
                "ForAllValues:StringLike": { "dynamodb:LeadingKeys": prefixes },
                "Null": { "dynamodb:LeadingKeys": "false" },
            });
            if let Some((operator, after)) = date {
                condition[*operator] = json!({ "aws:CurrentTime": NOW + after });
            }
            let effect = if *allow { "Allow" } else { "Deny" };
            json!({ "Effect": effect, "Action": action, "Resource": arn(table), "Condition": condition })
        }).collect();
        let asked = RequiredPermission {
            action: action.clone(), resource: arn(&resource), leading_keys: ConditionKey::Values(keys.clone()),
            ..permission(ConditionKey::Absent)
        };
        let decided = decide(&[document(&json!(written))], &caller(), &asked);
        prop_assert_eq!(decided, naive(&statements, &action, &resource, &keys));
    }
}

#[test]
fn user_names_are_case_insensitive() {
    let mut users = Users::default();
    users.add("alice", &[]).unwrap();
    assert!(users.add("Alice", &[]).is_err());
    assert!(users.policies("ALICE").is_some());
    assert!(users.policies("bob").is_none());
    assert!(users.add("carol", &["{}"]).unwrap_err().contains("a policy of carol"));
}

#[test]
fn caller_tags_and_the_source_identity_are_condition_keys() {
    let mut session = Caller { kind: CallerKind::Session, name: None, ..caller() };
    session.tags = BTreeMap::from([(String::from("Team"), String::from("a"))]);
    session.source_identity = Some(String::from("alice"));
    session.mfa = Some(false);
    let holds = |condition: Value| {
        let one = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
        decide(&[document(&one)], &session, &permission(ConditionKey::Absent)) == Verdict::Allowed
    };
    assert!(holds(json!({ "StringEquals": { "aws:PrincipalTag/team": "a", "aws:SourceIdentity": "alice" } })));
    assert!(holds(json!({ "StringEquals": { "aws:PrincipalType": "AssumedRole" } })));
    assert!(holds(json!({ "Bool": { "aws:MultiFactorAuthPresent": "false" } })));
    assert!(holds(json!({ "Null": { "aws:username": "true", "aws:PrincipalTag/other": "true" } })));
    assert!(!holds(json!({ "StringEquals": { "aws:PrincipalTag/team": "b" } })));
}

#[test]
fn a_boundary_and_a_session_policy_limit_what_identity_policies_allow() {
    let of = |actions: Value| json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
    let deny = json!({ "Effect": "Deny", "Action": "*", "Resource": "*" });
    let put = || document(&of(json!("dynamodb:Put*")));
    let get = || document(&of(json!("dynamodb:Get*")));
    let check = |layers: Layers, granted: Granted| {
        Permissions::Only(layers).check(&caller(), &permission(ConditionKey::Absent), granted).err().unwrap_or_default()
    };
    let layers = |identity: Vec<Document>, boundary: Option<Vec<Document>>, session: Option<Vec<Document>>| Layers {
        identity: identity.into(),
        boundary,
        session,
        unknown: None,
    };
    let nobody = Granted::Nothing;
    assert_eq!(check(layers(vec![put()], None, None), nobody), "");
    assert_eq!(check(layers(vec![put()], Some(vec![put()]), Some(vec![put()])), nobody), "");
    for (found, why) in [
        (layers(vec![get()], None, None), "because no identity-based policy allows the dynamodb:PutItem action"),
        (
            layers(vec![put()], Some(vec![get()]), None),
            "because no permissions boundary allows the dynamodb:PutItem action",
        ),
        (layers(vec![put()], None, Some(vec![get()])), "because no session policy allows the dynamodb:PutItem action"),
        (layers(vec![put(), document(&deny)], None, None), "with an explicit deny in an identity-based policy"),
        (
            layers(vec![put()], Some(vec![put(), document(&deny)]), None),
            "with an explicit deny in a permissions boundary",
        ),
        (layers(vec![put()], None, Some(vec![document(&deny)])), "with an explicit deny in a session policy"),
    ] {
        assert_eq!(check(found, nobody), why);
    }
    // Permissions that a trust policy grants to a role are limited by the boundary; those that it grants to a session directly are not.
    assert_eq!(check(layers(vec![], None, None), Granted::WithoutIdentity), "");
    assert!(check(layers(vec![], Some(vec![get()]), None), Granted::WithoutIdentity).contains("boundary"));
    assert_eq!(check(layers(vec![], Some(vec![get()]), None), Granted::Everything), "");
    assert!(check(layers(vec![document(&deny)], None, None), Granted::Everything).contains("explicit deny"));
    let unknown =
        Layers { unknown: Some(String::from("arn:aws:iam::aws:policy/Odd")), ..layers(vec![put()], None, None) };
    assert!(check(unknown, Granted::Everything).contains("arn:aws:iam::aws:policy/Odd"));
}
