//! Plans the targets of a manifest concurrently, one pass for each.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Instrument;

use super::context::{Context, Project};
use super::enforced;
use super::fleet::{Answered, Work, account_of, concurrently, span_of};
use super::local::Users;
use crate::cli::{FilterArgs, ReachArgs};
use crate::code::Code;
use crate::diagnostic::{Fault, some};
use crate::document::closest;
use crate::error::Error;
use crate::kind::DesiredResource;
use crate::kind::section::Unset;
use crate::manifest::Discovered;
use crate::provider::{self, Connection, Observe, Reader};
use crate::reconcile::{self, Intent, Pass, Scope, guard};
use crate::report::output::InSync;
use crate::resource::call::{CallError, Class};
use crate::resource::destination::Destination;
use crate::resource::interrupt::Cause;
use crate::resource::names::{AccountId, AwsProfile, RegionName};
use crate::resource::pacer::Pace;
use crate::review::Review;

/// The pass of one target, with its connection.
#[derive(Debug)]
pub(super) struct Planned {
    /// With many targets it is dropped, because its clients use the most memory of a target.
    pub(super) reader: Option<Reader>,
    pub(super) users: Users,
    /// The counts, if everything is in sync and the plan is not kept.
    pub(super) settled: Option<InSync>,
    pub(super) pass: Pass,
    /// The review of the plan.
    pub(super) review: Review,
}

impl Planned {
    /// Drops what is not needed of one of many targets.
    fn slim(&mut self, keep: Keep) {
        self.reader = None;
        if keep == Keep::Count
            && let Some(settled) = InSync::of(&self.pass.plan)
        {
            self.settled = Some(settled);
            self.pass.plan.resources = Vec::new();
            self.pass.desired = Vec::new();
            self.review = Review::default();
        }
    }
}

/// One target, and its plan or error.
pub(super) type Attempt = (Destination, Result<Planned, Error>);

/// Returns the scope that the options select.
pub(super) fn scope(project: &Project, filter: &FilterArgs, reach: &ReachArgs) -> Result<Scope, Error> {
    let ownership = project.loaded.manifest.aws.ownership_key();
    if ownership.is_none() && (reach.prune || reach.adopt) {
        let hint = "remove ownership_tag = false under [aws] in the manifest; --adopt then tags the resources in the \
             manifest";
        return Err(Error::usage("without an ownership tag, Sentinel cannot tell which resources it created", hint));
    }
    let scope = Scope {
        intent: Intent::Converge,
        prune: reach.prune,
        adopt: reach.adopt,
        only: filter.only.clone(),
        exclude: filter.exclude.clone(),
        allow: reach.allow_destructive.iter().copied().collect(),
        ownership,
    };
    check_filters(project, &scope)?;
    Ok(scope)
}

/// How much of the plan of a target that is in sync is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// Only the counts, which is all that is shown of one of many targets.
    Count,
}

/// Whether all values must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    Needed,
    /// A value in a variable that is not set is not compared.
    AsFarAsSet,
}

/// Refuses a plan if the value of a resource is in a variable that is not set.
pub(super) fn check_variables(project: &Project, scope: &Scope) -> Result<(), Error> {
    // The variables can differ by target.
    if project.loaded.varies() { Ok(()) } else { check_unset(&project.loaded.unset, scope) }
}

fn check_unset(unset: &[Unset], scope: &Scope) -> Result<(), Error> {
    let needed = unset.iter().filter(|one| scope.holds(&one.address));
    let faults: Vec<Fault> = needed.map(|one| one.fault.clone()).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Faults(faults)) }
}

/// Refuses a filter that matches nothing, because it is probably mistyped.
fn check_filters(project: &Project, scope: &Scope) -> Result<(), Error> {
    let desired = &project.loaded.desired;
    let only = scope.only.iter().map(|pattern| ("--only", pattern));
    for (flag, pattern) in only.chain(scope.exclude.iter().map(|pattern| ("--exclude", pattern))) {
        // Resources to prune are not in the manifest.
        if !scope.prune && !desired.iter().any(|one| pattern.matches(one.address())) {
            let addresses: Vec<String> = desired.iter().map(|one| one.address().to_string()).collect();
            let names: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let list = some(&names);
            let hint = match closest(pattern.as_str(), &names) {
                Some(name) => format!("did you mean {name}? The manifest has: {list}"),
                None => format!("the manifest has: {list}"),
            };
            return Err(Error::usage(format!("{flag} {pattern} matches nothing in the manifest"), hint));
        }
    }
    if !scope.prune && !desired.is_empty() && !desired.iter().any(|one| scope.holds(one.address())) {
        return Err(Error::usage("the filters exclude every resource of the manifest", "relax --only or --exclude"));
    }
    Ok(())
}

