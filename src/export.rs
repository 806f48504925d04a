//! Exports to CloudFormation or Terraform, which then manage the manifest's resources. Pure: computed from the desired state and, if read,
//! the live state.

pub mod cloudformation;
mod global;
mod script;
mod stackset;
mod syntax;
pub mod terraform;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::kind::export::cloudformation::Stack;
use crate::kind::export::terraform::Module;
use crate::kind::export::{Note, Unsupported};
use crate::kind::{Address, DesiredResource, Kind, Layout, ObservedResource, Pair, Step, Visitor};
use crate::resource::names::{AccountId, AwsProfile, RegionName, RoleArn};
use crate::resource::{Live, Observed};

pub use stackset::Differs;

/// One target of a manifest: an account, a region, and the desired state.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its name in the manifest, if the manifest has several targets.
    pub name: Option<String>,
    pub region: RegionName,
    /// `None` if neither the manifest nor AWS supplied it.
    pub account: Option<AccountId>,
    pub role: Option<RoleArn>,
    pub profile: Option<AwsProfile>,
    /// The desired resources, with their live state if it was read.
    pub resources: Vec<(&'a DesiredResource, ObservedResource<'a>)>,
}

impl Target<'_> {
    /// Returns the name for its files and stacks: letters, digits and hyphens.
    pub fn slug(&self) -> String {
        self.name.as_deref().map_or_else(|| String::from("sentinel"), slug)
    }
}

/// The executable file with the commands.
pub const SCRIPT: &str = "deploy.sh";

/// A file to write, by its name in the export folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub text: String,
}

/// The contents of an export.
#[derive(Debug, Default)]
pub struct Exported {
    pub files: Vec<File>,
    pub stacks: Vec<StackSummary>,
    pub unsupported: Vec<Unsupported>,
    pub notes: Vec<Note>,
}

/// A summary of one template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StackSummary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub file: String,
    pub resources: usize,
    pub bytes: usize,
    /// The number of its resources that exist and are imported.
    pub imports: usize,
    /// The templates that are applied before it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

/// Builds the stack of a target: each resource of every kind adds its own part.
struct Visit<'a>(&'a mut Stack);

impl Visitor for Visit<'_> {
    type Output = ();

    fn visit<K: Kind>(self, pair: &Pair<'_, K>)
    where
        Step: From<K::Step>,
        Layout: From<K>,
    {
        K::cloudformation(pair.desired, live(&pair.observed), self.0);
    }
}

/// Builds the module of a target.
struct Tf<'a>(&'a mut Module);

impl Visitor for Tf<'_> {
    type Output = ();

    fn visit<K: Kind>(self, pair: &Pair<'_, K>)
    where
        Step: From<K::Step>,
        Layout: From<K>,
    {
        K::terraform(pair.desired, live(&pair.observed), self.0);
    }
}

fn live<T>(observed: &Observed<T>) -> Option<&Live<T>> {
    match observed {
        Observed::Present(live) => Some(live),
        Observed::Absent | Observed::Unknown(_) => None,
    }
}

/// Returns a name of letters, digits and hyphens. If the name cannot be recovered from it, a digest is added, so two names never collide.
pub fn slug(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let fits =
        name.len() <= 60 && name.chars().all(allowed) && name.starts_with(|first: char| first.is_ascii_alphabetic());
    if fits && !name.contains("--") {
        return name.to_owned();
    }
    let plain: String = name.chars().take(60).map(|letter| if allowed(letter) { letter } else { '-' }).collect();
    let plain = if plain.starts_with(|first: char| first.is_ascii_alphabetic()) { plain } else { format!("t{plain}") };
    format!("{plain}--{}", crate::kind::export::mark(name))
}

/// Adds the notes of one target, without those that earlier targets already have.
fn gather<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// Returns the exported resources of a target: without those to delete, and without those that another target exports.
fn exported<'a>(
    target: &'a Target<'a>,
    elsewhere: &'a BTreeSet<Address>,
) -> impl Iterator<Item = (&'a Address, &'a ObservedResource<'a>)> {
    let present = target.resources.iter().filter(|(desired, _)| desired.presence().is_present());
    present.map(|(desired, observed)| (desired.address(), observed)).filter(|(address, _)| !elsewhere.contains(address))
}

/// Returns the stack of a target.
fn stack_of(target: &Target<'_>, elsewhere: &BTreeSet<Address>) -> Stack {
    let mut stack = Stack::default();
    stack.export.addresses = exported(target, elsewhere).map(|(address, _)| address.clone()).collect();
    for (_, observed) in exported(target, elsewhere) {
        observed.visit(Visit(&mut stack));
    }
    stack
}

#[cfg(test)]
mod names {
    use std::collections::BTreeSet;

    use super::slug;

    #[test]
    fn file_names_are_unique_and_contain_no_path() {
        let names = ["prod", "../x", "a/b", "a-b", "a--b", "", "é", "1", "CON", "prod/123/eu-west-1"];
        let slugs: BTreeSet<String> = names.iter().map(|name| slug(name)).collect();
        assert_eq!(slugs.len(), names.len());
        assert!(slugs.iter().all(|slug| slug.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')));
        assert_eq!(slug("prod"), "prod");
    }
}
