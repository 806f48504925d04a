//! What a kind adds to the JSON Schemas of a manifest and of a plan.

use serde_json::{Value, json};

/// A kind's part of the JSON Schemas.
#[derive(Debug)]
pub struct Schema {
    /// What its resources are, as part of a list: `DynamoDB tables`.
    pub what: &'static str,
    /// The schema of its sections by name: of `[tables]`.
    pub sections: Value,
    /// What that refers to as `#/$defs/NAME`. No other kind may define the same name. `tags` is defined for all kinds.
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
    /// The definition of what a new resource is created with, where a plan shows that.
    pub layout: Option<&'static str>,
    /// What `layout` refers to, and `layout` itself. No other kind may define the same name.
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