impl Context {
    /// Connects for reading. Makes no AWS call except to assume a role.
    pub(super) async fn connect(&self, destination: &Destination, users: &Users) -> Result<Reader, Error> {
        Ok(Reader::connect(self.connection(destination, users)?).await)
    }

    /// Returns the connection for a destination. `users` are the users of the AWS emulator.
    pub(super) fn connection(&self, destination: &Destination, users: &Users) -> Result<Connection, Error> {
        let open = |folder: &PathBuf| super::local::open(folder, destination, users);
        let embedded = destination.local.as_ref().map(open).transpose()?;
        Ok(Connection {
            destination: destination.clone(),
            endpoint_url: self.global.endpoint_url.clone(),
            pace: if embedded.is_some() { Pace::Free } else { Pace::Aws },
            embedded,
            interrupt: self.interrupt.clone(),
            traffic: self.traffic.clone(),
            sessions: self.sessions.clone(),
        })
    }

    /// Connects to a target for reading. Other targets of its account begin after it has answered.
    pub(super) async fn reach(
        &self,
        destination: &Destination,
        users: &Users,
        account: &Answered,
    ) -> Result<Reader, Error> {
        let reader = self.reading(self.connect(destination, users)).await?;
        if destination.name.is_some() && destination.local.is_none() {
            // Regions share the answer, so an account that denies access or does not answer gets one call.
            let known = self.reading(async { Ok(reader.identify().await?) });
            known.await.map_err(|error| explained(error, destination))?;
        }
        account.answered();
        Ok(reader)
    }

    /// Observes and plans one target. Refuses credentials of another account.
    pub(super) async fn plan(
        &self,
        reader: Reader,
        destination: Destination,
        users: &Users,
        desired: &[DesiredResource],
        scope: Scope,
    ) -> Result<Planned, Error> {
        let work = async { Ok(reconcile::plan(&reader, destination.clone(), desired, scope).await?) };
        let pass = self.reading(work).await.map_err(|error| explained(error, &destination))?;
        let who =
            destination.name.as_ref().map_or_else(|| String::from("the manifest"), |name| format!("target {name}"));
        guard::account(&pass.plan, &who, destination.route.account_id.as_ref()).map_err(Error::Refused)?;
        let (reader, users) = (Some(reader), users.clone());
        Ok(Planned { reader, users, settled: None, pass, review: Review::default() })
    }

    /// Plans every selected target concurrently. A failure does not affect other targets. If the `--timeout` expires, targets that are
    /// not done fail.
    pub(super) async fn plan_all(
        &self,
        project: &Project,
        filter: &FilterArgs,
        scope: &Scope,
        values: Values,
        keep: Keep,
    ) -> Result<Vec<Attempt>, Error> {
        let destinations = self.destinations(project, filter.into()).await?;
        let review_inputs = &Arc::new(project.review_inputs());
        let users = &if self.global.local.is_some() { Users::of(project) } else { Users::default() };
        let many = destinations.len() > 1;
        let plan = |destination: Destination, account: Answered| async move {
            let planned = async {
                if self.interrupt.raised() {
                    return Err(self.interruption_error());
                }
                let wanted = project.wanted(&destination)?;
                if values == Values::Needed {
                    check_unset(&wanted.unset, scope)?;
                }
                let reader = self.reach(&destination, users, &account).await?;
                let mut planned = self.plan(reader, destination.clone(), users, &wanted.desired, scope.clone()).await?;
                planned.pass.plan.gates =
                    enforced::gates(&project.loaded.manifest, &wanted.desired, Some(&planned.pass.plan));
                planned.review = Review::of(&planned.pass.plan, &project.review_inputs_of(&wanted, review_inputs));
                if many {
                    planned.slim(keep);
                }
                Ok(planned)
            };
            // On the heap, because many run concurrently.
            let planned = Box::pin(planned).instrument(span_of(&destination)).await;
            (destination, planned)
        };
        let mut attempts: Vec<Attempt> = concurrently(destinations, Work::Reading, account_of, plan).await;
        match self.interrupt.cause() {
            Some(Cause::Deadline) if many => {}
            Some(_) => return Err(self.interruption_error()),
            None => {}
        }
        let manifest = &project.loaded.manifest;
        let mut others = manifest.destinations(&project.loaded.policy_root, &Discovered::default());
        let picked: HashSet<&str> =
            attempts.iter().filter_map(|(destination, _)| destination.name.as_deref()).collect();
        others.retain(|one| one.name.as_deref().is_some_and(|name| !picked.contains(name)));
        refuse_twins(&mut attempts, &others);
        Ok(attempts)
    }
}

