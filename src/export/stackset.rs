//! One template for all targets. A value that varies by target becomes a parameter, which accounts and regions override.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Target;
use super::cloudformation::Failure;
use super::global::Global;
use crate::kind::Address;
use crate::kind::export::cloudformation::{Condition, Parameter, Resource, Stack};
use crate::kind::export::mark;
use crate::resource::names::RegionName;

/// A difference between targets that no parameter can express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    pub address: Address,
    /// The property, such as `Properties.GlobalSecondaryIndexes`; `None` if a target lacks the whole resource.
    pub property: Option<String>,
    pub targets: [Option<String>; 2],
}

/// The stacks of all targets as one.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) resources: Vec<Resource>,
    pub(super) parameters: Vec<Parameter>,
    /// The parameters of the values that vary, with their definitions.
    pub(super) varying: Map<String, Value>,
    /// For each target, the values that replace defaults.
    pub(super) values: Vec<BTreeMap<String, String>>,
}

/// The parameter with the region that creates an account's global resources, and the condition that compares it with the stack's region.
const HOME: &str = "RegionOfGlobalResources";
const AT_HOME: &str = "CreatesGlobalResources";

/// Merges the stacks of all targets. The first target has the defaults.
pub(super) fn merge(targets: &[Target<'_>], stacks: Vec<Stack>, global: &Global) -> Result<Merged, Failure> {
    let mut stacks = stacks.into_iter();
    let Some(first) = stacks.next() else {
        return Ok(Merged { resources: Vec::new(), parameters: Vec::new(), varying: Map::new(), values: Vec::new() });
    };
    let others: Vec<Stack> = stacks.collect();
    let mut merging = Merging { varying: Map::new(), values: vec![BTreeMap::new(); targets.len()] };
    let name = |index: usize| targets.get(index).and_then(|target| target.name.clone());
    let mut by_id: Vec<BTreeMap<&str, &Resource>> = Vec::new();
    for (index, other) in others.iter().enumerate() {
        let theirs: BTreeMap<&str, &Resource> = other.resources.iter().map(|one| (one.id.as_str(), one)).collect();
        let ours: BTreeSet<&str> = first.resources.iter().map(|one| one.id.as_str()).collect();
        let lacking = first.resources.iter().find(|one| !theirs.contains_key(one.id.as_str()));
        let more = other.resources.iter().find(|one| !ours.contains(one.id.as_str()));
        if let Some(one) = lacking.or(more) {
            let targets = [name(0), name(index + 1)];
            return Err(Failure::Differs(Differs { address: one.address.clone(), property: None, targets }));
        }
        by_id.push(theirs);
    }
    let shared = global.shared();
    if !shared.is_empty() {
        merging.add_homes(&global.homes(targets)?);
    }
    let mut resources = Vec::new();
    for resource in first.resources {
        let theirs = by_id.iter().filter_map(|all| all.get(resource.id.as_str()).copied());
        let values: Vec<Value> = theirs.map(|one| Value::from(one.properties.clone())).collect();
        let own = Value::from(resource.properties.clone());
        let all: Vec<&Value> = std::iter::once(&own).chain(&values).collect();
        let merged = merging.merge(&all, &resource.id, &mut vec![]).map_err(|(index, path)| {
            let property = Some(path.join("."));
            Failure::Differs(Differs { address: resource.address.clone(), property, targets: [name(0), name(index)] })
        })?;
        let properties = match merged {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        let condition = shared.contains(&resource.address).then(|| Condition {
            name: String::from(AT_HOME),
            definition: json!({ "Fn::Equals": [{ "Ref": "AWS::Region" }, { "Ref": HOME }] }),
        });
        // Stack sets do not support this import.
        resources.push(Resource { properties, existing: None, earlier: Vec::new(), condition, ..resource });
    }
    let Merging { varying, values } = merging;
    Ok(Merged { resources, parameters: first.parameters, varying, values })
}

struct Merging {
    varying: Map<String, Value>,
    values: Vec<BTreeMap<String, String>>,
}

impl Merging {
    /// Adds the parameter with the region that creates global resources. `homes` has the value for each target.
    fn add_homes(&mut self, homes: &[RegionName]) {
        let Some(default) = homes.first() else { return };
        for (values, home) in self.values.iter_mut().zip(homes).filter(|(_, home)| *home != default) {
            values.insert(String::from(HOME), home.to_string());
        }
        let about = "The region that creates the global resources of the account";
        let definition = json!({ "Type": "String", "Default": default, "Description": about });
        self.varying.insert(String::from(HOME), definition);
    }

    /// Returns the common value, with a parameter where targets differ. Fails with the first target whose value has another shape, and with
    /// the path of that value.
    fn merge(&mut self, all: &[&Value], id: &str, path: &mut Vec<String>) -> Result<Value, (usize, Vec<String>)> {
        let Some((first, others)) = all.split_first() else { return Ok(Value::Null) };
        let Some(other) = others.iter().position(|other| other != first) else { return Ok((*first).clone()) };
        let shape = (other + 1, path.clone());
        match first {
            Value::Object(fields) => {
                let maps: Option<Vec<&Map<String, Value>>> = all.iter().map(|one| one.as_object()).collect();
                let maps = maps.ok_or_else(|| shape.clone())?;
                let same = |map: &&Map<String, Value>| {
                    map.len() == fields.len() && fields.keys().all(|key| map.contains_key(key))
                };
                if let Some(index) = maps.iter().position(|map| !same(map)) {
                    return Err((index, shape.1));
                }
                let mut merged = Map::new();
                for name in fields.keys() {
                    let values: Vec<&Value> = maps.iter().filter_map(|map| map.get(name)).collect();
                    path.push(name.clone());
                    merged.insert(name.clone(), self.merge(&values, id, path)?);
                    path.pop();
                }
                Ok(merged.into())
            }
            Value::Array(items) => {
                let lists: Option<Vec<&Vec<Value>>> = all.iter().map(|one| one.as_array()).collect();
                let lists = lists.ok_or_else(|| shape.clone())?;
                if let Some(index) = lists.iter().position(|list| list.len() != items.len()) {
                    return Err((index, shape.1));
                }
                let mut merged = Vec::new();
                for number in 0..items.len() {
                    let values: Vec<&Value> = lists.iter().filter_map(|list| list.get(number)).collect();
                    path.push(number.to_string());
                    merged.push(self.merge(&values, id, path)?);
                    path.pop();
                }
                Ok(merged.into())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let words: Option<Vec<String>> = all.iter().map(|one| scalar(one)).collect();
                let words = words.ok_or(shape)?;
                let number = if all.iter().all(|one| one.is_number()) { Scalar::Number } else { Scalar::Text };
                Ok(self.parameter(&words, number, id, path))
            }
        }
    }

    fn parameter(&mut self, words: &[String], number: Scalar, id: &str, path: &[String]) -> Value {
        let name = format!("Value{id}{}", mark(&path.join("/")));
        let default = words.first().cloned().unwrap_or_default();
        for (values, word) in self.values.iter_mut().zip(words) {
            if *word != default {
                values.insert(name.clone(), word.clone());
            }
        }
        let kind = match number {
            Scalar::Number => "Number",
            Scalar::Text => "String",
        };
        let definition =
            json!({ "Type": kind, "Default": default, "Description": format!("{} of {id}", path.join(".")) });
        self.varying.insert(name.clone(), definition);
        json!({ "Ref": name })
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Values that replace defaults, by parameter.
type Overrides = BTreeMap<String, String>;

/// Accounts and regions with the same values: one call creates their stacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instances {
    accounts: BTreeSet<String>,
    regions: BTreeSet<String>,
    values: BTreeMap<String, String>,
}

/// Returns the instances of a stack set in the smallest number of groups with equal values and regions.
pub(super) fn instances(
    targets: &[Target<'_>],
    values: &[BTreeMap<String, String>],
) -> Result<Vec<Instances>, Failure> {
    // Groups the regions of each account by values, then the accounts by regions and values.
    let mut regions: BTreeMap<(&Overrides, String), BTreeSet<String>> = BTreeMap::new();
    for (target, values) in targets.iter().zip(values) {
        let account = target.account.as_ref().ok_or_else(|| Failure::NoAccount(target.name.clone()))?;
        regions.entry((values, account.to_string())).or_default().insert(target.region.to_string());
    }
    let mut groups: Vec<Instances> = Vec::new();
    let mut places: BTreeMap<(&Overrides, BTreeSet<String>), usize> = BTreeMap::new();
    for ((values, account), regions) in regions {
        let index = *places.entry((values, regions.clone())).or_insert(groups.len());
        if index == groups.len() {
            groups.push(Instances { accounts: BTreeSet::new(), regions, values: values.clone() });
        }
        groups[index].accounts.insert(account);
    }
    Ok(groups)
}

/// The maximum number of stacks of a region that are processed at once, so that a mistake is noticed before it reaches all accounts.
const AT_ONCE: usize = 100;

/// Returns the description of a stack set: its operation preferences and instances. Source of the preferences: "Stack set operation
/// options" in the AWS CloudFormation User Guide.
pub(super) fn document(name: &str, template: &str, instances: &[Instances], used: &BTreeSet<&String>) -> Value {
    let group = |one: &Instances| {
        let overrides: Vec<Value> = one
            .values
            .iter()
            .filter(|(name, _)| used.contains(name))
            .map(|(name, value)| json!({ "ParameterKey": name, "ParameterValue": value }))
            .collect();
        let accounts = one.accounts.len();
        json!({
            "Accounts": one.accounts,
            "Regions": one.regions,
            "ParameterOverrides": overrides,
            "OperationPreferences": {
                "RegionConcurrencyType": "PARALLEL",
                "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
                "FailureToleranceCount": accounts / 10,
                "MaxConcurrentCount": accounts.clamp(1, AT_ONCE),
            },
        })
    };
    let groups: Vec<Value> = instances.iter().map(group).collect();
    json!({ "StackSetName": name, "Template": template, "PermissionModel": "SELF_MANAGED", "Instances": groups })
}

/// The type of a parameter.
#[derive(Clone, Copy)]
enum Scalar {
    Number,
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(values: &[Value]) -> Result<(Value, Merging), (usize, Vec<String>)> {
        let mut merging = Merging { varying: Map::new(), values: vec![BTreeMap::new(); values.len()] };
        let all: Vec<&Value> = values.iter().collect();
        let value = merging.merge(&all, "Table", &mut Vec::new())?;
        Ok((value, merging))
    }

    #[test]
    fn values_that_differ_become_parameters() {
        let one = |read: u8, name: &str| json!({ "Name": name, "Keys": ["a", { "Units": read }], "Same": true });
        let (value, merging) = merged(&[one(1, "x"), one(2, "x"), one(1, "x")]).ok().unwrap();
        let parameter = value["Keys"][1]["Units"]["Ref"].as_str().unwrap().to_owned();
        assert_eq!((&value["Name"], &value["Same"]), (&json!("x"), &json!(true)));
        assert_eq!(merging.varying[&parameter]["Default"], "1");
        assert_eq!(merging.varying[&parameter]["Type"], "Number");
        assert_eq!(
            merging.values,
            [BTreeMap::new(), BTreeMap::from([(parameter, String::from("2"))]), BTreeMap::new()]
        );
    }

    #[test]
    fn values_of_different_shapes_are_refused() {
        for (other, path) in [(json!({}), ""), (json!({ "a": {}, "b": 1 }), ""), (json!({ "a": [1, 2] }), "a")] {
            let Err((index, found)) = merged(&[json!({ "a": [1] }), json!({ "a": [1] }), other]) else {
                panic!("merged")
            };
            assert_eq!((index, found.join(".").as_str()), (2, path));
        }
    }
}
