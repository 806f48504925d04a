//! What a reviewer is told of a plan beyond its differences: where each resource stands in the manifest, what a change
//! of a policy means for who gets in, which of its cases come out otherwise, and what its lints find. Pure: the files
//! are handed in.

pub mod fail_on;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::change::FieldValue;
use crate::diagnostic::{Faults, Source};
use crate::kind::parameter_store::Write;
use crate::kind::policy_parameter::PolicyStep;
use crate::kind::{Address, KindId, Step};
use crate::policy::cases::{self, Expected, judge};
use crate::policy::lint::{self, Finding, Setting};
use crate::policy::{Direction, Meaning, Policy, meaning, parse};
use crate::reconcile::{Action, Plan, ResourcePlan};

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub path: Arc<str>,
    /// From 1.
    pub line: usize,
}

/// What the files say of one resource.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// Where it stands in the manifest.
    pub place: Option<Place>,
    /// The path of its policy, as the user would type it.
    pub policy: Option<String>,
    /// The file of cases beside its policy.
    pub cases: Option<Arc<Source>>,
    /// Whether the policy is a secret: then no file holds its cases, which tell of it.
    pub secret: bool,
}

/// What the files say beside the manifest itself.
#[derive(Debug, Clone, Default)]
pub struct Materials {
    pub of: BTreeMap<Address, Material>,
    /// The profiles of the manifest.
    pub profiles: BTreeSet<String>,
    /// The tables of the manifest, by their names in it and in AWS.
    pub tables: BTreeSet<String>,
}

/// What there is to say of a plan's resources; those of which there is nothing to say are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review(BTreeMap<Address, Remarks>);

/// What there is to say of one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// Where it stands in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Place>,
    /// What the change means for who gets in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub means: Vec<Meaning>,
    /// The cases that come out otherwise than before, or not as they expect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseChange>,
    /// What lints find in the policy that is to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// A case whose outcome a plan changes, or that does not come out as it expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseChange {
    pub name: String,
    pub path: String,
    pub line: usize,
    /// What the live policy says; nothing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Expected>,
    /// What the desired policy says.
    pub after: Expected,
    pub expected: Expected,
    pub passes: bool,
}

impl Review {
    /// Returns the review that says this of resources.
    pub fn from_remarks(mut remarks: BTreeMap<Address, Remarks>) -> Self {
        remarks.retain(|_, remarks| *remarks != Remarks::default());
        Self(remarks)
    }

    /// Returns what there is to say of a resource.
    pub fn remarks(&self, address: &Address) -> Option<&Remarks> {
        self.0.get(address)
    }

    /// Looks at a plan with what the files say.
    pub fn of(plan: &Plan, materials: &Materials) -> Self {
        let policy_of = |address: &Address| materials.of.get(address)?.policy.as_deref();
        let written = plan.resources.iter().filter(|resource| contents(resource).is_some());
        let mut sharing: Sharing<'_> =
            written.filter_map(|resource| Some((policy_of(&resource.address)?, BTreeSet::new()))).collect();
        for (address, material) in &materials.of {
            if let Some(own) = material.policy.as_deref().and_then(|policy| sharing.get_mut(policy)) {
                own.insert(address.key.clone());
            }
        }
        let mut review = BTreeMap::new();
        for resource in &plan.resources {
            let remarks = remarks(resource, materials, &sharing);
            if remarks != Remarks::default() {
                review.insert(resource.address.clone(), remarks);
            }
        }
        Self(review)
    }
}

/// The profiles of each file of a policy that is written.
type Sharing<'a> = BTreeMap<&'a str, BTreeSet<String>>;

fn remarks(resource: &ResourcePlan, materials: &Materials, sharing: &Sharing<'_>) -> Remarks {
    let material = materials.of.get(&resource.address);
    let mut remarks = Remarks { source: material.and_then(|material| material.place.clone()), ..Remarks::default() };
    let profile = &resource.address.key;
    if resource.action == Action::Delete && resource.address.kind == KindId::Policy {
        // A profile without a policy lets nobody in.
        let words = format!("nobody gets {profile} anymore");
        remarks.means.push(Meaning { direction: Direction::Closes, words });
    }
    let Some(Contents { live, desired }) = contents(resource) else { return remarks };
    let file = material.and_then(|material| material.policy.as_deref());
    let path = file.unwrap_or(&resource.name);
    let read = |text: &str| parse(&Source::new(path, text), &mut Faults::default());
    let Some(after) = read(desired) else { return remarks };
    // One that cannot be read lets nobody in, as one that is not there.
    let before = live.and_then(read);
    remarks.means = meaning(profile, before.as_ref(), Some(&after));
    if live.is_none() {
        // A new policy that lets nobody in needs no word.
        remarks.means.retain(|one| one.direction != Direction::Same);
    }
    // Several profiles may share one file, whose rules and cases say which of them they are about.
    let alone = BTreeSet::from([profile.clone()]);
    let own = sharing.get(path).unwrap_or(&alone);
    let about_another = |case: &str| case != profile && own.contains(case);
    let cases = material.and_then(|material| material.cases.as_ref());
    remarks.cases = cases.map(|cases| case_changes(cases, before.as_ref(), &after, about_another)).unwrap_or_default();
    let setting = Setting { profiles: &materials.profiles, own, tables: &materials.tables };
    // A default-deny is this tool's own.
    if file.is_some() {
        remarks.findings = lint::lint(&Source::new(path, desired), Some(setting), &mut Faults::default());
    }
    remarks
}

