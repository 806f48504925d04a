//! `sentinel access who` and `sentinel access can`.

use serde_json::{Value, json};

use super::{Site, now};
use crate::access::gate::understood;
use crate::cli::{CanArgs, QuestionArgs, WhoArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::kind::policy_parameter::Content;
use crate::policy::explain::explain;
use crate::policy::{self, Answer, Arns, Ask, Effect, Policy, Question, evaluate};
use crate::report::answers::{self, Subject};
use crate::report::json;
use crate::report::versions::PolicyOf;
use crate::resource::caller::name_of;

/// A live policy.
struct Read {
    parameter: String,
    version: Option<i64>,
    policy: Policy,
}

/// Reads the live policy of a profile.
async fn read(context: &Context, profile: &str) -> Result<Read, Error> {
    let site = Site::new(context).await?;
    let parameter = site.parameter(profile)?;
    let live = site.gateway.policy(&parameter).await.map_err(|error| site.failed(error))?;
    let Some(live) = live else {
        return Err(site.no_policy(context, PolicyOf { profile, parameter: &parameter }));
    };
    let content = live.state.content.as_ref().and_then(Content::text).unwrap_or_default();
    let policy = understood(&parameter, content).map_err(|message| Error::Denied {
        message,
        hint: Some(format!("see it with: sentinel policy show {profile}")),
    })?;
    Ok(Read { parameter, version: live.facts.version, policy })
}

fn asked<'a>(read: &'a Read, question: &Question<'a>) -> Subject<'a> {
    let Question { profile, mode, at } = *question;
    Subject { profile, mode, at, policy: &read.parameter, version: read.version }
}

fn question<'a>(args: &QuestionArgs, profile: &'a str) -> Question<'a> {
    Question { profile, mode: args.mode, at: args.time.unwrap_or_else(now) }
}

fn value(answer: &Answer<'_>) -> Value {
    let principal = match answer.arns {
        Arns::Matching(pattern) => Some(pattern.as_str()),
        Arns::Any | Arns::Others => None,
    };
    json!({
        "user": answer.user,
        "principal": principal,
        "effect": answer.rule.map_or(Effect::Deny, |rule| rule.effect),
        "rule": answer.rule.map(|rule| rule.name.as_str()),
    })
}

fn document(command: &str, asked: &Subject<'_>, answers: &[Answer<'_>], more: Value) -> json::Document {
    let mut body = json!({
        "profile": asked.profile,
        "mode": asked.mode,
        "at": asked.at.to_string(),
        "parameter": asked.policy,
        "policy_version": asked.version,
        "answers": answers.iter().map(value).collect::<Vec<_>>(),
    });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    json::document(command, body)
}

/// Adds a note if patterns of the policy overlap, because the answers then do not apply to every ARN.
fn note_overlap(context: &Context, policy: &Policy) {
    if policy::patterns_overlap(policy) {
        context.terminal.note(
            "Several patterns of principals can match one ARN. For such a user, ask with the ARN: sentinel access can ARN PROFILE\n",
        );
    }
}

pub(in crate::command) async fn who(context: &Context, args: &WhoArgs) -> Result<Exit, Error> {
    let read = read(context, &args.profile).await?;
    let question = question(&args.question, &args.profile);
    let found = policy::answers(&read.policy, &question);
    note_overlap(context, &read.policy);
    let asked = asked(&read, &question);
    context.terminal.messages(
        || answers::who(&asked, &found, context.terminal.width()),
        || document("access who", &asked, &found, json!({})),
    )?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn can(context: &Context, args: &CanArgs) -> Result<Exit, Error> {
    let read = read(context, &args.profile).await?;
    let question = question(&args.question, &args.profile);
    // An ARN determines the user and the matching patterns.
    let of_arn = args.user.starts_with("arn:").then_some(args.user.as_str());
    let user = of_arn.and_then(name_of).unwrap_or(&args.user);
    let Question { profile, mode, at } = question;
    let ask = Ask { user, principal: of_arn.unwrap_or_default(), profile, mode, at };
    let found = if of_arn.is_some() {
        vec![Answer { user: Some(user), arns: Arns::Any, rule: evaluate(&read.policy, &ask) }]
    } else {
        note_overlap(context, &read.policy);
        policy::answers_to(&read.policy, Some(user), &question)
    };
    let would_allow = explain(&read.policy, &ask);
    let asked = asked(&read, &question);
    context.terminal.messages(
        || answers::can(&asked, &args.user, &found, &would_allow),
        || document("access can", &asked, &found, json!({ "would_allow": would_allow })),
    )?;
    let denied = |answer: &Answer<'_>| answer.rule.is_none_or(|rule| rule.effect == Effect::Deny);
    Ok(if found.iter().all(denied) { Exit::Error } else { Exit::Done })
}
