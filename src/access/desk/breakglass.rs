//! Break-glass events: open, list, check, close.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Desk, Effect, InvalidField, ListOf, Narrowed, Operation, Owned, PolicyOf, Refused, Right, check_duration, check_id,
    check_name_if, check_profile, check_profile_if, check_text, new_id,
};
use crate::access::breakglass::{Closed, Event, Events, Excess, Filter, LONGEST, Opened, Status};
use crate::access::emergency::{Action, Breakglass};
use crate::access::gate::{Decision, Remedy, Stopped, User};
use crate::access::log::Outcome;
use crate::access::time::later;
use crate::policy::Mode;
use crate::resource::names::UserId;

impl Owned for Event {
    fn owner(&self) -> Option<&str> {
        self.invoker_arn.as_deref()
    }

    fn owner_id(&self) -> Option<&UserId> {
        self.invoker_id.as_ref()
    }
}

fn events<'a>(desk: &'a Desk<'_>) -> Events<'a> {
    Events(desk.gateway.records(&desk.tables.breakglass))
}

/// The valid reason codes.
const REASONS: [&str; 5] = ["incident", "maintenance", "security", "recovery", "other"];

/// Opens an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    pub profile: String,
    pub reason_code: String,
    pub justification: String,
    /// In seconds.
    pub duration: i64,
}

/// The result of opening an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    Opened {
        event: Box<Event>,
        breakglass: Breakglass,
    },
    /// The user already has an active event for the profile.
    Another(Box<Event>),
    /// Another process opened events of the same user and profile at the same time.
    Taken(Box<Event>),
    Refused(Box<Refused>),
    /// STS returned no unique ID for this ARN.
    NoId(String),
}

impl Operation for Open {
    const NAME: &'static str = "breakglass";
    const EFFECT: Effect = Effect::Decides;
    type Answer = Opening;

