//! Checks that a policy without openings allows no other principal in the AWS emulator, which evaluates policies by other code.

use super::*;
use crate::local::Probe;

/// Users and roles with and without paths, in several accounts.
const SOMEBODY: [&str; 14] = [
    "user/alice",
    "user/prod",
    "user/anyone-else",
    "user/a-b",
    "user/team/alice",
    "role/broker",
    "role/mallory",
    "role/team/mallory",
    "role/anyone-else",
    "role/a-b",
    "role/SSO_Admin",
    "role/aws-reserved/SSO_Admin",
    "role/aws-reserved/other",
    "role/prod",
];

const WANTED: [(&str, &str, &str); 20] = [
    ("StringLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:*-*"),
    ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*"),
    ("StringNotLike", "aws:PrincipalArn", "*:role/?*o*"),
    ("StringEquals", "aws:PrincipalArn", "arn:aws:iam::111111111111:user/anyone-else"),
    ("ArnNotEquals", "aws:PrincipalArn", BROKER),
    ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/aws-reserved/*"),
    ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/*o*"),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::1*:*/*/*"),
    ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/m*"),
    ("StringLike", "aws:PrincipalAccount", "0*"),
    ("StringNotLike", "aws:PrincipalAccount", "1*"),
    ("StringNotEquals", "aws:PrincipalAccount", "111111111111"),
    ("StringEquals", "aws:PrincipalType", "User"),
    ("StringLike", "sts:ExternalId", "prod-*"),
    ("StringNotLike", "sts:ExternalId", "*1"),
    ("StringEquals", "sts:ExternalId", "prod-anyone-else"),
    ("StringEqualsIfExists", "sts:ExternalId", "prod-1"),
    ("Null", "sts:ExternalId", "true"),
    // The requests are of 2026-01-01.
    ("DateLessThan", "aws:CurrentTime", "2026-01-02T00:00:00Z"),
    ("DateLessThan", "aws:CurrentTime", "2025-12-31T00:00:00Z"),
];

const WHO: [(&str, &str); 12] = [
    ("AWS", "*"),
    ("AWS", "111111111111"),
    ("AWS", "arn:aws:iam::222222222222:root"),
    ("AWS", BROKER),
    ("AWS", "arn:aws:iam::111111111111:user/alice"),
    ("AWS", "arn:aws:iam::111111111111:user/team/alice"),
    ("AWS", "arn:aws:iam::111111111111:role/mallory"),
    ("AWS", "arn:aws:iam::111111111111:role/aws-reserved/SSO_Admin"),
    ("AWS", "arn:aws:sts::111111111111:assumed-role/SSO_Admin/bob"),
    ("AWS", "arn:aws:sts::111111111111:assumed-role/mallory/one"),
    ("Service", "ec2.amazonaws.com"),
    ("Federated", "arn:aws:iam::111111111111:oidc-provider/x"),
];

fn any_line() -> impl Strategy<Value = Line> {
    let actions = select(vec![vec!["sts:AssumeRole"], vec!["sts:*"], vec!["sts:AssumeRoleWithSAML"]]);
    let of = |allow: bool| {
        let line =
            (prop::bool::ANY, subsequence(WHO.to_vec(), 1..=3), actions.clone(), subsequence(WANTED.to_vec(), 0..=2));
        line.prop_map(move |(but, names, actions, conditions)| {
            let names = if !allow && !but { vec![("AWS", "*")] } else { names };
            Line { allow, all_but: but && !allow, names, actions, conditions }
        })
    };
    prop_oneof![of(true), of(false), of(false)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_policy_without_openings_allows_nobody_else(lines in prop::collection::vec(any_line(), 1..5)) {
        let mut statements = vec![allow(json!({ "AWS": BROKER }))];
        statements.extend(lines.iter().map(written));
        let document = policy(json!(statements));
        if openings(&document, Intended::Role(&broker())).is_empty() {
            let arns = ["111111111111", "222222222222", "012345678901", "987654321098"].into_iter().flat_map(|account| {
                SOMEBODY.map(|name| format!("arn:aws:iam::{account}:{name}"))
            });
            let all: Vec<String> = arns.chain(["ec2.amazonaws.com", "x.amazonaws.com"].map(String::from)).collect();
            for principal in all.iter().filter(|principal| *principal != BROKER) {
                for session in ["bob", "one", "else"] {
                    for external_id in [None, Some("prod-1"), Some("prod-anyone-else"), Some("prod-2"), Some("x")] {
                        let probe = Probe { principal, session, external_id };
                        prop_assert_eq!(probe.is_granted(&document), Ok(false), "{:?} {}", probe, document);
                    }
                }
            }
        }
    }
}
