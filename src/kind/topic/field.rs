//! The fields of a topic that are compared.

use std::fmt;

use crate::resource::secret::without_userinfo;

/// The identity of a subscription within its topic, displayed without user information in its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionId(pub String);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&without_userinfo(&self.0))
    }
}

/// A field of a topic, in differences and repairs.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Fifo,
    ContentBasedDeduplication,
    DisplayName,
    Key,
    Policy,
    DeliveryPolicy,
    /// A subscription by protocol and endpoint: its existence.
    #[strum(to_string = "subscription {0}")]
    Subscription(SubscriptionId),
    /// An attribute of a subscription.
    #[strum(to_string = "subscription {0} {1}")]
    SubscriptionPart(SubscriptionId, Part),
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}

/// An attribute of a subscription that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    FilterPolicy,
    FilterPolicyScope,
    Raw,
    Role,
}
