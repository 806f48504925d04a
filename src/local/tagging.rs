//! `GetResources` of the Resource Groups Tagging API, from the tags of the other services. AWS's results are eventually consistent; these
//! are not.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Failure, parse};
use super::{Region, dynamodb, kms, sns, ssm};

/// The tags of a resource, by its ARN.
pub(super) type Tagged = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn answer(region: &Region, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
    match operation {
        "GetResources" => get_resources(region, parse(body)?),
        other => Err(Failure::unsupported(&format!("tag:{other}"))),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
struct Request {
    pagination_token: String,
    tag_filters: Vec<TagFilter>,
    resources_per_page: Option<i64>,
    resource_type_filters: Vec<String>,
    #[serde(rename = "ResourceARNList")]
    resource_arn_list: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagFilter {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

impl TagFilter {
    fn takes(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.get(&self.key).is_some_and(|value| self.values.is_empty() || self.values.contains(value))
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("InvalidParameterException", message)
}

fn get_resources(region: &Region, body: Value) -> Result<Answer, Failure> {
    let request: Request = serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    if !request.resource_arn_list.is_empty() {
        return Err(Failure::unsupported("GetResources of a list of ARNs"));
    }
    let most = request.resources_per_page.unwrap_or(50);
    let most = usize::try_from(most).ok().filter(|most| (1..=100).contains(most));
    let most = most.ok_or_else(|| invalid("ResourcesPerPage must be between 1 and 100"))?;
    if request.tag_filters.len() > 50 || request.tag_filters.iter().any(|filter| filter.values.len() > 20) {
        return Err(invalid("TagFilters has at most 50 keys, and each of them 20 values"));
    }
    if request.resource_type_filters.len() > 100 {
        return Err(invalid("ResourceTypeFilters has at most 100 items"));
    }
    let mut all = ssm::tagged(region)?;
    all.extend(dynamodb::tagged(region)?);
    all.extend(kms::tagged(region)?);
    all.extend(sns::tagged(region)?);
    let is_wanted = |arn: &str, tags: &BTreeMap<String, String>| {
        let of_type = request.resource_type_filters.is_empty()
            || request.resource_type_filters.iter().any(|kind| is_of_type(arn, kind));
        of_type && request.tag_filters.iter().all(|filter| filter.takes(tags))
    };
    // A page starts after the last ARN of the preceding page.
    let after = match request.pagination_token.as_str() {
        "" => None,
        token if all.contains_key(token) => Some(token),
        _ => {
            let message = "The PaginationToken is expired. Make the request again without one.";
            return Err(Failure::new("PaginationTokenExpiredException", message));
        }
    };
    let mut left = all
        .iter()
        .filter(|(arn, tags)| !tags.is_empty() && is_wanted(arn, tags))
        .skip_while(|(arn, _)| after.is_some_and(|after| arn.as_str() <= after))
        .peekable();
    let mut page = Vec::new();
    let mut token = String::new();
    while let Some((arn, tags)) = left.next() {
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        page.push(json!({ "ResourceARN": arn, "Tags": tags }));
        if page.len() == most {
            token = left.peek().map(|_| arn.clone()).unwrap_or_default();
            break;
        }
    }
    Ok(Answer::json(&json!({ "PaginationToken": token, "ResourceTagMappingList": page })))
}

/// Returns whether an ARN has a type: `dynamodb:table`, `sns`.
fn is_of_type(arn: &str, kind: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, _, resource] = parts[..] else { return false };
    match kind.split_once(':') {
        None => service == kind,
        Some((own, kind)) => service == own && resource.split(['/', ':']).next() == Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{LocalAws, Request as LocalRequest, Rules};

    fn call(aws: &LocalAws, target: &str, body: &Value) -> (u16, Value) {
        let request = LocalRequest::new(target.to_owned(), "", body.to_string().into_bytes());
        let answer = aws.answer(&request);
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    fn resources(aws: &LocalAws, body: &Value) -> (Vec<String>, String) {
        let (status, answer) = call(aws, "ResourceGroupsTaggingAPI_20170126.GetResources", body);
        assert_eq!(status, 200, "{answer}");
        let list = answer["ResourceTagMappingList"].as_array().unwrap();
        let arns = list.iter().map(|one| one["ResourceARN"].as_str().unwrap().to_owned()).collect();
        (arns, answer["PaginationToken"].as_str().unwrap().to_owned())
    }

    #[test]
    fn tagged_resources_are_listed_in_pages() {
        let aws = LocalAws::memory(Rules::default());
        for number in 0..5 {
            let tags = json!([{ "Key": "mark", "Value": if number < 4 { "us" } else { "them" } }]);
            let body = json!({ "Name": format!("/a/{number}"), "Value": "x", "Type": "String", "Tags": tags });
            assert_eq!(call(&aws, "AmazonSSM.PutParameter", &body).0, 200);
        }
        let key = json!({ "Tags": [{ "TagKey": "mark", "TagValue": "us" }] });
        assert_eq!(call(&aws, "TrentService.CreateKey", &key).0, 200);
        let table = json!({
            "TableName": "tab", "BillingMode": "PAY_PER_REQUEST", "Tags": [{ "Key": "mark", "Value": "us" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        });
        assert_eq!(call(&aws, "DynamoDB_20120810.CreateTable", &table).0, 200);
        let filter = json!([{ "Key": "mark", "Values": ["us"] }]);
        let (all, token) = resources(&aws, &json!({ "TagFilters": filter }));
        assert_eq!((all.len(), token.as_str()), (6, ""));
        assert!(all[0].ends_with(":table/tab") && all[1].contains(":kms:") && all[5].ends_with(":parameter/a/3"));
        let of_type = json!({ "TagFilters": filter, "ResourceTypeFilters": ["ssm:parameter", "sns"] });
        assert_eq!(resources(&aws, &of_type).0, all[2..]);
        assert_eq!(resources(&aws, &json!({ "TagFilters": [{ "Key": "mark" }] })).0.len(), 7);
        let (first, token) = resources(&aws, &json!({ "TagFilters": filter, "ResourcesPerPage": 4 }));
        assert_eq!(first, all[..4]);
        let next = json!({ "TagFilters": filter, "ResourcesPerPage": 4, "PaginationToken": token });
        assert_eq!(resources(&aws, &next), (all[4..].to_vec(), String::new()));
    }

    #[test]
    fn faults_of_a_request_are_refused() {
        let aws = LocalAws::memory(Rules::default());
        for (body, code) in [
            (json!({ "ResourcesPerPage": 101 }), "InvalidParameterException"),
            (json!({ "TagFilters": "x" }), "InvalidParameterException"),
            (json!({ "PaginationToken": "x" }), "PaginationTokenExpiredException"),
        ] {
            let (status, answer) = call(&aws, "ResourceGroupsTaggingAPI_20170126.GetResources", &body);
            assert_eq!((status, answer["__type"].as_str()), (400, Some(code)), "{answer}");
        }
    }
}
