mod sessions;

use serde_json::{Value, json};

use crate::local::{LocalAws, Request, Rules, Users};

/// Access keys with their session token.
#[derive(Debug, Clone)]
struct Keys {
    id: String,
    token: String,
}

fn user(name: &str) -> Keys {
    Keys { id: format!("AKIALOCAL:{name}"), token: String::new() }
}

fn service(name: &str) -> Keys {
    Keys { id: format!("AKIASERVICE:{name}"), token: String::new() }
}

/// Makes a request, and returns the XML of its response, or the code and text of its error.
fn call(aws: &LocalAws, keys: &Keys, service: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    let authorization = format!("AWS4-HMAC-SHA256 Credential={}/20260101/eu-west-1/{service}/aws4_request", keys.id);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::new(String::new(), &authorization, body.into_bytes()).with_token(keys.token.clone());
    let answer = aws.answer(&request);
    let text = String::from_utf8(answer.body).unwrap();
    match answer.status {
        200 => Ok(text),
        _ => Err(format!("{}: {}", part(&text, "Code"), part(&text, "Message"))),
    }
}

fn iam(aws: &LocalAws, operation: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    call(aws, &user("admin"), "iam", &[&[("Action", operation)], fields].concat())
}

/// Returns the text of the first element with a name.
fn part(xml: &str, name: &str) -> String {
    let rest = xml.split(&format!("<{name}>")).nth(1).unwrap_or_default();
    rest.split(&format!("</{name}>")).next().unwrap_or_default().to_owned()
}

