//! Writes a manifest in a common style: sections in a fixed order, keys and projections inline.

use super::{BrokerSection, LocalPolicy, Manifest, OwnershipTag};
use crate::document::write::{bare, inline, line, list, quoted, tags};
use crate::policy::Principal;
use crate::resource::organization::{Depth, Search};

impl Manifest {
    /// Returns the manifest as TOML, which reads back as the same manifest.
    pub fn to_toml(&self) -> String {
        let mut sections = vec![self.aws_section()];
        for (name, target) in &self.targets {
            let mut section = format!("[targets.{}]\n", bare(name));
            line(&mut section, "region", target.region.as_deref().map(quoted));
            line(&mut section, "profile", target.route.aws_profile.as_deref().map(quoted));
            line(&mut section, "role_arn", target.route.role_arn.as_deref().map(quoted));
            line(&mut section, "account_id", target.route.account_id.as_deref().map(quoted));
            line(&mut section, "accounts", target.accounts.as_deref().map(list));
            line(&mut section, "regions", target.regions.as_deref().map(list));
            line(&mut section, "organization", target.organization.as_ref().map(search));
            sections.push(section);
            for one in &target.overrides {
                let (kind, key) = (one.address.kind.section(), bare(&one.address.key));
                let mut section = format!("[targets.{}.override.{kind}.{key}]\n", bare(name));
                for setting in one.settings() {
                    line(&mut section, &bare(&setting.key), Some(inline(&setting.node)));
                }
                sections.push(section);
            }
        }
        if let Some(root) = &self.policy_root {
            sections.push(format!("[policies]\nroot = {}\n", quoted(root)));
        }
        sections.extend(self.sections.write());
        sections.extend(self.broker_sections());
        for (name, user) in &self.local_users {
            let policies = user.policies.iter().map(|policy| match policy {
                LocalPolicy::Role(role) => quoted(role.word()),
                LocalPolicy::File(file) => quoted(file),
            });
            let policies = policies.collect::<Vec<_>>().join(", ");
            sections.push(format!("[local.users.{}]\npolicies = [{policies}]\n", bare(name)));
        }
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }

