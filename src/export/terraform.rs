//! Configurations for Terraform and OpenTofu: `resource` blocks, plain `import` blocks, and one provider for each account.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::block;
use super::{Exported, File, Target, Tf, exported, gather, global};
use crate::kind::export::Export;
use crate::kind::export::terraform::{
    BlockType, Body, Expression, Item, Module, PreventDestroy, Resource, Variable, Version,
};
use crate::kind::{Address, Site};

/// The provider configurations, by their distinguishing settings.
#[derive(Debug, Default)]
struct Providers {
    /// The alias of each; `None` for a single provider.
    aliases: BTreeMap<Key, Option<String>>,
}

/// The credentials of a provider and, with provider 5, its region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    account: Option<String>,
    role: Option<String>,
    profile: Option<String>,
    region: Option<String>,
}

impl Key {
    fn of(target: &Target<'_>, version: Version, region: &str) -> Self {
        Self {
            account: target.account.as_ref().map(ToString::to_string),
            role: target.role.as_ref().map(ToString::to_string),
            profile: target.profile.as_ref().map(ToString::to_string),
            region: (version == Version::V5).then(|| region.to_owned()),
        }
    }
}

/// Returns the files of all targets, as one root module.
pub fn export(targets: &[Target<'_>], version: Version) -> Exported {
    let mut exported = Exported::default();
    let global = global::divide(targets);
    gather(&mut exported.unsupported, global.unsupported);
    gather(&mut exported.notes, global.notes);
    let each = targets.iter().zip(&global.elsewhere);
    let modules: Vec<Module> = each.map(|(target, elsewhere)| module_of(target, elsewhere, version)).collect();
    let providers = Providers::of(targets, &modules, version);
    let mut variables = Vec::new();
    let mut secrets = false;
    for (target, module) in targets.iter().zip(modules) {
        let Module { export: Export { unsupported, notes, .. }, blocks, variables: own, region, .. } = module;
        gather(&mut exported.unsupported, unsupported);
        gather(&mut exported.notes, notes);
        secrets |= !own.is_empty();
        gather(&mut variables, own);
        let (mut resources, mut imports) = (String::new(), String::new());
        for one in &blocks {
            let writer = TargetBlocks { target, version, home: &region, providers: &providers };
            writer.write(&mut resources, one);
            writer.write_import(&mut imports, one);
        }
        exported.files.push(File { name: format!("{}.tf", target.slug()), text: format!("{HEAD}\n{resources}") });
        if !imports.is_empty() {
            let name = format!("{}-imports.tf", target.slug());
            exported.files.push(File { name, text: format!("{HEAD}\n{imports}") });
        }
    }
    let head = head(targets, &providers, version, if secrets { Secrets::Some } else { Secrets::None });
    exported.files.push(File { name: String::from("providers.tf"), text: format!("{HEAD}\n{head}") });
    if !variables.is_empty() {
        exported
            .files
            .push(File { name: String::from("variables.tf"), text: format!("{HEAD}\n{}", declared(&variables)) });
    }
    exported
}

const HEAD: &str = "# Written by sentinel export terraform.\n";

fn module_of(target: &Target<'_>, elsewhere: &BTreeSet<Address>, version: Version) -> Module {
    let addresses = exported(target, elsewhere).map(|(address, _)| address.clone()).collect();
    let export = Export { addresses, ..Export::default() };
    // A target's name contains no underscore here, so the first underscore ends it.
    let prefix = target.name.as_ref().map(|_| format!("{}_", target.slug())).unwrap_or_default();
    let (region, account) = (target.region.clone(), target.account.clone());
    let mut module = Module { export, version, region, account, prefix, blocks: Vec::new(), variables: Vec::new() };
    for (_, observed) in exported(target, elsewhere) {
        observed.visit(Tf(&mut module));
    }
    module
}

/// Whether any values are secret and therefore in no file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    None,
    Some,
}

impl Providers {
    fn of(targets: &[Target<'_>], modules: &[Module], version: Version) -> Self {
        let mut aliases = BTreeMap::new();
        for (target, module) in targets.iter().zip(modules) {
            let regions = module.blocks.iter().filter_map(|one| one.region.as_deref());
            for region in std::iter::once(&*target.region).chain(regions) {
                let key = Key::of(target, version, region);
                let name = match (&key.account, &key.region) {
                    (Some(account), Some(region)) => format!("account_{account}_{region}"),
                    (Some(account), None) => format!("account_{account}"),
                    (None, Some(region)) => format!("{}_{region}", target.slug()),
                    (None, None) => target.slug(),
                };
                aliases.entry(key).or_insert(Some(name));
            }
        }
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        // An account that is reached with several credentials has several providers.
        for alias in aliases.values_mut().flatten() {
            let count = names.entry(alias.clone()).or_default();
            *count += 1;
            if *count > 1 {
                *alias = format!("{alias}_{count}");
            }
        }
        if aliases.len() == 1 {
            for alias in aliases.values_mut() {
                *alias = None;
            }
        }
        Self { aliases }
    }
}

/// The location of a target's blocks.
struct TargetBlocks<'a> {
    target: &'a Target<'a>,
    version: Version,
    home: &'a str,
    providers: &'a Providers,
}