fn parts(xml: &str, name: &str) -> Vec<String> {
    xml.split(&format!("<{name}>")).skip(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, String>, beginning: &str) {
    let error = result.expect_err("a refusal was expected");
    assert!(error.starts_with(beginning), "{error}\n{beginning}");
}

fn decoded(text: &str) -> Value {
    let query = format!("x={}", text.replace('+', "%2B"));
    let (_, value) = form_urlencoded::parse(query.as_bytes()).next().unwrap();
    serde_json::from_str(&value).unwrap()
}

fn trust(principal: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" }] })
        .to_string()
}

#[test]
fn a_trust_policy_is_returned_without_added_elements() {
    let aws = LocalAws::memory(Rules::default());
    let document = trust(json!({ "Service": "ecs-tasks.amazonaws.com" }));
    let answer = iam(&aws, "CreateRole", &[("RoleName", "x"), ("AssumeRolePolicyDocument", &document)]).unwrap();
    let expected: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(decoded(&part(&answer, "AssumeRolePolicyDocument")), expected);
}

fn policy(action: &str, resource: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": action, "Resource": resource } })
        .to_string()
}

fn aws() -> LocalAws {
    LocalAws::memory(Rules::default())
}

#[track_caller]
fn create(aws: &LocalAws, name: &str, principal: Value) -> String {
    let document = trust(principal);
    iam(aws, "CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &document)]).unwrap()
}

const ACCOUNT: &str = "123456789012";
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

#[tokio::test]
async fn a_role_is_returned_as_created() {
    let aws = aws();
    let document =
        trust(json!({ "AWS": [ACCOUNT, "arn:aws:iam::123456789012:user/alice"], "Service": "ec2.amazonaws.com" }));
    let fields = [
        ("RoleName", "prod-admin"),
        ("Path", "/team/"),
        ("AssumeRolePolicyDocument", document.as_str()),
        ("Description", "a <b> & c"),
        ("MaxSessionDuration", "7200"),
        ("PermissionsBoundary", ADMIN),
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "a"),
    ];
    let created = iam(&aws, "CreateRole", &fields).unwrap();
    let got = iam(&aws, "GetRole", &[("RoleName", "prod-admin")]).unwrap();
    for xml in [&created, &got] {
        assert_eq!(part(xml, "Arn"), "arn:aws:iam::123456789012:role/team/prod-admin");
        assert_eq!(part(xml, "Path"), "/team/");
        assert_eq!(part(xml, "MaxSessionDuration"), "7200");
        assert_eq!(part(xml, "Description"), "a &lt;b&gt; &amp; c");
        assert_eq!(part(xml, "PermissionsBoundaryArn"), ADMIN);
        assert_eq!((part(xml, "Key"), part(xml, "Value")), (String::from("Team"), String::from("a")));
        let id = part(xml, "RoleId");
        assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
        let document = decoded(&part(xml, "AssumeRolePolicyDocument"));
        let principals = &document["Statement"][0]["Principal"]["AWS"];
        assert_eq!(*principals, json!(["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/alice"]));
    }
    // IAM is the same in each region, and separate for each account.
    let elsewhere = Keys { id: String::from("ASIALOCAL:111111111111:any:one"), token: String::new() };
    refused(call(&aws, &elsewhere, "iam", &[("Action", "GetRole"), ("RoleName", "prod-admin")]), "NoSuchEntity");
    refused(iam(&aws, "GetRole", &[("RoleName", "none")]), "NoSuchEntity: The role with name none cannot be found.");
    let second = [("RoleName", "PROD-admin"), ("AssumeRolePolicyDocument", document.as_str())];
    refused(iam(&aws, "CreateRole", &second), "EntityAlreadyExists: Role with name PROD-admin already exists.");
}

#[tokio::test]
async fn invalid_roles_are_refused() {
    let aws = aws();
    let good = trust(json!({ "AWS": ACCOUNT }));
    let long = "x".repeat(65);
    let wide = "a".repeat(1001);
    let with = |field: &'static str, value: &str| {
        let mut fields = vec![("RoleName", "x"), ("AssumeRolePolicyDocument", good.as_str())];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        iam(&aws, "CreateRole", &fields)
    };
    for (field, value, code) in [
        ("RoleName", long.as_str(), "ValidationError: 1 validation error detected: Value 'xxx"),
        ("RoleName", "a b", "ValidationError: The specified value for roleName is invalid."),
        ("RoleName", "", "ValidationError: 1 validation error detected: Value null at 'roleName'"),
        ("Path", "team", "ValidationError: The specified value for path is invalid."),
        ("Path", "/aws-service-role/x/", "ValidationError"),
        ("Description", wide.as_str(), "ValidationError"),
        ("MaxSessionDuration", "3599", "ValidationError"),
        ("MaxSessionDuration", "43201", "ValidationError"),
        ("MaxSessionDuration", "x", "ValidationError"),
        ("PermissionsBoundary", "arn:aws:iam::123456789012:policy/none", "NoSuchEntity"),
        ("PermissionsBoundary", "x", "InvalidParameterValue"),
        ("Tags.member.1.Key", "aws:x", "InvalidInput"),
        ("Tags.member.1.Key", "a#", "ValidationError"),
        ("AssumeRolePolicyDocument", "x", "MalformedPolicyDocument: This policy contains invalid Json"),
    ] {
        refused(with(field, value), code);
    }
    let principals = [
        json!({ "AWS": "alice" }),
        json!({ "AWS": "arn:aws:iam::123456789012:role/none" }),
        json!({ "AWS": "arn:aws:sts::123456789012:assumed-role/none/one" }),
        json!({ "AWS": "arn:aws:iam::123456789012:user/*" }),
        json!({ "AWS": "AROA0123456789ABCDEF0" }),
        json!({ "Service": "ec2" }),
        json!({ "Federated": "example.com" }),
        json!({ "Other": "x" }),
    ];
    for principal in principals {
        refused(with("AssumeRolePolicyDocument", &trust(principal)), "MalformedPolicyDocument");
    }
    let message =
        "MalformedPolicyDocument: Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:role/none\"";
    refused(with("AssumeRolePolicyDocument", &trust(json!({ "AWS": "arn:aws:iam::123456789012:role/none" }))), message);
    let statement = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&good).unwrap();
        change(&mut document["Statement"][0]);
        document.to_string()
    };
    for (text, why) in [
        (statement(&|one| one["Resource"] = json!("*")), "MalformedPolicyDocument: Has prohibited field Resource"),
        (
            statement(&|one| one["Action"] = json!("*")),
            "MalformedPolicyDocument: AssumeRole policy may only specify STS",
        ),
        (statement(&|one| one["Principal"] = Value::Null), "MalformedPolicyDocument: Missing required field Principal"),
        (
            statement(&|one| one["Sid"] = json!("x".repeat(2048))),
            "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048",
        ),
    ] {
        refused(with("AssumeRolePolicyDocument", &text), why);
    }
    let many: Vec<String> = (1..=51).map(|number| format!("Tags.member.{number}.Key")).collect();
    let mut fields = vec![("RoleName", "x"), ("AssumeRolePolicyDocument", good.as_str())];
    fields.extend(many.iter().map(|field| (field.as_str(), field.as_str())));
    refused(iam(&aws, "CreateRole", &fields), "ValidationError");
    refused(iam(&aws, "GetRole", &[("RoleName", "x")]), "NoSuchEntity");
}

