//! The fields of a key that are compared.

/// A field of a key, as the diff names it and the repair looks for it.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// What it is: sentinel manages symmetric encryption keys.
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
