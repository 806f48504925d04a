//! Parameter policies: expiration and notifications. They are only stored; nothing expires. Source: "Assigning parameter policies in
//! Parameter Store" in the Systems Manager User Guide.

use serde_json::{Value, json};

use crate::local::answer::Failure;

/// The maximum number of policies of a parameter.
const MAX: usize = 10;

/// Returns whether a text removes all policies.
pub(super) fn is_none(text: &str) -> bool {
    matches!(text.trim(), "" | "{}" | "[]" | "[{}]")
}

fn parse(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(text).ok()? {
        Value::Array(policies) => Some(policies),
        policy @ Value::Object(_) => Some(vec![policy]),
        _ => None,
    }
}

/// Checks policies.
pub(super) fn check(text: &str) -> Result<(), Failure> {
    let attribute = |message: &str| Failure::new("InvalidPolicyAttributeException", message);
    let policies = parse(text).ok_or_else(|| attribute("Invalid policies input: they are no list of objects."))?;
    if policies.len() > MAX {
        let message = format!(
            "You specified more than the maximum number of allowed policies for the parameter. The maximum is {MAX}."
        );
        return Err(Failure::new("PoliciesLimitExceededException", message));
    }
    for policy in &policies {
        let needed: &[&str] = match policy["Type"].as_str() {
            Some("Expiration") => &["Timestamp"],
            Some("ExpirationNotification") => &["Before", "Unit"],
            Some("NoChangeNotification") => &["After", "Unit"],
            other => {
                let message = format!("The policy type isn't supported: {}.", other.unwrap_or_default());
                return Err(Failure::new("InvalidPolicyTypeException", message));
            }
        };
        if let Some(missing) = needed.iter().find(|field| !policy["Attributes"][**field].is_string()) {
            return Err(attribute(&format!("A policy attribute is missing or isn't valid: {missing}.")));
        }
    }
    let expirations = policies.iter().filter(|policy| policy["Type"] == "Expiration").count();
    if expirations > 1 {
        let message = "There is a conflict in the policies specified for this parameter. You can't, for example, specify two \
                       Expiration policies for a parameter. Review your policies, and try again.";
        return Err(Failure::new("IncompatiblePolicyException", message));
    }
    Ok(())
}

/// Returns them as DescribeParameters shows them.
pub(super) fn shown(text: Option<&str>) -> Value {
    let policies = text.and_then(parse).unwrap_or_default();
    let one = |policy: &Value| json!({ "PolicyText": policy.to_string(), "PolicyType": policy["Type"], "PolicyStatus": "Pending" });
    policies.iter().map(one).collect()
}