#[tokio::test]
async fn a_role_is_changed_and_deleted_in_order() {
    let aws = aws();
    create(&aws, "one", json!({ "Service": "ecs-tasks.amazonaws.com" }));
    let role = ("RoleName", "one");
    iam(&aws, "UpdateRole", &[role, ("Description", "d"), ("MaxSessionDuration", "7200")]).unwrap();
    // An omitted description is kept, and an omitted maximum session duration is reset.
    iam(&aws, "UpdateRole", &[role]).unwrap();
    let got = iam(&aws, "GetRole", &[role]).unwrap();
    assert_eq!(
        (part(&got, "Description"), part(&got, "MaxSessionDuration")),
        (String::from("d"), String::from("3600"))
    );
    let document = trust(json!({ "AWS": "*" }));
    iam(&aws, "UpdateAssumeRolePolicy", &[role, ("PolicyDocument", &document)]).unwrap();
    assert_eq!(
        decoded(&part(&iam(&aws, "GetRole", &[role]).unwrap(), "AssumeRolePolicyDocument"))["Statement"][0]["Principal"],
        json!({ "AWS": "*" })
    );
    iam(&aws, "PutRolePermissionsBoundary", &[role, ("PermissionsBoundary", ADMIN)]).unwrap();
    iam(&aws, "DeleteRolePermissionsBoundary", &[role]).unwrap();
    assert_eq!(part(&iam(&aws, "GetRole", &[role]).unwrap(), "PermissionsBoundaryArn"), "");

    let get = policy("ssm:GetParameter", "*");
    iam(&aws, "PutRolePolicy", &[role, ("PolicyName", "read"), ("PolicyDocument", &get)]).unwrap();
    assert_eq!(parts(&iam(&aws, "ListRolePolicies", &[role]).unwrap(), "member"), ["read"]);
    let shown = iam(&aws, "GetRolePolicy", &[role, ("PolicyName", "read")]).unwrap();
    assert_eq!(decoded(&part(&shown, "PolicyDocument")), serde_json::from_str::<Value>(&get).unwrap());
    refused(iam(&aws, "GetRolePolicy", &[role, ("PolicyName", "none")]), "NoSuchEntity");
    refused(
        iam(&aws, "PutRolePolicy", &[role, ("PolicyName", "bad"), ("PolicyDocument", "{}")]),
        "MalformedPolicyDocument",
    );
    let huge = policy("ssm:GetParameter", &format!("arn:aws:ssm:*:*:parameter/{}", "x".repeat(10_240)));
    let too_much = "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role one";
    refused(iam(&aws, "PutRolePolicy", &[role, ("PolicyName", "huge"), ("PolicyDocument", &huge)]), too_much);

    iam(&aws, "AttachRolePolicy", &[role, ("PolicyArn", ADMIN)]).unwrap();
    iam(&aws, "AttachRolePolicy", &[role, ("PolicyArn", ADMIN)]).unwrap();
    assert_eq!(parts(&iam(&aws, "ListAttachedRolePolicies", &[role]).unwrap(), "PolicyArn"), [ADMIN]);
    let none = ("PolicyArn", "arn:aws:iam::123456789012:policy/none");
    refused(iam(&aws, "AttachRolePolicy", &[role, none]), "NoSuchEntity");
    refused(iam(&aws, "DetachRolePolicy", &[role, none]), "NoSuchEntity");
    for number in 0..9 {
        let arn = format!("arn:aws:iam::aws:policy/Odd{number}");
        iam(&aws, "AttachRolePolicy", &[role, ("PolicyArn", &arn)]).unwrap();
    }
    let eleventh = ("PolicyArn", "arn:aws:iam::aws:policy/Odd10");
    refused(
        iam(&aws, "AttachRolePolicy", &[role, eleventh]),
        "LimitExceeded: Cannot exceed quota for PoliciesPerRole: 10",
    );

    iam(&aws, "CreateInstanceProfile", &[("InstanceProfileName", "p")]).unwrap();
    iam(&aws, "AddRoleToInstanceProfile", &[("InstanceProfileName", "p"), role]).unwrap();
    assert_eq!(parts(&iam(&aws, "ListInstanceProfilesForRole", &[role]).unwrap(), "InstanceProfileName"), ["p"]);
    refused(
        iam(&aws, "DeleteRole", &[role]),
        "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.",
    );
    refused(iam(&aws, "DeleteInstanceProfile", &[("InstanceProfileName", "p")]), "DeleteConflict");
    iam(&aws, "RemoveRoleFromInstanceProfile", &[("InstanceProfileName", "p"), role]).unwrap();
    refused(iam(&aws, "DeleteRole", &[role]), "DeleteConflict: Cannot delete entity, must detach all policies first.");
    for arn in parts(&iam(&aws, "ListAttachedRolePolicies", &[role]).unwrap(), "PolicyArn") {
        iam(&aws, "DetachRolePolicy", &[role, ("PolicyArn", &arn)]).unwrap();
    }
    refused(iam(&aws, "DeleteRole", &[role]), "DeleteConflict: Cannot delete entity, must delete policies first.");
    iam(&aws, "DeleteRolePolicy", &[role, ("PolicyName", "read")]).unwrap();
    refused(iam(&aws, "DeleteRolePolicy", &[role, ("PolicyName", "read")]), "NoSuchEntity");
    iam(&aws, "DeleteRole", &[role]).unwrap();
    refused(iam(&aws, "DeleteRole", &[role]), "NoSuchEntity");
}

