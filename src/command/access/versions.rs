//! `sentinel policy show`, `history`, `diff` and `rollback`: the versions of a policy that Parameter Store keeps.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Site, find_manifest, now};
use crate::access::gate::understood;
use crate::cli::{
    ApplyOptions, LivePolicyArgs, PolicyDiffArgs, PolicyHistoryArgs, PolicyRollbackArgs, PolicyShowArgs, WaitArgs,
};
use crate::command::apply::apply_plans;
use crate::command::context::{Context, Project};
use crate::command::local::Users;
use crate::command::output::check;
use crate::command::status::quoted;
use crate::error::{Error, Exit};
use crate::files;
use crate::kind::policy_parameter::{Content, ParameterType, PolicyParameter, Reading, Version};
use crate::kind::{AddressPattern, Desired, DesiredResource};
use crate::manifest::{Manifest, ProfileSection};
use crate::policy::calendar::calendar;
use crate::policy::{Meaning, Policy, meaning};
use crate::reconcile::guard::Share;
use crate::reconcile::{Intent, Scope};
use crate::report::versions::{self as shown, PolicyOf, Row, Side};
use crate::report::week::{self, PolicyPage};
use crate::report::{escape, for_file, json};
use crate::review::Review;

/// The policy of a profile, and the versions that Parameter Store keeps.
struct History {
    site: Site,
    parameter: String,
    /// The oldest first; not empty.
    versions: Vec<Version>,
}

impl History {
    async fn read(context: &Context, args: &LivePolicyArgs, reading: Reading) -> Result<Self, Error> {
        let site = Site::of_provisioner(context).await?;
        let parameter = site.parameter(&args.profile)?;
        let versions = site.gateway.policy_versions(&parameter, reading).await.map_err(|error| site.failed(error))?;
        if versions.is_empty() {
            return Err(site.no_policy(context, PolicyOf { profile: &args.profile, parameter: &parameter }));
        }
        Ok(Self { site, parameter, versions })
    }

    fn newest(&self) -> Result<&Version, Error> {
        self.versions.last().ok_or_else(|| Error::internal("a policy without versions was not refused"))
    }

    /// Returns a version by its number.
    fn version(&self, number: i64) -> Result<&Version, Error> {
        self.versions.iter().find(|version| version.number == number).ok_or_else(|| {
            let (first, last) =
                (self.versions.first().map_or(0, |one| one.number), self.newest().map_or(0, |one| one.number));
            Error::NoRecord {
                message: format!("{} has no version {number} in Parameter Store", self.parameter),
                hint: format!("it keeps versions {first} to {last}; sentinel policy history lists them"),
            }
        })
    }

    /// Returns the version before another one, if it is kept.
    fn before(&self, number: i64) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.number < number)
    }

    fn policy(&self, version: &Version) -> Option<Policy> {
        understood(&self.parameter, text_of(version)?).ok()
    }

    /// Returns the page of a version: compared with the version before it, if that is kept and can be read.
    fn page(&self, profile: &str, version: &Version, text: &str) -> String {
        let (before, after) = (self.before(version.number), self.policy(version));
        let earlier = before.and_then(|before| Some((before.number, self.policy(before)?)));
        let policy = earlier.as_ref().map(|(_, policy)| policy);
        let row = self.row(profile, version);
        let written = row.modified.map(|at| format!("Written {at}"));
        let author = row.author.as_ref().map(|author| format!("by {author}"));
        let invalid = after.is_none().then(|| String::from("Not a valid policy: nobody gets access."));
        week::policy(&PolicyPage {
            profile,
            parameter: &self.parameter,
            version: version.number,
            facts: [written, author, invalid].into_iter().flatten().collect(),
            before: earlier.as_ref().map(|(number, _)| *number),
            text,
            calendar: &calendar(profile, policy, after.as_ref()),
            means: &meaning(profile, policy, after.as_ref()),
        })
    }

    /// Returns the effect of a version on access.
    fn row(&self, profile: &str, version: &Version) -> Row {
        let before = self.before(version.number);
        let first = self.versions.first().is_some_and(|first| first.number == version.number);
        let (after, earlier) = (self.policy(version), before.and_then(|before| self.policy(before)));
        let unknown = match (text_of(version), &after) {
            (None, _) => Some("a secret; policy diff --show-secrets shows it"),
            (Some(_), None) => Some("not a valid policy: nobody gets access"),
            // The version before the oldest one is unknown.
            (Some(_), Some(_)) if first && version.number > 1 => Some("the version before it is no longer kept"),
            (Some(_), Some(_)) => None,
        };
        let means = if unknown.is_none() { meaning(profile, earlier.as_ref(), after.as_ref()) } else { Vec::new() };
        Row {
            number: version.number,
            modified: version.modified.and_then(|at| Timestamp::from_second(at).ok()),
            author: version.author.clone(),
            labels: version.labels.clone(),
            means,
            unknown,
        }
    }
}