impl TargetBlocks<'_> {
    fn region<'b>(&'b self, one: &'b Resource) -> &'b str {
        one.region.as_deref().unwrap_or(self.home)
    }

    fn provider(&self, one: &Resource) -> Option<Expression> {
        let key = Key::of(self.target, self.version, self.region(one));
        let alias = self.providers.aliases.get(&key)?.as_ref()?;
        Some(Expression::Reference(format!("aws.{alias}")))
    }

    fn write(&self, text: &mut String, one: &Resource) {
        let mut body = Body::new();
        body.maybe("provider", self.provider(one));
        let names_region = self.version == Version::V6 && one.site == Site::Region;
        body.maybe("region", names_region.then(|| self.region(one).to_owned()));
        body.0.extend(one.body.0.iter().cloned());
        let list = |names: Vec<String>| Expression::List(names.into_iter().map(Expression::Reference).collect());
        body.maybe("depends_on", (!one.depends_on.is_empty()).then(|| list(one.depends_on.clone())));
        let mut lifecycle = Body::new();
        lifecycle.maybe("prevent_destroy", (one.prevent_destroy == PreventDestroy::Yes).then_some(true));
        let ignored: Vec<String> = one.ignored.iter().map(|name| (*name).to_owned()).collect();
        lifecycle.maybe("ignore_changes", (!ignored.is_empty()).then(|| list(ignored)));
        if !lifecycle.0.is_empty() {
            body.block("lifecycle", lifecycle);
        }
        let keyword = match one.block {
            BlockType::Resource => "resource",
            BlockType::Data => "data",
        };
        block(text, keyword, &[one.type_name, &one.name], &body);
    }

    fn write_import(&self, text: &mut String, one: &Resource) {
        let Some(id) = &one.existing else { return };
        let mut body = Body::new();
        body.maybe("provider", self.provider(one));
        body.set("to", Expression::Reference(format!("{}.{}", one.type_name, one.name)));
        // The region of the resource block applies, not that of the import block. Source: "Enhanced Region Support" in the provider's
        // guides.
        let id = match (self.version, one.site) {
            (Version::V6, Site::Region) => format!("{id}@{}", self.region(one)),
            _ => id.clone(),
        };
        body.set("id", id);
        block(text, "import", &[], &body);
    }
}

/// Returns the version requirements and the provider configurations.
fn head(targets: &[Target<'_>], providers: &Providers, version: Version, secrets: Secrets) -> String {
    let mut text = String::new();
    let mut aws = Body::new();
    let versions = match version {
        Version::V5 => "~> 5.100",
        Version::V6 => "~> 6.0",
    };
    let source = vec![
        (String::from("source"), Expression::from("hashicorp/aws")),
        (String::from("version"), Expression::from(versions)),
    ];
    aws.0.push((String::from("aws"), Item::Argument(Expression::Map(source))));
    let mut terraform = Body::new();
    // `import` blocks require 1.5, and write-only arguments require 1.11; both apply to OpenTofu too.
    terraform.set("required_version", if secrets == Secrets::Some { ">= 1.11" } else { ">= 1.5" });
    terraform.block("required_providers", aws);
    block(&mut text, "terraform", &[], &terraform);
    for (key, alias) in &providers.aliases {
        let mut body = Body::new();
        body.maybe("alias", alias.as_ref());
        let first = targets.iter().find(|target| {
            Key { region: None, ..Key::of(target, Version::V6, &target.region) } == Key { region: None, ..key.clone() }
        });
        let region = key.region.clone().or_else(|| first.map(|target| target.region.to_string()));
        body.maybe("region", region);
        body.maybe("profile", key.profile.as_ref());
        let account = key.account.as_ref().map(|account| Expression::List(vec![account.into()]));
        body.maybe("allowed_account_ids", account);
        if let Some(role) = &key.role {
            let mut assume = Body::new();
            assume.set("role_arn", role);
            body.block("assume_role", assume);
        }
        block(&mut text, "provider", &["aws"], &body);
    }
    text
}

/// Returns the variable declarations.
fn declared(variables: &[Variable]) -> String {
    let mut text = String::new();
    for Variable { name, description } in variables {
        let mut body = Body::new();
        body.set("description", description);
        body.set("type", Expression::Reference(String::from("string")));
        body.set("sensitive", true);
        block(&mut text, "variable", &[name], &body);
    }
    text
}
