//! Compares the analysis with a naive evaluation of each principal of a finite universe with each request.

mod compute;
#[cfg(feature = "local")]
mod emulator;
mod own_name;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, json};

use super::*;

const BROKER: &str = "arn:aws:iam::111111111111:role/broker";

fn broker() -> RoleArn {
    RoleArn::new(BROKER)
}

fn policy(statements: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn allow(principal: Value) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" })
}

/// Returns the openings of a policy that is intended for the broker's role, in words.
fn found(statements: Value) -> Vec<String> {
    let openings = openings(&policy(statements), Intended::Role(&broker()));
    openings.iter().map(|one| format!("{}: {}", one.statement, one.principal)).collect()
}

#[test]
fn a_policy_for_the_broker_alone_has_no_opening() {
    assert_eq!(found(json!([allow(json!({ "AWS": BROKER }))])), [""; 0]);
    assert_eq!(found(json!([allow(json!({ "AWS": "arn:aws:sts::111111111111:assumed-role/broker/task" }))])), [""; 0]);
    let everyone = |operator: &str, value: &str| {
        let mut statement = allow(json!("*"));
        statement["Condition"] = json!({ operator: { "aws:PrincipalArn": value } });
        json!([statement])
    };
    assert_eq!(found(everyone("ArnEquals", BROKER)), [""; 0]);
    assert_eq!(found(everyone("StringEquals", BROKER)), [""; 0]);
    assert_eq!(found(everyone("ArnLike", "arn:aws:iam::111111111111:role/b*")), ["statement 1: *"]);
    assert_eq!(found(everyone("StringLike", "*broker")), ["statement 1: *"]);
    assert_eq!(found(everyone("ArnNotEquals", BROKER)), ["statement 1: *"]);
    let denied = json!([
        allow(json!({ "AWS": "111111111111" })),
        { "Effect": "Deny", "Principal": "*", "Action": "sts:*",
          "Condition": { "ArnNotEquals": { "aws:PrincipalArn": BROKER } } },
    ]);
    assert_eq!(found(denied), [""; 0]);
    // Other actions do not assume the role.
    let mut tag = allow(json!("*"));
    tag["Action"] = json!(["sts:TagSession", "sts:SetSourceIdentity"]);
    assert_eq!(found(json!([tag])), [""; 0]);
}

