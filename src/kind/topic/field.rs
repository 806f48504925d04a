//! The fields of a topic that are compared.

/// A field of a topic, as the diff names it and the repair looks for it.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    Fifo,
    ContentBasedDeduplication,
    DisplayName,
    Key,
    Policy,
    DeliveryPolicy,
    /// A subscription by its protocol and endpoint: whether it is there.
    #[strum(to_string = "subscription {0}")]
    Subscription(String),
    /// An attribute of a subscription.
    #[strum(to_string = "subscription {0} {1}")]
    SubscriptionPart(String, Part),
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
