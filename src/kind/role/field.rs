//! The fields of a role that are compared.

/// A field of a role, as the diff names it and the repair looks for it.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Path,
    Description,
    MaxSessionDuration,
    PermissionsBoundary,
    Trust,
    /// A managed policy by its ARN: whether it is attached.
    #[strum(to_string = "managed policy {0}")]
    ManagedPolicy(String),
    /// An inline policy by its name.
    #[strum(to_string = "policy {0}")]
    Policy(String),
    /// The instance profiles that keep a role from being deleted.
    InstanceProfiles,
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}
