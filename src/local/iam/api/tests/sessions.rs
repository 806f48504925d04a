//! Assumed roles, and the permissions of their sessions.

use serde_json::{Value, json};

use super::*;

fn assume(aws: &LocalAws, keys: &Keys, role: &str, more: &[(&str, &str)]) -> Result<Keys, String> {
    let arn = format!("arn:aws:iam::123456789012:role/{role}");
    let mut fields = vec![("Action", "AssumeRole"), ("RoleArn", arn.as_str())];
    if more.iter().all(|(field, _)| *field != "RoleSessionName") {
        fields.push(("RoleSessionName", "session"));
    }
    let xml = call(aws, keys, "sts", &[&fields, more].concat())?;
    Ok(Keys { id: part(&xml, "AccessKeyId"), token: part(&xml, "SessionToken") })
}

fn ssm(aws: &LocalAws, keys: &Keys, operation: &str, body: &Value) -> Result<Value, String> {
    let authorization = format!("AWS4-HMAC-SHA256 Credential={}/20260101/eu-west-1/ssm/aws4_request", keys.id);
    let request = Request::new(format!("AmazonSSM.{operation}"), &authorization, body.to_string().into_bytes());
    let answer = aws.answer(&request.with_token(keys.token.clone()));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    match answer.status {
        200 => Ok(body),
        _ => Err(format!("{}: {}", body["__type"].as_str().unwrap(), body["message"].as_str().unwrap())),
    }
}

fn put(aws: &LocalAws, keys: &Keys, name: &str) -> Result<Value, String> {
    ssm(aws, keys, "PutParameter", &json!({ "Name": name, "Value": "x", "Type": "String", "Overwrite": true }))
}

/// Returns an emulator in which `limited` may assume any role, `nobody` has no permissions, and everyone else has all.
fn with_users() -> LocalAws {
    let mut users = Users::default();
    users.add("limited", &[&policy("sts:*", "*")]).unwrap();
    users.add("nobody", &[]).unwrap();
    let deny = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*" } });
    users.add("denied", &[&deny.to_string()]).unwrap();
    aws().with_users(users)
}

