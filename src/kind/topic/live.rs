//! Converts a live topic to the section that describes it.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::manifest::{FilterPolicy, KeySetting, SubscriptionSection, TopicSection, misplaced, name};
use super::rules::{Delivery, FIFO, check_delivery_policy, check_display_name, check_key, check_role};
use super::{FilterScope, Protocol, Subscription, Topic, TopicKey, display, filter};
use crate::kind::document::{PolicyDocument, pretty};
use crate::kind::import::{self, Found, Importer};
use crate::kind::permission::Location;
use crate::resource::Invalid;
use crate::resource::secret::without_userinfo;

/// The maximum size in bytes of a filter policy in the manifest. A larger one is written to a file.
const INLINE_LIMIT: usize = 120;

/// Returns the section key of a live topic: its name without the suffix of a FIFO topic.
pub(super) fn key(found: &Found<Topic>) -> String {
    found.name.strip_suffix(FIFO).unwrap_or(&found.name).to_owned()
}

/// Returns the section that describes a live topic, with its documents in files. Settings at SNS's default (no display name, no encryption,
/// the default policy, no subscription) and missing tags are not managed.
pub(super) fn section(importer: &mut Importer<'_>, key: &str, found: Found<Topic>) -> TopicSection {
    let arn = found.live.facts.arn.unwrap_or_default();
    let topic = found.live.state;
    let fifo = found.name.ends_with(FIFO);
    let mut section = TopicSection {
        fifo: fifo.then_some(true),
        content_based_deduplication: topic.content_based_deduplication.filter(|on| fifo && *on),
        display_name: topic.display_name.filter(|name| !name.is_empty()),
        key: topic.key.and_then(|key| key_setting(importer, &arn, &key)),
        tags: import::tags(topic.tags.as_ref()),
        ..TopicSection::default()
    };
    section.name = Some(found.name).filter(|own| *own != name(key, &section));
    if let Some(Err(invalid)) = section.display_name.as_deref().map(check_display_name) {
        unmanaged(importer, "display_name", &invalid);
        section.display_name = None;
    }
    let policy = topic.policy.filter(|policy| Some(policy) != default_policy(&arn).as_ref());
    section.policy = policy.and_then(|policy| {
        let text = policy.pretty();
        let checked = PolicyDocument::parse(&text).map_err(|invalid| unmanaged(importer, "policy", &invalid));
        checked.ok().map(|_| importer.file(key, "json", text))
    });
    let delivery_policy = topic.delivery_policy.filter(|policy| *policy != json!({}));
    section.delivery_policy = delivery_policy.and_then(|policy| {
        let checked =
            check_delivery_policy(&policy).map_err(|invalid| unmanaged(importer, "delivery_policy", &invalid));
        checked.ok().map(|()| importer.file(&format!("{key}-delivery"), "json", pretty(&policy)))
    });
    section.subscriptions = topic.subscriptions.and_then(|all| subscriptions(importer, key, fifo.into(), &all));
    section
}

fn unmanaged(importer: &mut Importer<'_>, setting: &str, invalid: &Invalid) {
    importer.warn(format!("{setting} is not managed: {}", invalid.problem));
}

/// Returns the key setting of a topic. A key that is imported too becomes a reference.
fn key_setting(importer: &mut Importer<'_>, arn: &str, key: &TopicKey) -> Option<KeySetting> {
    let TopicKey::Kms(id) = key else { return None };
    if let Some(address) = importer.address("keys", id) {
        return Some(KeySetting::Reference(address.clone()));
    }
    // A key ID without an ARN belongs to the topic's account and region.
    let whole = match id.starts_with("arn:") || id.starts_with("alias/") {
        true => Some(id.clone()),
        false => home_of_keys(arn).map(|home| format!("{home}key/{id}")),
    };
    let whole = whole.filter(|whole| check_key(whole).is_ok());
    if whole.is_none() {
        importer.warn(format!("key is not managed: a manifest cannot name {id}"));
    }
    whole.map(KeySetting::Id)
}

