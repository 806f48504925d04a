//! `[tables.NAME.indexes.INDEX]` and `[tables.NAME.local_indexes.INDEX]`: read, written, and turned into desired state.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::setting::Setting;
use super::{
    Attribute, Capacity, Index, IndexKey, IndexSettings, IndexStatus, KEY_LIMIT, KeyPart, Limits, LocalIndex,
    Projection, Warm, check_attribute, check_name,
};
use crate::document::write::{bare, line, quoted};
use crate::document::{Fields, Node, Reader, Value};
use crate::kind::section::{SectionReader, check_key};

/// `[tables.NAME.indexes.INDEX]`: one global secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSection {
    pub partition_key: KeyPart,
    /// Empty if omitted.
    pub sort_key: KeyPart,
    /// ALL if omitted.
    pub projection: Option<Projection>,
    /// The table's if omitted.
    pub read_capacity: Option<i64>,
    pub write_capacity: Option<i64>,
    pub limits: Option<Limits>,
    pub settings: IndexSettings,
    pub warm: Option<Warm>,
}

/// `[tables.NAME.local_indexes.INDEX]`: one local secondary index, whose partition key is that of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalIndexSection {
    pub sort_key: Attribute,
    /// ALL if omitted.
    pub projection: Option<Projection>,
}

/// Reads an attribute, if it is there.
pub(super) fn read_attribute(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    what: &'static str,
) -> Option<Attribute> {
    let entry = fields.get(what)?;
    attribute(reader, &entry.node, what)
}

fn attribute(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Attribute> {
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("`{what}` must be a name and a type, not {}", node.value.kind());
        reader.fault(node.span.clone(), message, "expected a table", "write { name = \"id\", type = \"S\" }");
        return None;
    }
    let mut fields = reader.map(node, what)?;
    let help = "write { name = \"id\", type = \"S\" }, with S for a string, N for a number, B for bytes";
    let name =
        fields.required(reader, "name", help).and_then(|entry| reader.checked(&entry.node, "name", check_attribute));
    let kind = fields.required(reader, "type", help).and_then(|entry| reader.variant(&entry.node, "type"));
    fields.finish(reader);
    Some(Attribute { name: name?, kind: kind? })
}

