//! Filter policies: the messages that a subscription receives.

use serde_json::{Map, Value};

use super::FilterScope;
use crate::resource::Invalid;

/// The maximum number of keys of a filter policy, and its maximum size. Source: Amazon SNS Developer Guide, "Filter policy constraints".
const KEY_LIMIT: usize = 5;
const SIZE_LIMIT: usize = 256 << 10;

pub(super) fn check(policy: &Value, scope: FilterScope) -> Result<(), Invalid> {
    let example = "write { \"event\": [\"created\", \"deleted\"] }";
    let Value::Object(map) = policy else {
        return Err(Invalid::new("the filter policy is not a JSON object", example));
    };
    let size = policy.to_string().len();
    if size > SIZE_LIMIT {
        return Err(Invalid::new(format!("the filter policy has {size} bytes"), "SNS accepts 256 KiB"));
    }
    let mut keys = 0;
    check_map(map, scope, &mut keys)?;
    if keys > KEY_LIMIT {
        return Err(Invalid::new(format!("the filter policy has {keys} keys"), "SNS takes 5"));
    }
    Ok(())
}

fn check_map(map: &Map<String, Value>, scope: FilterScope, keys: &mut usize) -> Result<(), Invalid> {
    for (key, value) in map {
        match value {
            // Alternatives, whose keys SNS counts separately.
            Value::Array(_) if key == "$or" => {}
            Value::Array(values) if values.is_empty() => {
                return Err(Invalid::new(format!("\"{key}\" of the filter policy matches nothing"), "name a value"));
            }
            Value::Array(_) => *keys += 1,
            Value::Object(inner) if scope == FilterScope::MessageBody => check_map(inner, scope, keys)?,
            Value::Object(_) => {
                let problem = format!("\"{key}\" of the filter policy is an object");
                let help =
                    "message attributes are flat: write a list of values, or filter_policy_scope = \"MessageBody\"";
                return Err(Invalid::new(problem, help));
            }
            _ => {
                let problem = format!("\"{key}\" of the filter policy is not a list");
                return Err(Invalid::new(problem, format!("write \"{key}\": [ … ] with the values that match")));
            }
        }
    }
    Ok(())
}

/// Returns whether two filter policies match the same messages. The order of values does not matter, since they are alternatives.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    meaning(one, Order::Free) == meaning(other, Order::Free)
}

/// Whether the order of a list matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Free,
    Fixed,
}

fn meaning(value: &Value, order: Order) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| meaning(item, Order::Free)).collect();
            if order == Order::Free {
                items.sort_by_cached_key(Value::to_string);
                items.dedup();
            }
            Value::Array(items)
        }
        Value::Object(map) => {
            // A range such as [">=", 0, "<", 5] depends on its order.
            let order = |key: &str| if key == "numeric" { Order::Fixed } else { Order::Free };
            let mut entries: Vec<(String, Value)> =
                map.iter().map(|(key, value)| (key.clone(), meaning(value, order(key)))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(entries.into_iter().collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_alternatives_does_not_matter_and_that_of_a_range_does() {
        assert!(same(&json!({ "a": ["x", "y"], "b": [1] }), &json!({ "b": [1], "a": ["y", "x", "y"] })));
        assert!(!same(&json!({ "a": ["x"] }), &json!({ "a": ["y"] })));
        let range = |words: [&str; 2]| json!({ "a": [{ "numeric": [words[0], 0, words[1], 5] }] });
        assert!(same(&range([">=", "<"]), &range([">=", "<"])));
        assert!(!same(&range([">=", "<"]), &range(["<", ">="])));
    }

    #[test]
    fn a_filter_policy_is_checked_by_the_rules_of_sns() {
        let (flat, body) = (FilterScope::MessageAttributes, FilterScope::MessageBody);
        for good in [json!({}), json!({ "a": ["x", null, 1, { "prefix": "p" }] }), json!({ "$or": [{}, {}] })] {
            assert!(check(&good, flat).is_ok(), "{good} refused");
        }
        let nested = json!({ "a": { "b": ["x"] } });
        assert!(check(&nested, flat).unwrap_err().help.contains("MessageBody"));
        assert!(check(&nested, body).is_ok());
        for bad in [json!([]), json!({ "a": "x" }), json!({ "a": [] }), json!({ "a": { "b": 1 } })] {
            assert!(check(&bad, body).is_err(), "{bad} passed");
        }
        let six: Map<String, Value> = (0..6).map(|number| (number.to_string(), json!(["x"]))).collect();
        assert!(check(&Value::Object(six), flat).unwrap_err().problem.contains("6 keys"));
        let large = json!({ "a": ["x".repeat(SIZE_LIMIT)] });
        assert!(check(&large, flat).unwrap_err().help.contains("256 KiB"));
    }
}