/// Returns the ARN pattern of all keys in the account and region of a topic's key: those of the topic, unless the manifest names a key
/// elsewhere.
pub(super) fn key_pattern(key: Option<&TopicKey>, location: &Location) -> String {
    let head = match key {
        Some(TopicKey::Kms(name)) if name.starts_with("arn:") => name.rsplit_once(':').map(|(head, _)| head),
        _ => None,
    };
    head.map_or_else(|| location.arn("kms", "key/*"), |head| format!("{head}:key/*"))
}

/// Returns the prefix of key ARNs in the account and region of a topic.
fn home_of_keys(arn: &str) -> Option<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "sns", region, account, _] = parts[..] else { return None };
    Some(format!("arn:{partition}:kms:{region}:{account}:"))
}

/// Returns the default policy of SNS, which allows the topic's account everything. Source: Amazon SNS Developer Guide, "Example cases for
/// Amazon SNS access control", and responses that users have published.
fn default_policy(arn: &str) -> Option<PolicyDocument> {
    let account = arn.split(':').nth(4)?;
    let actions = [
        "SNS:GetTopicAttributes",
        "SNS:SetTopicAttributes",
        "SNS:AddPermission",
        "SNS:RemovePermission",
        "SNS:DeleteTopic",
        "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic",
        "SNS:Publish",
    ];
    let statement = json!({
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": { "AWS": "*" },
        "Action": actions,
        "Resource": arn,
        "Condition": { "StringEquals": { "AWS:SourceOwner": account } },
    });
    Some(json!({ "Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement] }).into())
}

/// Returns the subscriptions of a topic. A section lists all of them or none, so a subscription that cannot be expressed leaves all of them
/// unmanaged. A pending subscription counts as one, because a plan would wait for it.
fn subscriptions(
    importer: &mut Importer<'_>,
    topic: &str,
    delivery: Delivery,
    all: &BTreeMap<String, Subscription>,
) -> Option<IndexMap<String, SubscriptionSection>> {
    for id in all.iter().filter(|(_, one)| one.arn.is_none()).map(|(id, _)| id) {
        let id = without_userinfo(id);
        importer.warn(format!("the subscription {id} is omitted: it {}; add it once it is confirmed", display::WAITS));
    }
    let confirmed = all.iter().filter(|(_, one)| one.arn.is_some());
    let read: Result<Vec<_>, String> = confirmed
        .map(|(id, one)| match subscription(delivery, one) {
            Ok(section) => Ok((id, one, section)),
            Err(problem) => {
                Err(format!("subscriptions are not managed: {} cannot be in a manifest: {problem}", one.shown()))
            }
        })
        .collect();
    let read = read.map_err(|why| importer.warn(why)).ok()?;
    let mut sections = IndexMap::new();
    for (id, one, mut section) in read {
        let label = unique(label(section.protocol, &one.endpoint), &sections);
        section.filter_policy = filter_policy(importer, &format!("{topic}-{label}"), id, one);
        sections.insert(label, section);
    }
    Some(sections).filter(|sections| !sections.is_empty())
}

/// Returns the section of a subscription, without its filter policy.
fn subscription(delivery: Delivery, one: &Subscription) -> Result<SubscriptionSection, String> {
    let protocol = Protocol::from_word(&one.protocol).ok_or_else(|| format!("its protocol is \"{}\"", one.protocol))?;
    protocol.check_endpoint(&one.endpoint).map_err(|invalid| invalid.problem)?;
    if one.endpoint.contains(":****@") {
        return Err(String::from("SNS does not return its password"));
    }
    let role = match (protocol, one.role.as_deref().filter(|role| !role.is_empty())) {
        (Protocol::Firehose, Some(role)) => {
            check_role(role).map_err(|invalid| invalid.problem)?;
            Some(role.to_owned())
        }
        (Protocol::Firehose, None) => return Err(String::from("its role is unknown")),
        _ => None,
    };
    let section = SubscriptionSection {
        protocol,
        endpoint: one.endpoint.clone(),
        filter_policy: None,
        filter_policy_scope: one.filter_policy_scope.filter(|scope| *scope != FilterScope::default()),
        raw: one.raw.filter(|on| *on && protocol.takes_raw()),
        role,
    };
    match misplaced(delivery, &section) {
        Some(invalid) => Err(invalid.problem),
        None => Ok(section),
    }
}

/// Returns the filter policy of a subscription: as a table if it is short and TOML can express it, otherwise in a file.
fn filter_policy(importer: &mut Importer<'_>, stem: &str, id: &str, one: &Subscription) -> Option<FilterPolicy> {
    let policy = one.filter_policy.as_ref().filter(|policy| **policy != json!({}))?;
    if let Err(invalid) = filter::check(policy, one.filter_policy_scope.unwrap_or_default()) {
        unmanaged(importer, &format!("filter_policy of the subscription {}", without_userinfo(id)), &invalid);
        return None;
    }
    if is_toml(policy) && policy.to_string().len() <= INLINE_LIMIT {
        return Some(FilterPolicy::Inline(policy.clone()));
    }
    Some(FilterPolicy::File(importer.file(&format!("{stem}-filter"), "json", pretty(policy))))
}

/// Returns whether TOML can express a value of a filter policy: it has no `null`, and the manifest accepts no fractions.
fn is_toml(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Number(number) => number.is_i64(),
        Value::Array(items) => items.iter().all(is_toml),
        Value::Object(map) => map.values().all(is_toml),
        Value::Bool(_) | Value::String(_) => true,
    }
}

/// Returns the key of a subscription in the manifest: `sqs-jobs`. For a URL it contains only the host, because the path may be secret.
fn label(protocol: Protocol, endpoint: &str) -> String {
    let part = match protocol {
        Protocol::Email | Protocol::EmailJson => endpoint.split('@').next(),
        Protocol::Http | Protocol::Https => {
            let authority = endpoint.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
            authority.and_then(|authority| authority.rsplit('@').next())
        }
        _ => endpoint.rsplit([':', '/']).next(),
    };
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    let part: String = part.unwrap_or_default().chars().map(plain).collect();
    format!("{}-{}", protocol.as_str(), part.trim_matches('-'))
}

fn unique(label: String, taken: &IndexMap<String, SubscriptionSection>) -> String {
    let numbered = (2..).map(|number| format!("{label}-{number}"));
    let mut labels = std::iter::once(label.clone()).chain(numbered);
    labels.find(|label| !taken.contains_key(label)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::FoundResources;
    use crate::kind::import::Imported;
    use crate::kind::key::Key;
    use crate::resource::names::PolicyRoot;
    use crate::resource::{Facts, Live, Tags};

    const HEAD: &str = "arn:aws:sns:us-east-1:123456789012";

    fn found(name: &str, state: Topic) -> Found<Topic> {
        let facts = Facts { arn: Some(format!("{HEAD}:{name}")), ..Facts::default() };
        Found { name: name.to_owned(), live: Live { state, facts, gaps: Vec::new() } }
    }

    fn import(topics: Vec<Found<Topic>>) -> Imported {
        let arn = Some(String::from("arn:aws:kms:us-east-1:123456789012:key/1234"));
        let live = Live { state: Key::default(), facts: Facts { arn, ..Facts::default() }, gaps: Vec::new() };
        let keys = vec![Found { name: String::from("alias/records"), live }];
        FoundResources { keys, topics, ..FoundResources::default() }.import(&PolicyRoot::new("/s"))
    }

    fn one(state: Topic) -> Imported {
        import(vec![found("alerts", state)])
    }

    fn reasons(imported: &Imported) -> Vec<&str> {
        imported.warnings.iter().map(|warning| warning.why.as_str()).collect()
    }

    fn subscription(protocol: &str, endpoint: &str) -> Subscription {
        Subscription {
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            filter_policy: Some(json!({})),
            filter_policy_scope: Some(FilterScope::MessageAttributes),
            raw: Some(false),
            role: Some(String::new()),
            arn: Some(String::from("arn:s")),
        }
    }

    fn subscribed(all: Vec<Subscription>) -> Imported {
        let all = all.into_iter().map(|one| (one.id(), one)).collect();
        one(Topic { subscriptions: Some(all), ..Topic::default() })
    }

    #[test]
    fn sns_defaults_are_not_imported() {
        let imported = one(Topic {
            fifo: Some(false),
            content_based_deduplication: Some(false),
            display_name: Some(String::new()),
            key: Some(TopicKey::Off),
            policy: default_policy(&format!("{HEAD}:alerts")),
            delivery_policy: Some(json!({})),
            subscriptions: Some(BTreeMap::new()),
            tags: Some(Tags::new()),
        });
        assert_eq!(imported.sections.topics["alerts"], TopicSection::default());
        assert!(imported.files.is_empty() && imported.warnings.is_empty(), "{imported:?}");
    }

    #[test]
    fn each_document_is_written_to_its_own_file() {
        let mut policy = default_policy(&format!("{HEAD}:alerts")).unwrap().value().clone();
        policy["Statement"][0]["Condition"] = json!({});
        let delivery = json!({ "http": { "disableSubscriptionOverrides": true } });
        let imported =
            one(Topic { policy: Some(policy.clone().into()), delivery_policy: Some(delivery), ..Topic::default() });
        let section = &imported.sections.topics["alerts"];
        assert_eq!(section.policy.as_deref(), Some("policies/alerts.json"));
        assert_eq!(section.delivery_policy.as_deref(), Some("policies/alerts-delivery.json"));
        assert_eq!(PolicyDocument::parse(&imported.files[0].text), Ok(policy.into()));
    }

    #[test]
    fn documents_that_a_manifest_cannot_express_are_omitted_with_a_warning() {
        let imported = one(Topic {
            policy: Some(PolicyDocument::from_aws("no JSON")),
            delivery_policy: Some(json!("no JSON")),
            ..Topic::default()
        });
        assert_eq!(imported.sections.topics["alerts"], TopicSection::default());
        assert!(reasons(&imported)[0].starts_with("policy is not managed: invalid JSON"), "{imported:?}");
        assert_eq!(reasons(&imported)[1], "delivery_policy is not managed: the delivery policy is not a JSON object");
    }

    #[test]
    fn a_topic_refers_to_its_imported_key_by_any_of_its_names() {
        let key = |name: &str| {
            let imported = one(Topic { key: Some(TopicKey::Kms(name.to_owned())), ..Topic::default() });
            (imported.sections.topics["alerts"].key.clone(), imported.warnings.len())
        };
        let arn = "arn:aws:kms:us-east-1:123456789012";
        let (by_alias, by_id) = (format!("{arn}:alias/records"), format!("{arn}:key/1234"));
        for name in ["alias/records", &by_alias, "1234", &by_id] {
            let (Some(KeySetting::Reference(to)), 0) = key(name) else { panic!("{name}") };
            assert_eq!(to.to_string(), "keys.records");
        }
        let foreign = "arn:aws:kms:us-east-1:999999999999:alias/records";
        assert_eq!(key(foreign), (Some(KeySetting::Id(foreign.to_owned())), 0));
        assert_eq!(key("alias/aws/sns"), (Some(KeySetting::Id(String::from("alias/aws/sns"))), 0));
        assert_eq!(key("a b"), (None, 1));
    }

    #[test]
    fn the_name_of_a_fifo_topic_is_kept() {
        let imported = import(vec![found("orders", Topic::default()), found("orders.fifo", Topic::default())]);
        let names: Vec<String> = imported.sections.topics.iter().map(|(key, section)| name(key, section)).collect();
        assert_eq!(names, ["orders", "orders.fifo"]);
        let alone = import(vec![found("orders.fifo", Topic::default())]);
        assert_eq!(alone.sections.topics["orders"], TopicSection { fifo: Some(true), ..TopicSection::default() });
    }

    #[test]
    fn each_subscription_has_a_name_and_only_its_set_attributes() {
        let queue = "arn:aws:sqs:us-east-1:123456789012:jobs";
        let raw = Subscription { raw: Some(true), ..subscription("sqs", queue) };
        let url = subscription("https", "https://example.com/hook/SECRET");
        let second = subscription("https", "https://example.com/other");
        let imported = subscribed(vec![raw, url, second]);
        let all = imported.sections.topics["alerts"].subscriptions.as_ref().unwrap();
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["https-example-com", "https-example-com-2", "sqs-jobs"]);
        assert_eq!((all["sqs-jobs"].raw, all["sqs-jobs"].filter_policy.clone()), (Some(true), None));
        assert_eq!(reasons(&imported), [""; 0]);
    }

    #[test]
    fn a_masked_password_leaves_the_subscriptions_unmanaged() {
        let queue = subscription("sqs", "arn:aws:sqs:us-east-1:123456789012:jobs");
        let imported = subscribed(vec![queue, subscription("https", "https://user:****@example.com/hook")]);
        assert_eq!(imported.sections.topics["alerts"].subscriptions, None);
        assert_eq!(
            reasons(&imported),
            ["subscriptions are not managed: https https://****@example.com/hook cannot be in a manifest: SNS does \
                 not return its password"]
        );
    }

    #[test]
    fn a_filter_policy_is_a_table_if_toml_can_express_it_and_otherwise_a_file() {
        let filter = |policy: Value| {
            let queue = subscription("sqs", "arn:aws:sqs:us-east-1:123456789012:jobs");
            let imported = subscribed(vec![Subscription { filter_policy: Some(policy), ..queue }]);
            let all = imported.sections.topics["alerts"].subscriptions.clone().unwrap();
            (all["sqs-jobs"].filter_policy.clone(), imported.warnings.len())
        };
        let short = json!({ "event": ["denied", 1] });
        assert_eq!(filter(short.clone()), (Some(FilterPolicy::Inline(short)), 0));
        let file = || Some(FilterPolicy::File(String::from("policies/alerts-sqs-jobs-filter.json")));
        assert_eq!(filter(json!({ "event": [null] })), (file(), 0));
        assert_eq!(filter(json!({ "event": ["x".repeat(INLINE_LIMIT)] })), (file(), 0));
        assert_eq!(filter(json!("no JSON")), (None, 1));
    }

    #[test]
    fn a_pending_subscription_is_omitted_with_a_warning() {
        let pending = Subscription { arn: None, ..subscription("email", "ops@example.com") };
        let imported = subscribed(vec![pending]);
        assert_eq!(imported.sections.topics["alerts"].subscriptions, None);
        assert_eq!(
            reasons(&imported),
            ["the subscription email ops@example.com is omitted: it waits for confirmation by its endpoint; add \
              it once it is confirmed"]
        );
    }

    /// Otherwise a plan would unsubscribe the one that cannot be expressed.
    #[test]
    fn one_inexpressible_subscription_leaves_all_unmanaged() {
        let stream = "arn:aws:firehose:us-east-1:123456789012:deliverystream/all";
        for strange in [subscription("carrier-pigeon", "home"), subscription("firehose", stream)] {
            let imported = subscribed(vec![strange.clone(), subscription("email", "ops@example.com")]);
            assert_eq!(imported.sections.topics["alerts"].subscriptions, None);
            assert!(reasons(&imported)[0].starts_with("subscriptions are not managed: "), "{imported:?}");
            let named = Subscription { role: Some(String::from("arn:aws:iam::123456789012:role/r")), ..strange };
            let managed = subscribed(vec![named.clone()]).sections.topics["alerts"].subscriptions.is_some();
            assert_eq!(managed, named.protocol == "firehose");
        }
    }
}
