//! The information for reviewers of a plan, beyond its differences: the line of each resource in the manifest, the effect of a policy
//! change on access, the test cases with a different result, and lint findings. Pure: the caller supplies the contents of files.

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

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub path: Arc<str>,
    /// Starts at 1.
    pub line: usize,
}

/// The files of one resource.
#[derive(Debug, Clone, Default)]
pub struct ReviewInput {
    /// The line in the manifest.
    pub place: Option<Place>,
    /// The path of its policy, as the user would type it.
    pub policy: Option<String>,
    /// The file with the test cases of its policy.
    pub cases: Option<Arc<Source>>,
    /// Whether the policy is a secret. Then no file has its test cases, because they would reveal its content.
    pub secret: bool,
}

/// The files of the manifest and its resources.
#[derive(Debug, Clone, Default)]
pub struct ReviewInputs {
    pub resources: BTreeMap<Address, ReviewInput>,
    /// The profiles of the manifest.
    pub profiles: BTreeSet<String>,
    /// The tables of the manifest, by their keys and AWS names.
    pub tables: BTreeSet<String>,
}

/// The remarks on the resources of a plan. Resources without remarks are omitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review(BTreeMap<Address, Remarks>);

/// The remarks on one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// The line in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Place>,
    /// The effect of the change on access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub means: Vec<Meaning>,
    /// The test cases whose result changes, or that fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<CaseChange>,
    /// The lint findings in the desired policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// A test case whose result changes, or that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseChange {
    pub name: String,
    pub path: String,
    pub line: usize,
    /// The result for the live policy, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Expected>,
    /// The result for the desired policy.
    pub after: Expected,
    pub expected: Expected,
    pub passes: bool,
}

impl Review {
    /// Returns a review with these remarks.
    pub fn from_remarks(mut remarks: BTreeMap<Address, Remarks>) -> Self {
        remarks.retain(|_, remarks| *remarks != Remarks::default());
        Self(remarks)
    }

    /// Returns the remarks on a resource.
    pub fn remarks(&self, address: &Address) -> Option<&Remarks> {
        self.0.get(address)
    }

    /// Reviews a plan with the contents of files.
    pub fn of(plan: &Plan, review_inputs: &ReviewInputs) -> Self {
        let policy_of = |address: &Address| review_inputs.resources.get(address)?.policy.as_deref();
        let written = plan.resources.iter().filter(|resource| contents(resource).is_some());
        let mut sharing: Sharing<'_> =
            written.filter_map(|resource| Some((policy_of(&resource.address)?, BTreeSet::new()))).collect();
        for (address, inputs) in &review_inputs.resources {
            if let Some(own) = inputs.policy.as_deref().and_then(|policy| sharing.get_mut(policy)) {
                own.insert(address.key.clone());
            }
        }
        let mut review = BTreeMap::new();
        for resource in &plan.resources {
            let remarks = remarks(resource, review_inputs, &sharing);
            if remarks != Remarks::default() {
                review.insert(resource.address.clone(), remarks);
            }
        }
        Self(review)
    }
}

/// The profiles that use each policy file that the plan writes.
type Sharing<'a> = BTreeMap<&'a str, BTreeSet<String>>;

fn remarks(resource: &ResourcePlan, review_inputs: &ReviewInputs, sharing: &Sharing<'_>) -> Remarks {
    let inputs = review_inputs.resources.get(&resource.address);
    let mut remarks = Remarks { source: inputs.and_then(|inputs| inputs.place.clone()), ..Remarks::default() };
    let profile = &resource.address.key;
    if resource.action == Action::Delete && resource.address.kind == KindId::Policy {
        // A profile without a policy gives nobody access.
        let text = format!("nobody gets {profile} anymore");
        remarks.means.push(Meaning { direction: Direction::Closes, text });
    }
    let Some(Contents { live, desired }) = contents(resource) else { return remarks };
    let file = inputs.and_then(|inputs| inputs.policy.as_deref());
    let path = file.unwrap_or(&resource.name);
    let read = |text: &str| parse(&Source::new(path, text), &mut Faults::default());
    let Some(after) = read(desired) else { return remarks };
    // An invalid live policy gives nobody access, like a missing one.
    let before = live.and_then(read);
    remarks.means = meaning(profile, before.as_ref(), Some(&after));
    if live.is_none() {
        // A new policy that gives nobody access needs no remark.
        remarks.means.retain(|one| one.direction != Direction::Same);
    }
    // Several profiles can use one file, whose rules and test cases name their profile.
    let alone = BTreeSet::from([profile.clone()]);
    let own = sharing.get(path).unwrap_or(&alone);
    let about_another = |case: &str| case != profile && own.contains(case);
    let cases = inputs.and_then(|inputs| inputs.cases.as_ref());
    remarks.cases = cases.map(|cases| case_changes(cases, before.as_ref(), &after, about_another)).unwrap_or_default();
    let setting = Setting { profiles: &review_inputs.profiles, own, tables: &review_inputs.tables };
    // Sentinel generates a default-deny, so it needs no lint.
    if file.is_some() {
        remarks.findings = lint::lint(&Source::new(path, desired), Some(setting), &mut Faults::default());
    }
    remarks
}

/// The live text of a policy, if there is one, and the desired text.
#[derive(Debug)]
pub struct Contents<'a> {
    pub live: Option<&'a str>,
    pub desired: &'a str,
}

/// Returns the texts of a policy that the plan writes.
pub fn contents(resource: &ResourcePlan) -> Option<Contents<'_>> {
    // Other actions do not change access.
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

/// Returns the test cases whose result changes or that fail, except those for which `about_another` profile is true.
fn case_changes(
    source: &Arc<Source>,
    before: Option<&Policy>,
    after: &Policy,
    about_another: impl Fn(&str) -> bool,
) -> Vec<CaseChange> {
    // `validate` and `policy test` report the faults.
    let found = cases::parse(source, after, &mut Faults::default());
    let timed = |policy: &Policy| policy.rules.iter().any(|rule| rule.conditions.time.is_some());
    let changes = found.iter().filter(|case| !about_another(&case.profile)).filter_map(|case| {
        let after = judge(after, case);
        // Without a time, the result of a test case for a policy with time windows is undefined.
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
    fn only_test_cases_that_change_or_fail_are_listed() {
        let text = "profile: dev\ncases:\n  - { user: alice, expect: no_match }\n  - { user: bob, expect: deny }\n\
                    \u{20} - { user: carol, expect: no_match }\n  - { user: dave, expect: allow }\n\
                    \u{20} - { user: erin, profile: elsewhere, expect: allow }\n";
        let source = Source::new("dev.test.yaml", text);
        let policy = |text| parse(&Source::new("dev.yaml", text), &mut Faults::default()).unwrap();
        let listed = |before: Option<&Policy>| -> Vec<String> {
            let changes = case_changes(&source, before, &policy(AFTER), |profile| profile == "elsewhere");
            let line = |one: &CaseChange| {
                let before = one.before.map_or("none", Expected::word);
                format!("{} {before} -> {} ({})", one.line, one.after, if one.passes { "as expected" } else { "fails" })
            };
            changes.iter().map(line).collect()
        };
        assert_eq!(
            listed(Some(&policy(BEFORE))),
            ["3 allow -> no_match (as expected)", "4 no_match -> allow (fails)", "6 no_match -> no_match (fails)",]
        );
        assert_eq!(listed(None), ["4 none -> allow (fails)", "6 none -> no_match (fails)"]);
        assert_eq!(Expected::Effect(Effect::Allow).word(), "allow");
    }
}