#[tokio::test]
async fn a_trust_policy_decides_who_assumes_a_role() {
    let aws = with_users();
    let deny = "AccessDenied: User: arn:aws:iam::123456789012:user/";
    // A role that was never created can be assumed by everyone whose policies allow it.
    assume(&aws, &user("someone"), "never", &[]).unwrap();
    refused(assume(&aws, &user("nobody"), "never", &[]), deny);

    create(
        &aws,
        "named",
        json!({ "AWS": ["arn:aws:iam::123456789012:user/nobody", "arn:aws:iam::123456789012:user/denied"] }),
    );
    assume(&aws, &user("nobody"), "named", &[]).unwrap();
    refused(assume(&aws, &user("someone"), "named", &[]), deny);
    let explicit = assume(&aws, &user("denied"), "named", &[]).unwrap_err();
    assert!(explicit.ends_with("with an explicit deny in an identity-based policy"), "{explicit}");

    create(&aws, "account", json!({ "AWS": ACCOUNT }));
    assume(&aws, &user("limited"), "account", &[]).unwrap();
    assume(&aws, &user("someone"), "account", &[]).unwrap();
    refused(assume(&aws, &user("nobody"), "account", &[]), deny);

    create(&aws, "task", json!({ "Service": "ecs-tasks.amazonaws.com" }));
    refused(assume(&aws, &user("someone"), "task", &[]), deny);
    refused(assume(&aws, &service("lambda.amazonaws.com"), "task", &[]), "AccessDenied: User: lambda.amazonaws.com");
    let task = assume(&aws, &service("ecs-tasks.amazonaws.com"), "task", &[]).unwrap();
    refused(put(&aws, &service("ecs-tasks.amazonaws.com"), "/a"), "AccessDeniedException");

    // A role session that a trust policy names needs no policy of its role; another session of the role does.
    create(&aws, "by-role", json!({ "AWS": "arn:aws:iam::123456789012:role/task" }));
    assume(&aws, &task, "by-role", &[]).unwrap();
    create(&aws, "by-session", json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/task/session" }));
    assume(&aws, &task, "by-session", &[]).unwrap();
    let other = assume(&aws, &service("ecs-tasks.amazonaws.com"), "task", &[("RoleSessionName", "other")]).unwrap();
    refused(assume(&aws, &other, "by-session", &[]), "AccessDenied");
    refused(assume(&aws, &other, "account", &[]), "AccessDenied");

    // Another path or case does not make it a different role, or one that was never created.
    refused(assume(&aws, &user("nobody"), "team/named", &[]), deny);
    refused(assume(&aws, &user("someone"), "NAMED", &[]), deny);
}

#[tokio::test]
async fn conditions_of_a_trust_policy_are_evaluated() {
    let aws = with_users();
    let role = |name: &str, actions: Value, condition: Value| {
        let document = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "AWS": ACCOUNT },
            "Action": actions, "Condition": condition }] });
        let text = document.to_string();
        iam(&aws, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &text)]).unwrap();
    };
    let alice = user("alice");
    let only = json!("sts:AssumeRole");
    role("external", only.clone(), json!({ "StringEquals": { "sts:ExternalId": "x" } }));
    assume(&aws, &alice, "external", &[("ExternalId", "x")]).unwrap();
    refused(assume(&aws, &alice, "external", &[("ExternalId", "y")]), "AccessDenied");
    refused(assume(&aws, &alice, "external", &[]), "AccessDenied");

    role("mfa", only.clone(), json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } }));
    let code = [("SerialNumber", "arn:aws:iam::123456789012:mfa/alice"), ("TokenCode", "000000")];
    assume(&aws, &alice, "mfa", &code).unwrap();
    refused(assume(&aws, &alice, "mfa", &[]), "AccessDenied");
    refused(assume(&aws, &alice, "mfa", &[code[0], ("TokenCode", "12345")]), "ValidationError");

    role("own-name", only.clone(), json!({ "StringLike": { "sts:RoleSessionName": "${aws:username}" } }));
    assume(&aws, &alice, "own-name", &[("RoleSessionName", "alice")]).unwrap();
    refused(assume(&aws, &alice, "own-name", &[("RoleSessionName", "bob")]), "AccessDenied");

    role("arn", only.clone(), json!({ "ArnEquals": { "aws:PrincipalArn": "arn:aws:iam::123456789012:user/alice" } }));
    assume(&aws, &alice, "arn", &[]).unwrap();
    refused(assume(&aws, &user("bob"), "arn", &[]), "AccessDenied");

    // A source identity and tags require their own permissions.
    let source = ("SourceIdentity", "alice");
    let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "a")];
    refused(
        assume(&aws, &alice, "arn", &[source]),
        "AccessDenied: User: arn:aws:iam::123456789012:user/alice is not authorized to perform: sts:SetSourceIdentity",
    );
    refused(
        assume(&aws, &alice, "arn", &tag),
        "AccessDenied: User: arn:aws:iam::123456789012:user/alice is not authorized to perform: sts:TagSession",
    );
    let all = json!(["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]);
    role(
        "stamped",
        all,
        json!({ "StringEquals": { "sts:SourceIdentity": "alice", "aws:RequestTag/team": "a" },
        "ForAllValues:StringEquals": { "aws:TagKeys": ["team"] } }),
    );
    assume(&aws, &alice, "stamped", &[&[source], &tag[..]].concat()).unwrap();
    refused(assume(&aws, &alice, "stamped", &[("SourceIdentity", "bobby"), tag[0], tag[1]]), "AccessDenied");
    refused(assume(&aws, &alice, "stamped", &[source]), "AccessDenied");
    let more = [source, tag[0], tag[1], ("Tags.member.2.Key", "other"), ("Tags.member.2.Value", "b")];
    refused(assume(&aws, &alice, "stamped", &more), "AccessDenied");
}

#[tokio::test]
async fn a_session_has_the_permissions_of_its_role() {
    let aws = aws();
    create(&aws, "one", json!({ "AWS": ACCOUNT }));
    let role = ("RoleName", "one");
    let session = assume(&aws, &user("alice"), "one", &[]).unwrap();
    let identity = call(&aws, &session, "sts", &[("Action", "GetCallerIdentity")]).unwrap();
    assert_eq!(part(&identity, "Arn"), "arn:aws:sts::123456789012:assumed-role/one/session");
    let id = part(&iam(&aws, "GetRole", &[role]).unwrap(), "RoleId");
    assert_eq!(part(&identity, "UserId"), format!("{id}:session"));

    let refusal = put(&aws, &session, "/a").unwrap_err();
    assert!(refusal.ends_with("because no identity-based policy allows the ssm:PutParameter action"), "{refusal}");
    let arn = "arn:aws:ssm:*:123456789012:parameter/a";
    iam(&aws, "PutRolePolicy", &[role, ("PolicyName", "p"), ("PolicyDocument", &policy("ssm:*", arn))]).unwrap();
    put(&aws, &session, "/a").unwrap();
    assert!(put(&aws, &session, "/b").is_err());
    iam(&aws, "AttachRolePolicy", &[role, ("PolicyArn", ADMIN)]).unwrap();
    put(&aws, &session, "/b").unwrap();
    iam(&aws, "PutRolePermissionsBoundary", &[role, ("PermissionsBoundary", "arn:aws:iam::aws:policy/ReadOnlyAccess")])
        .unwrap();
    let bounded = put(&aws, &session, "/b").unwrap_err();
    assert!(bounded.ends_with("because no permissions boundary allows the ssm:PutParameter action"), "{bounded}");
    ssm(&aws, &session, "GetParameter", &json!({ "Name": "/b" })).unwrap();
    iam(&aws, "DeleteRolePermissionsBoundary", &[role]).unwrap();

    // The session's policies limit it too.
    let limited = assume(&aws, &user("alice"), "one", &[("Policy", &policy("ssm:*", arn))]).unwrap();
    put(&aws, &limited, "/a").unwrap();
    let beyond = put(&aws, &limited, "/b").unwrap_err();
    assert!(beyond.ends_with("because no session policy allows the ssm:PutParameter action"), "{beyond}");
    let read = ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess");
    assert!(put(&aws, &assume(&aws, &user("alice"), "one", &[read]).unwrap(), "/a").is_err());
    refused(assume(&aws, &user("alice"), "one", &[("Policy", "{}")]), "MalformedPolicyDocument");

    // A policy without a known document may deny anything.
    iam(&aws, "AttachRolePolicy", &[role, ("PolicyArn", "arn:aws:iam::aws:policy/Odd")]).unwrap();
    assert!(put(&aws, &session, "/a").unwrap_err().contains("policy/Odd"));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends() {
    let aws = aws();
    create(&aws, "one", json!({ "AWS": ACCOUNT }));
    iam(&aws, "AttachRolePolicy", &[("RoleName", "one"), ("PolicyArn", ADMIN)]).unwrap();
    let session = assume(&aws, &user("alice"), "one", &[("DurationSeconds", "900")]).unwrap();
    put(&aws, &session, "/a").unwrap();
    tokio::time::advance(std::time::Duration::from_secs(901)).await;
    refused(put(&aws, &session, "/a"), "ExpiredTokenException");
    refused(call(&aws, &session, "sts", &[("Action", "GetCallerIdentity")]), "ExpiredToken");

    // A session ends with its role, and does not become a session of a recreated role.
    let session = assume(&aws, &user("alice"), "one", &[]).unwrap();
    iam(&aws, "DetachRolePolicy", &[("RoleName", "one"), ("PolicyArn", ADMIN)]).unwrap();
    iam(&aws, "DeleteRole", &[("RoleName", "one")]).unwrap();
    refused(put(&aws, &session, "/a"), "UnrecognizedClientException");
    create(&aws, "one", json!({ "AWS": ACCOUNT }));
    refused(call(&aws, &session, "sts", &[("Action", "GetCallerIdentity")]), "InvalidClientTokenId");
    // A key without its token identifies nobody.
    let session = assume(&aws, &user("alice"), "one", &[]).unwrap();
    let bare = Keys { token: String::new(), ..session };
    refused(call(&aws, &bare, "sts", &[("Action", "GetCallerIdentity")]), "InvalidClientTokenId");
}

#[tokio::test]
async fn sessions_are_limited_in_time_by_the_role_and_by_chaining() {
    let aws = aws();
    create(&aws, "hour", json!({ "AWS": "*" }));
    let document = trust(json!({ "AWS": "*" }));
    let fields =
        [("RoleName", "long"), ("AssumeRolePolicyDocument", document.as_str()), ("MaxSessionDuration", "43200")];
    iam(&aws, "CreateRole", &fields).unwrap();
    let lasting = |seconds: &'static str| [("DurationSeconds", seconds)];
    let hour = assume(&aws, &user("alice"), "hour", &lasting("3600")).unwrap();
    let beyond = "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    refused(assume(&aws, &user("alice"), "hour", &lasting("3601")), beyond);
    assume(&aws, &user("alice"), "long", &lasting("43200")).unwrap();
    assume(&aws, &hour, "long", &lasting("3600")).unwrap();
    let chained = "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit";
    refused(assume(&aws, &hour, "long", &lasting("3601")), chained);
}

#[tokio::test]
async fn role_chaining_keeps_the_source_identity_and_transitive_tags() {
    let aws = aws();
    let document = |condition: Value| {
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": { "AWS": "*" },
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"], "Condition": condition }] })
        .to_string()
    };
    let any = document(json!({ "Null": { "aws:PrincipalAccount": "false" } }));
    iam(&aws, "CreateRole", &[("RoleName", "first"), ("AssumeRolePolicyDocument", &any)]).unwrap();
    let stamped = document(
        json!({ "StringEquals": { "aws:SourceIdentity": "alice", "aws:PrincipalTag/team": "a", "aws:RequestTag/team": "a" } }),
    );
    iam(&aws, "CreateRole", &[("RoleName", "second"), ("AssumeRolePolicyDocument", &stamped)]).unwrap();
    let fields = [
        ("SourceIdentity", "alice"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "a"),
        ("TransitiveTagKeys.member.1", "team"),
    ];
    let first = assume(&aws, &user("alice"), "first", &fields).unwrap();
    assume(&aws, &first, "second", &[]).unwrap();
    refused(assume(&aws, &first, "second", &[("SourceIdentity", "mallory")]), "AccessDenied");
    refused(assume(&aws, &first, "second", &[fields[1], fields[2]]), "InvalidParameterValue");
    refused(assume(&aws, &user("alice"), "second", &[]), "AccessDenied");
}

#[tokio::test]
async fn cross_account_access_needs_permission_and_trust() {
    let aws = aws();
    create(&aws, "shared", json!({ "AWS": "arn:aws:iam::111111111111:role/any" }));
    let from = |account: &str| Keys { id: format!("ASIALOCAL:{account}:any:one"), token: String::new() };
    assume(&aws, &from("111111111111"), "shared", &[]).unwrap();
    refused(assume(&aws, &from("222222222222"), "shared", &[]), "AccessDenied");
}

#[tokio::test]
async fn a_trust_policy_shows_a_deleted_role_by_its_id() {
    let aws = aws();
    let id = part(&create(&aws, "broker", json!({ "AWS": ACCOUNT })), "RoleId");
    let arn = "arn:aws:iam::123456789012:role/broker";
    create(&aws, "prod", json!({ "AWS": arn }));
    let principal = || {
        let xml = iam(&aws, "GetRole", &[("RoleName", "prod")]).unwrap();
        decoded(&part(&xml, "AssumeRolePolicyDocument"))["Statement"][0]["Principal"]["AWS"].clone()
    };
    assert_eq!(principal(), arn);
    let broker = assume(&aws, &user("alice"), "broker", &[]).unwrap();
    assume(&aws, &broker, "prod", &[]).unwrap();
    iam(&aws, "DeleteRole", &[("RoleName", "broker")]).unwrap();
    assert_eq!(principal(), json!(id));
    create(&aws, "broker", json!({ "AWS": ACCOUNT }));
    let broker = assume(&aws, &user("alice"), "broker", &[]).unwrap();
    refused(assume(&aws, &broker, "prod", &[]), "AccessDenied");
    iam(&aws, "UpdateAssumeRolePolicy", &[("RoleName", "prod"), ("PolicyDocument", &trust(json!({ "AWS": arn })))])
        .unwrap();
    assert_eq!(principal(), arn);
    assume(&aws, &broker, "prod", &[]).unwrap();
}

#[tokio::test]
async fn policies_are_simulated() {
    let mut users = Users::default();
    let conditional = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "arn:aws:dynamodb:*:*:table/requests",
          "Condition": { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": "request#*" }, "Null": { "dynamodb:LeadingKeys": "false" } } },
        { "Effect": "Deny", "Action": "dynamodb:DeleteTable", "Resource": "*" },
    ] });
    users.add("alice", &[&conditional.to_string()]).unwrap();
    let aws = aws().with_users(users);
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/requests";
    let simulate = |source: &str, action: &str, more: &[(&str, &str)]| {
        let fields = [("PolicySourceArn", source), ("ActionNames.member.1", action), ("ResourceArns.member.1", table)];
        let xml = iam(&aws, "SimulatePrincipalPolicy", &[&fields[..], more].concat())?;
        Ok::<_, String>((
            part(&xml, "EvalDecision"),
            part(&xml, "MissingContextValues").contains("dynamodb:LeadingKeys"),
        ))
    };
    let alice = "arn:aws:iam::123456789012:user/alice";
    let is = |decision: &str, missing| Ok::<_, String>((decision.to_owned(), missing));
    let keys = |value: &'static str| {
        [
            ("ContextEntries.member.1.ContextKeyName", "dynamodb:LeadingKeys"),
            ("ContextEntries.member.1.ContextKeyType", "stringList"),
            ("ContextEntries.member.1.ContextKeyValues.member.1", value),
        ]
    };
    assert_eq!(simulate(alice, "dynamodb:PutItem", &[]), is("implicitDeny", true));
    assert_eq!(simulate(alice, "dynamodb:PutItem", &keys("request#1")), is("allowed", false));
    assert_eq!(simulate(alice, "dynamodb:PutItem", &keys("decision#1")), is("implicitDeny", false));
    // The condition is of a statement about another action.
    assert_eq!(simulate(alice, "dynamodb:DeleteTable", &[]), is("explicitDeny", false));
    assert_eq!(simulate("arn:aws:iam::123456789012:user/other", "dynamodb:PutItem", &[]), is("allowed", false));
    create(&aws, "one", json!({ "AWS": ACCOUNT }));
    let role = "arn:aws:iam::123456789012:role/one";
    assert_eq!(simulate(role, "dynamodb:GetItem", &[]), is("implicitDeny", false));
    iam(&aws, "AttachRolePolicy", &[("RoleName", "one"), ("PolicyArn", ADMIN)]).unwrap();
    assert_eq!(simulate(role, "dynamodb:GetItem", &[]), is("allowed", false));
    for (source, action, code) in [
        ("arn:aws:iam::123456789012:role/none", "dynamodb:GetItem", "NoSuchEntity"),
        ("alice", "dynamodb:GetItem", "InvalidInput"),
        (alice, "GetItem", "InvalidInput"),
    ] {
        assert!(simulate(source, action, &[]).unwrap_err().starts_with(code));
    }
}

