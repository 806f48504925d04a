//! `plan --fail-on`: the findings that make a plan fail.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use strum::VariantArray;

use super::{Place, Review, ReviewInput, ReviewInputs, contents};
use crate::diagnostic::{Faults, Source};
use crate::kind::policy_parameter::{Field, PolicyParameter};
use crate::kind::{Address, DesiredResource, KindId};
use crate::policy::cases::{self, judge};
use crate::policy::{Direction, Exactness, compare, parse};
use crate::reconcile::{Action, Plan, ResourcePlan};
use crate::resource::Gap;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A test case of a policy fails, or the file of test cases is invalid.
    Cases,
    /// Apply refuses a difference.
    Refused,
    /// Something could not be read.
    Incomplete,
    /// A policy gives more access than before, or its effect on access is not known.
    Widened,
    /// A lint finds something in a policy that the plan writes.
    Lint,
}

impl Check {
    /// Returns its name on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cases => "cases",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::Widened => "widened",
            Self::Lint => "lint",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: Check,
    /// The target, if the manifest has targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    pub message: String,
    /// The line of the test case or of the lint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Place>,
}

impl Finding {
    /// Returns a finding that is about no single resource.
    pub fn new(check: Check, message: impl Into<String>) -> Self {
        Self { check, target: None, address: None, message: message.into(), source: None }
    }

    fn about(address: &Address, check: Check, message: impl Into<String>) -> Self {
        Self { address: Some(address.clone()), ..Self::new(check, message) }
    }

    fn at(self, path: &str, line: usize) -> Self {
        Self { source: Some(Place { path: path.into(), line }), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.check.word())?;
        for one in self.target.iter().cloned().chain(self.address.iter().map(Address::to_string)) {
            write!(formatter, " {one}")?;
        }
        write!(formatter, ": {}", self.message)?;
        match &self.source {
            Some(place) => write!(formatter, " ({}:{})", place.path, place.line),
            None => Ok(()),
        }
    }
}

/// Returns the findings of a plan, except for test cases.
pub fn of_plan(checks: &BTreeSet<Check>, plan: &Plan, review: &Review) -> Vec<Finding> {
    let mut found = Vec::new();
    for resource in &plan.resources {
        let address = &resource.address;
        if resource.action == Action::Refused {
            found.push(Finding::about(address, Check::Refused, "apply refuses this difference"));
        }
        let incomplete = |gap| Finding::about(address, Check::Incomplete, describe(gap));
        found.extend(resource.gaps.iter().map(incomplete));
        found.extend(widened(resource, review));
        for lint in review.remarks(address).iter().flat_map(|remarks| &remarks.findings) {
            let message = format!("{} {}", lint.code.code(), lint.message);
            found.push(Finding::about(address, Check::Lint, message).at(&lint.path, lint.line));
        }
    }
    found.extend(plan.unlisted.iter().map(|gap| Finding::new(Check::Incomplete, describe(gap))));
    found.retain(|one| checks.contains(&one.check));
    found
}

fn describe(gap: &Gap) -> String {
    let path = gap.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    format!("{path}{} failed", gap.action)
}

/// Returns how a policy gives more access, or that its effect on access is not known.
fn widened(resource: &ResourcePlan, review: &Review) -> Vec<Finding> {
    let address = &resource.address;
    if address.kind != KindId::Policy {
        return Vec::new();
    }
    let means = review.remarks(address).map(|remarks| remarks.means.as_slice()).unwrap_or_default();
    let opens = means.iter().filter(|one| one.direction == Direction::Opens);
    let mut found: Vec<Finding> = opens.map(|one| Finding::about(address, Check::Widened, one.text.clone())).collect();
    if found.is_empty()
        && let Some(why) = unclear(resource)
    {
        found.push(Finding::about(address, Check::Widened, why));
    }
    found
}

/// Returns why the effect of a plan on access is not known, if it is not.
fn unclear(resource: &ResourcePlan) -> Option<&'static str> {
    if let Action::Unknown { if_absent } = &resource.action {
        return (!if_absent.is_empty()).then_some("the live policy could not be read, so its change is unknown");
    }
    let profile = &resource.address.key;
    if let Some(texts) = contents(resource) {
        let read = |text: &str| parse(&Source::new(&*resource.name, text), &mut Faults::default());
        let before = texts.live.and_then(read);
        let Some(after) = read(texts.desired) else { return Some("the new policy is invalid") };
        return match compare(profile, before.as_ref(), Some(&after)).1 {
            Exactness::Exact => None,
            Exactness::Partial => Some("the change of access cannot be computed completely"),
        };
    }
    // The content of a `SecureString` is not shown.
    let content = Field::Content.to_string();
    let hidden = match resource.action {
        Action::Create => true,
        Action::Update => resource.changes.iter().any(|change| change.path == content),
        _ => false,
    };
    hidden.then_some("the policy is a SecureString, whose change is not compared")
}

/// Returns the test cases that fail, of every policy and not only of those that the plan writes.
pub fn of_cases(desired: &[&DesiredResource], review_inputs: &ReviewInputs) -> Vec<Finding> {
    let present = desired.iter().filter(|one| one.presence().is_present());
    present.flat_map(|one| failing(one, review_inputs).unwrap_or_default()).collect()
}

fn failing(desired: &DesiredResource, review_inputs: &ReviewInputs) -> Option<Vec<Finding>> {
    let address = desired.address();
    let ReviewInput { policy: Some(path), cases: Some(source), .. } = review_inputs.resources.get(address)? else {
        return None;
    };
    let about = |message: String| Finding::about(address, Check::Cases, message);
    let text = desired.of::<PolicyParameter>()?.managed.content.as_ref()?.text()?.to_owned();
    let Some(policy) = parse(&Source::new(path.as_str(), text), &mut Faults::default()) else {
        return Some(vec![about(String::from("the policy is invalid, so its test cases cannot be evaluated"))]);
    };
    let mut faults = Faults::default();
    let cases = cases::parse(source, &policy, &mut faults);
    if !faults.is_empty() {
        let fault = |fault: crate::diagnostic::Fault| {
            about(fault.message.clone()).at(&fault.source.path, fault.source.line(fault.span.start))
        };
        return Some(faults.into_sorted().into_iter().map(fault).collect());
    }
    // Several profiles may share a file. Each test case is evaluated for its own profile.
    let sharing = |profile: &str| {
        let same = |(other, inputs): (&Address, &ReviewInput)| {
            other.key == profile && other.kind == address.kind && inputs.policy.as_ref() == Some(path)
        };
        review_inputs.resources.iter().any(same)
    };
    let own = cases.into_iter().filter(|case| case.profile == address.key || !sharing(&case.profile));
    let failed = own.filter_map(|case| {
        let answer = judge(&policy, &case);
        let rule = |rule: Option<&str>| rule.map(|rule| format!(" ({rule})")).unwrap_or_default();
        let message = format!(
            "{}: expected {}{}, gets {}{}",
            case.name,
            case.expect,
            rule(case.rule.as_deref()),
            answer.found,
            rule(answer.rule.as_deref())
        );
        (!answer.passed).then(|| about(message).at(&source.path, case.line))
    });
    Some(failed.collect())
}
