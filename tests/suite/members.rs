//! The members of requests that the AWS emulator stores, and those that it refuses: no accepted member is dropped.

use sentinel::local::{Answer, LocalAws, Request, Rules};
use serde_json::{Value, json};
use tokio::time::{Duration, advance};

fn aws() -> LocalAws {
    LocalAws::memory(Rules::default())
}

fn send(aws: &LocalAws, service: &str, target: &str, body: &str) -> Answer {
    let scope = format!("Credential=k/20260101/eu-west-1/{service}/aws4_request");
    aws.answer(&Request::new(target.to_owned(), &scope, body.as_bytes().to_vec()))
}

/// Makes a call; an error is returned as its code and text.
fn call(aws: &LocalAws, service: &str, target: &str, body: &Value) -> Result<Value, String> {
    let answer = send(aws, service, target, &body.to_string());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    if answer.status == 200 {
        return Ok(body);
    }
    let code = body["__type"].as_str().unwrap().rsplit('#').next().unwrap();
    Err(format!("{code}: {}", body["message"].as_str().unwrap_or_default()))
}

fn ssm(aws: &LocalAws, operation: &str, body: &Value) -> Result<Value, String> {
    call(aws, "ssm", &format!("AmazonSSM.{operation}"), body)
}

fn dynamodb(aws: &LocalAws, operation: &str, body: &Value) -> Result<Value, String> {
    call(aws, "dynamodb", &format!("DynamoDB_20120810.{operation}"), body)
}

#[track_caller]
fn refused(result: Result<Value, String>, beginning: &str) {
    match result {
        Err(error) if error.starts_with(beginning) => {}
        other => panic!("expected {beginning}, got {other:?}"),
    }
}

fn metadata(aws: &LocalAws, name: &str) -> Value {
    let filter = json!({ "ParameterFilters": [{ "Key": "Name", "Values": [name] }] });
    ssm(aws, "DescribeParameters", &filter).unwrap()["Parameters"][0].take()
}

fn value(aws: &LocalAws, name: &str) -> Result<String, String> {
    let answer = ssm(aws, "GetParameter", &json!({ "Name": name, "WithDecryption": true }))?;
    Ok(answer["Parameter"]["Value"].as_str().unwrap().to_owned())
}

#[test]
fn a_write_keeps_omitted_parameter_settings() {
    let aws = aws();
    let policies = r#"[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-01-01T00:00:00Z"}}]"#;
    let first = json!({
        "Name": "/app/token", "Value": "abc", "Type": "SecureString", "Tier": "Advanced", "Description": "A token",
        "AllowedPattern": "[a-z]+", "DataType": "text", "Policies": policies,
    });
    ssm(&aws, "PutParameter", &first).unwrap();
    ssm(&aws, "PutParameter", &json!({ "Name": "/app/token", "Value": "def", "Overwrite": true })).unwrap();
    let found = metadata(&aws, "/app/token");
    for (field, expected) in [
        ("Version", json!(2)),
        ("Type", json!("SecureString")),
        ("Tier", json!("Advanced")),
        ("Description", json!("A token")),
        ("KeyId", json!("alias/aws/ssm")),
        ("AllowedPattern", json!("[a-z]+")),
        ("DataType", json!("text")),
    ] {
        assert_eq!(found[field], expected, "{field} of {found}");
    }
    assert_eq!(found["Policies"][0]["PolicyType"], json!("Expiration"));
    let without = json!({ "Name": "/app/token", "Value": "def", "Overwrite": true, "Policies": "[{}]" });
    ssm(&aws, "PutParameter", &without).unwrap();
    assert_eq!(metadata(&aws, "/app/token")["Policies"], json!([]));
}

