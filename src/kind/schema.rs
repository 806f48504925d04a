//! A kind's part of the JSON Schemas of a manifest and of a plan.

use serde_json::{Value, json};

/// A kind's part of the JSON Schemas.
#[derive(Debug)]
pub struct Schema {
    /// The noun for its resources in a list: `DynamoDB tables`.
    pub what: &'static str,
    /// The schema of its sections by name, such as `[tables]`.
    pub sections: Value,
    /// The definitions that `sections` refers to as `#/$defs/NAME`. Their names are unique across kinds. `tags` is defined for all kinds.
    pub definitions: Vec<Definition>,
    /// Its part of the schema of a plan.
    pub plan: PlanSchema,
}

/// A definition: its name, and its schema.
pub type Definition = (&'static str, Value);

/// A kind's part of the schema of a plan.
#[derive(Debug)]
pub struct PlanSchema {
    /// The name of each of its steps.
    pub steps: Vec<&'static str>,
    /// The definition of a new resource's layout, if plans show it.
    pub layout: Option<&'static str>,
    /// The definitions of `layout` and of everything that it refers to. Their names are unique across kinds.
    pub definitions: Vec<Definition>,
}

/// Returns the schema of `removed`, which the sections of most kinds have.
pub fn removed() -> Value {
    json!({
        "type": "boolean",
        "description": "true deletes the resource if Sentinel created it and --allow-destructive prune is given. The \
             other settings of the section then have no effect.",
    })
}
