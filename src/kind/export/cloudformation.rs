//! A resource as CloudFormation has it. Source of all types and properties: the CloudFormation Template Reference, and the resource
//! schemas that cfn-lint brings.

use serde_json::{Map, Value, json};

use super::{Export, camel};
use crate::kind::{Address, Desired};
use crate::resource::Tags;

/// The properties of a resource.
pub type Properties = Map<String, Value>;

/// What a target's stacks are made of.
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
    /// The logical IDs of resources that are created before it, besides those that its properties refer to.
    pub depends_on: Vec<String>,
    /// Whether others refer to it, so that it is in the first of several templates.
    pub first: bool,
    /// The address that it is made of: all resources of one address are in one stack.
    pub address: Address,
    /// The identifier by which CloudFormation imports it; nothing where it is not known to be there.
    pub existing: Option<Properties>,
    /// What it is in the templates before the last, where CloudFormation takes several updates to get there; nothing where it is
    /// not in one of them.
    pub earlier: Vec<Option<Properties>>,
}

/// A parameter of a template, whose value no file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub id: String,
    pub description: String,
    pub address: Address,
    /// The variable of the environment that has the value for sentinel.
    pub variable: Option<String>,
}

/// The property by which a key of the same manifest is referred to until it is known whether the key is in the same template.
const KEY: &str = "Sentinel::KeyArn";

impl Stack {
    /// Adds a resource, and returns it for what else there is to say of it. The prefix of its logical ID is no kind's name, and
    /// empty for the resource that the address itself is.
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
        };
        let place = self.resources.len();
        self.resources.push(resource);
        &mut self.resources[place]
    }

    /// Adds a parameter for a value that no file may have, and returns what refers to it.
    pub fn secret(&mut self, address: &Address, prefix: &str, description: String, variable: Option<&str>) -> Value {
        let id = format!("{prefix}{}", id(address));
        let variable = variable.map(str::to_owned);
        self.parameters.push(Parameter { id: id.clone(), description, address: address.clone(), variable });
        json!({ "Ref": id })
    }
}

/// Returns the logical ID of what an address is in a template.
pub fn id(address: &Address) -> String {
    format!("{}{}", camel(&address.kind.about().id.replace('_', "-")), camel(&address.key))
}

/// Returns what refers to the ARN of a key that is exported too: by the key where it is in the same template, by its alias where it
/// is in another one.
pub fn key_arn(key: &Address, alias: &str) -> Value {
    json!({ KEY: { "id": id(key), "alias": alias } })
}

/// Returns a value with its references to keys made ready for a template that has resources with these logical IDs.
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

/// Returns tags as most resources have them.
pub fn tags(tags: Option<&Tags>) -> Option<Value> {
    let tags = tags.filter(|tags| !tags.is_empty())?;
    Some(tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect())
}

/// Sets a property where there is a value.
pub fn set(properties: &mut Properties, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        properties.insert(name.to_owned(), value.into());
    }
}

/// Returns properties from pairs.
pub fn properties<const N: usize>(pairs: [(&str, Value); N]) -> Properties {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