#[test]
fn a_value_must_match_its_pattern_and_a_secret_needs_an_existing_key() {
    let aws = aws();
    let put = |extra: Value| {
        let mut body = json!({ "Name": "port", "Value": "8080", "Type": "String" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        ssm(&aws, "PutParameter", &body)
    };
    refused(put(json!({ "AllowedPattern": "(" })), "InvalidAllowedPatternException");
    refused(put(json!({ "AllowedPattern": "80" })), "ParameterPatternMismatchException");
    refused(put(json!({ "Type": "SecureString", "KeyId": "alias/none" })), "InvalidKeyId");
    refused(put(json!({ "KeyId": "alias/aws/ssm" })), "ValidationException: KeyId");
    refused(put(json!({ "DataType": "number" })), "ValidationException: The following data type");
    refused(put(json!({ "Policies": "[{\"Type\":\"Expiration\"}]", "Tier": "Advanced" })), "InvalidPolicyAttribute");
    refused(put(json!({ "Policies": "[{\"Type\":\"Sometime\"}]", "Tier": "Advanced" })), "InvalidPolicyType");
    put(json!({ "AllowedPattern": "\\d+", "DataType": "aws:ssm:integration" })).unwrap();
    let letters = json!({ "Name": "port", "Value": "http", "Overwrite": true });
    refused(ssm(&aws, "PutParameter", &letters), "ParameterPatternMismatchException");
    assert_eq!(metadata(&aws, "port")["DataType"], json!("aws:ssm:integration"));
}

#[test]
fn a_parameter_is_named_by_arn_version_or_label() {
    let aws = aws();
    for (overwrite, value) in [(false, "one"), (true, "two")] {
        let body = json!({ "Name": "/app/mode", "Value": value, "Type": "String", "Overwrite": overwrite });
        ssm(&aws, "PutParameter", &body).unwrap();
    }
    ssm(&aws, "PutParameter", &json!({ "Name": "plain", "Value": "p", "Type": "String" })).unwrap();
    let label = json!({ "Name": "/app/mode", "ParameterVersion": 1, "Labels": ["stable", "9th", "awsome"] });
    let labeled = ssm(&aws, "LabelParameterVersion", &label).unwrap();
    assert_eq!(labeled["InvalidLabels"], json!(["9th", "awsome"]));
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter";
    for (name, expected) in [
        ("/app/mode", "two"),
        ("/app/mode:1", "one"),
        ("/app/mode:stable", "one"),
        (&format!("{arn}/app/mode"), "two"),
        (&format!("{arn}/app/mode:1"), "one"),
        (&format!("{arn}/plain"), "p"),
    ] {
        assert_eq!(value(&aws, name).as_deref(), Ok(expected), "{name}");
    }
    assert!(value(&aws, "/app/mode:7").unwrap_err().starts_with("ParameterVersionNotFound"));
    for none in [format!("{}/plain", arn.replace("eu-west-1", "us-east-1")), format!("{arn}//plain")] {
        assert!(value(&aws, &none).unwrap_err().starts_with("ParameterNotFound"), "{none}");
    }
    let answer = ssm(&aws, "GetParameter", &json!({ "Name": "/app/mode:stable" })).unwrap();
    assert_eq!(answer["Parameter"]["Selector"], json!(":stable"));
    let names = json!({ "Names": ["/app/mode:1", "/app/mode:none", "plain"] });
    let many = ssm(&aws, "GetParameters", &names).unwrap();
    assert_eq!(many["InvalidParameters"], json!(["/app/mode:none"]));
    let moved = json!({ "Name": "/app/mode", "ParameterVersion": 2, "Labels": ["stable"] });
    ssm(&aws, "LabelParameterVersion", &moved).unwrap();
    assert_eq!(value(&aws, "/app/mode:stable").as_deref(), Ok("two"));
    ssm(&aws, "UnlabelParameterVersion", &moved).unwrap();
    assert!(value(&aws, "/app/mode:stable").unwrap_err().starts_with("ParameterVersionNotFound"));
}

#[test]
fn parameters_are_filtered_by_their_settings() {
    let aws = aws();
    for (name, kind) in [("/app/a", "String"), ("/app/b", "SecureString"), ("/app/deep/c", "StringList")] {
        ssm(&aws, "PutParameter", &json!({ "Name": name, "Value": "x", "Type": kind })).unwrap();
    }
    let names = |operation: &str, body: &Value| -> Result<Vec<String>, String> {
        let found = ssm(&aws, operation, body)?;
        let found = found["Parameters"].as_array().unwrap();
        Ok(found.iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect())
    };
    let by_path = |key: &str, value: &str| {
        let filters = json!([{ "Key": key, "Values": [value] }]);
        names("GetParametersByPath", &json!({ "Path": "/app", "Recursive": true, "ParameterFilters": filters }))
    };
    assert_eq!(by_path("Type", "SecureString").unwrap(), ["/app/b"]);
    assert_eq!(by_path("KeyId", "alias/aws/ssm").unwrap(), ["/app/b"]);
    assert_eq!(by_path("Label", "none").unwrap(), [""; 0]);
    assert!(by_path("Tier", "Standard").unwrap_err().starts_with("InvalidFilterKey"));
    let described = |key: &str, option: &str, value: &str| {
        let filters = json!([{ "Key": key, "Option": option, "Values": [value] }]);
        names("DescribeParameters", &json!({ "ParameterFilters": filters }))
    };
    assert_eq!(described("Name", "Contains", "deep").unwrap(), ["/app/deep/c"]);
    assert_eq!(described("Path", "OneLevel", "/app").unwrap(), ["/app/a", "/app/b"]);
    assert_eq!(described("DataType", "Equals", "text").unwrap().len(), 3);
    assert!(described("Type", "Recursive", "String").unwrap_err().starts_with("InvalidFilterOption"));
}

fn table(extra: &Value) -> Value {
    let mut body = json!({
        "TableName": "orders",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[test]
fn unsupported_members_of_a_request_are_refused() {
    let aws = aws();
    let unknown = "UnknownOperationException: the AWS emulator does not have ";
    for (member, value) in
        [("GlobalTableSourceArn", json!("arn")), ("VectorIndexes", json!("none")), ("Color", json!("red"))]
    {
        refused(dynamodb(&aws, "CreateTable", &table(&json!({ member: value }))), &format!("{unknown}{member}"));
    }
    let parameter = json!({ "Name": "a", "Value": "b", "Type": "String", "Color": "red" });
    refused(ssm(&aws, "PutParameter", &parameter), &format!("{unknown}Color of ssm:PutParameter"));
    refused(dynamodb(&aws, "DescribeLimits", &json!({})), unknown);
}

#[tokio::test(start_paused = true)]
async fn index_limits_and_recovery_days_are_stored() {
    let aws = aws();
    let index = json!({
        "IndexName": "by-id",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "Projection": { "ProjectionType": "ALL" },
        "OnDemandThroughput": { "MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50 },
    });
    dynamodb(&aws, "CreateTable", &table(&json!({ "GlobalSecondaryIndexes": [index] }))).unwrap();
    advance(Duration::from_secs(60)).await;
    let limits = || {
        let found = dynamodb(&aws, "DescribeTable", &json!({ "TableName": "orders" })).unwrap();
        found["Table"]["GlobalSecondaryIndexes"][0]["OnDemandThroughput"].clone()
    };
    assert_eq!(limits(), json!({ "MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 50 }));
    let update = json!({ "IndexName": "by-id", "OnDemandThroughput": { "MaxReadRequestUnits": -1 } });
    let update = json!({ "TableName": "orders", "GlobalSecondaryIndexUpdates": [{ "Update": update }] });
    dynamodb(&aws, "UpdateTable", &update).unwrap();
    assert_eq!(limits(), json!({ "MaxWriteRequestUnits": 50 }));
    let recovery = |days: i64| {
        let specification = json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": days });
        let body = json!({ "TableName": "orders", "PointInTimeRecoverySpecification": specification });
        dynamodb(&aws, "UpdateContinuousBackups", &body)
    };
    recovery(7).unwrap();
    refused(recovery(36), "ValidationException");
    let found = dynamodb(&aws, "DescribeContinuousBackups", &json!({ "TableName": "orders" })).unwrap();
    let found = &found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"];
    assert_eq!(*found, json!(7));
}

#[tokio::test(start_paused = true)]
async fn an_update_needs_a_change_and_aws_tags_are_refused() {
    let aws = aws();
    let reserved = json!({ "Tags": [{ "Key": "aws:x", "Value": "y" }] });
    refused(dynamodb(&aws, "CreateTable", &table(&reserved)), "ValidationException: aws: prefixed");
    dynamodb(&aws, "CreateTable", &table(&json!({}))).unwrap();
    advance(Duration::from_secs(60)).await;
    for extra in [json!({}), json!({ "GlobalSecondaryIndexUpdates": [] })] {
        let mut body = json!({ "TableName": "orders" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        refused(dynamodb(&aws, "UpdateTable", &body), "ValidationException: At least one of");
    }
}

#[test]
fn a_parameter_cannot_have_tags_of_aws() {
    let aws = aws();
    let reserved = json!([{ "Key": "aws:x", "Value": "y" }]);
    let put = json!({ "Name": "/a", "Value": "b", "Type": "String", "Tags": reserved });
    refused(ssm(&aws, "PutParameter", &put), "ValidationException: The tag aws:x");
    ssm(&aws, "PutParameter", &json!({ "Name": "/a", "Value": "b", "Type": "String" })).unwrap();
    let add = json!({ "ResourceType": "Parameter", "ResourceId": "/a", "Tags": reserved });
    refused(ssm(&aws, "AddTagsToResource", &add), "ValidationException: The tag aws:x");
}

// DDB-TABLE-103, 440 and 441 of the lab notes of ack-api-quirks.
#[tokio::test(start_paused = true)]
async fn a_tag_change_locks_the_tags_except_for_a_request_that_includes_it() {
    let aws = aws();
    dynamodb(&aws, "CreateTable", &table(&json!({}))).unwrap();
    advance(Duration::from_secs(60)).await;
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders";
    let tag = |tags: &[&str]| {
        let tags: Vec<Value> = tags.iter().map(|key| json!({ "Key": key, "Value": "1" })).collect();
        dynamodb(&aws, "TagResource", &json!({ "ResourceArn": arn, "Tags": tags }))
    };
    let untag = |key: &str| dynamodb(&aws, "UntagResource", &json!({ "ResourceArn": arn, "TagKeys": [key] }));
    let locked = "LimitExceededException: Subscriber limit exceeded: Table tags are being updated: orders";
    tag(&["a"]).unwrap();
    tag(&["a"]).unwrap();
    tag(&["a", "b"]).unwrap();
    refused(tag(&["a"]), locked);
    refused(untag("c"), locked);
    let deleted = dynamodb(&aws, "DeleteTable", &json!({ "TableName": "orders" }));
    refused(deleted, "ResourceInUseException: Attempt to change a resource which is still in use: Table tags");
    advance(Duration::from_secs(2)).await;
    untag("c").unwrap();
    untag("a").unwrap();
    refused(tag(&["d"]), locked);
    advance(Duration::from_secs(2)).await;
    dynamodb(&aws, "DeleteTable", &json!({ "TableName": "orders" })).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_global_index_cannot_have_the_name_of_a_local_one() {
    let aws = aws();
    let element = |name: &str, role: &str| json!({ "AttributeName": name, "KeyType": role });
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let all = json!({ "ProjectionType": "ALL" });
    let local = json!({ "IndexName": "by-at", "KeySchema": [element("id", "HASH"), element("day", "RANGE")], "Projection": all });
    let global = json!({ "IndexName": "by-at", "KeySchema": [element("day", "HASH")], "Projection": all });
    let attributes = json!([attribute("id"), attribute("at"), attribute("day")]);
    let extra = json!({
        "KeySchema": [element("id", "HASH"), element("at", "RANGE")], "AttributeDefinitions": attributes,
        "LocalSecondaryIndexes": [local],
    });
    let mut both = extra.clone();
    both["GlobalSecondaryIndexes"] = json!([global]);
    refused(
        dynamodb(&aws, "CreateTable", &table(&both)),
        "ValidationException: One or more parameter values were invalid",
    );
    dynamodb(&aws, "CreateTable", &table(&extra)).unwrap();
    advance(Duration::from_secs(60)).await;
    let updates = json!([{ "Create": global }]);
    let body =
        json!({ "TableName": "orders", "AttributeDefinitions": attributes, "GlobalSecondaryIndexUpdates": updates });
    let duplicate = "ValidationException: One or more parameter values were invalid: Duplicate index name: by-at";
    refused(dynamodb(&aws, "UpdateTable", &body), duplicate);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_encryption_type_is_refused() {
    let aws = aws();
    let encrypted = |specification: Value| json!({ "SSESpecification": specification });
    let other = json!({ "Enabled": true, "SSEType": "AES256" });
    let none = json!({ "Enabled": false, "KMSMasterKeyId": "alias/aws/dynamodb" });
    for specification in [&other, &none] {
        let created = dynamodb(&aws, "CreateTable", &table(&encrypted(specification.clone())));
        refused(created, "ValidationException: One or more parameter values were invalid");
    }
    dynamodb(&aws, "CreateTable", &table(&json!({}))).unwrap();
    advance(Duration::from_secs(60)).await;
    for specification in [other, none] {
        let mut body = encrypted(specification);
        body["TableName"] = json!("orders");
        let updated = dynamodb(&aws, "UpdateTable", &body);
        refused(updated, "ValidationException: One or more parameter values were invalid");
    }
}

#[test]
fn unsupported_services_are_refused_in_their_own_format() {
    let aws = aws();
    for (service, target, body, form) in [
        ("s3", "", "", "<Error><Code>NotImplemented</Code>"),
        ("sqs", "", "Action=ListQueues&Version=2012-11-05", "<ErrorResponse><Error><Code>NotImplemented</Code>"),
        ("lambda", "", "{}", "{\"__type\":\"NotImplemented\""),
        ("logs", "Logs_20140328.DescribeLogGroups", "{}", "{\"__type\":\"UnknownOperationException\""),
    ] {
        let answer = send(&aws, service, target, body);
        let text = String::from_utf8(answer.body).unwrap();
        assert!(answer.status >= 400 && text.starts_with(form), "{service}: {} {text}", answer.status);
    }
    assert_eq!(send(&aws, "sts", "", "Action=GetCallerIdentity&Version=2011-06-15").status, 200);
    assert_eq!(send(&aws, "", "", "").status, 501);
}
