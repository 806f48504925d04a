//! The answers of a policy to all users at one moment, as text.

use jiff::Timestamp;

use super::access::{Cell, columns, plain, when};
use super::{BOLD, GREEN, RED, YELLOW, escape, paint};
use crate::policy::explain::WouldAllow;
use crate::policy::{Answer, Arns, Effect, Mode, Rule};

/// The policy, profile and moment of the answers.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub profile: &'a str,
    pub mode: Mode,
    pub at: Timestamp,
    /// The policy: its parameter or its file.
    pub policy: &'a str,
    pub version: Option<i64>,
}

impl Subject<'_> {
    fn policy(&self) -> String {
        let version = self.version.map(|version| format!(", version {version}")).unwrap_or_default();
        format!("{}{version}", escape(self.policy))
    }
}

/// Returns the access that a rule gives, and its style.
fn access(rule: Option<&Rule>) -> (&'static str, anstyle::Style) {
    match rule.map(|rule| rule.effect) {
        None | Some(Effect::Deny) => ("no", RED),
        Some(Effect::Allow) => ("yes", GREEN),
        Some(Effect::RequireApproval) => ("with approval", YELLOW),
        Some(Effect::RequireServer) => ("through a server", YELLOW),
        Some(Effect::RequireServerSession) => ("through a server, recorded", YELLOW),
    }
}

fn rule_text(rule: Option<&Rule>) -> String {
    rule.map_or_else(|| String::from("no rule matches"), |rule| format!("rule {}", escape(&rule.name)))
}

fn arns_text(answer: &Answer<'_>) -> String {
    match answer.arns {
        Arns::Any => String::new(),
        Arns::Matching(pattern) => format!(" as {}", escape(pattern.as_str())),
        Arns::Others => String::from(" with another ARN"),
    }
}

/// Returns the answer for each user that the policy names, and for all others.
pub fn who(asked: &Subject<'_>, answers: &[Answer<'_>], width: Option<usize>) -> String {
    let title = format!("Who gets {} in mode {} at {}", escape(asked.profile), asked.mode.word(), when(asked.at));
    let row = |answer: &Answer<'_>| -> Vec<Cell> {
        let user = answer.user.map_or_else(|| String::from("everyone else"), escape);
        let (text, style) = access(answer.rule);
        let rule = rule_text(answer.rule);
        vec![(format!("{user}{}", arns_text(answer)), None), (text.to_owned(), Some(style)), plain(&rule)]
    };
    let rows: Vec<Vec<Cell>> = answers.iter().map(row).collect();
    format!(
        "{}\n{}\nFrom {}. Locks, approvals and break-glass events are not looked at.\n",
        paint(BOLD, title),
        columns(width, &["USER", "ACCESS", "DECIDED BY"], &rows),
        asked.policy(),
    )
}

/// Returns the answer for one user, and which conditions prevent more access.
pub fn can(asked: &Subject<'_>, user: &str, answers: &[Answer<'_>], would_allow: &[WouldAllow]) -> String {
    let mut text = String::new();
    for answer in answers {
        let (description, style) = access(answer.rule);
        text.push_str(&format!(
            "{} for {}{}: {} ({}, mode {}, {})\n",
            paint(BOLD, escape(asked.profile)),
            escape(user),
            arns_text(answer),
            paint(style, description),
            rule_text(answer.rule),
            asked.mode.word(),
            when(asked.at),
        ));
        if let Some(reason) = answer.rule.and_then(|rule| rule.reason.as_deref()) {
            text.push_str(&format!("  reason: {}\n", escape(reason)));
        }
    }
    for line in would_allow {
        text.push_str(&format!("  {}\n", escape(&line.text)));
    }
    text.push_str(&format!("From {}. Locks, approvals and break-glass events are not looked at.\n", asked.policy()));
    text
}
