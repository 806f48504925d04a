//! `[topics.NAME]`: read, written, and turned into desired state.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::rules::{
    Delivery, FIFO, check_delivery_policy, check_display_name, check_key as check_kms_key, check_name, check_role,
};
use super::{FilterScope, Protocol, Subscription, Topic, TopicKey, filter};
use crate::document::write::{bare, line, quoted, tags};
use crate::document::{Entry, Node, Reader, Value as Written};
use crate::kind::document::{PolicyDocument, parse_json};
use crate::kind::references::{self, Named, Reference};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::resource::{Invalid, Tags};

/// `[topics.NAME]`: one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicSection {
    pub name: Option<String>,
    pub fifo: Option<bool>,
    pub content_based_deduplication: Option<bool>,
    pub display_name: Option<String>,
    pub key: Option<KeySetting>,
    /// The path of a JSON file.
    pub policy: Option<String>,
    /// The path of a JSON file.
    pub delivery_policy: Option<String>,
    pub tags: Option<Tags>,
    pub subscriptions: Option<IndexMap<String, SubscriptionSection>>,
}

/// The key that encrypts a topic, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetting {
    /// `key = false`.
    Off,
    /// `key = { key = "records" }`.
    Reference(Address),
    /// An alias or an ARN.
    Id(String),
}

/// `[topics.NAME.subscriptions.SUB]`: one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionSection {
    pub protocol: Protocol,
    pub endpoint: String,
    pub filter_policy: Option<FilterPolicy>,
    pub filter_policy_scope: Option<FilterScope>,
    pub raw: Option<bool>,
    pub role: Option<String>,
}

/// A filter policy, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterPolicy {
    /// The path of a JSON file.
    File(String),
    Inline(Value),
}

pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<TopicSection> {
    let key = &entry.key;
    section.note(&["topics", key], &entry.key_span);
    let mut fields = section.open(entry, "topics")?;
    let mut field = |section: &mut SectionReader<'_, '_>, name: &'static str| {
        let entry = fields.get(name)?;
        section.note(&["topics", key, name], &entry.node.span);
        Some(&entry.node)
    };
    let flag = |section: &mut SectionReader<'_, '_>, node: Option<&Node>, what| {
        node.and_then(|node| section.reader.boolean(node, what))
    };
    let (name, fifo) = (field(section, "name"), field(section, "fifo"));
    let deduplication = field(section, "content_based_deduplication");
    let display_name = field(section, "display_name");
    let (kms, policy, delivery) = (field(section, "key"), field(section, "policy"), field(section, "delivery_policy"));
    let mut topic = TopicSection {
        name: name.and_then(|node| section.reader.checked(node, "name", check_name)),
        fifo: flag(section, fifo, "fifo"),
        content_based_deduplication: flag(section, deduplication, "content_based_deduplication"),
        display_name: display_name.and_then(|node| section.reader.checked(node, "display_name", check_display_name)),
        key: kms.and_then(|node| read_key(section.reader, node)),
        policy: policy.and_then(|node| section.reader.string(node, "policy")),
        delivery_policy: delivery.and_then(|node| section.reader.string(node, "delivery_policy")),
        tags: section.tags(&mut fields),
        subscriptions: None,
    };
    if let Some(entry) = fields.get("subscriptions") {
        section.note(&["topics", key, "subscriptions"], &entry.key_span);
        topic.subscriptions = read_subscriptions(section, key, &entry.node);
    }
    fields.finish(section.reader);
    if topic.name.is_none() && name.is_none() {
        check_key(section.reader, entry, check_default_name);
    }
    Some(topic)
}

/// Checks a key that is also the name of its topic.
fn check_default_name(key: &str) -> Result<(), Invalid> {
    check_name(key).map_err(|invalid| Invalid::new(invalid.problem, format!("add name = \"…\"; {}", invalid.help)))
}

