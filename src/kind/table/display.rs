//! The display texts of a table's settings.

use std::borrow::Cow;

use super::setting::Setting;
use super::{
    Attribute, Billing, Capacity, Encryption, FIRST_CAPACITY, Index, IndexKey, IndexStatus, Key, KeyPart, LocalIndex,
    Projection, Replicas, Table, Ttl, Warm,
};
use crate::kind::Line;
use crate::resource::{Fields, Live, tag_text};

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

/// Returns the text for the billing mode of a new table, or after a switch.
pub(super) fn initial_billing(billing: Billing) -> String {
    match billing {
        Billing::External => format!("PROVISIONED ({} initially)", capacity(FIRST_CAPACITY)),
        other => self::billing(other),
    }
}

pub(super) fn capacity(capacity: Capacity) -> String {
    format!("{} read, {} write", capacity.read, capacity.write)
}

/// Returns the text for a temporary status, and its expected outcome.
pub(super) const fn temporary_status(status: IndexStatus) -> Option<(&'static str, &'static str)> {
    match status {
        // UPDATING means that the capacity of an index changes; it stays available.
        IndexStatus::Active | IndexStatus::Updating => None,
        IndexStatus::Creating { backfilling: true } => {
            Some(("CREATING (backfilling)", "AWS is building it, in minutes"))
        }
        IndexStatus::Creating { backfilling: false } => Some(("CREATING", "AWS is building it, in minutes")),
        IndexStatus::Deleting => Some(("DELETING", "AWS is deleting it; after that it can be built again")),
    }
}

pub(super) fn index(index: &Index) -> String {
    let keys = in_parts(&index.key, |attribute| attribute.name.clone());
    match &index.projection {
        Projection::All => keys,
        other => format!("{keys}, projecting {}", projection(other)),
    }
}

/// Returns the separator between the parts of a key: a semicolon if one of them has several attributes.
fn between(key: &IndexKey) -> &'static str {
    if key.partition.0.len() > 1 || key.sort.0.len() > 1 { "; " } else { ", " }
}

/// Returns the attributes of an index key as text.
fn in_parts(key: &IndexKey, word: impl Fn(&Attribute) -> String + Copy) -> String {
    divided(key, between(key), word)
}

