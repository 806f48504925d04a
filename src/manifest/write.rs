//! Writes a manifest as the text a person would: sections in a fixed order, keys and projections inline.

use std::fmt::Write;

use super::{BillingMode, IndexSection, Manifest, OwnershipTag, TableSection};
use crate::kind::table::{Attribute, Encryption, Projection, Ttl};
use crate::resource::Tags;

impl Manifest {
    /// Returns the manifest as TOML, which reads back as the same manifest.
    pub fn to_toml(&self) -> String {
        let mut sections = vec![self.aws_section()];
        for (name, target) in &self.targets {
            let mut section = format!("[targets.{}]\n", bare(name));
            line(&mut section, "region", target.region.as_deref().map(quoted));
            line(&mut section, "profile", target.profile.as_deref().map(quoted));
            line(&mut section, "role_arn", target.role_arn.as_deref().map(quoted));
            line(&mut section, "account_id", target.account_id.as_deref().map(quoted));
            sections.push(section);
        }
        if let Some(root) = &self.policy_root {
            sections.push(format!("[policies]\nroot = {}\n", quoted(root)));
        }
        for (name, profile) in &self.profiles {
            let mut section = format!("[profiles.{}]\n", bare(name));
            line(&mut section, "policy", profile.policy.as_deref().map(quoted));
            line(&mut section, "tier", profile.tier.map(|tier| quoted(tier.as_str())));
            line(&mut section, "tags", profile.tags.as_ref().map(tags));
            sections.push(section);
        }
        for (name, table) in &self.tables {
            sections.push(table_section(name, table));
        }
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }

    fn aws_section(&self) -> String {
        let mut section = String::new();
        line(&mut section, "region", self.aws.region.as_deref().map(quoted));
        line(&mut section, "profile", self.aws.profile.as_deref().map(quoted));
        line(&mut section, "account_id", self.aws.account_id.as_deref().map(quoted));
        line(&mut section, "tags", self.aws.tags.as_ref().map(tags));
        let ownership = self.aws.ownership_tag.as_ref().map(|tag| match tag {
            OwnershipTag::Off => String::from("false"),
            OwnershipTag::Key(key) => quoted(key),
        });
        line(&mut section, "ownership_tag", ownership);
        if section.is_empty() { section } else { format!("[aws]\n{section}") }
    }
}

fn table_section(name: &str, table: &TableSection) -> String {
    let header = format!("tables.{}", bare(name));
    let mut section = format!("[{header}]\n");
    line(&mut section, "name", table.name.as_deref().map(quoted));
    line(&mut section, "partition_key", table.partition_key.as_ref().map(attribute));
    line(&mut section, "sort_key", table.sort_key.as_ref().map(attribute));
    let ttl = table.ttl_attribute.as_ref().map(|ttl| match ttl {
        Ttl::Enabled(attribute) => quoted(attribute),
        Ttl::Disabled | Ttl::Disabling => String::from("false"),
    });
    line(&mut section, "ttl_attribute", ttl);
    let mode = table.billing_mode.map(|mode| match mode {
        BillingMode::PayPerRequest => quoted("PAY_PER_REQUEST"),
        BillingMode::Provisioned => quoted("PROVISIONED"),
    });
    line(&mut section, "billing_mode", mode);
    line(&mut section, "read_capacity", table.read_capacity.map(|units| units.to_string()));
    line(&mut section, "write_capacity", table.write_capacity.map(|units| units.to_string()));
    let encryption = table.encryption.as_ref().map(|encryption| match encryption {
        Encryption::AwsOwned => quoted("aws-owned"),
        Encryption::AwsManaged => quoted("aws-managed"),
        Encryption::Kms(arn) => quoted(arn),
    });
    line(&mut section, "encryption", encryption);
    line(&mut section, "point_in_time_recovery", table.point_in_time_recovery.map(|flag| flag.to_string()));
    line(&mut section, "deletion_protection", table.deletion_protection.map(|flag| flag.to_string()));
    line(&mut section, "table_class", table.table_class.map(|class| quoted(class.as_str())));
    line(&mut section, "tags", table.tags.as_ref().map(tags));
    match &table.indexes {
        Some(indexes) if indexes.is_empty() => line(&mut section, "indexes", Some(String::from("{}"))),
        Some(indexes) => {
            for (name, index) in indexes {
                section.push_str(&index_section(&header, name, index));
            }
        }
        None => {}
    }
    section
}

