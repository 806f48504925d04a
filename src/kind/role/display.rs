//! The display texts of a role's settings.

use std::borrow::Cow;

use super::rules::{self, MANAGED, TRUST};
use super::{Boundary, Role};
use crate::kind::Line;
use crate::kind::document::PolicyDocument;
use crate::resource::{Fields, Live, digest, tag_text};

pub(super) fn text(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

pub(super) fn seconds(seconds: u32) -> String {
    format!("{seconds} s")
}

pub(super) fn boundary(boundary: &Boundary) -> &str {
    match boundary {
        Boundary::Off => "none",
        Boundary::Policy(arn) => arn,
    }
}

/// Returns the observed fields of a role. Its ID distinguishes it from a recreated role of the same name.
pub(super) fn seen(live: &Live<Role>) -> Fields {
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        instance_profiles,
    } = &live.state;
    let seen = [
        ("id", live.facts.id.clone()),
        ("path", path.clone()),
        ("description", description.clone()),
        ("max_session_duration", max_session_duration.map(seconds)),
        ("permissions_boundary", permissions_boundary.as_ref().map(|one| boundary(one).to_owned())),
        ("trust", trust.as_ref().map(|trust| digest(&trust.pretty()))),
        ("managed_policies", managed_policies.as_ref().map(|all| all.iter().cloned().collect::<Vec<_>>().join(", "))),
        ("instance_profiles", instance_profiles.as_ref().map(|all| all.join(", "))),
        ("tags", tags.as_ref().map(tag_text)),
    ];
    let seen = seen.into_iter().filter_map(|(field, text)| Some((Cow::Borrowed(field), text?)));
    let policies = policies
        .iter()
        .flatten()
        .map(|(name, policy)| (Cow::Owned(format!("policy {name}")), digest(&policy.pretty())));
    seen.chain(policies).collect()
}

/// Returns the layout of a new role, by setting. A value above the default quota is marked.
pub(super) fn layout(role: &Role) -> Vec<Line> {
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        instance_profiles: _,
    } = role;
    let mut lines: Vec<Line> = Vec::new();
    lines.extend(path.iter().filter(|path| *path != "/").map(|path| Line::new("path", path)));
    lines.extend(description.iter().map(|description| Line::new("description", description)));
    lines.extend(max_session_duration.map(|limit| Line::new("max_session_duration", seconds(limit))));
    lines.extend(permissions_boundary.iter().map(|one| Line::new("permissions_boundary", boundary(one))));
    lines.extend(trust.iter().map(|trust| Line::new("trust", trust_text(trust))));
    for (number, arn) in managed_policies.iter().flatten().enumerate() {
        let beyond = (number == MANAGED.0)
            .then(|| format!(" (this and all following ones exceed the default quota of {})", MANAGED.0));
        lines.push(Line::new("managed policy", format!("{arn}{}", beyond.unwrap_or_default())));
    }
    for (name, policy) in policies.iter().flatten() {
        lines.push(Line::new(
            format!("policy {name}"),
            format!("{}, {} characters", policy.describe(), rules::size(policy)),
        ));
    }
    lines.extend(tags.iter().flatten().map(|(key, value)| Line::new(format!("tags.{key}"), value)));
    lines
}

fn trust_text(trust: &PolicyDocument) -> String {
    let size = rules::size(trust);
    match size > TRUST.0 {
        true => format!("{}, {size} characters: exceeds the default quota of {}", trust.describe(), TRUST.0),
        false => trust.describe(),
    }
}

/// Returns the principals and the permissions of a role, for a diagram.
pub(super) fn sketch(role: &Role) -> Vec<Line> {
    let trust = role.trust.iter().flat_map(trusted).map(|who| Line::new("trusts", who));
    let managed = role.managed_policies.iter().flatten();
    let managed = managed.map(|arn| Line::new("managed policy", arn.rsplit('/').next().unwrap_or(arn)));
    let policies = role.policies.iter().flatten().map(|(name, _)| Line::new("policy", name));
    trust.chain(managed).chain(policies).collect()
}

/// Returns the principals that a trust policy names.
fn trusted(trust: &PolicyDocument) -> Vec<String> {
    let mut all = Vec::new();
    for statement in trust.value()["Statement"].as_array().into_iter().flatten() {
        let who = match &statement["Principal"] {
            serde_json::Value::Object(kinds) => kinds.values().cloned().collect(),
            other => vec![other.clone()],
        };
        for one in who {
            match one {
                serde_json::Value::String(text) => all.push(text),
                serde_json::Value::Array(list) => {
                    all.extend(list.iter().filter_map(|one| one.as_str().map(str::to_owned)));
                }
                _ => {}
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn values_above_the_default_quota_are_marked() {
        let trust = |name: &str| -> PolicyDocument {
            let statement = json!({ "Effect": "Allow", "Principal": { "AWS": name }, "Action": "sts:AssumeRole" });
            json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
        };
        assert_eq!(trust_text(&trust("x")), "1 statement");
        let large = trust_text(&trust(&"x".repeat(TRUST.0)));
        assert!(large.ends_with("exceeds the default quota of 2048"), "{large}");
        let managed: BTreeSet<String> = (0..11).map(|number| format!("arn:aws:iam::aws:policy/P{number:02}")).collect();
        let role = Role { managed_policies: Some(managed), ..Role::default() };
        let beyond: Vec<usize> = layout(&role)
            .iter()
            .enumerate()
            .filter(|(_, line)| line.text.contains("exceed"))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(beyond, [10]);
    }

    #[test]
    fn a_sketch_shows_principals_and_permissions() {
        let statement = json!({ "Effect": "Allow", "Principal": { "AWS": ["a", "b"], "Service": "c" }, "Action": "sts:AssumeRole" });
        let role = Role {
            trust: Some(json!({ "Statement": [statement] }).into()),
            managed_policies: Some(BTreeSet::from([String::from("arn:aws:iam::aws:policy/ReadOnlyAccess")])),
            ..Role::default()
        };
        let lines: Vec<String> = sketch(&role).into_iter().map(|line| format!("{} {}", line.name, line.text)).collect();
        assert_eq!(lines, ["trusts a", "trusts b", "trusts c", "managed policy ReadOnlyAccess"]);
    }
}