fn read_key(reader: &mut Reader<'_>, node: &Node) -> Option<KeySetting> {
    match &node.value {
        Written::Bool(false) => Some(KeySetting::Off),
        Written::String(_) => reader.checked(node, "key", check_kms_key).map(KeySetting::Id),
        _ if references::is_one(node) => references::read(reader, node, "key", KindId::Key).map(KeySetting::Reference),
        _ => {
            reader.wrong_type(node, "key", "{ key = \"NAME\" }, an alias, an ARN, or false for no encryption");
            None
        }
    }
}

fn read_subscriptions(
    section: &mut SectionReader<'_, '_>,
    topic: &str,
    node: &Node,
) -> Option<IndexMap<String, SubscriptionSection>> {
    let fields = section.reader.map(node, "subscriptions")?;
    let mut subscriptions = IndexMap::new();
    for entry in fields.all() {
        section.note(&["topics", topic, "subscriptions", &entry.key], &entry.key_span);
        if let Some(read) = read_subscription(section, topic, entry) {
            subscriptions.insert(entry.key.clone(), read);
        }
    }
    Some(subscriptions)
}

fn read_subscription(section: &mut SectionReader<'_, '_>, topic: &str, entry: &Entry) -> Option<SubscriptionSection> {
    let mut fields = section.reader.map(&entry.node, &format!("subscriptions.{}", entry.key))?;
    let reader = &mut *section.reader;
    let help = "write protocol = \"email\" and an endpoint for it";
    let protocol = fields.required(reader, "protocol", help);
    let protocol: Option<Protocol> = protocol.and_then(|entry| reader.variant(&entry.node, "protocol"));
    let help = "write endpoint = \"ops@example.com\", or another endpoint for the protocol";
    let endpoint = fields.required(reader, "endpoint", help).and_then(|entry| match protocol {
        Some(protocol) => reader.checked(&entry.node, "endpoint", |text| protocol.check_endpoint(text)),
        None => reader.string(&entry.node, "endpoint"),
    });
    let filter = fields.get("filter_policy");
    let filter_policy = filter.and_then(|entry| read_filter(reader, &entry.node));
    let scope = fields.get("filter_policy_scope");
    let raw = fields.get("raw");
    let role = fields.get("role");
    let read = SubscriptionSection {
        protocol: protocol?,
        endpoint: endpoint?,
        filter_policy,
        filter_policy_scope: scope.and_then(|entry| reader.variant(&entry.node, "filter_policy_scope")),
        raw: raw.and_then(|entry| reader.boolean(&entry.node, "raw")),
        role: role.and_then(|entry| reader.checked(&entry.node, "role", check_role)),
    };
    check_subscription(reader, entry, &fields_named(&[("raw", raw), ("role", role)]), &read);
    fields.finish(reader);
    if let Some(filter) = filter {
        section.note(&["topics", topic, "subscriptions", &entry.key, "filter_policy"], &filter.node.span);
    }
    Some(read)
}

type Settings<'n> = BTreeMap<&'static str, &'n Entry>;

fn fields_named<'n>(fields: &[(&'static str, Option<&'n Entry>)]) -> Settings<'n> {
    fields.iter().filter_map(|(name, entry)| Some((*name, (*entry)?))).collect()
}

/// Checks the rules between the protocol and other settings.
fn check_subscription(reader: &mut Reader<'_>, entry: &Entry, fields: &Settings<'_>, read: &SubscriptionSection) {
    let protocol = read.protocol.as_str();
    if let (Some(true), Some(field)) = (read.raw, fields.get("raw"))
        && !read.protocol.takes_raw()
    {
        let message = format!("a subscription with the protocol \"{protocol}\" has no raw delivery");
        reader.fault(
            field.node.span.clone(),
            message,
            "not for this protocol",
            "only sqs, http, https and firehose have it",
        );
    }
    match (read.protocol == Protocol::Firehose, fields.get("role")) {
        (true, None) => {
            let message = format!("`subscriptions.{}` has no `role`", entry.key);
            let help = "add role = \"arn:aws:iam::ACCOUNT:role/NAME\": SNS delivers to Firehose with it";
            reader.fault(entry.key_span.clone(), message, "no role", help);
        }
        (false, Some(field)) => {
            let message = format!("a subscription with the protocol \"{protocol}\" has no role");
            reader.fault(field.node.span.clone(), message, "not for this protocol", "only firehose has one");
        }
        _ => {}
    }
}