/// Source: IAM API Reference, "EvaluationResult" and "ResourceSpecificResult".
#[tokio::test]
async fn a_simulation_decides_on_each_resource_and_names_the_statements() {
    let mut users = Users::default();
    let policy = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\"Effect\": \"Allow\", \"Action\": \"iam:*\", \
                  \"Resource\": \"arn:aws:iam::123456789012:role/{one}\"},\n    {\"Effect\": \"Allow\",\n     \"Action\": \
                  \"iam:PutRolePolicy\", \"Resource\": \"*\"}\n  ]\n}";
    users.add("alice", &[policy]).unwrap();
    let aws = aws().with_users(users);
    let simulate = |actions: &[&str]| {
        let mut fields = vec![
            (String::from("PolicySourceArn"), "arn:aws:iam::123456789012:user/alice"),
            (String::from("ResourceArns.member.1"), "arn:aws:iam::123456789012:role/{one}"),
            (String::from("ResourceArns.member.2"), "arn:aws:iam::123456789012:role/two"),
        ];
        fields.extend(actions.iter().enumerate().map(|(at, one)| (format!("ActionNames.member.{}", at + 1), *one)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        iam(&aws, "SimulatePrincipalPolicy", &fields)
    };
    let passing = simulate(&["iam:PassRole"]).unwrap();
    assert_eq!(part(&passing, "EvalDecision"), "implicitDeny");
    let each: Vec<&str> = passing.split("<EvalResourceDecision>").skip(1).collect();
    assert!(each[0].starts_with("allowed<") && each[1].starts_with("implicitDeny<"), "{passing}");
    assert_eq!(part(each[0], "SourcePolicyId"), "user_alice_1");
    assert_eq!(part(each[0], "StartPosition"), "<Line>4</Line><Column>5</Column>");
    assert_eq!(part(each[1], "MatchedStatements"), "");
    let putting = simulate(&["iam:PutRolePolicy"]).unwrap();
    assert_eq!(part(&putting, "EvalDecision"), "allowed");
    let each: Vec<&str> = putting.split("<EvalResourceDecision>").skip(1).collect();
    assert_eq!(each[0].matches("<SourcePolicyId>").count(), 2, "{putting}");
    assert_eq!(part(each[1], "StartPosition"), "<Line>5</Line><Column>5</Column>");
    assert_eq!(part(each[1], "EndPosition"), "<Line>6</Line><Column>52</Column>");
    let together = simulate(&["iam:PassRole", "iam:PutRolePolicy"]).unwrap_err();
    assert!(
        together.starts_with("InvalidInput") && together.contains("different authorization information"),
        "{together}"
    );
}
