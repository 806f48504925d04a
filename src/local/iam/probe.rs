//! The emulator's decision on a trust policy, for the tests of other evaluations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::parse_trust;
use super::evaluate::{Caller, CallerKind, Context, RequiredPermission};
use super::request;
use super::trust::{Trust, decide};

/// The time of all requests: 2026-01-01.
const NOW: i64 = 1_767_225_600_000;

/// A caller of `AssumeRole`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe<'a> {
    /// The ARN of a user or a role, or the name of a service.
    pub(crate) principal: &'a str,
    pub(crate) session: &'a str,
    pub(crate) external_id: Option<&'a str>,
}

impl Probe<'_> {
    /// Returns whether a trust policy allows the caller.
    pub(crate) fn is_granted(&self, policy: &Value) -> Result<bool, String> {
        let document = parse_trust(&policy.to_string())?;
        let account = self.principal.split(':').nth(4).unwrap_or_default();
        let name = self.principal.rsplit('/').next().unwrap_or_default();
        let (kind, arn) = match self.principal {
            principal if principal.contains(":user/") => (CallerKind::User, principal.to_owned()),
            principal if principal.contains(":role/") => {
                (CallerKind::Session, format!("arn:aws:sts::{account}:assumed-role/{name}/{}", self.session))
            }
            service => (CallerKind::Service, service.to_owned()),
        };
        let caller = Caller {
            kind,
            account: account.to_owned(),
            arn,
            principal: self.principal.to_owned(),
            user_id: String::from("UNKNOWN"),
            name: (kind == CallerKind::User).then(|| name.to_owned()),
            source_identity: None,
            tags: BTreeMap::new(),
            mfa: None,
            now: Some(NOW),
        };
        let mut context = Context::of(&[""]);
        context.set("sts:RoleSessionName", vec![String::from("task")]);
        if let Some(id) = self.external_id {
            context.set("sts:ExternalId", vec![id.to_owned()]);
        }
        let resource = String::from("arn:aws:iam::111111111111:role/prod");
        let permission = RequiredPermission {
            context,
            ..request::permission("us-east-1", String::from("sts:AssumeRole"), resource)
        };
        Ok(matches!(decide(&document, &BTreeMap::new(), &caller, &permission), Trust::Granted(_)))
    }
}
