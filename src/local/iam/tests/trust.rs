//! Compares trust policies with a second evaluator, which supports only the parts of the random policies and shares no code with the first.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::super::document::parse_trust;
use super::super::evaluate::{Caller, CallerKind, Context, RequiredPermission};
use super::super::request;
use super::super::trust::{Named, Trust, decide};

const ACCOUNT: &str = "111111111111";
const OTHER: &str = "222222222222";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnyCaller {
    User { account: &'static str, name: &'static str },
    Session { account: &'static str, role: &'static str, session: &'static str },
    Service(&'static str),
}

const UNIVERSE: [AnyCaller; 8] = [
    AnyCaller::User { account: ACCOUNT, name: "alice" },
    AnyCaller::User { account: ACCOUNT, name: "bob" },
    AnyCaller::User { account: OTHER, name: "alice" },
    AnyCaller::Session { account: ACCOUNT, role: "broker", session: "one" },
    AnyCaller::Session { account: ACCOUNT, role: "broker", session: "two" },
    AnyCaller::Session { account: OTHER, role: "broker", session: "one" },
    AnyCaller::Service("ecs-tasks.amazonaws.com"),
    AnyCaller::Service("lambda.amazonaws.com"),
];

/// The principals of statements: types and texts.
const NAMES: [(&str, &str); 14] = [
    ("AWS", "*"),
    ("AWS", "111111111111"),
    ("AWS", "arn:aws:iam::111111111111:root"),
    ("AWS", "arn:aws:iam::222222222222:root"),
    ("AWS", "arn:aws:iam::111111111111:user/alice"),
    ("AWS", "arn:aws:iam::222222222222:user/alice"),
    ("AWS", "arn:aws:iam::111111111111:role/broker"),
    ("AWS", "arn:aws:sts::111111111111:assumed-role/broker/one"),
    ("AWS", "arn:aws:iam::222222222222:role/broker"),
    ("AWS", "arn:aws:iam::111111111111:role/other"),
    ("Service", "ecs-tasks.amazonaws.com"),
    ("Service", "lambda.amazonaws.com"),
    ("Federated", "arn:aws:iam::111111111111:oidc-provider/token.example.com"),
    ("AWS", "AROABROKER"),
];

/// The attributes of a request other than its caller.
#[derive(Debug, Clone)]
struct RequestAttributes {
    action: &'static str,
    external_id: Option<&'static str>,
    source: Option<&'static str>,
    session: &'static str,
    tag: Option<&'static str>,
    mfa: Option<bool>,
}

/// A condition that both evaluators support.
#[derive(Debug, Clone, Copy)]
enum If {
    ExternalId(&'static str),
    NotExternalId(&'static str),
    Source(&'static str),
    SessionLike(&'static str),
    Tag(&'static str),
    Mfa(bool),
    OwnAccount,
    Unheard,
}

const CONDITIONS: [If; 10] = [
    If::ExternalId("x"),
    If::NotExternalId("x"),
    If::Source("alice"),
    If::SessionLike("o*"),
    If::Tag("a"),
    If::Mfa(true),
    If::Mfa(false),
    If::OwnAccount,
    If::ExternalId("y"),
    If::Unheard,
];

#[derive(Debug, Clone)]
struct Line {
    allow: bool,
    names: Vec<(&'static str, &'static str)>,
    all_but: bool,
    actions: Vec<&'static str>,
    conditions: Vec<If>,
}

fn written(line: &Line) -> Value {
    let mut principals = serde_json::Map::new();
    for (kind, text) in &line.names {
        let list = principals.entry(*kind).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(json!(text));
    }
    let mut conditions: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
    for condition in &line.conditions {
        let (operator, key, value) = match condition {
            If::ExternalId(id) => ("StringEquals", "sts:ExternalId", *id),
            If::NotExternalId(id) => ("StringNotEquals", "sts:ExternalId", *id),
            If::Source(name) => ("StringLike", "sts:SourceIdentity", *name),
            If::SessionLike(name) => ("StringLike", "sts:RoleSessionName", *name),
            If::Tag(value) => ("StringEquals", "aws:RequestTag/Team", *value),
            If::Mfa(true) => ("Bool", "aws:MultiFactorAuthPresent", "true"),
            If::Mfa(false) => ("BoolIfExists", "aws:MultiFactorAuthPresent", "false"),
            If::OwnAccount => ("StringEquals", "aws:PrincipalAccount", ACCOUNT),
            If::Unheard => ("StringEquals", "aws:SourceVpc", "vpc-1"),
        };
        conditions.entry(operator).or_default().insert(key.to_owned(), json!(value));
    }
    let mut statement = json!({ "Effect": if line.allow { "Allow" } else { "Deny" }, "Action": line.actions });
    statement[if line.all_but { "NotPrincipal" } else { "Principal" }] = Value::Object(principals);
    if !conditions.is_empty() {
        statement["Condition"] = json!(conditions);
    }
    statement
}

fn caller(someone: AnyCaller, attributes: &RequestAttributes) -> Caller {
    let (kind, account, arn, principal, id) = match someone {
        AnyCaller::User { account, name } => {
            let arn = format!("arn:aws:iam::{account}:user/{name}");
            (CallerKind::User, account, arn.clone(), arn, format!("AIDA{account}{name}"))
        }
        AnyCaller::Session { account, role, session } => {
            let principal = format!("arn:aws:iam::{account}:role/{role}");
            let id = if account == ACCOUNT { "AROABROKER" } else { "AROAOTHER" };
            let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{session}");
            (CallerKind::Session, account, arn, principal, format!("{id}:{session}"))
        }
        AnyCaller::Service(name) => (CallerKind::Service, ACCOUNT, name.to_owned(), name.to_owned(), name.to_owned()),
    };
    let (account, name) = (account.to_owned(), None);
    Caller {
        kind,
        account,
        arn,
        principal,
        user_id: id,
        name,
        source_identity: None,
        tags: BTreeMap::new(),
        mfa: attributes.mfa,
        now: None,
    }
}

fn asked(attributes: &RequestAttributes) -> RequiredPermission {
    let mut context =
        Context::of(&["sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "aws:requesttag/", "aws:tagkeys"]);
    let one = |value: &str| vec![value.to_owned()];
    context.set("sts:RoleSessionName", one(attributes.session));
    for (key, value) in [
        ("sts:ExternalId", attributes.external_id),
        ("sts:SourceIdentity", attributes.source),
        ("aws:RequestTag/team", attributes.tag),
    ] {
        if let Some(value) = value {
            context.set(key, one(value));
        }
    }
    let action = format!("sts:{}", attributes.action);
    RequiredPermission {
        context,
        ..request::permission("us-east-1", action, String::from("arn:aws:iam::111111111111:role/prod"))
    }
}

/// How a list of principals names a caller, from each pair separately: 0 not at all, 1 by account, 2 by role, 3 directly.
fn has(names: &[(&str, &str)], someone: AnyCaller) -> u8 {
    let one = |&(kind, text): &(&str, &str)| match (someone, kind, text) {
        (AnyCaller::Service(name), "Service", text) => {
            if name == text {
                3
            } else {
                0
            }
        }
        (AnyCaller::Service(_), ..) | (_, "Service" | "Federated", _) => 0,
        (_, _, "*") => 3,
        (AnyCaller::User { account, name }, _, text) => match text.strip_prefix("arn:aws:iam::") {
            Some(rest) if rest == format!("{account}:root") => 1,
            Some(rest) if rest == format!("{account}:user/{name}") => 3,
            _ => u8::from(text == account),
        },
        (AnyCaller::Session { account, role, session }, _, text) => {
            let is_mine = text == "AROABROKER" && account == ACCOUNT;
            if is_mine || text == format!("arn:aws:iam::{account}:role/{role}") {
                2
            } else if text == format!("arn:aws:sts::{account}:assumed-role/{role}/{session}") {
                3
            } else {
                u8::from(text == account || text == format!("arn:aws:iam::{account}:root"))
            }
        }
    };
    names.iter().map(one).max().unwrap_or(0)
}

/// Whether a condition is true; `None` if it is unknown.
fn holds(condition: If, someone: AnyCaller, attributes: &RequestAttributes) -> Option<bool> {
    Some(match condition {
        If::ExternalId(id) => attributes.external_id == Some(id),
        If::NotExternalId(id) => attributes.external_id != Some(id),
        If::Source(name) => attributes.source == Some(name),
        If::SessionLike(pattern) => attributes.session.starts_with(pattern.trim_end_matches('*')),
        If::Tag(value) => attributes.tag == Some(value),
        If::Mfa(true) => attributes.mfa == Some(true),
        If::Mfa(false) => attributes.mfa != Some(true),
        If::OwnAccount => match someone {
            AnyCaller::User { account, .. } | AnyCaller::Session { account, .. } => account == ACCOUNT,
            AnyCaller::Service(_) => return None,
        },
        If::Unheard => return None,
    })
}

/// The second evaluator.
fn naive(lines: &[Line], someone: AnyCaller, attributes: &RequestAttributes) -> Trust {
    let mut best = 0;
    for line in lines {
        let about = line.actions.iter().any(|action| {
            let action = action.trim_start_matches("sts:");
            action == attributes.action || action == "*"
        });
        let held: Vec<Option<bool>> = line.conditions.iter().map(|one| holds(*one, someone, attributes)).collect();
        let (certain, possible) = (held.iter().all(|one| *one == Some(true)), !held.contains(&Some(false)));
        let exempt = || {
            let whole = |text: String| line.names.iter().any(|(kind, name)| *kind == "AWS" && *name == text);
            let root = |account: &str| whole(account.to_owned()) || whole(format!("arn:aws:iam::{account}:root"));
            let everyone = line.names.contains(&("AWS", "*"));
            everyone
                || match someone {
                    AnyCaller::User { account, name } => {
                        root(account) && whole(format!("arn:aws:iam::{account}:user/{name}"))
                    }
                    AnyCaller::Session { account, role, session } => {
                        root(account)
                            && whole(format!("arn:aws:iam::{account}:role/{role}"))
                            && whole(format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"))
                    }
                    AnyCaller::Service(name) => line.names.contains(&("Service", name)),
                }
        };
        let denied = || line.names.contains(&("AWS", "*")) || has(&line.names, someone) > 0;
        if !line.allow && about && possible && if line.all_but { !exempt() } else { denied() } {
            return Trust::Explicit;
        }
        if line.allow && about && certain {
            best = best.max(has(&line.names, someone));
        }
    }
    match best {
        0 => Trust::Implicit,
        1 => Trust::Granted(Named::ByAccount),
        2 => Trust::Granted(Named::ByRole),
        _ => Trust::Granted(Named::Directly),
    }
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let actions = subsequence(vec!["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession", "sts:*"], 1..=3);
    let line = (
        prop::bool::weighted(0.75),
        subsequence(NAMES.to_vec(), 1..=5),
        prop::bool::weighted(0.3),
        actions,
        subsequence(CONDITIONS.to_vec(), 0..=2),
    );
    // Two conditions with the same key and operator would be merged into one list of values.
    let fits = |conditions: &[If]| !matches!(conditions, [If::ExternalId(_), If::ExternalId(_)]);
    let line = line.prop_filter("one condition a key", move |(.., conditions)| fits(conditions));
    let line = line.prop_map(|(allow, names, but, actions, conditions)| Line {
        allow,
        names,
        // NotPrincipal is not allowed with an allow.
        all_but: but && !allow,
        actions,
        conditions,
    });
    prop::collection::vec(line, 0..5)
}

fn attributes() -> impl Strategy<Value = RequestAttributes> {
    (
        select(vec!["AssumeRole", "SetSourceIdentity", "TagSession"]),
        select(vec![None, Some("x"), Some("y")]),
        select(vec![None, Some("alice"), Some("bob")]),
        select(vec!["one", "two"]),
        select(vec![None, Some("a"), Some("b")]),
        select(vec![None, Some(true), Some(false)]),
    )
        .prop_map(|(action, external_id, source, session, tag, mfa)| RequestAttributes {
            action,
            external_id,
            source,
            session,
            tag,
            mfa,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn trust_policies_decide_like_the_naive_evaluator(lines in lines(), attributes in attributes()) {
        let statements: Vec<Value> = lines.iter().map(written).collect();
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let policy = parse_trust(&text).unwrap();
        for someone in UNIVERSE {
            let decided = decide(&policy, &BTreeMap::new(), &caller(someone, &attributes), &asked(&attributes));
            prop_assert_eq!(decided, naive(&lines, someone, &attributes), "{:?} {}", someone, text);
        }
    }
}

#[test]
fn a_recreated_role_is_another_principal() {
    let arn = "arn:aws:iam::111111111111:role/broker";
    let text = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Principal": { "AWS": arn },
        "Action": "sts:AssumeRole" } });
    let policy = parse_trust(&text.to_string()).unwrap();
    let attributes = RequestAttributes {
        action: "AssumeRole",
        external_id: None,
        source: None,
        session: "one",
        tag: None,
        mfa: None,
    };
    let broker = caller(UNIVERSE[3], &attributes);
    for (id, trust) in [("AROABROKER", Trust::Granted(Named::ByRole)), ("AROAOLD", Trust::Implicit)] {
        let ids = BTreeMap::from([(arn.to_owned(), id.to_owned())]);
        assert_eq!(decide(&policy, &ids, &broker, &asked(&attributes)), trust, "{id}");
    }
}

#[test]
fn invalid_trust_policies_are_errors() {
    let allow = json!({ "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole" });
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut statement = allow.clone();
        change(&mut statement);
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    assert!(parse_trust(&changed(&|_| {})).is_ok());
    for bad in [
        changed(&|one| one["Resource"] = json!("*")),
        changed(&|one| one["Principal"] = json!("alice")),
        changed(&|one| one["Principal"] = json!({})),
        changed(&|one| one["Principal"] = json!({ "AWS": [] })),
        changed(&|one| one["Principal"] = json!({ "Nobody": "x" })),
        changed(&|one| one["Principal"] = json!(["*"])),
        changed(&|one| {
            one.as_object_mut().unwrap().remove("Principal");
        }),
        changed(&|one| one["NotPrincipal"] = json!({ "AWS": "*" })),
        changed(&|one| {
            let principal = one.as_object_mut().unwrap().remove("Principal").unwrap();
            one["NotPrincipal"] = principal;
        }),
    ] {
        assert!(parse_trust(&bad).is_err(), "{bad}");
    }
}
