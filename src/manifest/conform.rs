//! From desired state back to the manifest that says it, so that desired state from elsewhere can do no more than a manifest.

use indexmap::IndexMap;

use super::resolve::resolve_given;
use super::{AwsSection, BillingMode, IndexSection, Manifest, OwnershipTag, ProfileSection, TableSection, parse};
use crate::diagnostic::{Faults, Source};
use crate::resource::policy_parameter::{PolicyParameter, check_below};
use crate::resource::table::{Billing, Table};
use crate::resource::{Address, Desired, DesiredResource, Presence, Tags, check_tag_key};

/// Checks that desired state is what some manifest with this policy root says, or what pruning below the root would delete.
///
/// The manifest is written as text, and read and resolved as any other, which checks all that is checked of one: names, sizes, tags,
/// layouts, and that a policy is a valid document. The result has to be the same desired state.
///
/// # Errors
///
/// Says what no manifest could say.
pub fn conform(desired: &DesiredResource, root: &str) -> Result<(), String> {
    let address = desired.address();
    if let Some(policy) = desired.as_policy().filter(|policy| policy.presence == Presence::Absent) {
        return absent(policy, root);
    }
    let (manifest, content) = match desired {
        DesiredResource::Policy(policy) => (of_policy(policy, root), policy.managed.content.as_deref()),
        DesiredResource::Table(table) => (of_table(table, root), None),
    };
    let source = Source::new("the plan", manifest.to_toml());
    let mut faults = Faults::default();
    let parsed = parse(&source, &mut faults);
    let loaded = resolve_given(parsed, content.unwrap_or_default(), &mut faults);
    if let Some(fault) = faults.into_sorted().first() {
        return Err(format!("{address}: {}", fault.message));
    }
    let said = loaded.desired.into_iter().next().map(|said| if adopts(desired) { said.adopted() } else { said });
    if said.as_ref() == Some(desired) {
        return Ok(());
    }
    Err(format!("{address}: no manifest says what is desired of it"))
}

/// Returns whether a resource is to be given the ownership tag.
fn adopts(desired: &DesiredResource) -> bool {
    match desired {
        DesiredResource::Policy(policy) => policy.adopt,
        DesiredResource::Table(table) => table.adopt,
    }
}

/// Checks a parameter that should be gone: one below the root, which carries the ownership tag.
fn absent(policy: &Desired<PolicyParameter>, root: &str) -> Result<(), String> {
    let Desired { address, name, ownership, .. } = policy;
    let refused = |why: String| Err(format!("{address}: {why}"));
    let Some(key) = ownership else { return refused(String::from("nothing says that sentinel created it")) };
    if let Err(invalid) = check_tag_key(key).and_then(|()| check_below(name, root)) {
        return refused(invalid.problem);
    }
    let bare = Desired::new(Address::profile(address.key.clone()), name.clone(), PolicyParameter::default());
    let expected = Desired { presence: Presence::Absent, ownership: Some(key.clone()), ..bare };
    if expected != *policy || *name != format!("{root}/{}", address.key) {
        return refused(String::from("what is to be deleted is not what pruning deletes"));
    }
    Ok(())
}

/// Returns `[aws]` that gives the tags and the ownership tag.
fn aws(tags: Option<Tags>, ownership: Option<&String>) -> AwsSection {
    let ownership_tag = Some(ownership.map_or(OwnershipTag::Off, |key| OwnershipTag::Key(key.clone())));
    AwsSection { tags, ownership_tag, ..AwsSection::default() }
}

