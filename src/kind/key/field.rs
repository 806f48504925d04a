//! The fields of a key that are compared.

/// A field of a key, in differences and repairs.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// Its type: Sentinel manages symmetric encryption keys.
    Type,
    Description,
    Policy,
    Rotation,
    MultiRegion,
    Status,
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}