fn text_of(version: &Version) -> Option<&str> {
    version.content.as_ref().and_then(Content::text)
}

/// Returns the error for a secret policy that the user did not request to see.
fn secret(parameter: &str, number: i64) -> Error {
    Error::Denied {
        message: format!("version {number} of {parameter} is a SecureString"),
        hint: Some(String::from("add --show-secrets to decrypt and print it")),
    }
}

fn facts(version: &Version) -> Value {
    let modified = version.modified.and_then(|at| Timestamp::from_second(at).ok()).map(|at| at.to_string());
    json!({ "version": version.number, "modified": modified, "author": version.author, "labels": version.labels })
}

/// Adds members to an object.
fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

pub(in crate::command) async fn show(context: &Context, args: &PolicyShowArgs) -> Result<Exit, Error> {
    // Checked before any call.
    if let Some(path) = &args.out_html {
        check(path)?;
    }
    let history =
        History::read(context, &args.live, if args.show_secrets { Reading::Decrypted } else { Reading::Plain }).await?;
    let version = match args.number {
        Some(number) => history.version(number)?,
        None => history.newest()?,
    };
    let text = text_of(version).ok_or_else(|| secret(&history.parameter, version.number))?;
    if let Some(path) = &args.out_html {
        let page = for_file(&history.page(&args.live.profile, version, text));
        files::write(path, page.as_bytes(), files::SHARED).map_err(|error| Error::io(path, error))?;
    }
    let about = json!({ "profile": args.live.profile, "parameter": history.parameter, "policy": text });
    context.terminal.script(|| text.to_owned(), || json::document("policy show", with(about, facts(version))))?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn history(context: &Context, args: &PolicyHistoryArgs) -> Result<Exit, Error> {
    let profile = &args.live.profile;
    let history = History::read(context, &args.live, Reading::Plain).await?;
    let rows: Vec<Row> = history.versions.iter().rev().map(|version| history.row(profile, version)).collect();
    let document = || {
        let versions = history.versions.iter().rev().zip(&rows);
        let versions: Vec<Value> = versions
            .map(|(version, row)| with(facts(version), json!({ "means": row.means, "unknown": row.unknown })))
            .collect();
        let body = json!({ "profile": profile, "parameter": history.parameter, "versions": versions });
        json::document("policy history", body)
    };
    let width = context.terminal.width();
    context.terminal.either(
        || shown::history(PolicyOf { profile, parameter: &history.parameter }, &rows, now(), width),
        document,
    )?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn diff(context: &Context, args: &PolicyDiffArgs) -> Result<Exit, Error> {
    let profile = &args.live.profile;
    let history =
        History::read(context, &args.live, if args.show_secrets { Reading::Decrypted } else { Reading::Plain }).await?;
    let after = match args.to {
        Some(number) => history.version(number)?,
        None => history.newest()?,
    };
    let before = match args.from {
        Some(number) => history.version(number)?,
        None => history.before(after.number).ok_or_else(|| Error::NoRecord {
            message: format!("{} keeps no version before {}", history.parameter, after.number),
            hint: String::from("name another one with --to; sentinel policy history lists them"),
        })?,
    };
    let means: Vec<Meaning> = match (text_of(before), text_of(after)) {
        (Some(_), Some(_)) => meaning(profile, history.policy(before).as_ref(), history.policy(after).as_ref()),
        _ => Vec::new(),
    };
    let one = Side { number: before.number, text: text_of(before) };
    let other = Side { number: after.number, text: text_of(after) };
    let document = || {
        let of = |version| with(facts(version), json!({ "policy": text_of(version) }));
        let body = json!({
            "profile": profile, "parameter": history.parameter, "from": of(before), "to": of(after), "means": means,
        });
        json::document("policy diff", body)
    };
    context.terminal.either(|| shown::diff(profile, one, other, &means), document)?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn rollback(context: &Context, args: &PolicyRollbackArgs) -> Result<Exit, Error> {
    let profile = &args.live.profile;
    let history = context.reading(History::read(context, &args.live, Reading::Decrypted)).await?;
    let version = history.version(args.to)?;
    let newest = history.newest()?;
    let text = text_of(version).unwrap_or_default();
    // A policy that gives nobody access is most likely a mistake.
    understood(&history.parameter, text).map_err(|why| Error::Denied {
        message: format!("version {} cannot be written again: {why}", args.to),
        hint: Some(String::from("choose another version with --to")),
    })?;
    let project = project(context, profile)?;
    let destination = history.site.destination.clone();
    let wanted = project.wanted(&destination)?;
    let own =
        wanted.desired.iter().find_map(|one| one.of::<PolicyParameter>().filter(|one| one.address.key == *profile));
    let own = own.ok_or_else(|| Error::internal("the profile that was added to the manifest is not in it"))?;
    let desired = [DesiredResource::Policy(Arc::new(as_written(own, version, newest)))];
    let only: Result<AddressPattern, _> = format!("profiles.{profile}").parse();
    let scope = Scope {
        ownership: project.loaded.manifest.aws.ownership_key(),
        only: only.into_iter().collect(),
        ..Scope::of(Intent::Converge)
    };
    let users = if destination.local.is_some() { Users::of(&project) } else { Users::default() };
    let reader = context.connect(&destination, &users).await?;
    let mut planned = context.plan(reader, destination.clone(), &users, &desired, scope).await?;
    let mut review_inputs = project.review_inputs();
    // Lint findings refer to the text of the version.
    review_inputs
        .resources
        .entry(own.address.clone())
        .and_modify(|one| one.policy = Some(format!("version {}", args.to)));
    planned.review = Review::of(&planned.pass.plan, &review_inputs);
    let options = ApplyOptions {
        yes: args.yes,
        wait: WaitArgs::default(),
        time: args.time.clone(),
        progress: args.progress.clone(),
    };
    let from_file = own.managed.content.as_ref().is_some_and(|content| content.text() != Some(text));
    let exit =
        apply_plans(context, "policy rollback", vec![(destination, Ok(planned))], (Share::Any, &options), Vec::new())
            .await?;
    if from_file {
        let file = own.origin.as_deref().unwrap_or_default();
        let path = project.policy_path(file).display().to_string();
        let command = escape(&keep(context, &history.site, args, (version, &path)));
        context.terminal.note(&format!(
            "The manifest's {} differs from version {}: the next apply writes its text again. To keep this version:\n    \
             {command}\n",
            escape(file),
            args.to
        ));
    }
    Ok(exit)
}

/// Returns the command that writes a version to the manifest's file. A command that fails leaves the file as it is.
fn keep(context: &Context, site: &Site, args: &PolicyRollbackArgs, (version, file): (&Version, &str)) -> String {
    let mut words =
        ["sentinel", "policy", "show", &args.live.profile, &args.to.to_string()].map(str::to_owned).to_vec();
    if version.parameter_type == Some(ParameterType::SecureString) {
        words.push(String::from("--show-secrets"));
    }
    let show = site.command(context, words, context.global.policy_root.clone());
    let new = format!("{file}.new");
    format!("{show} > {} && mv {}", quoted(&[&new]), quoted(&[new.as_str(), file]))
}

/// Returns the manifest with the profile: the nearest one, or one in memory.
fn project(context: &Context, profile: &str) -> Result<Project, Error> {
    if let Some(path) = find_manifest()? {
        let project = context.project(&[path])?;
        if project.loaded.manifest.sections.profiles.contains_key(profile) {
            return Ok(project);
        }
    }
    let mut manifest = Manifest { policy_root: context.global.policy_root.clone(), ..Manifest::default() };
    manifest.sections.profiles.insert(profile.to_owned(), ProfileSection::default());
    context.project_in_memory(&manifest)
}

/// Returns a policy with the text of an earlier version, and all other settings of the manifest.
fn as_written(own: &Desired<PolicyParameter>, version: &Version, newest: &Version) -> Desired<PolicyParameter> {
    let mut desired = own.clone();
    desired.managed.content.clone_from(&version.content);
    if desired.managed.parameter_type != newest.parameter_type
        && newest.parameter_type == Some(ParameterType::SecureString)
    {
        // A manifest without the profile does not specify its type.
        desired.managed.parameter_type = Some(ParameterType::SecureString);
    }
    desired.managed.labels = None;
    desired.origin = Some(format!("version {}", version.number));
    desired.depends_on = BTreeSet::new();
    desired
}