/// Reads one part of an index's key: an attribute, or a list of up to four.
fn read_part(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<KeyPart> {
    let Value::List(items) = &node.value else {
        return attribute(reader, node, what).map(|only| KeyPart(vec![only]));
    };
    if !(1..=KEY_LIMIT).contains(&items.len()) {
        let message = format!("`{what}` has {} attributes", items.len());
        let help = format!("DynamoDB accepts 1 to {KEY_LIMIT} in each part of the key of an index");
        reader.fault(node.span.clone(), message, "not possible", help);
        return None;
    }
    items.iter().map(|item| attribute(reader, item, what)).collect::<Option<Vec<_>>>().map(KeyPart)
}

/// Reads the global indexes of a table.
pub(super) fn read_indexes(
    section: &mut SectionReader<'_, '_>,
    table_key: &str,
    node: &Node,
) -> Option<IndexMap<String, IndexSection>> {
    let fields = section.reader.map(node, "indexes")?;
    let mut indexes = IndexMap::new();
    for entry in fields.all() {
        section.note(&["tables", table_key, "indexes", &entry.key], &entry.key_span);
        let reader = &mut *section.reader;
        check_key(reader, entry, check_name);
        let what = format!("indexes.{}", entry.key);
        let Some(mut fields) = reader.map(&entry.node, &what) else { continue };
        let help = "add partition_key = { name = \"actor\", type = \"S\" }";
        let partition_key = fields
            .required(reader, "partition_key", help)
            .and_then(|entry| read_part(reader, &entry.node, "partition_key"));
        let sort_key = fields.get("sort_key").map(|entry| read_part(reader, &entry.node, "sort_key"));
        let projection = fields.get("projection").and_then(|entry| read_projection(reader, &entry.node));
        let mut count = |key: &'static str| fields.get(key).and_then(|entry| reader.count(&entry.node, key));
        let (read_capacity, write_capacity) = (count("read_capacity"), count("write_capacity"));
        if read_capacity.is_some() != write_capacity.is_some() {
            let help = "set both, in units per second, or neither to use the capacity of the table";
            let message = format!("`tables.{table_key}.{what}` has only one of read_capacity and write_capacity");
            reader.fault(entry.key_span.clone(), message, "incomplete capacity", help);
        }
        let limits = Limits::read(reader, &mut fields);
        let settings = IndexSettings::read(reader, &mut fields);
        let warm = Warm::read(reader, &mut fields);
        fields.finish(reader);
        // An unreadable key is already a fault.
        let sort_key = sort_key.map_or(Some(KeyPart::default()), |read| read);
        if let (Some(partition_key), Some(sort_key)) = (partition_key, sort_key) {
            let section = IndexSection {
                partition_key,
                sort_key,
                projection,
                read_capacity,
                write_capacity,
                limits,
                settings,
                warm,
            };
            indexes.insert(entry.key.clone(), section);
        }
    }
    Some(indexes)
}

/// Reads the local indexes of a table.
pub(super) fn read_local_indexes(
    section: &mut SectionReader<'_, '_>,
    table_key: &str,
    node: &Node,
) -> Option<IndexMap<String, LocalIndexSection>> {
    let fields = section.reader.map(node, "local_indexes")?;
    let mut indexes = IndexMap::new();
    for entry in fields.all() {
        section.note(&["tables", table_key, "local_indexes", &entry.key], &entry.key_span);
        let reader = &mut *section.reader;
        check_key(reader, entry, check_name);
        let what = format!("local_indexes.{}", entry.key);
        let Some(mut fields) = reader.map(&entry.node, &what) else { continue };
        let help = "add sort_key = { name = \"size\", type = \"N\" }: the partition key is that of the table";
        let sort_key =
            fields.required(reader, "sort_key", help).and_then(|entry| attribute(reader, &entry.node, "sort_key"));
        let projection = fields.get("projection").and_then(|entry| read_projection(reader, &entry.node));
        fields.finish(reader);
        if let Some(sort_key) = sort_key {
            indexes.insert(entry.key.clone(), LocalIndexSection { sort_key, projection });
        }
    }
    Some(indexes)
}

fn read_projection(reader: &mut Reader<'_>, node: &Node) -> Option<Projection> {
    let words: &[(&str, bool)] = &[("ALL", true), ("KEYS_ONLY", false)];
    match &node.value {
        Value::Map(_) => {
            let mut fields = reader.map(node, "projection")?;
            let help = "write { include = [\"a\", \"b\"] }";
            let entry = fields.required(reader, "include", help);
            fields.finish(reader);
            let entry = entry?;
            let items = reader.list(&entry.node, "include")?;
            if items.is_empty() {
                let message = "`include` is empty";
                reader.fault(
                    entry.node.span.clone(),
                    message,
                    "empty",
                    "name some, or write projection = \"KEYS_ONLY\"",
                );
                return None;
            }
            let names = items.iter().filter_map(|item| reader.checked(item, "include", check_attribute));
            Some(Projection::Include(names.collect()))
        }
        Value::String(_) => {
            reader.choice(node, "projection", words).map(|all| if all { Projection::All } else { Projection::KeysOnly })
        }
        _ => {
            reader.wrong_type(node, "projection", "\"ALL\", \"KEYS_ONLY\" or { include = [\"a\"] }");
            None
        }
    }
}

/// Adds the indexes to a section. Empty maps come first, because TOML cannot return from the header of a subsection.
pub(super) fn write(
    section: &mut String,
    header: &str,
    indexes: Option<&IndexMap<String, IndexSection>>,
    local: Option<&IndexMap<String, LocalIndexSection>>,
) {
    let none = || Some(String::from("{}"));
    line(section, "indexes", indexes.filter(|indexes| indexes.is_empty()).and_then(|_| none()));
    line(section, "local_indexes", local.filter(|indexes| indexes.is_empty()).and_then(|_| none()));
    for (name, index) in indexes.into_iter().flatten() {
        section.push_str(&format!("\n[{header}.indexes.{}]\n", bare(name)));
        line(section, "partition_key", Some(part_toml(&index.partition_key)));
        line(section, "sort_key", Some(&index.sort_key).filter(|part| !part.is_empty()).map(part_toml));
        line(section, "projection", index.projection.as_ref().map(projection_toml));
        line(section, "read_capacity", index.read_capacity.map(|units| units.to_string()));
        line(section, "write_capacity", index.write_capacity.map(|units| units.to_string()));
        let limits = index.limits.iter().flat_map(Setting::write);
        for (key, value) in limits.chain(index.warm.iter().flat_map(Setting::write)) {
            line(section, key, Some(value));
        }
        index.settings.write(section);
    }
    for (name, index) in local.into_iter().flatten() {
        section.push_str(&format!("\n[{header}.local_indexes.{}]\n", bare(name)));
        line(section, "sort_key", Some(attribute_toml(&index.sort_key)));
        line(section, "projection", index.projection.as_ref().map(projection_toml));
    }
}

fn projection_toml(projection: &Projection) -> String {
    match projection {
        Projection::All => quoted("ALL"),
        Projection::KeysOnly => quoted("KEYS_ONLY"),
        Projection::Include(names) => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            format!("{{ include = [{}] }}", names.join(", "))
        }
    }
}

