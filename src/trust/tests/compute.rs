//! Trust policies that are intended for a compute service.

use super::*;

#[test]
fn only_the_listed_services_are_intended() {
    let services = ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"];
    let of = |principal: Value| {
        let openings = openings(&policy(json!([allow(principal)])), Intended::Compute(&services));
        openings.into_iter().map(|one| one.principal).collect::<Vec<_>>()
    };
    assert_eq!(of(json!({ "Service": "ecs-tasks.amazonaws.com" })), [""; 0]);
    assert_eq!(of(json!({ "Service": ["lambda.amazonaws.com", "glue.amazonaws.com"] })), ["glue.amazonaws.com"]);
    assert_eq!(of(json!({ "AWS": BROKER })), [BROKER]);
    assert_eq!(of(json!({ "AWS": "111111111111" })), ["the account 111111111111"]);
}

/// Source: Amazon EKS User Guide, "Assign IAM roles to Kubernetes service accounts".
#[test]
fn a_service_account_of_eks_is_compute_only_if_the_statement_names_it() {
    let issuer = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";
    let provider = format!("arn:aws:iam::111111111111:oidc-provider/{issuer}");
    let of = |provider: &str, condition: Value| {
        let statement = json!({ "Effect": "Allow", "Principal": { "Federated": provider },
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition });
        openings(&policy(json!([statement])), Intended::Compute(&["ecs-tasks.amazonaws.com"])).is_empty()
    };
    let subject = |operator: &str, subject: &str| {
        let (audience, key) = (format!("{issuer}:aud"), format!("{issuer}:sub"));
        json!({ operator: { key: subject }, "StringEqualsIfExists": { audience: "sts.amazonaws.com" } })
    };
    let named = "system:serviceaccount:sentinel:broker";
    assert!(of(&provider, subject("StringEquals", named)));
    for open in [
        json!({}),
        subject("StringEquals", "system:serviceaccount:sentinel"),
        subject("StringEquals", "system:node:broker"),
        subject("StringLike", "system:serviceaccount:sentinel:*"),
        subject("StringNotEquals", named),
        subject("StringEqualsIfExists", named),
        subject("ForAnyValue:StringEquals", named),
        json!({ "StringEquals": { format!("{issuer}:aud"): "sts.amazonaws.com" } }),
        json!({ "StringEquals": { "oidc.eks.us-east-1.amazonaws.com/id/OTHER:sub": named } }),
    ] {
        assert!(!of(&provider, open.clone()), "{open}");
    }
    // Another issuer chooses the subject of its tokens.
    let foreign = "arn:aws:iam::111111111111:oidc-provider/oidc.eks.example.com/id/X";
    assert!(!of(foreign, json!({ "StringEquals": { "oidc.eks.example.com/id/X:sub": named } })));
}
