//! Converts desired state back to the section that expresses it, so that a saved plan can desire no more than a manifest can.

use super::manifest::{FilterPolicy, KeySetting, SubscriptionSection, TopicSection};
use super::{Protocol, Subscription, Topic, TopicKey};
use crate::document::GivenFile;
use crate::kind::Desired;
use crate::kind::document::PolicyDocument;

const POLICY: &str = "policy.json";
const DELIVERY_POLICY: &str = "delivery-policy.json";

fn filter_file(index: usize) -> String {
    format!("filter-{index}.json")
}

/// Returns the section of a topic's managed settings. The names of its files and subscriptions are arbitrary.
pub(super) fn section(desired: &Desired<Topic>) -> TopicSection {
    let Topic { fifo, content_based_deduplication, display_name, key, policy, delivery_policy, subscriptions, tags } =
        &desired.managed;
    let subscription = |(index, one): (usize, &Subscription)| {
        let Subscription { protocol, endpoint, filter_policy, filter_policy_scope, raw, role, arn: _ } = one;
        let section = SubscriptionSection {
            protocol: Protocol::from_word(protocol)?,
            endpoint: endpoint.clone(),
            filter_policy: filter_policy.as_ref().map(|_| FilterPolicy::File(filter_file(index))),
            filter_policy_scope: *filter_policy_scope,
            raw: *raw,
            role: role.clone(),
        };
        Some((format!("s{index}"), section))
    };
    TopicSection {
        name: Some(desired.name.clone()),
        fifo: *fifo,
        content_based_deduplication: *content_based_deduplication,
        display_name: display_name.clone(),
        key: key.as_ref().map(|key| match key {
            TopicKey::Off => KeySetting::Off,
            TopicKey::Kms(id) => KeySetting::Id(id.clone()),
        }),
        policy: policy.as_ref().map(|_| POLICY.to_owned()),
        delivery_policy: delivery_policy.as_ref().map(|_| DELIVERY_POLICY.to_owned()),
        tags: tags.clone(),
        subscriptions: subscriptions.as_ref().map(|all| all.values().enumerate().filter_map(subscription).collect()),
    }
}

/// Returns the files of such a section.
pub(super) fn files(desired: &Desired<Topic>) -> Vec<GivenFile> {
    let Topic { policy, delivery_policy, subscriptions, .. } = &desired.managed;
    let file = |path: &str, text: String| GivenFile { path: path.to_owned(), text };
    let mut files = Vec::new();
    files.extend(policy.as_ref().map(|policy| file(POLICY, PolicyDocument::to_json(policy))));
    files.extend(delivery_policy.as_ref().map(|policy| file(DELIVERY_POLICY, policy.to_string())));
    let filters = subscriptions.iter().flat_map(|all| all.values().enumerate());
    files.extend(
        filters.filter_map(|(index, one)| Some(file(&filter_file(index), one.filter_policy.as_ref()?.to_string()))),
    );
    files
}