/// A policy's text before, where there is one, and after.
#[derive(Debug)]
pub struct Contents<'a> {
    pub live: Option<&'a str>,
    pub desired: &'a str,
}

/// Returns the texts of a policy that is written.
pub fn contents(resource: &ResourcePlan) -> Option<Contents<'_>> {
    // What is left alone or refused means nothing for anyone.
    let written = matches!(resource.action, Action::Create | Action::Update);
    if resource.address.kind != KindId::Policy || !written {
        return None;
    }
    let created = resource.steps.iter().find_map(|step| match step {
        Step::Policy(PolicyStep(Write::Create(create))) => create.content.shown(),
        _ => None,
    });
    if let Some(content) = created {
        return Some(Contents { live: None, desired: content });
    }
    resource.changes.iter().find_map(|change| match (&change.sides.live, &change.sides.desired) {
        (FieldValue::Document(live), FieldValue::Document(desired)) => Some(Contents { live: Some(live), desired }),
        _ => None,
    })
}

/// Returns the cases that come out otherwise, or not as they expect, but for those `about_another` profile.
fn case_changes(
    source: &Arc<Source>,
    before: Option<&Policy>,
    after: &Policy,
    about_another: impl Fn(&str) -> bool,
) -> Vec<CaseChange> {
    // Its faults are `validate`'s and `policy test`'s to tell.
    let found = cases::parse(source, after, &mut Faults::default());
    let timed = |policy: &Policy| policy.rules.iter().any(|rule| rule.conditions.time.is_some());
    let changes = found.iter().filter(|case| !about_another(&case.profile)).filter_map(|case| {
        let after = judge(after, case);
        // A case without a time says nothing of a policy with windows.
        let before =
            before.filter(|policy| case.at.is_some() || !timed(policy)).map(|policy| judge(policy, case).found);
        if after.passed && before.is_none_or(|before| before == after.found) {
            return None;
        }
        Some(CaseChange {
            name: case.name.clone(),
            path: source.path.clone(),
            line: case.line,
            before,
            after: after.found,
            expected: case.expect,
            passes: after.passed,
        })
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Effect;

    const BEFORE: &str = "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { users: [alice] } }\n";
    const AFTER: &str = "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { users: [bob] } }\n";

    #[test]
    fn the_cases_that_change_or_fail_are_told_and_the_rest_is_not() {
        let text = "profile: dev\ncases:\n  - { user: alice, expect: no_match }\n  - { user: bob, expect: deny }\n\
                    \u{20} - { user: carol, expect: no_match }\n  - { user: dave, expect: allow }\n\
                    \u{20} - { user: erin, profile: elsewhere, expect: allow }\n";
        let source = Source::new("dev.test.yaml", text);
        let policy = |text| parse(&Source::new("dev.yaml", text), &mut Faults::default()).unwrap();
        let told = |before: Option<&Policy>| -> Vec<String> {
            let changes = case_changes(&source, before, &policy(AFTER), |profile| profile == "elsewhere");
            let line = |one: &CaseChange| {
                let before = one.before.map_or("none", Expected::word);
                format!("{} {before} -> {} ({})", one.line, one.after, if one.passes { "as expected" } else { "fails" })
            };
            changes.iter().map(line).collect()
        };
        assert_eq!(
            told(Some(&policy(BEFORE))),
            ["3 allow -> no_match (as expected)", "4 no_match -> allow (fails)", "6 no_match -> no_match (fails)",]
        );
        assert_eq!(told(None), ["4 none -> allow (fails)", "6 none -> no_match (fails)"]);
        assert_eq!(Expected::Effect(Effect::Allow).word(), "allow");
    }
}