fn index_section(header: &str, name: &str, index: &IndexSection) -> String {
    let mut section = format!("\n[{header}.indexes.{}]\n", bare(name));
    line(&mut section, "partition_key", Some(attribute(&index.partition_key)));
    line(&mut section, "sort_key", index.sort_key.as_ref().map(attribute));
    let projection = index.projection.as_ref().map(|projection| match projection {
        Projection::All => quoted("ALL"),
        Projection::KeysOnly => quoted("KEYS_ONLY"),
        Projection::Include(names) => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            format!("{{ include = [{}] }}", names.join(", "))
        }
    });
    line(&mut section, "projection", projection);
    section
}

fn line(section: &mut String, key: &str, value: Option<String>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = writeln!(section, "{key} = {value}");
    }
}

fn attribute(attribute: &Attribute) -> String {
    format!("{{ name = {}, type = \"{}\" }}", quoted(&attribute.name), attribute.kind)
}

fn tags(tags: &Tags) -> String {
    if tags.is_empty() {
        return String::from("{}");
    }
    let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{} = {}", bare(key), quoted(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns a key as it may stand in a header: bare where TOML allows that.
fn bare(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { basic(key) }
}

/// A key cannot be a multi-line string, which is how a value with a line break would be written.
fn basic(key: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in key.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::kind::policy_parameter::Tier;
    use crate::kind::table::{AttributeType, Class};
    use crate::manifest::{AwsSection, Builtin, ProfileSection, TargetSection, parse};

    fn attributes() -> impl Strategy<Value = Attribute> {
        let kinds = prop_oneof![Just(AttributeType::S), Just(AttributeType::N), Just(AttributeType::B)];
        ("\\PC{1,20}", kinds).prop_map(|(name, kind)| Attribute { name, kind })
    }

    fn tag_sets() -> impl Strategy<Value = Tags> {
        btree_map("[a-zA-Z0-9_.:/=+@ -]{1,12}", "[a-zA-Zé0-9_.:/=+@ -]{0,12}", 0..4)
            .prop_map(|tags| tags.into_iter().filter(|(key, _)| !key.to_lowercase().starts_with("aws:")).collect())
    }

    fn indexes() -> impl Strategy<Value = IndexMap<String, IndexSection>> {
        let projections = prop_oneof![
            Just(Projection::All),
            Just(Projection::KeysOnly),
            btree_set("\\PC{1,12}", 1..4).prop_map(Projection::Include),
        ];
        let index = (attributes(), of(attributes()), of(projections))
            .prop_map(|(partition_key, sort_key, projection)| IndexSection { partition_key, sort_key, projection });
        vec(("[a-zA-Z0-9_.-]{3,12}", index), 0..4).prop_map(|list| list.into_iter().collect())
    }

    fn tables() -> impl Strategy<Value = TableSection> {
        let ttl = prop_oneof![Just(Ttl::Disabled), "\\PC{1,12}".prop_map(Ttl::Enabled)];
        let encryption = prop_oneof![
            Just(Encryption::AwsOwned),
            Just(Encryption::AwsManaged),
            "[a-z0-9-]{1,12}".prop_map(|id| Encryption::Kms(format!("arn:aws:kms:eu-west-1:123456789012:key/{id}"))),
        ];
        let billing = prop_oneof![
            Just((None, None, None)),
            Just((Some(BillingMode::PayPerRequest), None, None)),
            (1i64.., 1i64..).prop_map(|(read, write)| (Some(BillingMode::Provisioned), Some(read), Some(write))),
        ];
        let keys = ("[a-zA-Z0-9_.-]{3,20}", attributes(), of(attributes()), of(ttl), billing);
        let class = prop_oneof![Just(Class::Standard), Just(Class::InfrequentAccess)];
        let rest = (of(encryption), of(any::<bool>()), of(any::<bool>()), of(class), of(tag_sets()), of(indexes()));
        (keys, rest).prop_map(|((name, partition_key, sort_key, ttl_attribute, billing), rest)| {
            let (billing_mode, read_capacity, write_capacity) = billing;
            let (encryption, point_in_time_recovery, deletion_protection, table_class, tags, indexes) = rest;
            TableSection {
                name: Some(name),
                partition_key: Some(partition_key),
                sort_key,
                ttl_attribute,
                billing_mode,
                read_capacity,
                write_capacity,
                encryption,
                point_in_time_recovery,
                deletion_protection,
                table_class,
                tags,
                indexes,
            }
        })
    }

    fn manifests() -> impl Strategy<Value = Manifest> {
        let region = "[a-z]{2}-[a-z]{4,9}-[0-9]";
        // Longer than any tag's key above: a manifest must not give the key of the ownership tag itself.
        let ownership = prop_oneof![Just(OwnershipTag::Off), "[b-z]{13,20}".prop_map(OwnershipTag::Key)];
        let aws = (of(region), of("\\PC{0,12}"), of("[0-9]{12}"), of(tag_sets()), of(ownership)).prop_map(
            |(region, profile, account_id, tags, ownership_tag)| AwsSection {
                region,
                profile,
                account_id,
                tags,
                ownership_tag,
            },
        );
        let role = "arn:aws:iam::[0-9]{12}:role/[a-z]{1,9}";
        let target = (of(region), of("\\PC{0,12}"), of(role), of("[0-9]{12}")).prop_map(
            |(region, profile, role_arn, account_id)| TargetSection {
                region,
                profile: profile.filter(|_| role_arn.is_none()),
                role_arn,
                account_id,
            },
        );
        let targets = vec(("[a-z0-9_-]{1,9}", target), 0..3);
        let tier = prop_oneof![Just(Tier::Standard), Just(Tier::Advanced)];
        let profile = (of("\\PC{0,20}"), of(tier), of(tag_sets())).prop_map(|(policy, tier, tags)| ProfileSection {
            policy,
            tier,
            tags,
        });
        let builtins = proptest::sample::subsequence(Builtin::ALL.to_vec(), 0..=3);
        let parts = (
            (aws, targets),
            of("(/[bcd][a-z]{1,5}){1,3}"),
            vec(("[a-zA-Z0-9_.-]{1,12}", profile), 0..4),
            vec(("\\PC{1,12}", tables()), 0..3),
            builtins,
        );
        parts.prop_map(|((aws, targets), policy_root, profiles, custom, builtins)| {
            let mut tables: IndexMap<String, TableSection> = custom.into_iter().collect();
            tables.extend(builtins.into_iter().map(|builtin| (builtin.key().to_owned(), TableSection::default())));
            let (targets, profiles) = (targets.into_iter().collect(), profiles.into_iter().collect());
            Manifest { aws, targets, policy_root, profiles, tables }
        })
    }

    /// The schema that editors are given.
    static SCHEMA: std::sync::LazyLock<jsonschema::Validator> = std::sync::LazyLock::new(|| {
        let text = include_str!("../../docs/schema/sentinel.schema.json");
        jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
    });

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_manifest(manifest in manifests()) {
            let text = manifest.to_toml();
            let mut faults = Faults::default();
            let read = parse(&Source::new("sentinel.toml", text.clone()), &mut faults).manifest;
            prop_assert!(faults.is_empty(), "{text}\n{:?}", faults.into_sorted());
            prop_assert_eq!(read, manifest, "{}", text);
            let value = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
            let errors: Vec<String> = SCHEMA.iter_errors(&value).map(|error| error.to_string()).collect();
            prop_assert!(errors.is_empty(), "{text}\n{errors:?}");
        }
    }

    #[test]
    fn an_empty_manifest_is_an_empty_text() {
        assert_eq!(Manifest::default().to_toml(), "");
    }
}