fn divided(key: &IndexKey, between: &str, word: impl Fn(&Attribute) -> String + Copy) -> String {
    let part = |part: &KeyPart| part.0.iter().map(word).collect::<Vec<_>>().join(", ");
    let parts = [part(&key.partition), part(&key.sort)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(between)
}

/// Returns a key as text. Types are included only if both sides have the same names.
pub(super) fn key(key: &IndexKey, other: &IndexKey) -> String {
    // Both sides use the same separator.
    let between = between(key).max(between(other));
    let names = |key: &IndexKey| divided(key, between, |attribute| attribute.name.clone());
    if names(key) == names(other) { divided(key, between, typed) } else { names(key) }
}

/// Returns a local index as text. The type of its key is included only if the other side has another type.
pub(super) fn local_index(index: &LocalIndex, other: Option<&LocalIndex>) -> String {
    let retyped = other.is_some_and(|other| other.sort.name == index.sort.name && other.sort.kind != index.sort.kind);
    let sort = if retyped { typed(&index.sort) } else { index.sort.name.clone() };
    match (&index.projection, other.map(|other| &other.projection)) {
        (Projection::All, None | Some(Projection::All)) => sort,
        (own, _) => format!("{sort}, projecting {}", projection(own)),
    }
}

fn warm_text(warm: Warm) -> String {
    let lines = warm.describe().into_iter().map(|line| format!("{} {}", line.name, line.text));
    lines.collect::<Vec<_>>().join(", ")
}

fn typed(attribute: &Attribute) -> String {
    format!("{} ({})", attribute.name, attribute.kind)
}

fn typed_key(key: &Key) -> String {
    key.attributes().map(typed).collect::<Vec<_>>().join(", ")
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

/// Returns the observed fields of a table.
pub(super) fn seen(live: &Live<Table>) -> Fields {
    let Table { key, indexes, local_indexes, ttl: time, billing: mode, encryption: own, tags, replicas, settings } =
        &live.state;
    let seen = [
        ("status", live.facts.status.clone()),
        ("key", key.as_ref().map(typed_key)),
        ("ttl", time.as_ref().map(ttl)),
        ("billing_mode", mode.map(billing)),
        ("encryption", own.as_ref().map(encryption)),
        ("tags", tags.as_ref().map(tag_text)),
    ];
    let seen = seen.into_iter().filter_map(|(field, text)| Some((Cow::Borrowed(field), text?)));
    let indexes = indexes.iter().flatten().map(|(name, found)| {
        let status = temporary_status(found.status).map(|(text, _)| format!(", {text}")).unwrap_or_default();
        let units = found.capacity.map(|units| format!(", {}", capacity(units))).unwrap_or_default();
        let limits = found.limits.and_then(|limits| limits.named()).map(|text| format!(", {text}")).unwrap_or_default();
        let (key, projected) = (in_parts(&found.key, typed), projection(&found.projection));
        let text = format!("{key}, projecting {projected}{units}{limits}{status}");
        (Cow::Owned(format!("index {name}")), text)
    });
    let settings = settings.stable_lines().into_iter().map(|line| (Cow::Owned(line.name), line.text));
    let local = local_indexes.iter().flatten().map(|(name, found)| {
        let text = format!("{}, projecting {}", typed(&found.sort), projection(&found.projection));
        (Cow::Owned(format!("local index {name}")), text)
    });
    let replicas = replicas.iter().flat_map(Replicas::describe).map(|line| (Cow::Owned(line.name), line.text));
    seen.chain(settings).chain(indexes).chain(local).chain(replicas).collect()
}

/// Returns the layout of a new table, by name.
pub(super) fn layout(layout: &Table) -> Vec<Line> {
    let Table { key, indexes, local_indexes, ttl, billing, encryption, tags, replicas, settings } = layout;
    let mut lines: Vec<Line> = Vec::new();
    lines.extend(key.iter().map(|key| Line::new("key", typed_key(key))));
    let projects = |projection: &Projection| match projection {
        Projection::All => String::from("ALL"),
        Projection::KeysOnly => String::from("KEYS_ONLY"),
        Projection::Include(names) => {
            format!("keys and {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    };
    for (name, index) in indexes.iter().flatten() {
        let units = index.capacity.map(|units| format!("; {}", capacity(units))).unwrap_or_default();
        let limits = index.limits.and_then(|limits| limits.named()).map(|text| format!("; {text}")).unwrap_or_default();
        let warm = index.warm.map(|warm| format!("; {}", warm_text(warm))).unwrap_or_default();
        let text =
            format!("{}; projects {}{units}{limits}{warm}", in_parts(&index.key, typed), projects(&index.projection));
        lines.push(Line::new(format!("index {name}"), text));
    }
    for (name, index) in local_indexes.iter().flatten() {
        let text = format!("{}; projects {}", typed(&index.sort), projects(&index.projection));
        lines.push(Line::new(format!("local index {name}"), text));
    }
    if let Some(Ttl::Enabled(attribute)) = ttl {
        lines.push(Line::new("ttl", attribute));
    }
    lines.extend(billing.map(|billing| Line::new("billing_mode", initial_billing(billing))));
    lines.extend(encryption.as_ref().map(|own| Line::new("encryption", self::encryption(own))));
    lines.extend(settings.describe());
    lines.extend(replicas.iter().flat_map(Replicas::describe));
    lines.extend(tags.iter().flatten().map(|(key, value)| Line::new(format!("tags.{key}"), value)));
    lines
}

/// Returns a table's keys, indexes and TTL, one line each, for a diagram.
pub(super) fn sketch(table: &Table) -> Vec<Line> {
    let attribute = |attribute: &Attribute| format!("{} {}", attribute.name, attribute.kind);
    let key = |key: &Key| key.attributes().map(attribute).collect::<Vec<_>>().join(", ");
    let mut lines: Vec<Line> = table.key.iter().map(|own| Line::new("key", key(own))).collect();
    let indexes = table.indexes.iter().flatten();
    lines.extend(indexes.map(|(name, index)| Line::new(name, in_parts(&index.key, attribute))));
    let local = table.local_indexes.iter().flatten();
    lines.extend(local.map(|(name, index)| Line::new(name, attribute(&index.sort))));
    if let Some(Ttl::Enabled(attribute)) = &table.ttl {
        lines.push(Line::new("expires", attribute));
    }
    lines
}