fn read_filter(reader: &mut Reader<'_>, node: &Node) -> Option<FilterPolicy> {
    match &node.value {
        Written::String(file) => Some(FilterPolicy::File(file.clone())),
        Written::Map(_) => json(reader, node).map(FilterPolicy::Inline),
        _ => {
            reader.wrong_type(node, "filter_policy", "the path of a JSON file, or a table");
            None
        }
    }
}

/// Converts TOML to JSON.
fn json(reader: &mut Reader<'_>, node: &Node) -> Option<Value> {
    match &node.value {
        Written::Bool(flag) => Some(Value::Bool(*flag)),
        Written::Integer(number) => Some((*number).into()),
        Written::String(text) => Some(text.as_str().into()),
        Written::List(items) => items.iter().map(|item| json(reader, item)).collect(),
        Written::Map(entries) => {
            let member = |entry: &Entry| Some((entry.key.clone(), json(reader, &entry.node)?));
            entries.iter().map(member).collect::<Option<Map<String, Value>>>().map(Value::Object)
        }
        Written::Null | Written::Other(_) => {
            let message = format!("a filter policy in the manifest cannot have {}", node.value.kind());
            let help = "write the filter policy to a JSON file, and name its path";
            reader.fault(node.span.clone(), message, "only in a JSON file", help);
            None
        }
    }
}

