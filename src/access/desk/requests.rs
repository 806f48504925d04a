//! Requests: create, list, check, approve, deny, cancel, revoke.

use serde::{Deserialize, Serialize};

use super::{
    Desk, Effect, InvalidField, ListOf, Narrowed, Operation, Owned, Right, check_duration, check_id, check_name_if,
    check_profile, check_profile_if, check_text, check_text_if, new_id,
};
use crate::access::RequestFilter;
use crate::access::gate::Stopped;
use crate::access::requests::{
    self as records, Answered, LONGEST, NewRequest, Request, RequestLookup, Requests, Status, Verdict,
};
use crate::resource::names::UserId;

impl Owned for Request {
    fn owner(&self) -> Option<&str> {
        Some(&self.requester_arn)
    }

    fn owner_id(&self) -> Option<&UserId> {
        self.requester_id.as_ref()
    }
}

fn requests<'a>(desk: &'a Desk<'_>) -> Requests<'a> {
    Requests(desk.gateway.records(&desk.tables.approvals))
}

/// Requests access to a profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    pub profile: String,
    pub justification: String,
    /// In seconds.
    pub duration: i64,
}

impl Operation for Create {
    const NAME: &'static str = "request";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Request;

    fn check(&self) -> Result<(), InvalidField> {
        check_profile(&self.profile)?;
        check_text("justification", &self.justification, (10, 500))?;
        check_duration(self.duration, LONGEST)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Request, Stopped> {
        desk.known_profile(&self.profile)?;
        let user = desk.user().await?;
        let Self { profile, justification, duration } = self;
        let new = NewRequest { by: &user, profile, justification, duration: *duration };
        Ok(requests(desk).create(&new_id()?, new, desk.now).await?)
    }
}

/// Lists requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    #[serde(default)]
    pub requester: Option<String>,
    #[serde(default)]
    pub profile: Option<String>,
    #[serde(default)]
    pub status: Option<Status>,
    pub limit: u64,
}

impl Operation for List {
    const NAME: &'static str = "list";
    const EFFECT: Effect = Effect::Reads;
    type Answer = ListOf<Request>;

    fn check(&self) -> Result<(), InvalidField> {
        check_name_if("requester", self.requester.as_ref())?;
        check_profile_if(self.profile.as_ref())
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<ListOf<Request>, Stopped> {
        let narrowed = if self.profile.is_none() && self.status.is_none() { Narrowed::No } else { Narrowed::Yes };
        let of = desk.listed_user(self.requester.as_deref(), narrowed).await?;
        let filter = RequestFilter { requester: of.as_deref(), profile: self.profile.as_deref(), status: self.status };
        desk.visible_of(requests(desk).list(&filter, desk.most(self.limit), desk.now).await?, of).await
    }
}

/// Shows a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub id: String,
}

impl Operation for Check {
    const NAME: &'static str = "check";
    const EFFECT: Effect = Effect::Reads;
    type Answer = RequestLookup;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<RequestLookup, Stopped> {
        // A record that the user may not see is as if it were not there.
        Ok(match requests(desk).get(&self.id, desk.now).await? {
            RequestLookup::Request(request) => {
                let request = desk.visible(Some(*request)).await?;
                request.map_or(RequestLookup::Nothing, |request| RequestLookup::Request(Box::new(request)))
            }
            other if desk.sees_others() => other,
            _ => RequestLookup::Nothing,
        })
    }
}

/// The result of an operation on a request, and the user who acted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settled {
    pub answered: Answered,
    pub user_arn: String,
}

impl Settled {
    fn is_done(&self) -> bool {
        matches!(self.answered, Answered::Done(_))
    }
}

/// Approves (`true`) or denies (`false`) the request of another user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide<const APPROVES: bool> {
    pub id: String,
    #[serde(default)]
    pub comment: Option<String>,
}

pub type Approve = Decide<true>;
pub type Deny = Decide<false>;

impl<const APPROVES: bool> Operation for Decide<APPROVES> {
    const NAME: &'static str = if APPROVES { "approve" } else { "deny" };
    const EFFECT: Effect = Effect::Writes;
    type Answer = Settled;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)?;
        check_text_if("comment", self.comment.as_ref(), (1, 500))
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Settled, Stopped> {
        desk.need(&[Right::Approve])?;
        let user = desk.user().await?;
        let verdict = if APPROVES { Verdict::Approve } else { Verdict::Deny };
        let answer = records::Answer { verdict, comment: self.comment.as_deref() };
        let answered = requests(desk).decide(&self.id, answer, &user, &new_id()?, desk.now).await?;
        Ok(Settled { answered, user_arn: user.arn.clone() })
    }

    fn is_done(answer: &Settled) -> bool {
        answer.is_done()
    }
}

/// Cancels a request of the user's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    pub id: String,
}

impl Operation for Cancel {
    const NAME: &'static str = "cancel";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Settled;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Settled, Stopped> {
        let user = desk.user().await?;
        if desk.is_broker()
            && let RequestLookup::Request(request) = requests(desk).get(&self.id, desk.now).await?
            && !request.is_of(&user)
        {
            let answered = own_or_nothing(desk, Answered::NotOwn(request));
            return Ok(Settled { answered, user_arn: user.arn.clone() });
        }
        let answered = requests(desk).cancel(&self.id, user.actor(), &new_id()?, desk.now).await?;
        Ok(Settled { answered: own_or_nothing(desk, answered), user_arn: user.arn.clone() })
    }

    fn is_done(answer: &Settled) -> bool {
        answer.is_done()
    }
}

/// Hides the request of another user from a user who may not see it.
fn own_or_nothing(desk: &Desk<'_>, answered: Answered) -> Answered {
    match answered {
        Answered::NotOwn(_) | Answered::Not(_) if !desk.sees_others() => Answered::Not(RequestLookup::Nothing),
        other => other,
    }
}

/// Revokes a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    pub id: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Operation for Revoke {
    const NAME: &'static str = "revoke";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Settled;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)?;
        check_text_if("reason", self.reason.as_ref(), (1, 500))
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Settled, Stopped> {
        desk.need(&[Right::Approve, Right::Operate])?;
        let user = desk.user().await?;
        let reason = self.reason.as_deref();
        let answered = requests(desk).revoke(&self.id, reason, user.actor(), &new_id()?, desk.now).await?;
        Ok(Settled { answered, user_arn: user.arn.clone() })
    }

    fn is_done(answer: &Settled) -> bool {
        answer.is_done()
    }
}
