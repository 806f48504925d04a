//! The three tables with a built-in layout.

use std::collections::BTreeMap;

use crate::kind::table::{
    Attribute, AttributeType, Billing, Index, IndexKey, IndexStatus, Key, Projection, Table, Ttl,
};

/// A table with a built-in layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum Builtin {
    Approvals,
    BreakGlass,
    Sessions,
}

impl Builtin {
    /// All of them, in display order.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the one with this name in the manifest.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|builtin| builtin.key() == key)
    }

    /// Returns its name in the manifest and in commands.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Approvals => "approvals",
            Self::BreakGlass => "breakglass",
            Self::Sessions => "sessions",
        }
    }

    /// Returns its default name in AWS.
    pub const fn default_name(self) -> &'static str {
        match self {
            Self::Approvals => "sentinel-requests",
            Self::BreakGlass => "sentinel-breakglass",
            Self::Sessions => "sentinel-sessions",
        }
    }

    /// Returns its display name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Approvals => "Approvals",
            Self::BreakGlass => "Break-Glass",
            Self::Sessions => "Sessions",
        }
    }

    /// Returns the name and partition key of each index, and their common sort key.
    const fn indexes(self) -> ([(&'static str, &'static str); 3], &'static str) {
        match self {
            Self::Approvals => (
                [("requester-index", "requester"), ("status-index", "status"), ("profile-index", "profile")],
                "created_at",
            ),
            Self::BreakGlass => {
                ([("invoker-index", "invoker"), ("status-index", "status"), ("profile-index", "profile")], "created_at")
            }
            Self::Sessions => (
                [("user-index", "user"), ("status-index", "status"), ("server-instance-index", "server_instance_id")],
                "started_at",
            ),
        }
    }

    /// Returns its layout. Keys, indexes, TTL and billing mode are managed, everything else is not.
    pub fn layout(self) -> Table {
        let attribute = |name: &str, kind| Attribute { name: name.to_owned(), kind };
        let (indexes, sort) = self.indexes();
        let index = |(name, partition): (&str, &str)| {
            let key = IndexKey::new(attribute(partition, AttributeType::S), Some(attribute(sort, AttributeType::N)));
            (
                name.to_owned(),
                Index {
                    key,
                    projection: Projection::All,
                    capacity: None,
                    status: IndexStatus::Active,
                    limits: None,
                    warm: None,
                },
            )
        };
        Table {
            key: Some(Key { partition: attribute("id", AttributeType::S), sort: None }),
            indexes: Some(indexes.into_iter().map(index).collect::<BTreeMap<_, _>>()),
            ttl: Some(Ttl::Enabled(String::from("expires_at"))),
            billing: Some(Billing::PayPerRequest),
            ..Table::default()
        }
    }
}
