//! A table's settings in the words in which people read them.

use std::borrow::Cow;

use super::{Billing, Capacity, Encryption, FIRST_CAPACITY, Index, IndexStatus, Key, Projection, Table, Ttl};
use crate::kind::Line;
use crate::resource::{Fields, Live, tag_words};

pub(super) fn encryption(encryption: &Encryption) -> String {
    match encryption {
        Encryption::AwsOwned => String::from("aws-owned"),
        Encryption::AwsManaged => String::from("aws-managed"),
        Encryption::Kms(name) | Encryption::Alias(name) => name.clone(),
    }
}

pub(super) fn ttl(ttl: &Ttl) -> String {
    match ttl {
        Ttl::Disabled => String::from("disabled"),
        Ttl::Disabling => String::from("disabling"),
        Ttl::Enabled(attribute) => attribute.clone(),
    }
}

pub(super) fn billing(billing: Billing) -> String {
    match billing {
        Billing::PayPerRequest => String::from("PAY_PER_REQUEST"),
        Billing::Provisioned(units) => format!("PROVISIONED ({})", capacity(units)),
        Billing::External => String::from("PROVISIONED"),
    }
}

pub(super) fn capacity(capacity: Capacity) -> String {
    format!("{} read, {} write", capacity.read, capacity.write)
}

/// Returns the words for a status that passes by itself, and what to expect of it.
pub(super) const fn passing(status: IndexStatus) -> Option<(&'static str, &'static str)> {
    match status {
        // An update of an index is one of its capacity; it answers all the while.
        IndexStatus::Active | IndexStatus::Updating => None,
        IndexStatus::Creating { backfilling: true } => {
            Some(("CREATING (backfilling)", "AWS is building it, in minutes"))
        }
        IndexStatus::Creating { backfilling: false } => Some(("CREATING", "AWS is building it, in minutes")),
        IndexStatus::Deleting => Some(("DELETING", "AWS is deleting it; once it is gone it can be built again")),
    }
}

pub(super) fn index(index: &Index) -> String {
    let keys: Vec<&str> = index.key.attributes().map(|attribute| attribute.name.as_str()).collect();
    match &index.projection {
        Projection::All => keys.join(", "),
        other => format!("{}, projecting {}", keys.join(", "), projection(other)),
    }
}

/// Returns a key in words; types are named only where the two sides have the same names.
pub(super) fn key(key: &Key, other: &Key) -> String {
    let names = |key: &Key| key.attributes().map(|attribute| attribute.name.clone()).collect::<Vec<_>>();
    if names(key) == names(other) { typed(key) } else { names(key).join(", ") }
}

fn typed(key: &Key) -> String {
    let attributes = key.attributes().map(|attribute| format!("{} ({})", attribute.name, attribute.kind));
    attributes.collect::<Vec<_>>().join(", ")
}

pub(super) fn projection(projection: &Projection) -> String {
    match projection {
        Projection::All => String::from("ALL"),
        Projection::KeysOnly => String::from("KEYS_ONLY"),
        Projection::Include(names) => {
            format!("include {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns what was seen of a table.
pub(super) fn seen(live: &Live<Table>) -> Fields {
    let Table {
        key,
        indexes,
        ttl: time,
        billing: mode,
        encryption: own,
        tags,
        settings,
        local: _,
    } = &live.state;
    let seen = [
        ("status", live.facts.status.clone()),
        ("key", key.as_ref().map(typed)),
        ("ttl", time.as_ref().map(ttl)),
        ("billing_mode", mode.map(billing)),
        ("encryption", own.as_ref().map(encryption)),
        ("tags", tags.as_ref().map(tag_words)),
    ];
    let seen = seen.into_iter().filter_map(|(field, words)| Some((Cow::Borrowed(field), words?)));
    let indexes = indexes.iter().flatten().map(|(name, found)| {
        let status = passing(found.status).map(|(words, _)| format!(", {words}")).unwrap_or_default();
        let units = found.capacity.map(|units| format!(", {}", capacity(units))).unwrap_or_default();
        let words = format!("{}, projecting {}{units}{status}", typed(&found.key), projection(&found.projection));
        (Cow::Owned(format!("index {name}")), words)
    });
    let settings = settings.words().into_iter().map(|line| (Cow::Owned(line.name), line.words));
    seen.chain(settings).chain(indexes).collect()
}

/// Returns what a table is created with, name by name.
pub(super) fn layout(layout: &Table) -> Vec<Line> {
    let Table {
        key,
        indexes,
        ttl,
        billing,
        encryption,
        tags,
        settings,
        local: _,
    } = layout;
    let mut lines: Vec<Line> = Vec::new();
    let attributes = |key: &Key| {
        let words = key.attributes().map(|attribute| format!("{} ({})", attribute.name, attribute.kind));
        words.collect::<Vec<_>>().join(", ")
    };
    lines.extend(key.iter().map(|key| Line::new("key", attributes(key))));
    for (name, index) in indexes.iter().flatten() {
        let projection = match &index.projection {
            Projection::All => String::from("ALL"),
            Projection::KeysOnly => String::from("KEYS_ONLY"),
            Projection::Include(names) => {
                format!("keys and {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        };
        lines.push(Line::new(format!("index {name}"), format!("{}; projects {projection}", attributes(&index.key))));
    }
    if let Some(Ttl::Enabled(attribute)) = ttl {
        lines.push(Line::new("ttl", attribute));
    }
    lines.extend(billing.map(|billing| {
        let words = match billing {
            Billing::PayPerRequest => String::from("PAY_PER_REQUEST"),
            Billing::Provisioned(units) => format!("PROVISIONED ({} read, {} write)", units.read, units.write),
            Billing::External => {
                format!("PROVISIONED ({} read, {} write to begin with)", FIRST_CAPACITY.read, FIRST_CAPACITY.write)
            }
        };
        Line::new("billing_mode", words)
    }));
    lines.extend(encryption.as_ref().map(|own| Line::new("encryption", self::encryption(own))));
    lines.extend(settings.words());
    lines.extend(tags.iter().flatten().map(|(key, value)| Line::new(format!("tags.{key}"), value)));
    lines
}

/// Returns a table's keys, indexes and TTL, a line each, for a picture.
pub(super) fn sketch(table: &Table) -> Vec<Line> {
    let attribute = |attribute: &super::Attribute| format!("{} {}", attribute.name, attribute.kind);
    let key = |key: &Key| key.attributes().map(attribute).collect::<Vec<_>>().join(", ");
    let mut lines: Vec<Line> = table.key.iter().map(|own| Line::new("key", key(own))).collect();
    lines.extend(table.indexes.iter().flatten().map(|(name, index)| Line::new(name, key(&index.key))));
    if let Some(Ttl::Enabled(attribute)) = &table.ttl {
        lines.push(Line::new("expires", attribute));
    }
    lines
}
