//! The fields of a parameter that are compared.

/// A field of a parameter, in differences and repairs.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// The value of a policy.
    Content,
    Value,
    Type,
    Tier,
    Description,
    Key,
    AllowedPattern,
    DataType,
    ParameterPolicies,
    /// A label of the newest version.
    #[strum(to_string = "labels.{0}")]
    Label(String),
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}