/// Adds the AWS profile or role to an error about credentials, and the region to an error about an unknown address.
pub(super) fn explained(error: Error, destination: &Destination) -> Error {
    let call = match error {
        Error::Aws(call) => Box::new(call),
        other => return other,
    };
    let code = call.diagnosis();
    let region = &destination.region;
    if code == Code::NameNotFound
        && let Some(meant) = region_meant(&region.name)
    {
        let message = format!("{call}; the region is {} (from {})", region.name, region.source);
        let hint = format!(
            "did you mean {meant}? If {} is right, check the network; behind a proxy set HTTPS_PROXY",
            region.name
        );
        return Error::Explained { code, message, hint, source: call };
    }
    if call.class != Class::Credentials {
        return Error::Aws(*call);
    }
    let said = call.to_string();
    let said = said.split_once(": ").map_or(said.as_str(), |(_, said)| said);
    match (&destination.route.role_arn, &destination.route.aws_profile) {
        (Some(role), _) => Error::Explained {
            code: if code == Code::NoCredentials { Code::Role } else { code },
            message: format!("could not assume the role {role}: {said}"),
            hint: String::from(
                "the calling credentials need sts:AssumeRole on the role, and its trust policy must allow them",
            ),
            source: call,
        },
        (None, Some(profile)) => of_profile(profile, code, said.to_owned(), call),
        (None, None) => match provider::profile_of_environment() {
            Some(name) if matches!(code, Code::Profile | Code::NoCredentials | Code::Sso | Code::CredentialProcess) => {
                of_profile(&AwsProfile::new(name), code, said.to_owned(), call)
            }
            _ => Error::Aws(*call),
        },
    }
}

/// Returns the error for an AWS profile without usable credentials.
fn of_profile(profile: &AwsProfile, code: Code, said: String, source: Box<CallError>) -> Error {
    let (code, why, hint) = match code {
        Code::Sso | Code::ExpiredCredentials => {
            (code, said, format!("renew the session with: aws sso login --profile {profile}"))
        }
        Code::Profile | Code::NoCredentials => {
            let known = super::complete::aws_profiles();
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let why = match names.contains(&profile.as_str()) {
                true => "it is in ~/.aws/config or ~/.aws/credentials, but has no source of credentials",
                false => "it is not in ~/.aws/config or ~/.aws/credentials",
            };
            let meant = closest(profile, &names).filter(|name| *name != profile.as_str());
            let hint = match meant {
                Some(name) => format!("did you mean {name}? aws configure list-profiles lists the existing ones"),
                None => String::from("aws configure list-profiles lists the existing ones"),
            };
            (Code::Profile, why.to_owned(), hint)
        }
        code => (code, said, crate::explain::hint(code).unwrap_or("check it in ~/.aws/config").to_owned()),
    };
    Error::Explained { code, message: format!("no credentials from the AWS profile {profile}: {why}"), hint, source }
}

/// Known regions, to suggest one for a mistyped name. Names that are not in the list are accepted too.
const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Returns the region that is most similar to an unknown name.
fn region_meant(name: &str) -> Option<&'static str> {
    if REGIONS.contains(&name) { None } else { closest(name, REGIONS) }
}

/// Refuses targets with the same account, region and names, whose passes would undo each other. `others` are the targets that are not
/// selected: they are refused too, since the order of runs would decide which one takes effect.
fn refuse_twins(attempts: &mut [Attempt], others: &[Destination<Option<RegionName>>]) {
    type Place = (AccountId, RegionName);
    let is_aws = |destination: &Destination| destination.local.is_none();
    if !attempts.iter().any(|(destination, _)| is_aws(destination)) {
        return;
    }
    let mut names: HashMap<Place, Vec<String>> = HashMap::new();
    let place = |planned: &Planned| {
        let target = &planned.pass.plan.target;
        Some((target.account()?.clone(), target.region.name.clone()))
    };
    for (destination, attempt) in attempts.iter().filter(|(destination, _)| is_aws(destination)) {
        if let (Some(name), Some(place)) = (&destination.name, attempt.as_ref().ok().and_then(place)) {
            names.entry(place).or_default().push(name.clone());
        }
    }
    for other in others {
        if let (Some(name), Some(account), Some(region)) = (&other.name, &other.route.account_id, &other.region)
            && let Some(names) = names.get_mut(&(account.clone(), region.clone()))
        {
            names.push(name.clone());
        }
    }
    for (destination, attempt) in attempts.iter_mut().filter(|(destination, _)| is_aws(destination)) {
        let Some(place) = attempt.as_ref().ok().and_then(place) else { continue };
        if let Some(twins) = names.get(&place).filter(|names| names.len() > 1) {
            let own = destination.name.as_deref().unwrap_or_default();
            let twin = twins.iter().map(String::as_str).find(|name| *name != own).unwrap_or_default();
            let (account, region) = place;
            let message = format!("targets {own} and {twin} are the same: account {account}, region {region}");
            let hint = String::from("give each its own region, profile or role_arn, or remove one");
            *attempt = Err(Error::Refused(guard::Refusal {
                code: Code::DuplicateTargets,
                message,
                details: Vec::new(),
                hint,
            }));
        }
    }
}