#[tokio::test]
async fn a_service_linked_role_cannot_be_changed() {
    let aws = aws();
    let made =
        iam(&aws, "CreateServiceLinkedRole", &[("AWSServiceName", "dynamodb.application-autoscaling.amazonaws.com")])
            .unwrap();
    let name = part(&made, "RoleName");
    assert!(part(&made, "Path").starts_with("/aws-service-role/"), "{made}");
    let role = ("RoleName", name.as_str());
    for (operation, more) in [
        ("DeleteRole", vec![]),
        ("UpdateRole", vec![("Description", "x")]),
        ("AttachRolePolicy", vec![("PolicyArn", ADMIN)]),
        ("TagRole", vec![("Tags.member.1.Key", "a")]),
    ] {
        refused(
            iam(&aws, operation, &[vec![role], more].concat()),
            "UnmodifiableEntity: Cannot perform the operation on the protected role",
        );
    }
}

#[tokio::test]
async fn lists_have_pages_and_paths() {
    let aws = aws();
    for number in 0..5 {
        let (name, path) = (format!("r{number}"), if number < 3 { "/a/" } else { "/b/" });
        let document = trust(json!({ "AWS": "*" }));
        let fields = [("RoleName", name.as_str()), ("Path", path), ("AssumeRolePolicyDocument", &document)];
        iam(&aws, "CreateRole", &[&fields[..], &[("Tags.member.1.Key", "k")]].concat()).unwrap();
    }
    let first = iam(&aws, "ListRoles", &[("MaxItems", "2")]).unwrap();
    assert_eq!(parts(&first, "RoleName"), ["r0", "r1"]);
    assert_eq!(part(&first, "IsTruncated"), "true");
    assert_eq!(part(&first, "Tags"), "", "a list of roles has no tags");
    let rest = iam(&aws, "ListRoles", &[("Marker", &part(&first, "Marker"))]).unwrap();
    assert_eq!(parts(&rest, "RoleName"), ["r2", "r3", "r4"]);
    assert_eq!((part(&rest, "IsTruncated"), part(&rest, "Marker")), (String::from("false"), String::new()));
    assert_eq!(parts(&iam(&aws, "ListRoles", &[("PathPrefix", "/b/")]).unwrap(), "RoleName"), ["r3", "r4"]);
    for bad in [("MaxItems", "0"), ("MaxItems", "1001"), ("Marker", "x"), ("PathPrefix", "a")] {
        refused(iam(&aws, "ListRoles", &[bad]), "ValidationError");
    }
}

