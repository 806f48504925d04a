//! Newtypes for text values, so that two arguments cannot be confused.

/// Declares a newtype of a text, which serializes as the text. Values from a manifest, an option or a saved plan are checked when they are
/// read; values from the environment or from AWS are not.
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
    /// A profile in the shared files of the AWS CLI.
    AwsProfile;
    /// The key of the ownership tag.
    OwnerKey;
    /// The path of the policies, such as `/sentinel/policies`.
    PolicyRoot;
    /// The name of a region: `us-east-1`.
    RegionName;
    /// The ARN of an IAM role.
    RoleArn;
    /// The unique ID of an identity, `aws:userid` in IAM policies.
    UserId;
}

/// The default path of the policies.
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

/// Empty: AWS returned none.
impl Default for UserId {
    fn default() -> Self {
        Self::new("")
    }
}

impl PolicyRoot {
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_ROOT
    }
}
