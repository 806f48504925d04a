//! Trust policies that let a user or role assume a role with the name of somebody else.

use serde_json::json;

use super::{Value, allow, may_admit_as_another, policy};

const ALICE: &str = "arn:aws:iam::111111111111:user/alice";
const ROLE: &str = "arn:aws:iam::111111111111:role/teams/engineer";

fn under(operator: &str, value: Value) -> Value {
    let mut statement = allow(json!({ "AWS": "111111111111" }));
    statement["Condition"] = json!({ operator: { "sts:rolesessionname": value } });
    statement
}

#[test]
fn a_trust_policy_admits_as_another_unless_it_requires_the_own_name_or_admits_others_only() {
    let own = "${aws:username}";
    let session = "arn:aws:sts::111111111111:assumed-role/engineer/carol";
    for (statements, alice, role) in [
        (json!([allow(json!({ "AWS": "111111111111" }))]), true, true),
        (json!([allow(json!({ "AWS": ALICE }))]), true, false),
        (json!([allow(json!({ "AWS": ROLE }))]), false, true),
        (json!([allow(json!({ "AWS": session }))]), false, true),
        (json!([allow(json!({ "AWS": "222222222222" }))]), false, false),
        (json!([allow(json!({ "Service": "ec2.amazonaws.com" }))]), false, false),
        (json!([under("StringEquals", json!(own))]), false, false),
        (json!([under("StringEquals", json!([own]))]), false, false),
        (json!([under("StringEquals", json!([own, "bob"]))]), true, true),
        (json!([under("StringEqualsIfExists", json!(own))]), true, true),
        (json!([under("StringLike", json!("*"))]), true, true),
        // Another statement does not require it.
        (json!([under("StringEquals", json!(own)), allow(json!({ "AWS": ALICE }))]), true, false),
        (json!("unreadable"), true, true),
    ] {
        let document = policy(statements);
        let found = [ALICE, ROLE].map(|principal| may_admit_as_another(&document, principal));
        assert_eq!(found, [alice, role], "{document}");
    }
    assert!(may_admit_as_another(&policy(json!([])), "not an ARN"));
}