#[tokio::test]
async fn tag_keys_are_case_insensitive() {
    let aws = aws();
    create(&aws, "one", json!({ "AWS": "*" }));
    let role = ("RoleName", "one");
    iam(&aws, "TagRole", &[role, ("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "a")]).unwrap();
    iam(&aws, "TagRole", &[role, ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "b")]).unwrap();
    let list = || iam(&aws, "ListRoleTags", &[role]).unwrap();
    assert_eq!((parts(&list(), "Key"), parts(&list(), "Value")), (vec![String::from("team")], vec![String::from("b")]));
    let twice = [role, ("Tags.member.1.Key", "x"), ("Tags.member.2.Key", "X")];
    refused(iam(&aws, "TagRole", &twice), "InvalidInput: Duplicate tag keys found.");
    iam(&aws, "UntagRole", &[role, ("TagKeys.member.1", "TEAM")]).unwrap();
    assert!(parts(&list(), "Key").is_empty());
    let many: Vec<String> = (1..=50).map(|number| format!("Tags.member.{number}.Key")).collect();
    let fields: Vec<(&str, &str)> = many.iter().map(|field| (field.as_str(), field.as_str())).collect();
    iam(&aws, "TagRole", &[&[role], &fields[..]].concat()).unwrap();
    refused(iam(&aws, "TagRole", &[role, ("Tags.member.1.Key", "more")]), "LimitExceeded");
}

#[tokio::test]
async fn providers_and_managed_policies_are_stored() {
    let aws = aws();
    let url = ("Url", "https://token.actions.githubusercontent.com");
    let made =
        iam(&aws, "CreateOpenIDConnectProvider", &[url, ("ClientIDList.member.1", "sts.amazonaws.com")]).unwrap();
    let arn = part(&made, "OpenIDConnectProviderArn");
    assert_eq!(arn, "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com");
    refused(iam(&aws, "CreateOpenIDConnectProvider", &[url]), "EntityAlreadyExists");
    refused(iam(&aws, "CreateOpenIDConnectProvider", &[("Url", "http://x")]), "ValidationError");
    let of = ("OpenIDConnectProviderArn", arn.as_str());
    let got = iam(&aws, "GetOpenIDConnectProvider", &[of]).unwrap();
    assert_eq!(
        (part(&got, "Url"), part(&got, "member")),
        (String::from("token.actions.githubusercontent.com"), String::from("sts.amazonaws.com"))
    );
    assert_eq!(parts(&iam(&aws, "ListOpenIDConnectProviders", &[]).unwrap(), "Arn"), [arn.as_str()]);
    iam(&aws, "DeleteOpenIDConnectProvider", &[of]).unwrap();
    refused(iam(&aws, "GetOpenIDConnectProvider", &[of]), "NoSuchEntity");

    let document = policy("ssm:GetParameter", "*");
    let fields = [("PolicyName", "p"), ("PolicyDocument", document.as_str())];
    let arn = part(&iam(&aws, "CreatePolicy", &fields).unwrap(), "Arn");
    refused(iam(&aws, "CreatePolicy", &fields), "EntityAlreadyExists");
    create(&aws, "one", json!({ "AWS": "*" }));
    let named = ("PolicyArn", arn.as_str());
    iam(&aws, "AttachRolePolicy", &[("RoleName", "one"), named]).unwrap();
    assert_eq!(part(&iam(&aws, "GetPolicy", &[named]).unwrap(), "AttachmentCount"), "1");
    let version = iam(&aws, "GetPolicyVersion", &[named, ("VersionId", "v1")]).unwrap();
    assert_eq!(decoded(&part(&version, "Document")), serde_json::from_str::<Value>(&document).unwrap());
    refused(iam(&aws, "DeletePolicy", &[named]), "DeleteConflict");
    iam(&aws, "DetachRolePolicy", &[("RoleName", "one"), named]).unwrap();
    iam(&aws, "DeletePolicy", &[named]).unwrap();
    refused(iam(&aws, "GetPolicy", &[named]), "NoSuchEntity");
    let admin = iam(&aws, "GetPolicyVersion", &[("PolicyArn", ADMIN), ("VersionId", "v1")]).unwrap();
    assert_eq!(decoded(&part(&admin, "Document"))["Statement"][0]["Action"], "*");
}

#[tokio::test]
async fn iam_calls_require_permissions() {
    let mut users = Users::default();
    let read = policy("iam:GetRole", "arn:aws:iam::123456789012:role/team/*");
    users.add("reader", &[&read]).unwrap();
    let bounded = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "iam:CreateRole", "Resource": "*",
        "Condition": { "StringEquals": { "iam:PermissionsBoundary": ADMIN } } } });
    users.add("maker", &[&bounded.to_string()]).unwrap();
    let aws = aws().with_users(users);
    let document = trust(json!({ "AWS": "*" }));
    let fields = [("Action", "CreateRole"), ("RoleName", "one"), ("AssumeRolePolicyDocument", document.as_str())];
    refused(
        call(&aws, &user("maker"), "iam", &fields),
        "AccessDenied: User: arn:aws:iam::123456789012:user/maker is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::123456789012:role/one because no identity-based policy allows",
    );
    let with = |more: &[(&'static str, &'static str)]| call(&aws, &user("maker"), "iam", &[&fields[..], more].concat());
    refused(with(&[("PermissionsBoundary", ADMIN), ("Tags.member.1.Key", "a")]), "AccessDenied");
    with(&[("PermissionsBoundary", ADMIN), ("Path", "/team/")]).unwrap();
    let get = |keys: &Keys, operation: &str| call(&aws, keys, "iam", &[("Action", operation), ("RoleName", "one")]);
    get(&user("reader"), "GetRole").unwrap();
    refused(get(&user("reader"), "DeleteRole"), "AccessDenied");
    refused(call(&aws, &user("reader"), "iam", &[("Action", "ListRoles")]), "AccessDenied");
    // The credentials of GetSessionToken can call IAM only with MFA.
    let session = |more: &[(&str, &str)]| {
        let xml = call(&aws, &user("reader"), "sts", &[&[("Action", "GetSessionToken")], more].concat()).unwrap();
        Keys { id: part(&xml, "AccessKeyId"), token: part(&xml, "SessionToken") }
    };
    refused(get(&session(&[]), "GetRole"), "InvalidClientTokenId");
    let mfa = [("SerialNumber", "arn:aws:iam::123456789012:mfa/reader"), ("TokenCode", "123456")];
    get(&session(&mfa), "GetRole").unwrap();
}