#[test]
fn each_opening_names_its_statement_and_principal() {
    let with = |statement: Value, more: Value| {
        let mut statement = statement;
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        statement
    };
    let statements = json!([
        allow(json!({ "AWS": BROKER })),
        with(allow(json!({ "AWS": [BROKER, "111111111111"] })), json!({ "Sid": "Account" })),
        allow(json!({ "Service": "ec2.amazonaws.com" })),
        with(
            allow(json!({ "Federated": "arn:aws:iam::111111111111:oidc-provider/x" })),
            json!({ "Action": "sts:AssumeRoleWithWebIdentity" })
        ),
        with(
            allow(json!({ "AWS": "arn:aws:iam::111111111111:user/alice" })),
            json!({ "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "true" } } })
        ),
    ]);
    let expected = [
        "statement Account: the account 111111111111",
        "statement 3: ec2.amazonaws.com",
        "statement 4: arn:aws:iam::111111111111:oidc-provider/x",
        "statement 5: arn:aws:iam::111111111111:user/alice",
    ];
    assert_eq!(found(statements), expected);
}

#[test]
fn an_element_that_is_not_understood_is_an_opening() {
    let of = |change: &dyn Fn(&mut Value)| {
        let mut statement = allow(json!({ "AWS": BROKER }));
        change(&mut statement);
        !found(json!([statement])).is_empty()
    };
    assert!(!of(&|_| {}));
    assert!(of(&|one| one["Principal"] = json!({ "AWS": "AROA0123456789ABCDEF0" })));
    assert!(of(&|one| one["Principal"] = json!({ "CanonicalUser": "x" })));
    assert!(of(&|one| one["Principal"] = json!(["x"])));
    assert!(of(&|one| {
        let principal = one.as_object_mut().unwrap().remove("Principal").unwrap();
        one["NotPrincipal"] = principal;
    }));
    assert!(!openings(&json!("x"), Intended::Role(&broker())).is_empty());
    assert!(!openings(&json!({ "Version": "2030-01-01", "Statement": [] }), Intended::Role(&broker())).is_empty());
    // A Deny counts only if it is understood.
    let denial = |deny: Value| found(json!([allow(json!({ "AWS": "111111111111" })), deny])).is_empty();
    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole" });
    assert!(denial(deny.clone()));
    for (element, value) in [
        ("Condition", json!({ "StringEquals": { "aws:SourceVpc": "x" } })),
        ("Condition", json!({ "StringEquals": { "aws:PrincipalArn": "${aws:username}" } })),
        ("Condition", json!({ "NumericEquals": { "aws:PrincipalAccount": "1" } })),
        ("Unheard", json!("x")),
    ] {
        let mut unsupported = deny.clone();
        unsupported[element] = value;
        assert!(!denial(unsupported.clone()), "{unsupported}");
    }
}

#[test]
fn a_condition_on_a_value_that_the_caller_chooses_restricts_nobody() {
    let with = |condition: Value| {
        let mut statement = allow(json!({ "AWS": "arn:aws:iam::111111111111:user/alice" }));
        statement["Condition"] = condition;
        found(json!([statement])).is_empty()
    };
    assert!(!with(json!({ "StringEquals": { "sts:ExternalId": "x" } })));
    assert!(!with(json!({ "StringLike": { "sts:SourceIdentity": "*" } })));
    assert!(!with(json!({ "StringNotEquals": { "aws:RequestTag/user": "x" } })));
    // Unless no value meets all conditions.
    assert!(with(json!({ "StringEquals": { "sts:ExternalId": "x" }, "StringNotEquals": { "sts:ExternalId": "x" } })));
    assert!(with(json!({ "StringEquals": { "sts:ExternalId": "x" }, "Null": { "sts:ExternalId": "true" } })));
    // Several patterns at once may match.
    assert!(!with(json!({ "StringLike": { "sts:ExternalId": "a*" }, "StringNotLike": { "sts:ExternalId": "*b" } })));
}

#[test]
fn a_policy_may_admit_a_role_or_not() {
    let admits = |principal: Value| may_admit(&policy(json!([allow(principal)])), &broker());
    assert!(admits(json!({ "AWS": BROKER })));
    assert!(admits(json!({ "AWS": "111111111111" })));
    assert!(!admits(json!({ "AWS": "arn:aws:iam::111111111111:role/other" })));
    assert!(!admits(json!({ "Service": "ec2.amazonaws.com" })));
    assert!(!may_admit(&json!(1), &broker()));
}

fn deny(condition: Value) -> Value {
    json!({ "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": condition })
}

/// Returns the openings of a policy that allows the broker, with two more statements.
fn openings_with(statements: [Value; 2]) -> Vec<String> {
    let [one, other] = statements;
    found(json!([allow(json!({ "AWS": BROKER })), one, other]))
}

/// The state of the gate must not depend on when it is read.
#[test]
fn a_condition_on_the_date_closes_no_opening() {
    let root = || allow(json!({ "AWS": "arn:aws:iam::111111111111:root" }));
    for operator in ["DateLessThan", "DateGreaterThanEquals", "DateNotEqualsIfExists"] {
        for time in ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
            let condition = json!({ operator: { "aws:CurrentTime": time } });
            let mut dated = root();
            dated["Condition"] = condition.clone();
            assert_eq!(found(json!([allow(json!({ "AWS": BROKER })), dated])), ACCOUNT_OPENING, "{condition}");
            assert_eq!(openings_with([root(), deny(condition.clone())]), ACCOUNT_OPENING, "{condition}");
        }
    }
}

const ACCOUNT_OPENING: [&str; 1] = ["statement 2: the account 111111111111"];

#[test]
fn a_deny_by_pattern_or_name_does_not_deny_other_principals() {
    let root = || allow(json!({ "AWS": "arn:aws:iam::111111111111:root" }));
    for condition in [
        json!({ "StringLike": { "aws:PrincipalArn": "arn:aws:iam::111111111111:*-*" } }),
        json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:*/a*" } }),
        json!({ "StringNotLike": { "aws:PrincipalArn": "arn:aws:iam::111111111111:user/b*" } }),
        json!({ "StringEquals": { "aws:PrincipalArn":
            ["arn:aws:iam::111111111111:user/anyone-else", "arn:aws:iam::111111111111:role/anyone-else"] } }),
        json!({ "StringEquals": { "aws:PrincipalArn":
            ["arn:aws:iam::111111111111:user/anyone-0", "arn:aws:iam::111111111111:role/anyone-0"] } }),
        json!({ "ArnNotLike": { "aws:PrincipalArn": [BROKER, "arn:aws-us-gov:iam::111111111111:user/*"] } }),
    ] {
        assert_eq!(openings_with([root(), deny(condition.clone())]), ACCOUNT_OPENING, "{condition}");
    }
    // The pattern matches every principal of the account except the broker.
    let all = json!({ "ArnNotLike": { "aws:PrincipalArn": [BROKER, "arn:aws:iam::222222222222:*"] } });
    assert_eq!(openings_with([root(), deny(all)]), [""; 0]);
    let account = deny(json!({ "StringLike": { "aws:PrincipalAccount": "0*" } }));
    assert_eq!(openings_with([allow(json!("*")), account]), ["statement 2: *"]);
    let mut chosen = root();
    chosen["Condition"] = json!({ "StringLike": { "sts:ExternalId": "prod-*" } });
    for id in ["prod-anyone-else", "prod-anyone-0"] {
        let denied = deny(json!({ "StringEquals": { "sts:ExternalId": id } }));
        assert_eq!(openings_with([chosen.clone(), denied]), ACCOUNT_OPENING);
    }
    let denied = deny(json!({ "StringLike": { "sts:ExternalId": "prod*" } }));
    assert_eq!(openings_with([chosen, denied]), [""; 0]);
}

#[test]
fn a_deny_of_one_action_does_not_deny_another() {
    let provider = || json!({ "Federated": "arn:aws:iam::111111111111:oidc-provider/x" });
    let mut allowed = allow(provider());
    allowed["Action"] = json!("sts:AssumeRoleWithWebIdentity");
    let opening = ["statement 2: arn:aws:iam::111111111111:oidc-provider/x"];
    for (element, principal) in [("Principal", provider()), ("NotPrincipal", json!({ "AWS": BROKER }))] {
        let denial = |action: &str| json!({ "Effect": "Deny", element: principal, "Action": action });
        assert_eq!(openings_with([allowed.clone(), denial("sts:AssumeRoleWithSAML")]), opening);
        assert_eq!(openings_with([allowed.clone(), denial("sts:AssumeRoleWith*")]), [""; 0]);
    }
}

#[test]
fn the_role_of_a_session_may_have_a_path() {
    let bob = || allow(json!({ "AWS": "arn:aws:sts::111111111111:assumed-role/SSO_Admin/bob" }));
    let but = |roles: Value| deny(json!({ "ArnNotLike": { "aws:PrincipalArn": roles } }));
    let reserved = json!([BROKER, "arn:aws:iam::111111111111:role/aws-reserved/*"]);
    let opening = ["statement 2: arn:aws:sts::111111111111:assumed-role/SSO_Admin/bob"];
    assert_eq!(openings_with([bob(), but(reserved)]), opening);
    assert_eq!(openings_with([bob(), but(json!(BROKER))]), [""; 0]);
}

#[test]
fn a_deny_with_not_principal_excludes_the_sessions_of_a_listed_role() {
    let mallory = "arn:aws:iam::111111111111:role/mallory";
    let but = |list: Value| json!({ "Effect": "Deny", "NotPrincipal": { "AWS": list }, "Action": "sts:AssumeRole" });
    let allowed = || allow(json!({ "AWS": mallory }));
    let opening = [format!("statement 2: {mallory}")];
    assert_eq!(openings_with([allowed(), but(json!([mallory, "111111111111"]))]), opening);
    assert_eq!(openings_with([allowed(), but(json!([mallory]))]), opening);
    assert_eq!(openings_with([allowed(), but(json!([BROKER]))]), [""; 0]);
}

// The property -------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum One {
    User(&'static str, &'static str),
    Session(&'static str, &'static str, &'static str),
    Service(&'static str),
    Provider(&'static str),
}

const ACCOUNTS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];

fn universe() -> Vec<One> {
    let mut all = vec![
        One::Service("ecs-tasks.amazonaws.com"),
        One::Service("ec2.amazonaws.com"),
        One::Provider("oidc"),
        One::Provider("saml"),
    ];
    for account in ACCOUNTS {
        all.extend(["alice", "bob", "carol"].map(|name| One::User(account, name)));
        for role in ["broker", "dev", "dba", "ops", "d/dev", "team/dev"] {
            all.extend(["one", "two"].map(|session| One::Session(account, role, session)));
        }
    }
    all
}

type Chosen = BTreeMap<&'static str, Option<&'static str>>;

/// The condition keys that a caller chooses, with their values.
const CHOICES: [(&str, &[Option<&str>]); 4] = [
    ("sts:ExternalId", &[None, Some("x"), Some("y"), Some("other")]),
    ("sts:RoleSessionName", &[Some("one"), Some("oak"), Some("zed")]),
    ("aws:RequestTag/Team", &[None, Some("a"), Some("other")]),
    ("aws:MultiFactorAuthPresent", &[None, Some("true"), Some("false")]),
];

fn all_chosen() -> Vec<Chosen> {
    CHOICES.iter().fold(vec![Chosen::new()], |all, (key, values)| {
        let with = |chosen: &Chosen| {
            values
                .iter()
                .map(|value| [(*key, *value)].into_iter().chain(chosen.clone()).collect())
                .collect::<Vec<Chosen>>()
        };
        all.iter().flat_map(with).collect()
    })
}

const CONDITIONS: [(&str, &str, &str); 16] = [
    ("StringEquals", "sts:ExternalId", "x"),
    ("StringNotEquals", "sts:ExternalId", "x"),
    ("StringLike", "sts:ExternalId", "y*"),
    ("StringEquals", "sts:RoleSessionName", "one"),
    ("StringNotLike", "sts:RoleSessionName", "o*"),
    ("StringEquals", "aws:RequestTag/Team", "a"),
    ("Null", "aws:RequestTag/Team", "true"),
    ("Bool", "aws:MultiFactorAuthPresent", "true"),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", "false"),
    ("StringEquals", "aws:PrincipalAccount", "111111111111"),
    ("StringNotEquals", "aws:PrincipalAccount", "111111111111"),
    ("ArnEquals", "aws:PrincipalArn", BROKER),
    ("ArnNotEquals", "aws:PrincipalArn", BROKER),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/d*"),
    ("StringEquals", "aws:PrincipalType", "User"),
    ("StringEquals", "aws:SourceVpc", "x"),
];

const NAMES: [(&str, &str); 13] = [
    ("AWS", "*"),
    ("AWS", "111111111111"),
    ("AWS", "arn:aws:iam::222222222222:root"),
    ("AWS", "arn:aws:iam::111111111111:user/alice"),
    ("AWS", "arn:aws:iam::222222222222:user/alice"),
    ("AWS", BROKER),
    ("AWS", "arn:aws:sts::111111111111:assumed-role/broker/one"),
    ("AWS", "arn:aws:iam::111111111111:role/dev"),
    ("AWS", "arn:aws:sts::111111111111:assumed-role/dev/one"),
    ("Service", "ecs-tasks.amazonaws.com"),
    ("Federated", "oidc"),
    ("AWS", "arn:aws:iam::222222222222:role/broker"),
    ("AWS", "arn:aws:iam::111111111111:root"),
];

#[derive(Debug, Clone)]
struct Line {
    allow: bool,
    all_but: bool,
    names: Vec<(&'static str, &'static str)>,
    actions: Vec<&'static str>,
    conditions: Vec<(&'static str, &'static str, &'static str)>,
}

fn line() -> impl Strategy<Value = Line> {
    let actions = select(vec![
        vec!["sts:AssumeRole"],
        vec!["sts:AssumeRole", "sts:TagSession"],
        vec!["sts:*"],
        vec!["sts:assumerole*"],
        vec!["sts:AssumeRoleWithWebIdentity"],
        vec!["sts:AssumeRoleWithSAML"],
        vec!["sts:TagSession"],
    ]);
    let line = (
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.3),
        subsequence(NAMES.to_vec(), 1..=4),
        actions,
        subsequence(CONDITIONS.to_vec(), 0..=3),
    );
    line.prop_map(|(allow, but, names, actions, conditions)| Line {
        allow,
        all_but: but && !allow,
        names,
        actions,
        conditions,
    })
}

fn written(line: &Line) -> Value {
    let mut principals = Map::new();
    for (kind, text) in &line.names {
        principals.entry(*kind).or_insert_with(|| json!([])).as_array_mut().unwrap().push(json!(text));
    }
    let mut block = Map::new();
    for (operator, key, value) in &line.conditions {
        block.entry(*operator).or_insert_with(|| json!({}))[*key] = json!(value);
    }
    let mut statement = json!({ "Effect": if line.allow { "Allow" } else { "Deny" }, "Action": line.actions });
    statement[if line.all_but { "NotPrincipal" } else { "Principal" }] = Value::Object(principals);
    if !block.is_empty() {
        statement["Condition"] = Value::Object(block);
    }
    statement
}

/// Returns whether a caller is a principal of AWS, and all names of it in a policy.
fn principals_of(one: One) -> (bool, Vec<String>) {
    match one {
        One::User(account, name) => {
            (true, vec![format!("root {account}"), format!("arn:aws:iam::{account}:user/{name}")])
        }
        One::Session(account, role, session) => {
            let role_arn = format!("arn:aws:iam::{account}:role/{role}");
            let name = role.rsplit('/').next().unwrap();
            let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
            (true, vec![format!("root {account}"), role_arn, arn])
        }
        One::Service(name) | One::Provider(name) => (false, vec![name.to_owned()]),
    }
}

fn plain(name: &str) -> String {
    match name.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root")) {
        Some(account) => format!("root {account}"),
        None if name.len() == 12 => format!("root {name}"),
        None => name.to_owned(),
    }
}

/// Returns whether a condition holds; `None` if that is unknown.
fn holds(condition: &(&str, &str, &str), one: One, chosen: &Chosen) -> Option<bool> {
    let account = match one {
        One::User(account, _) | One::Session(account, ..) => Some(account.to_owned()),
        _ => None,
    };
    let value: Option<String> = match condition.1 {
        "aws:SourceVpc" => return None,
        "aws:PrincipalAccount" => account,
        "aws:PrincipalArn" => account.map(|_| principals_of(one).1[1].clone()),
        "aws:PrincipalType" => {
            account.map(|_| String::from(if matches!(one, One::User(..)) { "User" } else { "AssumedRole" }))
        }
        key => chosen[key].map(str::to_owned),
    };
    let wanted = condition.2;
    let head = wanted.trim_end_matches('*');
    Some(match (condition.0, value) {
        ("Null", value) => value.is_none(),
        ("StringEquals" | "ArnEquals" | "Bool", value) => value.as_deref() == Some(wanted),
        ("StringNotEquals" | "ArnNotEquals", value) => value.as_deref() != Some(wanted),
        ("StringLike" | "ArnLike", value) => value.is_some_and(|value| value.starts_with(head)),
        ("StringNotLike", value) => value.is_none_or(|value| !value.starts_with(head)),
        ("BoolIfExists", value) => value.is_none_or(|value| value == wanted),
        (operator, _) => panic!("{operator}"),
    })
}

/// Returns whether a caller is allowed. An unknown condition allows and does not deny.
fn is_admitted(lines: &[Line], one: One, chosen: &Chosen) -> bool {
    let actions: &[&str] = match one {
        One::Provider(_) => &["sts:assumerolewithwebidentity", "sts:assumerolewithsaml"],
        _ => &["sts:assumerole"],
    };
    actions.iter().any(|wanted| admitted_by(wanted, lines, one, chosen))
}

fn admitted_by(wanted: &str, lines: &[Line], one: One, chosen: &Chosen) -> bool {
    let (of_aws, mine) = principals_of(one);
    let mut allowed = false;
    for line in lines {
        let action = line.actions.iter().any(|action| {
            let action = action.to_lowercase();
            action == wanted || action.strip_suffix('*').is_some_and(|head| wanted.starts_with(head))
        });
        let held: Vec<Option<bool>> = line.conditions.iter().map(|condition| holds(condition, one, chosen)).collect();
        let names: Vec<String> = line.names.iter().map(|(_, name)| plain(name)).collect();
        let listed = mine.iter().any(|own| names.contains(own));
        let everyone = names.iter().any(|name| name == "*");
        if !action {
            continue;
        }
        if line.allow {
            allowed |= (listed || everyone) && !held.contains(&Some(false));
        } else {
            let concerned = match line.all_but {
                true => !everyone && !listed,
                false => listed || everyone && of_aws,
            };
            if concerned && held.iter().all(|one| *one == Some(true)) {
                return false;
            }
        }
    }
    allowed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn openings_are_reported_exactly_if_another_principal_is_allowed(lines in prop::collection::vec(line(), 0..5)) {
        let statements: Vec<Value> = lines.iter().map(written).collect();
        let document = policy(json!(statements));
        let all_chosen = all_chosen();
        let others = universe().into_iter().filter(|one| !matches!(one, One::Session("111111111111", "broker", _)));
        let open: Vec<One> = others.filter(|one| all_chosen.iter().any(|chosen| is_admitted(&lines, *one, chosen))).collect();
        let reported = openings(&document, Intended::Role(&broker()));
        prop_assert_eq!(reported.is_empty(), open.is_empty(), "{:?} {:?} {}", reported, open, document);
        let broker_is_admitted = ["one", "other"].iter().any(|session| {
            all_chosen.iter().any(|chosen| is_admitted(&lines, One::Session("111111111111", "broker", session), chosen))
        });
        if may_admit(&document, &broker()) {
            prop_assert!(broker_is_admitted, "{}", document);
        }
    }
}
