//! Sessions of credential servers: list, check, revoke.

use serde::{Deserialize, Serialize};

use super::{
    Desk, Effect, InvalidField, ListOf, Narrowed, Operation, Owned, Right, check_id, check_name_if, check_text, new_id,
};
use crate::access::gate::Stopped;
use crate::access::sessions::{Filter, Revoked, Session, Sessions, Status};
use crate::resource::names::UserId;

impl Owned for Session {
    fn owner(&self) -> Option<&str> {
        self.user_arn.as_deref()
    }

    fn owner_id(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }
}

pub(super) fn sessions<'a>(desk: &'a Desk<'_>) -> Sessions<'a> {
    Sessions(desk.gateway.records(&desk.tables.sessions))
}

/// Lists sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub instance: Option<String>,
    #[serde(default)]
    pub status: Option<Status>,
    pub limit: u64,
}

impl Operation for List {
    const NAME: &'static str = "server-sessions";
    const EFFECT: Effect = Effect::Reads;
    type Answer = ListOf<Session>;

    fn check(&self) -> Result<(), InvalidField> {
        check_name_if("user", self.user.as_ref())?;
        check_name_if("instance", self.instance.as_ref())
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<ListOf<Session>, Stopped> {
        let narrowed = if self.instance.is_none() && self.status.is_none() { Narrowed::No } else { Narrowed::Yes };
        let of = desk.listed_user(self.user.as_deref(), narrowed).await?;
        let filter = Filter { user: of.as_deref(), instance: self.instance.as_deref(), status: self.status };
        desk.visible_of(sessions(desk).list(&filter, desk.most(self.limit), desk.now).await?, of).await
    }
}

/// Shows a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub id: String,
}

impl Operation for Check {
    const NAME: &'static str = "server-session";
    const EFFECT: Effect = Effect::Reads;
    type Answer = Option<Session>;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Option<Session>, Stopped> {
        desk.visible(sessions(desk).get(&self.id, desk.now).await?).await
    }
}

/// Revokes a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    pub id: String,
    pub reason: String,
}

impl Operation for Revoke {
    const NAME: &'static str = "server-revoke";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Revoked;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)?;
        check_text("reason", &self.reason, (1, 500))
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Revoked, Stopped> {
        desk.need(&[Right::Operate])?;
        let user = desk.user().await?;
        Ok(sessions(desk).revoke(&self.id, (&user, &self.reason), &new_id()?, desk.now).await?)
    }

    fn is_done(answer: &Revoked) -> bool {
        matches!(answer, Revoked::Done(_) | Revoked::Unseen | Revoked::Ended(_))
    }
}