/// Returns the tags that `[aws]` has to give where the resource's own section manages none.
fn shared(managed: Option<&Tags>, initial: Option<&Tags>, ownership: Option<&String>) -> Option<Tags> {
    let initial = initial.filter(|_| managed.is_none())?;
    let own = initial.iter().filter(|(key, _)| Some(*key) != ownership);
    Some(own.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn of_policy(policy: &Desired<PolicyParameter>, root: &str) -> Manifest {
    let PolicyParameter { content, parameter_type: _, tier, tags } = &policy.managed;
    let file = policy.origin.clone().filter(|_| content.is_some());
    let section = ProfileSection { policy: file, tier: *tier, tags: tags.clone() };
    let shared = shared(tags.as_ref(), policy.initial.tags.as_ref(), policy.ownership.as_ref());
    Manifest {
        aws: aws(shared, policy.ownership.as_ref()),
        policy_root: Some(root.to_owned()),
        profiles: IndexMap::from([(policy.address.key.clone(), section)]),
        ..Manifest::default()
    }
}

fn of_table(table: &Desired<Table>, root: &str) -> Manifest {
    let Table { key, indexes, ttl, billing, encryption, point_in_time_recovery, deletion_protection, class, tags } =
        &table.managed;
    let capacity = match billing {
        Some(Billing::Provisioned(capacity)) => Some(*capacity),
        Some(Billing::PayPerRequest) | None => None,
    };
    let index = |(name, index): (&String, &crate::resource::table::Index)| {
        let (partition_key, sort_key) = (index.key.partition.clone(), index.key.sort.clone());
        (name.clone(), IndexSection { partition_key, sort_key, projection: Some(index.projection.clone()) })
    };
    let section = TableSection {
        name: Some(table.name.clone()),
        partition_key: key.as_ref().map(|key| key.partition.clone()),
        sort_key: key.as_ref().and_then(|key| key.sort.clone()),
        ttl_attribute: ttl.clone(),
        billing_mode: billing.map(|billing| match billing {
            Billing::PayPerRequest => BillingMode::PayPerRequest,
            Billing::Provisioned(_) => BillingMode::Provisioned,
        }),
        read_capacity: capacity.map(|capacity| capacity.read),
        write_capacity: capacity.map(|capacity| capacity.write),
        encryption: encryption.clone(),
        point_in_time_recovery: *point_in_time_recovery,
        deletion_protection: *deletion_protection,
        table_class: *class,
        tags: tags.clone(),
        indexes: indexes.as_ref().map(|indexes| indexes.iter().map(index).collect()),
    };
    let shared = shared(tags.as_ref(), table.initial.tags.as_ref(), table.ownership.as_ref());
    Manifest {
        aws: aws(shared, table.ownership.as_ref()),
        policy_root: Some(root.to_owned()),
        tables: IndexMap::from([(table.address.key.clone(), section)]),
        ..Manifest::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::{Overrides, resolve};
    use crate::resource::policy_parameter::{ParameterType, Tier};
    use crate::resource::table::{Encryption, Ttl};

    const ROOT: &str = "/sentinel/policies";
    const POLICY: &str = "version: \"1\"\nrules:\n  - { name: r, effect: deny }\n";

    /// Every kind of section, with and without what each may leave out.
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
    fn what_a_manifest_says_conforms() {
        for text in [MANIFEST, &MANIFEST.replace("ownership_tag = \"created-by\"", "ownership_tag = false")] {
            for one in desired(text) {
                assert_eq!(conform(&one, ROOT), Ok(()), "{one:?}");
            }
        }
        for one in desired(MANIFEST) {
            assert_eq!(conform(&one.adopted(), ROOT), Ok(()));
        }
    }

    #[test]
    fn a_policy_that_no_manifest_says_is_refused() {
        let all = desired(MANIFEST);
        let refused = |place: usize, root: &str, forge: &dyn Fn(&mut Desired<PolicyParameter>)| {
            let DesiredResource::Policy(policy) = &all[place] else { unreachable!("a profile") };
            let mut policy = Desired::clone(policy);
            forge(&mut policy);
            conform(&DesiredResource::Policy(Arc::new(policy)), root).unwrap_err()
        };
        for root in ["", "/", "/a/b/../../c", "relative", "/other", "/aws/x", "/sentinel/policies/"] {
            let why = refused(0, root, &|_| ());
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
            Box::new(|one| one.managed.parameter_type = Some(ParameterType::Other(String::from("SecureString")))),
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
            Box::new(|one| one.ownership = Some(String::from("aws:mine"))),
            Box::new(|one| one.address = Address::profile("..")),
            Box::new(|one| {
                one.address = Address::profile("a/b");
                one.name = format!("{ROOT}/a/b");
            }),
        ];
        for (place, forge) in forges.iter().enumerate() {
            refused(0, ROOT, forge);
            assert!(place < 30);
        }
        // One that a manifest names no policy for is a default-deny.
        refused(2, ROOT, &|one| one.initial.content = Some(POLICY.into()));
    }

    #[test]
    fn a_table_that_no_manifest_says_is_refused() {
        let all = desired(MANIFEST);
        let refused = |place: usize, forge: &dyn Fn(&mut Desired<Table>)| {
            let DesiredResource::Table(table) = &all[place] else { unreachable!("a table") };
            let mut table = Desired::clone(table);
            forge(&mut table);
            assert!(conform(&DesiredResource::Table(Arc::new(table.clone())), ROOT).is_err(), "{table:?}");
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
        refused(6, &|one| one.initial.deletion_protection = Some(false));
        refused(6, &|one| one.origin = Some(String::from("x")));
        refused(5, &|one| {
            let nothing = Some(Billing::Provisioned(crate::resource::table::Capacity { read: -1, write: 1 }));
            (one.managed.billing, one.initial.billing) = (nothing, nothing);
        });
    }

    #[test]
    fn only_what_is_below_the_root_and_marked_is_deleted() {
        let gone = |key: &str, name: &str, ownership: Option<&str>| {
            let bare = Desired::new(Address::profile(key), name, PolicyParameter::default());
            let ownership = ownership.map(str::to_owned);
            let desired = Desired { presence: Presence::Absent, ownership, ..bare };
            conform(&DesiredResource::Policy(Arc::new(desired)), ROOT)
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