    fn broker_sections(&self) -> [String; 2] {
        let BrokerSection { url, accounts, principals, approvers, operators, roles } = &self.broker;
        let mut section = String::new();
        let patterns = |patterns: &Vec<Principal>| list(&patterns.iter().map(Principal::as_str).collect::<Vec<_>>());
        line(&mut section, "url", url.as_ref().map(|url| quoted(url.as_str())));
        line(&mut section, "accounts", accounts.as_deref().map(list));
        line(&mut section, "principals", principals.as_ref().map(patterns));
        line(&mut section, "approvers", approvers.as_ref().map(patterns));
        line(&mut section, "operators", operators.as_ref().map(patterns));
        let mut of_roles = String::new();
        for (profile, role) in roles {
            line(&mut of_roles, &bare(profile), Some(quoted(role)));
        }
        let titled = |title: &str, text: String| if text.is_empty() { text } else { format!("[{title}]\n{text}") };
        [titled("broker", section), titled("broker.roles", of_roles)]
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

/// Returns an organization search as TOML.
fn search(search: &Search) -> String {
    let Search { unit, depth, exclude } = search;
    let recursive = if *depth == Depth::Below { ", recursive = true" } else { "" };
    let exclude = match exclude.is_empty() {
        true => String::new(),
        false => format!(", exclude = {}", list(&exclude.iter().collect::<Vec<_>>())),
    };
    format!("{{ ou = {}{recursive}{exclude} }}", quoted(unit))
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::document::format::{Formatted, Language, format};
    use crate::kind::Sections;
    use crate::kind::section::any::tags as tag_sets;
    use crate::manifest::{AwsSection, LocalUserSection, TargetSection, parse};
    use crate::resource::destination::Route;
    use crate::resource::names::{AccountId, AwsProfile, OwnerKey, PolicyRoot, RegionName, RoleArn};
    use crate::resource::record_key::Role;
    use crate::resource::signed_identity::BrokerUrl;

    fn brokers() -> impl Strategy<Value = BrokerSection> {
        let url = "https://[a-z]{1,9}\\.example\\.com".prop_map(|url| BrokerUrl::new(&url).unwrap());
        let accounts = proptest::collection::btree_set("[0-9]{12}", 0..3)
            .prop_map(|all| all.into_iter().map(AccountId::new).collect::<Vec<_>>());
        let patterns = || {
            let all = proptest::collection::btree_set("arn:aws:iam::[0-9]{12}:user/[a-z*]{1,9}", 0..3);
            of(all.prop_map(|all| all.iter().map(|one| Principal::new(one).unwrap()).collect::<Vec<_>>()))
        };
        let roles = vec(("[a-z]{1,9}", "arn:aws:iam::[0-9]{12}:role/[a-z]{1,9}"), 0..3);
        let roles = roles.prop_map(|all| all.into_iter().map(|(name, role)| (name, RoleArn::new(role))).collect());
        (of(url), of(accounts), patterns(), patterns(), patterns(), roles).prop_map(
            |(url, accounts, principals, approvers, operators, roles)| BrokerSection {
                url,
                accounts,
                principals,
                approvers,
                operators,
                roles,
            },
        )
    }

    fn manifests() -> impl Strategy<Value = Manifest> {
        let region = "[a-z]{2}-[a-z]{4,9}-[0-9]";
        // This key is longer than that of any tag above: a manifest must not set the ownership tag itself.
        let ownership =
            prop_oneof![Just(OwnershipTag::Off), "[b-z]{13,20}".prop_map(|key| OwnershipTag::Key(OwnerKey::new(key)))];
        let aws = (of(region), of("\\PC{0,12}"), of("[0-9]{12}"), of(tag_sets()), of(ownership)).prop_map(
            |(region, profile, account_id, tags, ownership_tag)| AwsSection {
                region: region.map(RegionName::new),
                profile: profile.map(AwsProfile::new),
                account_id: account_id.map(AccountId::new),
                tags,
                ownership_tag,
            },
        );
        let role = "arn:aws:iam::[0-9]{12}:role/[a-z]{1,9}";
        let target = (of(region), of("\\PC{0,12}"), of(role), of("[0-9]{12}")).prop_map(
            |(region, profile, role_arn, account_id)| {
                let aws_profile = profile.filter(|_| role_arn.is_none()).map(AwsProfile::new);
                let role_arn = role_arn.map(RoleArn::new);
                // The ARN of a role contains its account.
                let account_id = account_id.filter(|_| role_arn.is_none()).map(AccountId::new);
                let region = region.map(RegionName::new);
                TargetSection { region, route: Route { aws_profile, role_arn, account_id }, ..TargetSection::default() }
            },
        );
        let accounts = proptest::collection::btree_set("[0-9]{12}", 1..4);
        let regions = proptest::collection::btree_set(region, 1..4);
        let matrix = (accounts, regions).prop_map(|(accounts, regions)| TargetSection {
            route: Route { role_arn: Some(RoleArn::new("arn:aws:iam::{account}:role/sentinel")), ..Route::default() },
            accounts: Some(accounts.into_iter().map(AccountId::new).collect()),
            regions: Some(regions.into_iter().map(RegionName::new).collect()),
            ..TargetSection::default()
        });
        let target = prop_oneof![3 => target, 1 => matrix];
        let targets = vec(("[a-z0-9_-]{1,9}", target), 0..3);
        let local_policy = prop_oneof![
            proptest::sample::select(Role::ALL.to_vec()).prop_map(LocalPolicy::Role),
            "\\PC{1,12}\\.json".prop_map(LocalPolicy::File),
        ];
        let local_user = vec(local_policy, 0..3).prop_map(|policies| LocalUserSection { policies });
        let local_users = vec(("[a-z0-9_+=,.@-]{1,12}", local_user), 0..3);
        let parts = (
            (aws, targets),
            of("(/[bcd][a-z]{1,5}){1,3}".prop_map(PolicyRoot::new)),
            Sections::any(),
            (brokers(), local_users),
        );
        parts.prop_map(|((aws, targets), policy_root, sections, (broker, local_users))| {
            let (mut targets, local_users): (IndexMap<String, TargetSection>, _) =
                (targets.into_iter().collect(), local_users.into_iter().collect());
            // Each target has its own account and region.
            let mut seen = Vec::new();
            targets.retain(|_, target| {
                let place =
                    (target.region.clone().or(aws.region.clone()), target.own_account().or(aws.account_id.clone()));
                let is_new = !seen.contains(&place);
                seen.push(place);
                is_new
            });
            Manifest { aws, targets, policy_root, sections, broker, local_users }
        })
    }

    /// The schema that is published for editors.
    static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
        std::sync::LazyLock::new(|| jsonschema::validator_for(&crate::manifest::schema()).unwrap());

    proptest! {
        #[test]
        fn a_written_manifest_reads_back_unchanged(manifest in manifests()) {
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

    proptest! {
        /// Files that commands write are already formatted.
        #[test]
        fn written_manifests_are_formatted(manifest in manifests()) {
            let text = manifest.to_toml();
            let source = Source::new("sentinel.toml", text.clone());
            prop_assert_eq!(format(Language::Toml, &source, &mut Faults::default()), Formatted::Text(text));
        }

        #[test]
        fn formatting_does_not_change_a_manifest(manifest in manifests(), dice in vec(0..4_usize, 1..40)) {
            let mut dice = dice.into_iter().cycle();
            let mut untidy = String::new();
            for line in manifest.to_toml().lines() {
                let (spaces, end) = (" ".repeat(dice.next().unwrap()), ["\n", "  # a note\n", "\n\n\n", "\n  # own\n"][dice.next().unwrap()]);
                untidy.push_str(&format!("{spaces}{}{end}", line.replacen(" = ", &format!("{spaces}={spaces}"), 1)));
            }
            let mut faults = Faults::default();
            let Formatted::Text(tidy) = format(Language::Toml, &Source::new("sentinel.toml", untidy.clone()), &mut faults) else {
                panic!("{untidy}\n{:?}", faults.into_sorted());
            };
            let read = parse(&Source::new("sentinel.toml", tidy.clone()), &mut faults).manifest;
            prop_assert!(faults.is_empty(), "{tidy}\n{:?}", faults.into_sorted());
            prop_assert_eq!(read, manifest, "{}", tidy);
        }
    }

    #[test]
    fn an_empty_manifest_is_written_as_empty_text() {
        assert_eq!(Manifest::default().to_toml(), "");
    }
}