    fn check(&self) -> Result<(), InvalidField> {
        check_profile(&self.profile)?;
        if !REASONS.contains(&self.reason_code.as_str()) {
            return Err(InvalidField("reason_code"));
        }
        check_text("justification", &self.justification, (20, 1000))?;
        check_duration(self.duration, LONGEST)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Opening, Stopped> {
        desk.need(&[Right::Operate])?;
        desk.known_profile(&self.profile)?;
        let user = desk.user().await?;
        let (id, now) = (new_id()?, desk.now);
        let event = self.event(&user, new_id()?, now);
        let parameter = desk.parameter(&self.profile);
        let gate = desk.gate(PolicyOf { profile: &self.profile, parameter: &parameter });
        if user.user_id.is_empty() {
            let why = format!("AWS STS names no unique ID for {}, under which the event would be recorded", user.arn);
            let decision = gate.undecided(user.clone().into_owned(), Mode::Cli, &id, now);
            log_refusal(desk, decision.refused(None, why), &event)?;
            return Ok(Opening::NoId(user.arn.clone()));
        }
        let (mut decision, limits) = gate.may_open(&user, &id, now).await?;
        let events = events(desk);
        if decision.allowed() {
            if let Some(active) = events.active(&user, &event.profile, now).await? {
                log_refusal(desk, decision.refused(None, already_open(&active)), &event)?;
                return Ok(Opening::Another(Box::new(active)));
            }
            let usage = events.usage(&user, &event, limits, now).await?;
            if let Some(excess) = usage.excess(self.duration, limits) {
                let mut why = excess.message(&user, &event.profile, limits);
                if let Excess::Hours { left: left @ 60.. } = excess {
                    why.push_str(&format!("; --duration {}m is left", left / 60));
                }
                decision = decision.refused(Some(Remedy::Request), why);
            }
        }
        if !decision.allowed() {
            return Ok(Opening::Refused(Box::new(Refused::of(&log_refusal(desk, decision, &event)?))));
        }
        let breakglass = Breakglass::of(&event, Action::Opened);
        let opened = Decision {
            breakglass: Some(breakglass.clone()),
            breakglass_id: Some(event.id.clone()),
            ..decision.clone()
        };
        desk.log.write(&opened, None, Outcome::Opened)?;
        desk.log.written().await?;
        // The line above precedes the write, so that another one has to follow if the event is not opened.
        Ok(match events.open(&event, &user).await? {
            Opened::Done => Opening::Opened { event: Box::new(event), breakglass },
            Opened::Another(active) => {
                log_refusal(desk, decision.refused(None, already_open(&active)), &event)?;
                Opening::Another(active)
            }
            Opened::Taken => {
                let why = format!("another event of {} for {} was being opened", event.invoker, event.profile);
                log_refusal(desk, decision.refused(None, why), &event)?;
                Opening::Taken(Box::new(event))
            }
        })
    }

    fn is_done(answer: &Opening) -> bool {
        matches!(answer, Opening::Opened { .. })
    }
}

impl Open {
    fn event(&self, user: &User, id: String, now: Timestamp) -> Event {
        Event {
            id,
            invoker: user.name.clone(),
            invoker_arn: Some(user.arn.clone()),
            invoker_id: user.id_to_record(),
            profile: self.profile.clone(),
            reason_code: self.reason_code.clone(),
            justification: self.justification.clone(),
            status: Status::Active,
            created_at: now,
            expires_at: later(now, self.duration),
            closed_by: None,
            closed_by_arn: None,
            closed_at: None,
            closed_reason: None,
            problem: None,
        }
    }
}

/// Logs that an event was not opened, and returns the decision as it was logged.
fn log_refusal(desk: &Desk<'_>, decision: Decision, event: &Event) -> Result<Decision, Stopped> {
    let decision = Decision { breakglass: Some(Breakglass::of(event, Action::Refused)), ..decision };
    desk.log.write(&decision, None, Outcome::Refused)?;
    Ok(decision)
}

fn already_open(active: &Event) -> String {
    format!("{} already has an active break-glass event for {}: {}", active.invoker, active.profile, active.id)
}

/// Lists events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    #[serde(default)]
    pub invoker: Option<String>,
    #[serde(default)]
    pub profile: Option<String>,
    #[serde(default)]
    pub status: Option<Status>,
    pub limit: u64,
}

impl Operation for List {
    const NAME: &'static str = "breakglass-list";
    const EFFECT: Effect = Effect::Reads;
    type Answer = ListOf<Event>;

    fn check(&self) -> Result<(), InvalidField> {
        check_name_if("invoker", self.invoker.as_ref())?;
        check_profile_if(self.profile.as_ref())
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<ListOf<Event>, Stopped> {
        let narrowed = if self.profile.is_none() && self.status.is_none() { Narrowed::No } else { Narrowed::Yes };
        let of = desk.listed_user(self.invoker.as_deref(), narrowed).await?;
        let filter = Filter { invoker: of.as_deref(), profile: self.profile.as_deref(), status: self.status };
        desk.visible_of(events(desk).list(&filter, desk.most(self.limit), desk.now).await?, of).await
    }
}

/// Shows an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub id: String,
}

impl Operation for Check {
    const NAME: &'static str = "breakglass-check";
    const EFFECT: Effect = Effect::Reads;
    type Answer = Option<Event>;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Option<Event>, Stopped> {
        desk.visible(events(desk).get(&self.id, desk.now).await?).await
    }
}

/// Closes an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    pub id: String,
    pub reason: String,
}

impl Operation for Close {
    const NAME: &'static str = "breakglass-close";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Closed;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)?;
        check_text("reason", &self.reason, (1, 500))
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Closed, Stopped> {
        desk.need(&[Right::Operate])?;
        let user = desk.user().await?;
        Ok(events(desk).close(&self.id, (&user, &self.reason), &new_id()?, desk.now).await?)
    }

    fn is_done(answer: &Closed) -> bool {
        matches!(answer, Closed::Done(_))
    }
}
