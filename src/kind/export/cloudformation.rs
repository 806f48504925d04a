//! A resource in CloudFormation. Source of all types and properties: the CloudFormation Template Reference, and the resource schemas of
//! cfn-lint.

use serde_json::{Map, Value, json};

use super::{Export, camel};
use crate::kind::{Address, Desired};
use crate::resource::Tags;

/// The properties of a resource.
pub type Properties = Map<String, Value>;

/// The contents of a target's stacks.
#[derive(Debug, Default)]
pub struct Stack {
    pub export: Export,
    pub resources: Vec<Resource>,
    pub parameters: Vec<Parameter>,
}

/// A resource of a template.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its logical ID.
    pub id: String,
    pub type_name: &'static str,
    pub properties: Properties,
    /// The logical IDs of its dependencies, in addition to those that its properties refer to.
    pub depends_on: Vec<String>,
    /// Whether others refer to it, which places it in the first template.
    pub first: bool,
    /// Its address: all resources of one address are in one stack.
    pub address: Address,
    /// Its import identifier; `None` if it is not known to exist.
    pub existing: Option<Properties>,
    /// Its properties in the templates before the last, if CloudFormation needs several updates; `None` if such a template lacks it.
    pub earlier: Vec<Option<Properties>>,
    /// The condition without which the stack does not have it.
    pub condition: Option<Condition>,
}

/// A condition of a template.
#[derive(Debug, Clone)]
pub struct Condition {
    pub name: String,
    pub definition: Value,
}

/// A parameter of a template whose value is in no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub id: String,
    pub description: String,
    pub address: Address,
    /// The environment variable from which Sentinel reads the value.
    pub variable: Option<String>,
}

/// A temporary reference to a key of the same manifest, until it is known whether the key is in the same template.
const KEY: &str = "Sentinel::KeyArn";

impl Stack {
    /// Adds a resource, and returns it for further settings. The prefix of its logical ID is not the name of a kind, and is empty for the
    /// address's main resource.
    pub fn add<T>(
        &mut self,
        desired: &Desired<T>,
        prefix: &str,
        type_name: &'static str,
        properties: Properties,
    ) -> &mut Resource {
        let resource = Resource {
            id: format!("{prefix}{}", id(&desired.address)),
            type_name,
            properties,
            depends_on: Vec::new(),
            first: false,
            address: desired.address.clone(),
            existing: None,
            earlier: Vec::new(),
            condition: None,
        };
        let position = self.resources.len();
        self.resources.push(resource);
        &mut self.resources[position]
    }

    /// Adds a parameter for a secret value, and returns the reference to it.
    pub fn secret(&mut self, address: &Address, prefix: &str, description: String, variable: Option<&str>) -> Value {
        let id = format!("{prefix}{}", id(address));
        let variable = variable.map(str::to_owned);
        self.parameters.push(Parameter { id: id.clone(), description, address: address.clone(), variable });
        json!({ "Ref": id })
    }
}

/// Returns the logical ID of an address.
pub fn id(address: &Address) -> String {
    format!("{}{}", camel(&address.kind.about().id.replace('_', "-")), camel(&address.key))
}

/// Returns the reference to the ARN of an exported key: by the key in the same template, by its alias in another one.
pub fn key_arn(key: &Address, alias: &str) -> Value {
    json!({ KEY: { "id": id(key), "alias": alias } })
}

/// Returns a value with its references to keys resolved for a template with these logical IDs.
pub fn resolved(value: &Value, has: &impl Fn(&str) -> bool) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| resolved(item, has)).collect(),
        Value::Object(fields) => match fields.get(KEY) {
            Some(key) => match key["id"].as_str().filter(|id| has(id)) {
                Some(id) => json!({ "Fn::GetAtt": [id, "Arn"] }),
                None => key["alias"].clone(),
            },
            None => fields.iter().map(|(name, value)| (name.clone(), resolved(value, has))).collect(),
        },
        plain => plain.clone(),
    }
}

/// Returns tags in the form that most resources use.
pub fn tags(tags: Option<&Tags>) -> Option<Value> {
    let tags = tags.filter(|tags| !tags.is_empty())?;
    Some(tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect())
}

/// Sets a property if there is a value.
pub fn set(properties: &mut Properties, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        properties.insert(name.to_owned(), value.into());
    }
}

pub fn properties<const N: usize>(pairs: [(&str, Value); N]) -> Properties {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
