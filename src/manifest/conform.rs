//! Converts desired state back to a manifest, so that desired state from a saved plan can do no more than a manifest.

use super::resolve::resolve_given;
use super::{AwsSection, Manifest, OwnershipTag, parse};
use crate::diagnostic::{Faults, Source};
use crate::document::Folder;
use crate::kind::{AsManifest, DesiredResource, Presence};
use crate::resource::names::PolicyRoot;

/// Checks that a manifest with this policy root could express the desired state, or that pruning below the root would delete the resource.
///
/// The manifest is written as text, then read and resolved with all the usual checks: names, sizes, tags, layouts, and valid policies. The
/// result must equal the desired state.
///
/// # Errors
///
/// Names the part that no manifest could express.
pub fn conform(desired: &DesiredResource, root: &PolicyRoot) -> Result<(), String> {
    let address = desired.address();
    if desired.presence() == Presence::Absent {
        return desired.check_removal(root);
    }
    let AsManifest { sections, files, tags, ownership, adopt } = desired.as_manifest();
    let ownership_tag = Some(ownership.map_or(OwnershipTag::Off, OwnershipTag::Key));
    let aws = AwsSection { tags, ownership_tag, ..AwsSection::default() };
    let manifest = Manifest { aws, policy_root: Some(root.clone()), sections, ..Manifest::default() };
    let source = Source::new("the plan", manifest.to_toml());
    let mut faults = Faults::default();
    let parsed = parse(&source, &mut faults);
    let loaded = resolve_given(parsed, Folder::given(files), &mut faults);
    if let Some(fault) = faults.into_sorted().first() {
        return Err(format!("{address}: {}", fault.message));
    }
    let expressed =
        loaded.desired.into_iter().next().map(|expressed| if adopt { expressed.adopted() } else { expressed });
    // The resources that it refers to have their own sections, which this manifest lacks.
    if expressed.map(DesiredResource::independent).is_some_and(|expressed| expressed == desired.clone().independent()) {
        return Ok(());
    }
    Err(format!("{address}: no manifest can describe its desired state"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kind::policy_parameter::{ParameterType, PolicyParameter, Tier};
    use crate::kind::table::{Billing, Capacity, DeletionProtection, Encryption, Table, Ttl};
    use crate::kind::{Address, Desired, KindId};
    use crate::manifest::{Overrides, resolve};
    use crate::resource::Tags;
    use crate::resource::names::OwnerKey;

    const POLICY: &str = "version: \"1\"\nrules:\n  - { name: r, effect: deny }\n";

    /// Every kind of section, with and without its optional settings.
    const MANIFEST: &str = r#"
[aws]
tags = { team = "platform" }
ownership_tag = "created-by"
[profiles.dev]
policy = "policies/dev.yaml"
[profiles.prod]
policy = "policies/dev.yaml"
tier = "advanced"
tags = { env = "prod" }
[profiles.bare]
[profiles.untagged]
tags = {}
[tables.approvals]
[tables.sessions]
name = "acme-sessions"
ttl_attribute = false
billing_mode = "PROVISIONED"
read_capacity = 5
write_capacity = 6
tags = { env = "prod" }
[tables.sessions.indexes.extra-index]
partition_key = { name = "region", type = "S" }
[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
encryption = "arn:aws:kms:eu-west-1:111111111111:key/1"
point_in_time_recovery = true
deletion_protection = true
table_class = "STANDARD_INFREQUENT_ACCESS"
[tables.audit.indexes.actor-index]
partition_key = { name = "actor", type = "S" }
projection = { include = ["what"] }
"#;

    fn desired(text: &str) -> Vec<DesiredResource> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/dev.yaml"), POLICY).unwrap();
        let mut faults = Faults::default();
        let parsed = parse(&Source::new("sentinel.toml", text), &mut faults);
        let loaded = resolve(parsed, folder.path(), &Overrides::default(), &mut faults);
        assert!(faults.is_empty(), "{:?}", faults.into_sorted());
        loaded.desired
    }

    #[test]
    fn desired_state_of_a_manifest_conforms() {
        for text in [MANIFEST, &MANIFEST.replace("ownership_tag = \"created-by\"", "ownership_tag = false")] {
            for one in desired(text) {
                assert_eq!(conform(&one, &PolicyRoot::default()), Ok(()), "{one:?}");
            }
        }
        for one in desired(MANIFEST) {
            assert_eq!(conform(&one.adopted(), &PolicyRoot::default()), Ok(()));
        }
    }

    #[test]
    fn a_policy_that_no_manifest_can_express_is_refused() {
        let all = desired(MANIFEST);
        let refused = |place: usize, root: &PolicyRoot, forge: &dyn Fn(&mut Desired<PolicyParameter>)| {
            let DesiredResource::Policy(policy) = &all[place] else { unreachable!("a profile") };
            let mut policy = Desired::clone(policy);
            forge(&mut policy);
            conform(&DesiredResource::Policy(Arc::new(policy)), root).unwrap_err()
        };
        for root in ["", "/", "/a/b/../../c", "relative", "/other", "/aws/x", "/sentinel/policies/"] {
            let why = refused(0, &PolicyRoot::new(root), &|_| ());
            assert!(why.starts_with("profiles.dev: "), "{why}");
        }
        type Forge = Box<dyn Fn(&mut Desired<PolicyParameter>)>;
        let content = |text: &'static str| -> Forge {
            Box::new(move |one| {
                one.managed.content = Some(text.into());
                one.initial.content = Some(text.into());
            })
        };
        let long: &'static str = Box::leak(format!("{POLICY}# {}\n", "x".repeat(5000)).into_boxed_str());
        let forges: Vec<Forge> = vec![
            content("s3cret"),
            content(""),
            content(long),
            content("version: \"1\"\nrules: {}\n"),
            Box::new(|one| one.initial.content = Some("version: \"1\"\nrules: []\n".into())),
            Box::new(|one| one.managed.parameter_type = Some(ParameterType::SecureString)),
            Box::new(|one| one.managed.parameter_type = None),
            Box::new(|one| one.name = String::from("/prod/password")),
            Box::new(|one| one.label = String::from("other")),
            Box::new(|one| one.origin = Some(String::from("../../etc/passwd"))),
            Box::new(|one| one.origin = Some(String::from("/etc/passwd"))),
            Box::new(|one| one.origin = None),
            Box::new(|one| one.initial.tier = Some(Tier::Advanced)),
            Box::new(|one| one.initial.tags = Some(Tags::from([(String::from("aws:x"), String::new())]))),
            Box::new(|one| one.initial.tags = Some(Tags::from([(String::from("a"), String::from("\u{1b}"))]))),
            Box::new(|one| one.initial.tags = Some(Tags::new())),
            Box::new(|one| one.managed.tags = Some(Tags::from([(String::from("created-by"), String::from("me"))]))),
            Box::new(|one| one.ownership = Some(OwnerKey::new("aws:mine"))),
            Box::new(|one| one.address = Address::new(KindId::Policy, "..")),
            Box::new(|one| {
                one.address = Address::new(KindId::Policy, "a/b");
                one.name = String::from("/sentinel/policies/a/b");
            }),
        ];
        for (place, forge) in forges.iter().enumerate() {
            refused(0, &PolicyRoot::default(), forge);
            assert!(place < 30);
        }
        // A profile without a policy is created as default-deny.
        refused(2, &PolicyRoot::default(), &|one| one.initial.content = Some(POLICY.into()));
    }

    #[test]
    fn a_table_that_no_manifest_can_express_is_refused() {
        let all = desired(MANIFEST);
        let refused = |place: usize, forge: &dyn Fn(&mut Desired<Table>)| {
            let DesiredResource::Table(table) = &all[place] else { unreachable!("a table") };
            let mut table = Desired::clone(table);
            forge(&mut table);
            assert!(
                conform(&DesiredResource::Table(Arc::new(table.clone())), &PolicyRoot::default()).is_err(),
                "{table:?}"
            );
        };
        refused(4, &|one| one.name = String::from("no"));
        refused(4, &|one| one.label = String::from("other"));
        refused(4, &|one| drop(one.managed.indexes.take()));
        refused(4, &|one| drop(one.initial.indexes.take()));
        refused(4, &|one| one.managed.ttl = None);
        refused(4, &|one| one.presence = Presence::Absent);
        refused(6, &|one| one.managed.key = None);
        refused(6, &|one| one.managed.ttl = Some(Ttl::Disabling));
        refused(6, &|one| {
            one.managed.encryption = Some(Encryption::Kms(String::from("alias/mine")));
            one.initial.encryption.clone_from(&one.managed.encryption);
        });
        refused(6, &|one| one.initial.settings.deletion_protection = Some(DeletionProtection(false)));
        refused(6, &|one| one.origin = Some(String::from("x")));
        refused(5, &|one| {
            let nothing = Some(Billing::Provisioned(Capacity { read: -1, write: 1 }));
            (one.managed.billing, one.initial.billing) = (nothing, nothing);
        });
    }

    #[test]
    fn only_owned_parameters_below_the_root_are_deleted() {
        let gone = |key: &str, name: &str, ownership: Option<&str>| {
            let bare = Desired::new(Address::new(KindId::Policy, key), name, PolicyParameter::default());
            let ownership = ownership.map(OwnerKey::new);
            let desired = Desired { presence: Presence::Absent, ownership, ..bare };
            conform(&DesiredResource::Policy(Arc::new(desired)), &PolicyRoot::default())
        };
        assert_eq!(gone("old", "/sentinel/policies/old", Some("created-by")), Ok(()));
        assert_eq!(gone("team/old", "/sentinel/policies/team/old", Some("created-by")), Ok(()));
        assert!(gone("old", "/sentinel/policies/old", None).is_err());
        assert!(gone("old", "/sentinel/policies/other", Some("created-by")).is_err());
        assert!(gone("/prod/password", "/prod/password", Some("created-by")).is_err());
        assert!(gone("../../x", "/sentinel/policies/../../x", Some("created-by")).is_err());
        assert!(gone("a//b", "/sentinel/policies/a//b", Some("created-by")).is_err());
        assert!(gone("old", "/sentinel/policies/old", Some("aws:x")).is_err());
    }
}
