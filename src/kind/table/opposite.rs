//! A table that differs from a desired one in all managed settings.

use std::collections::BTreeMap;

use super::setting::Setting;
use super::{
    Attribute, AttributeType, Autoscaling, Billing, Capacity, Encryption, Index, IndexKey, IndexStatus, Projection,
    Table, Ttl,
};
use crate::kind::Desired;
use crate::resource::{Facts, Live, Tags};

/// Returns a live table with a repairable difference in every managed setting, which shows the operations of any repair without a call to
/// AWS.
pub(super) fn opposite(desired: &Desired<Table>) -> Live<Table> {
    let managed = &desired.managed;
    let stray = || Attribute { name: String::from("stray"), kind: AttributeType::S };
    let extra = Index {
        key: IndexKey::new(stray(), None),
        projection: Projection::All,
        capacity: None,
        status: IndexStatus::Active,
        limits: None,
        warm: None,
    };
    let other_billing = |billing: &Billing| match billing {
        Billing::PayPerRequest => Billing::Provisioned(Capacity { read: 1, write: 1 }),
        Billing::Provisioned(_) | Billing::External => Billing::PayPerRequest,
    };
    let other_encryption = |encryption: &Encryption| match encryption {
        Encryption::AwsOwned => Encryption::Kms(String::from("another")),
        Encryption::AwsManaged | Encryption::Kms(_) | Encryption::Alias(_) => Encryption::AwsOwned,
    };
    let mut state = Table {
        key: managed.key.clone(),
        indexes: managed.indexes.as_ref().map(|_| BTreeMap::from([(String::from("stray"), extra)])),
        local_indexes: managed.local_indexes.clone(),
        ttl: managed.ttl.as_ref().map(|_| Ttl::Enabled(String::from("stray"))),
        billing: managed.billing.as_ref().map(other_billing),
        encryption: managed.encryption.as_ref().map(other_encryption),
        tags: managed.tags.as_ref().map(|_| Tags::from([(String::from("stray"), String::new())])),
        replicas: managed.replicas.as_ref().map(|replicas| {
            let of_replica = |table: &Table| {
                let desired = Desired::new(desired.address.clone(), &desired.name, table.clone());
                opposite(&desired).state
            };
            replicas.opposite(of_replica)
        }),
        settings: managed.settings.opposite(),
    };
    if !desired.presence.is_present() {
        state.settings.autoscaling = Some(Autoscaling::when_new().opposite());
    }
    Live { state, facts: Facts { owned: Some(false), ..Facts::default() }, gaps: Vec::new() }
}
