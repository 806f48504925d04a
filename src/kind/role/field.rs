//! The fields of a role that are compared.

/// A field of a role, in differences and repairs.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Path,
    Description,
    MaxSessionDuration,
    PermissionsBoundary,
    Trust,
    /// A managed policy by ARN: whether it is attached.
    #[strum(to_string = "managed policy {0}")]
    ManagedPolicy(String),
    /// An inline policy by name.
    #[strum(to_string = "policy {0}")]
    Policy(String),
    /// The instance profiles that prevent the deletion of a role.
    InstanceProfiles,
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}
