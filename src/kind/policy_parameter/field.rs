//! The fields of a policy parameter that are compared.

/// A field of a policy parameter, as the diff names it and the repair looks for it.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Content,
    Type,
    Tier,
    Description,
    Key,
    AllowedPattern,
    DataType,
    ParameterPolicies,
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}
