//! Texts that are told apart by their types: of two that are both passed, neither can be taken for the other.

/// Declares a type of a text. It is read as the text that it is, and only what is said to be one becomes one. Whether AWS takes it is
/// checked where it comes from a manifest, an option or a saved plan: what the environment or AWS itself says is taken as it is.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The ID of an AWS account: 12 digits.
    AccountId;
    /// The name of a profile in the shared files of the AWS CLI, by which credentials are found.
    AwsProfile;
    /// The key of the tag that marks what was created from a manifest.
    OwnerKey;
    /// The path under which the policies are: `/sentinel/policies`.
    PolicyRoot;
    /// The name of a region: `us-east-1`.
    RegionName;
    /// The ARN of an IAM role.
    RoleArn;
    /// The unique ID of an identity, which IAM policies know as `aws:userid`.
    UserId;
}

/// Where policies are when nothing else is said.
pub const DEFAULT_ROOT: &str = "/sentinel/policies";

impl Default for PolicyRoot {
    fn default() -> Self {
        Self::new(DEFAULT_ROOT)
    }
}

impl Default for OwnerKey {
    fn default() -> Self {
        Self::new(super::DEFAULT_OWNERSHIP_KEY)
    }
}

/// AWS named none.
impl Default for UserId {
    fn default() -> Self {
        Self::new("")
    }
}

impl PolicyRoot {
    /// Returns whether it is the one that is used when nothing else is said.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_ROOT
    }
}