/// Converts JSON to an inline TOML value.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => String::from("{}"),
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(key, value)| format!("{} = {}", bare(key), toml(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// Returns a section as TOML.
pub(super) fn write(key: &str, topic: &TopicSection) -> String {
    let header = format!("topics.{}", bare(key));
    let mut section = format!("[{header}]\n");
    line(&mut section, "name", topic.name.as_deref().map(quoted));
    line(&mut section, "fifo", topic.fifo.map(|flag| flag.to_string()));
    let deduplication = topic.content_based_deduplication.map(|flag| flag.to_string());
    line(&mut section, "content_based_deduplication", deduplication);
    line(&mut section, "display_name", topic.display_name.as_deref().map(quoted));
    let kms = topic.key.as_ref().map(|key| match key {
        KeySetting::Off => String::from("false"),
        KeySetting::Reference(to) => format!("{{ key = {} }}", quoted(&to.key)),
        KeySetting::Id(id) => quoted(id),
    });
    line(&mut section, "key", kms);
    line(&mut section, "policy", topic.policy.as_deref().map(quoted));
    line(&mut section, "delivery_policy", topic.delivery_policy.as_deref().map(quoted));
    line(&mut section, "tags", topic.tags.as_ref().map(tags));
    match &topic.subscriptions {
        Some(all) if all.is_empty() => line(&mut section, "subscriptions", Some(String::from("{}"))),
        all => {
            for (name, one) in all.iter().flatten() {
                section.push_str(&format!("\n[{header}.subscriptions.{}]\n", bare(name)));
                line(&mut section, "protocol", Some(quoted(one.protocol.as_str())));
                line(&mut section, "endpoint", Some(quoted(&one.endpoint)));
                let filter = one.filter_policy.as_ref().map(|filter| match filter {
                    FilterPolicy::File(file) => quoted(file),
                    FilterPolicy::Inline(value) => toml(value),
                });
                line(&mut section, "filter_policy", filter);
                let scope = one.filter_policy_scope.map(|scope| quoted(scope.as_str()));
                line(&mut section, "filter_policy_scope", scope);
                line(&mut section, "raw", one.raw.map(|flag| flag.to_string()));
                line(&mut section, "role", one.role.as_deref().map(quoted));
            }
        }
    }
    section
}

pub(super) fn references(section: &TopicSection) -> Vec<Reference> {
    match &section.key {
        Some(KeySetting::Reference(to)) => vec![Reference { setting: vec![String::from("key")], to: to.clone() }],
        Some(KeySetting::Off | KeySetting::Id(_)) | None => Vec::new(),
    }
}

/// Returns the AWS names of the resources that a section uses.
pub(super) fn uses(section: &TopicSection) -> Vec<Named> {
    match &section.key {
        Some(KeySetting::Id(name)) => {
            vec![Named { setting: vec![String::from("key")], kind: KindId::Key, name: name.clone() }]
        }
        Some(KeySetting::Off | KeySetting::Reference(_)) | None => Vec::new(),
    }
}

/// Returns the AWS name. The default is the section's key, with the suffix of a FIFO topic if it is one.
pub(super) fn name(key: &str, section: &TopicSection) -> String {
    let suffix = if section.fifo == Some(true) && !key.ends_with(FIFO) { FIFO } else { "" };
    section.name.clone().unwrap_or_else(|| format!("{key}{suffix}"))
}

/// Returns the desired state of a section.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &TopicSection) -> Desired<Topic> {
    let name = name(key, section);
    // AWS requires the suffix for a FIFO topic, and allows it for no other.
    let fifo = name.ends_with(FIFO);
    check_fifo(resolver, key, section);
    let kms = section.key.as_ref().and_then(|setting| match setting {
        KeySetting::Off => Some(TopicKey::Off),
        KeySetting::Id(id) => Some(TopicKey::Kms(id.clone())),
        // A missing key is already a fault.
        KeySetting::Reference(to) => resolver.names.get(to).cloned().map(TopicKey::Kms),
    });
    let policy = section.policy.as_ref().and_then(|file| {
        let read = resolver.files.read(file).and_then(|text| PolicyDocument::parse(&text));
        checked(resolver, &["topics", key, "policy"], Some(file), read)
    });
    let delivery_policy = section.delivery_policy.as_ref().and_then(|file| {
        let read = resolver.files.read(file).and_then(|text| parse_json(&text));
        let read = read.and_then(|policy| check_delivery_policy(&policy).map(|()| policy));
        checked(resolver, &["topics", key, "delivery_policy"], Some(file), read)
    });
    let managed = Topic {
        fifo: Some(fifo),
        content_based_deduplication: section.content_based_deduplication,
        display_name: section.display_name.clone(),
        key: kms,
        policy,
        delivery_policy,
        subscriptions: section.subscriptions.as_ref().map(|all| subscriptions(resolver, key, fifo.into(), all)),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
    };
    let initial =
        Topic { tags: Some(resolver.initial_tags(&["topics", key], section.tags.as_ref())), ..managed.clone() };
    Desired {
        address: Address::new(KindId::Topic, key),
        presence: Presence::Present,
        ownership: resolver.ownership.clone(),
        adopt: false,
        name,
        label: key.to_owned(),
        origin: None,
        depends_on: BTreeSet::new(),
        managed,
        initial,
    }
}

/// Returns a checked document of a file or of the manifest. A fault of a file names it.
fn checked<T>(
    resolver: &mut Resolver<'_>,
    place: &[&str],
    file: Option<&String>,
    read: Result<T, Invalid>,
) -> Option<T> {
    let fault = |mut invalid: Invalid| {
        if let Some(file) = file.filter(|file| !invalid.problem.contains(*file)) {
            invalid.problem = format!("{file}: {}", invalid.problem);
        }
        resolver.fault(place, invalid, if file.is_some() { "this file" } else { "this policy" });
    };
    read.map_err(fault).ok()
}

fn check_fifo(resolver: &mut Resolver<'_>, key: &str, section: &TopicSection) {
    let name = &name(key, section);
    let fifo = name.ends_with(FIFO);
    if section.fifo.is_some_and(|wanted| wanted != fifo) {
        let (problem, help) = match fifo {
            true => (format!("\"{name}\" is the name of a FIFO topic"), "remove fifo = false, or choose another name"),
            false => (format!("\"{name}\" is not the name of a FIFO topic"), "add .fifo to its end, as AWS requires"),
        };
        resolver.fault(&["topics", key, "name"], Invalid::new(problem, help), "name and fifo contradict each other");
    }
    if let Err(invalid) = check_name(name) {
        resolver.fault(&["topics", key], invalid, "not allowed here");
    }
    if section.content_based_deduplication.is_some() && !fifo {
        let problem = format!("`topics.{key}` has `content_based_deduplication` but is not a FIFO topic");
        let invalid = Invalid::new(problem, "add fifo = true, or remove it");
        resolver.fault(&["topics", key, "content_based_deduplication"], invalid, "only for a FIFO topic");
    }
}

fn subscriptions(
    resolver: &mut Resolver<'_>,
    key: &str,
    delivery: Delivery,
    sections: &IndexMap<String, SubscriptionSection>,
) -> BTreeMap<String, Subscription> {
    let mut all: BTreeMap<String, Subscription> = BTreeMap::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (name, section) in sections {
        let place = ["topics", key, "subscriptions", name];
        let filter_place = ["topics", key, "subscriptions", name, "filter_policy"];
        let scope = section.filter_policy_scope.unwrap_or_default();
        let filter_policy = section.filter_policy.as_ref().and_then(|filter| {
            let read = match filter {
                FilterPolicy::Inline(value) => Ok(value.clone()),
                FilterPolicy::File(file) => resolver.files.read(file).and_then(|text| parse_json(&text)),
            };
            let read = read.and_then(|policy| filter::check(&policy, scope).map(|()| policy));
            let file = match filter {
                FilterPolicy::File(file) => Some(file),
                FilterPolicy::Inline(_) => None,
            };
            checked(resolver, &filter_place, file, read)
        });
        if let Some(invalid) = misplaced(delivery, section) {
            resolver.fault(&place, invalid, "not for this topic");
        }
        let subscription = Subscription {
            protocol: section.protocol.as_str().to_owned(),
            endpoint: section.endpoint.clone(),
            filter_policy,
            filter_policy_scope: section.filter_policy_scope,
            raw: section.raw,
            role: section.role.clone(),
            arn: None,
        };
        let id = subscription.id();
        if let Some(other) = names.insert(id.clone(), name) {
            let problem = format!("the subscriptions `{name}` and `{other}` have the same protocol and endpoint");
            let invalid = Invalid::new(problem, "remove one: for SNS they are the same subscription");
            resolver.fault(&place, invalid, "duplicate subscription");
        }
        all.insert(id, subscription);
    }
    all
}

/// Returns the reason why a subscription is not allowed for its topic. Source: Amazon SNS Developer Guide, "Message delivery for FIFO
/// topics".
pub(super) fn misplaced(delivery: Delivery, section: &SubscriptionSection) -> Option<Invalid> {
    match (delivery, section.protocol) {
        (Delivery::Fifo, Protocol::Sqs) => None,
        (Delivery::Fifo, protocol) => {
            let problem = format!("a FIFO topic has no subscriptions with the protocol \"{}\"", protocol.as_str());
            Some(Invalid::new(problem, "a FIFO topic delivers to sqs queues"))
        }
        (Delivery::Standard, Protocol::Sqs) if section.endpoint.ends_with(FIFO) => {
            let problem = format!("the FIFO queue \"{}\" cannot subscribe to a standard topic", section.endpoint);
            Some(Invalid::new(problem, "subscribe a standard queue, or add fifo = true to the topic"))
        }
        (Delivery::Standard, _) => None,
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::kind::section::any::tags as tag_sets;

    fn endpoints() -> impl Strategy<Value = (Protocol, String, Option<bool>, Option<String>)> {
        let arn = |service: &'static str, head: &'static str| {
            "[a-z]{1,9}".prop_map(move |name| format!("arn:aws:{service}:us-east-1:123456789012:{head}{name}"))
        };
        let role = "[a-z]{1,9}".prop_map(|name| format!("arn:aws:iam::123456789012:role/{name}"));
        prop_oneof![
            "[a-z]{1,9}@[a-z]{1,9}\\.org".prop_map(|address| (Protocol::Email, address, None, None)),
            "[a-z]{1,9}@[a-z]{1,9}\\.org".prop_map(|address| (Protocol::EmailJson, address, Some(false), None)),
            ("http://[a-z./]{1,12}", of(any::<bool>())).prop_map(|(url, raw)| (Protocol::Http, url, raw, None)),
            ("https://[a-z./]{1,12}", of(any::<bool>())).prop_map(|(url, raw)| (Protocol::Https, url, raw, None)),
            (arn("sqs", ""), of(any::<bool>())).prop_map(|(arn, raw)| (Protocol::Sqs, arn, raw, None)),
            arn("lambda", "function:").prop_map(|arn| (Protocol::Lambda, arn, None, None)),
            "\\+[1-9][0-9]{5,12}".prop_map(|number| (Protocol::Sms, number, None, None)),
            (arn("firehose", "deliverystream/"), of(any::<bool>()), role).prop_map(|(arn, raw, role)| (
                Protocol::Firehose,
                arn,
                raw,
                Some(role)
            )),
            arn("sns", "endpoint/").prop_map(|arn| (Protocol::Application, arn, None, None)),
        ]
    }

    fn filters() -> impl Strategy<Value = FilterPolicy> {
        let value = prop_oneof![
            "\\PC{0,6}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            ("[a-z]{1,6}", "\\PC{0,6}").prop_map(|(key, text)| Value::Object(Map::from_iter([(key, text.into())]))),
        ];
        let values = vec(value, 1..3).prop_map(Value::Array);
        let policy = vec(("\\PC{1,6}", values), 0..4).prop_map(|members| Value::Object(members.into_iter().collect()));
        prop_oneof!["\\PC{1,12}".prop_map(FilterPolicy::File), policy.prop_map(FilterPolicy::Inline)]
    }

    fn all_subscriptions() -> impl Strategy<Value = IndexMap<String, SubscriptionSection>> {
        let scope = prop_oneof![Just(FilterScope::MessageAttributes), Just(FilterScope::MessageBody)];
        let one =
            (endpoints(), of(filters()), of(scope)).prop_map(|((protocol, endpoint, raw, role), filter, scope)| {
                SubscriptionSection { protocol, endpoint, filter_policy: filter, filter_policy_scope: scope, raw, role }
            });
        vec(("\\PC{1,12}", one), 0..3).prop_map(|list| list.into_iter().collect())
    }

    /// Generates sections.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, TopicSection>> {
        let key = prop_oneof![
            Just(KeySetting::Off),
            "[a-z/_-]{1,12}".prop_map(|name| KeySetting::Id(format!("alias/{name}"))),
            "[a-z0-9-]{1,12}".prop_map(|id| KeySetting::Id(format!("arn:aws:kms:us-east-1:123456789012:key/{id}"))),
        ];
        let settings = (of("[a-zA-Z0-9_-]{1,20}"), of(any::<bool>()), of(any::<bool>()), of("\\PC{0,20}"), of(key));
        let rest = (of("[^\\pC{}]{1,12}"), of("[^\\pC{}]{1,12}"), of(tag_sets()), of(all_subscriptions()));
        let topic = (settings, rest).prop_map(|(settings, rest)| {
            let (name, fifo, content_based_deduplication, display_name, key) = settings;
            let (policy, delivery_policy, tags, subscriptions) = rest;
            TopicSection {
                name,
                fifo,
                content_based_deduplication,
                display_name,
                key,
                policy,
                delivery_policy,
                tags,
                subscriptions,
            }
        });
        vec(("[a-zA-Z0-9_-]{1,12}", topic), 0..3).prop_map(|sections| sections.into_iter().collect())
    }
}