fn part_toml(part: &KeyPart) -> String {
    match &part.0[..] {
        [only] => attribute_toml(only),
        several => format!("[{}]", several.iter().map(attribute_toml).collect::<Vec<_>>().join(", ")),
    }
}

pub(super) fn attribute_toml(attribute: &Attribute) -> String {
    format!("{{ name = {}, type = \"{}\" }}", quoted(&attribute.name), attribute.kind)
}

/// Returns the desired global indexes of a table: those of its layout and those of its section.
pub(super) fn merged(
    own: Option<&IndexMap<String, IndexSection>>,
    layout: Option<BTreeMap<String, Index>>,
) -> Option<BTreeMap<String, Index>> {
    let Some(own) = own else { return layout };
    let mut indexes = layout.unwrap_or_default();
    for (name, index) in own {
        let key = IndexKey { partition: index.partition_key.clone(), sort: index.sort_key.clone() };
        let projection = index.projection.clone().unwrap_or(Projection::All);
        let capacity = index.read_capacity.zip(index.write_capacity);
        let capacity = capacity.map(|(read, write)| Capacity { read, write });
        let index =
            Index { key, projection, capacity, status: IndexStatus::Active, limits: index.limits, warm: index.warm };
        indexes.insert(name.clone(), index);
    }
    Some(indexes)
}

/// Returns the desired local indexes of a table.
pub(super) fn local(own: &IndexMap<String, LocalIndexSection>) -> BTreeMap<String, LocalIndex> {
    let index = |section: &LocalIndexSection| LocalIndex {
        sort: section.sort_key.clone(),
        projection: section.projection.clone().unwrap_or(Projection::All),
    };
    own.iter().map(|(name, section)| (name.clone(), index(section))).collect()
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use proptest::collection::{btree_set, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    use super::super::AttributeType;
    use super::*;

    pub(in crate::kind::table) fn attributes() -> impl Strategy<Value = Attribute> {
        let kinds = prop_oneof![Just(AttributeType::S), Just(AttributeType::N), Just(AttributeType::B)];
        ("\\PC{1,20}", kinds).prop_map(|(name, kind)| Attribute { name, kind })
    }

    fn parts(least: usize) -> impl Strategy<Value = KeyPart> {
        vec(attributes(), least..=KEY_LIMIT).prop_map(KeyPart)
    }

    fn projections() -> impl Strategy<Value = Option<Projection>> {
        of(prop_oneof![
            Just(Projection::All),
            Just(Projection::KeysOnly),
            btree_set("\\PC{1,12}", 1..4).prop_map(Projection::Include),
        ])
    }

    pub(in crate::kind::table) fn indexes() -> impl Strategy<Value = IndexMap<String, IndexSection>> {
        let capacity = of((1i64.., 1i64..));
        let units = (of(<Limits as Setting>::any()), of(<Warm as Setting>::any()));
        let index = (parts(1), parts(0), projections(), capacity, units, IndexSettings::any());
        let index = index.prop_map(|(partition_key, sort_key, projection, capacity, (limits, warm), settings)| {
            let (read_capacity, write_capacity) = capacity.unzip();
            IndexSection { partition_key, sort_key, projection, read_capacity, write_capacity, limits, settings, warm }
        });
        vec(("[a-zA-Z0-9_.-]{3,12}", index), 0..4).prop_map(|list| list.into_iter().collect())
    }

    pub(in crate::kind::table) fn local_indexes() -> impl Strategy<Value = IndexMap<String, LocalIndexSection>> {
        let index =
            (attributes(), projections()).prop_map(|(sort_key, projection)| LocalIndexSection { sort_key, projection });
        vec(("[a-zA-Z0-9_.-]{3,12}", index), 0..3).prop_map(|list| list.into_iter().collect())
    }
}
