//! The caller of a request, and its permissions.

use std::collections::BTreeMap;

use super::document::{self, Document};
use super::evaluate::{Caller, CallerKind};
use super::managed;
use super::permissions::{Layers, Permissions};
use super::role::{HOME, Role};
use crate::local::answer::{Failure, Request};
use crate::local::sts::{Identity, KeyOwner, RoleSession, Token, is_temporary};
use crate::local::{LocalAws, Region};

/// The caller of a request.
#[derive(Debug, Clone)]
pub(in crate::local) struct Signer {
    pub(super) caller: Caller,
    pub(super) permissions: Permissions,
    /// The attributes of a role session.
    pub(super) session: Option<RoleSession>,
}

/// The reason why keys identify no caller.
#[derive(Debug)]
pub(in crate::local) enum Unknown {
    Invalid,
    Expired,
    Failed(String),
}

impl Unknown {
    /// Returns AWS's message.
    pub(in crate::local) fn message(&self) -> &str {
        match self {
            Self::Invalid => "The security token included in the request is invalid.",
            Self::Expired => "The security token included in the request is expired",
            Self::Failed(what) => what,
        }
    }
}

impl From<Failure> for Unknown {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.message().to_owned())
    }
}

impl Signer {
    /// Identifies the caller of a request. The session of a role that was never created has all permissions.
    pub(in crate::local) fn of(aws: &LocalAws, request: &Request) -> Result<Self, Unknown> {
        let identity = Identity::of(&request.key);
        let token = Token::read(&request.token).filter(|token| token.key == request.key);
        let now = aws.0.clock.now();
        if token.as_ref().is_some_and(|token| token.expires <= now) {
            return Err(Unknown::Expired);
        }
        let mfa = is_temporary(&request.key).then(|| token.as_ref().is_some_and(|token| token.mfa));
        let mut caller = Caller {
            kind: CallerKind::User,
            account: identity.account.to_owned(),
            arn: identity.arn(),
            principal: identity.arn(),
            user_id: identity.user_id(),
            name: None,
            source_identity: None,
            tags: BTreeMap::new(),
            mfa,
            now: Some(now),
        };
        match identity.owner {
            KeyOwner::Service(_) => {
                let caller = Caller { kind: CallerKind::Service, ..caller };
                Ok(Self { caller, permissions: Permissions::Nothing, session: None })
            }
            KeyOwner::User(name) => {
                caller.name = Some(name.to_owned());
                let policies = aws.1.policies(name);
                let only = |identity| Permissions::Only(Layers { identity, ..Layers::default() });
                Ok(Self { caller, permissions: policies.map_or(Permissions::All, only), session: None })
            }
            KeyOwner::Session { role, session } => {
                caller.kind = CallerKind::Session;
                caller.principal = format!("arn:aws:iam::{}:role/{role}", caller.account);
                let home = aws.open_region(&caller.account, HOME).map_err(Unknown::Failed)?;
                let found = Role::find(&home, role)?;
                let stamped = token.and_then(|token| token.role);
                caller.source_identity = stamped.as_ref().and_then(|one| one.source_identity.clone());
                caller.tags = stamped.as_ref().map(|one| one.tags.clone()).unwrap_or_default();
                let Some(found) = found else {
                    // Its role was deleted.
                    if stamped.as_ref().is_some_and(|one| one.id.is_some()) {
                        return Err(Unknown::Invalid);
                    }
                    return Ok(Self { caller, permissions: Permissions::All, session: stamped });
                };
                let stamped = stamped.filter(|one| one.id.as_ref() == Some(&found.id)).ok_or(Unknown::Invalid)?;
                caller.principal = found.arn();
                caller.user_id = format!("{}:{session}", found.id);
                for (key, value) in found.tags.values() {
                    let known = caller.tags.keys().any(|own| own.eq_ignore_ascii_case(key));
                    if !known {
                        caller.tags.insert(key.clone(), value.clone());
                    }
                }
                let permissions = Permissions::Only(layers(&home, &found, stamped.policies.as_deref())?);
                Ok(Self { caller, permissions, session: Some(stamped) })
            }
        }
    }
}

impl Signer {
    pub(super) fn has_all_permissions(&self) -> bool {
        matches!(self.permissions, Permissions::All)
    }
}

/// Returns the policies of a role, and of its session.
pub(super) fn layers(home: &Region, role: &Role, session: Option<&[String]>) -> Result<Layers, Failure> {
    let mut unknown = None;
    // AWS names an inline policy so in the results of a simulation.
    let inline = |(name, text): (&String, &String)| Ok(parsed(text)?.named(format!("role_{}_{name}", role.name)));
    let inline = role.inline.iter().map(inline).collect::<Result<Vec<_>, Failure>>()?;
    let mut identity = inline;
    let mut of_arn = |arn: &str| -> Result<Option<Document>, Failure> {
        let text = home.store.read(|store| managed::document(store, arn))?;
        if text.is_none() {
            unknown = Some(arn.to_owned());
        }
        let name = arn.rsplit('/').next().unwrap_or_default();
        text.map(|text| Ok(parsed(&text)?.named(name))).transpose()
    };
    for arn in &role.attached {
        identity.extend(of_arn(arn)?);
    }
    let boundary = match &role.boundary {
        Some(arn) => Some(of_arn(arn)?.into_iter().collect()),
        None => None,
    };
    let session = session.map(|texts| texts.iter().map(|text| parsed(text)).collect()).transpose()?;
    Ok(Layers { identity: identity.into(), boundary, session, unknown })
}

/// Parses a document that was checked when it was stored.
fn parsed(text: &str) -> Result<Document, Failure> {
    document::parse(text).map_err(|error| Failure::internal(&format!("a stored policy cannot be read: {error}")))
}
