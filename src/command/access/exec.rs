//! `sentinel exec` and `sentinel credentials`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::child::{Surroundings, command, not_started};
use super::held::Dumps;
use super::{Site, Table, brokered, denied, denied_in_lines, not_with_broker, now, random};
use crate::access::desk::credentials::OpenedBy;
use crate::access::desk::{Refused, Tables};
use crate::access::gate::{AccessMode, Decision, Gate, RecordSource, Remedy};
use crate::access::locks::{LockSubject, LockTable};
use crate::access::log::{Log, Outcome, Unwritten};
use crate::access::{self, stamp};
use crate::cli::{BreakglassArgs, CredentialsArgs, ExecArgs, GateArgs};
use crate::code::Code;
use crate::command::context::Context;
use crate::command::status::quoted;
use crate::error::{Error, Exit, lacking};
use crate::manifest::{BrokerSection, Builtin};
use crate::policy::{CredentialSource, Mode};
use crate::provider::{Issued, Named, NoCredentials, Origin, Stamp};
use crate::report::{escape, json};
use crate::resource::call::{CallError, Class};
use crate::resource::role::Credentials;
use crate::resource::secret::Secret;

/// A gate, ready for a decision.
pub(super) struct Asked {
    pub(super) site: Site,
    pub(super) profile: String,
    parameter: String,
    requests: Table,
    pub(super) breakglass: Table,
    locks: Vec<LockTable>,
    pub(super) log: Log,
    pub(super) dumps: Dumps,
}

impl Asked {
    pub(super) async fn new(context: &Context, args: &GateArgs) -> Result<Self, Error> {
        let dumps = Dumps::off()?;
        let log = Log::open(args.log_file.as_deref()).map_err(unlogged)?;
        let log = if args.log_stderr { log.and_stderr() } else { log };
        let site = Site::new(context).await?;
        if site.broker.is_some() {
            brokered::check_options(args)?;
        }
        site.gateway.check_asking().await.map_err(without)?;
        let parameter = site.parameter(&args.profile)?;
        let requests = site.table(Builtin::Approvals, args.request_table.request_table.as_deref())?;
        let breakglass = site.table(Builtin::BreakGlass, args.breakglass_table.breakglass_table.as_deref())?;
        let locks = site.lock_tables(&requests);
        Ok(Self { site, profile: args.profile.clone(), parameter, requests, breakglass, locks, log, dumps })
    }

    /// Returns the tables that the gate reads, for an operation.
    pub(super) fn tables(&self) -> Tables {
        Tables {
            approvals: self.requests.name.clone(),
            breakglass: self.breakglass.name.clone(),
            sessions: String::new(),
            locks: self.locks.clone(),
        }
    }

    /// Returns the gate of a profile for a user who opens a break-glass event.
    pub(super) async fn for_breakglass(context: &Context, args: &BreakglassArgs, log: Log) -> Result<Self, Error> {
        let dumps = Dumps::off()?;
        let site = Site::new(context).await?;
        if site.broker.is_some() && (args.log_file.is_some() || args.log_stderr) {
            return Err(not_with_broker(if args.log_file.is_some() { "--log-file" } else { "--log-stderr" }));
        }
        let parameter = site.parameter(&args.profile)?;
        let requests = site.table(Builtin::Approvals, None)?;
        let breakglass = site.table(Builtin::BreakGlass, args.table.breakglass_table.as_deref())?;
        let locks = site.lock_tables(&requests);
        Ok(Self { site, profile: args.profile.clone(), parameter, requests, breakglass, locks, log, dumps })
    }

    pub(super) fn gate(&self) -> Gate<'_> {
        Gate {
            gateway: &self.site.gateway,
            account: self.site.account(),
            profile: &self.profile,
            parameter: &self.parameter,
            requests: &self.requests.name,
            breakglass: &self.breakglass.name,
            locks: &self.locks,
        }
    }

    pub(super) async fn decide(&self, way: AccessMode<'_>) -> Result<Decision, Error> {
        let id = random(access::id())?;
        let decided = self.gate().decide(None, way, &id, now()).await;
        decided.map_err(|stopped| self.site.stopped(stopped))
    }

    /// Logs a refusal, and returns it.
    pub(super) fn refuse(&self, context: &Context, decision: &Decision, session: Option<&str>) -> Error {
        match self.log.write(decision, session, Outcome::Refused) {
            Ok(()) => self.refusal(context, decision),
            Err(error) => unlogged(error),
        }
    }

    /// Logs that access is allowed but there are no credentials, and returns the error.
    pub(super) fn fail(&self, decision: &Decision, session: Option<&str>, error: Error) -> Error {
        match self.log.write(decision, session, Outcome::Failed(&error.to_string())) {
            Ok(()) => error,
            Err(unwritten) => unlogged(unwritten),
        }
    }

    /// Returns the error for a refusal, with a fix.
    fn refusal(&self, context: &Context, decision: &Decision) -> Error {
        self.refused(context, &Refused::of(decision), "gets no credentials for")
    }

    /// Returns the error for a refusal; `what` names what the user does not get.
    pub(super) fn refused(&self, context: &Context, refused: &Refused, what: &str) -> Error {
        // A text of a policy must not look like a line of Sentinel.
        let why = escape(&refused.why);
        let mut message = format!("{} {what} {}: {why}", escape(&refused.user), self.profile);
        if let Some(reason) = &refused.reason {
            message.push_str(&format!("\nreason: {}", escape(reason)));
        }
        for words in &refused.would_allow {
            message.push_str(&format!("\n{}", escape(words)));
        }
        for (consulted, error) in &refused.unread {
            let table = match consulted {
                RecordSource::Requests => self.requests.clone(),
                RecordSource::BreakGlass => self.breakglass.clone(),
                RecordSource::Locks(name) => self.requests.or_known(name),
            };
            let unread = self.site.of_table(context, &table, error.clone());
            let hint = match error.class {
                Class::Denied => Some(to_ask_for(error)),
                _ => unread.hint(),
            };
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            message.push_str(&format!("\n{}", escape(&format!("{unread}{hint}"))));
        }
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let root = context.global.policy_root.clone();
        let command = |words: Vec<String>, root| self.site.command(context, words, root);
        let denied = refused.unread.iter().any(|(_, error)| error.class == Class::Denied);
        let hint = match &refused.remedy {
            None if denied && self.site.manifest.broker != BrokerSection::default() => String::from(
                "the manifest has [broker]: a broker reads the tables with its own permissions; use its address with --broker URL",
            ),
            None => String::new(),
            Some(Remedy::Policy) => {
                let words = words(&["sentinel", "init", "bootstrap", "--profile", &self.profile]);
                let meant = self.site.profile_meant(&self.profile);
                let meant = meant.map(|name| format!("did you mean {name}? Otherwise ")).unwrap_or_default();
                format!("{meant}start one with: {}", command(words, root))
            }
            Some(Remedy::Validate) => String::from("correct it, and check it with: sentinel validate"),
            Some(Remedy::Request) => {
                let why = "why you need it, in 10 to 500 characters";
                let mut words = words(&["sentinel", "request", "--profile", &self.profile, "--justification", why]);
                words.extend(self.requests.flag());
                format!("ask for it with: {}", command(words, None))
            }
            Some(Remedy::Credentials) if self.site.broker.is_some() => String::from(
                "the broker assumes a role: under credentials in the policy, list it as role_arn, and remove aws_profile",
            ),
            Some(Remedy::Credentials) => String::from(
                "use an AWS profile whose credentials the policy allows (--credentials-profile NAME), or list your role as \
                 role_arn under credentials in the policy, without aws_profile",
            ),
            Some(Remedy::Unlock(user)) => super::locks::ended_by(
                &self.site,
                context,
                LockSubject { user, profile: &self.profile },
                &self.requests,
            ),
            Some(Remedy::Server) => {
                let words = words(&["sentinel", "exec", "--server", "--profile", &self.profile]);
                format!("{} -- COMMAND", command(words, root))
            }
        };
        denied_in_lines(message, hint)
    }

    /// Returns the region for the command: that of the AWS profile, or else that of the policy.
    pub(super) async fn child_region(&self, origin: &Origin) -> Result<String, Error> {
        let region = self.site.gateway.region(origin).await.map_err(without)?;
        Ok(region.unwrap_or_else(|| self.site.region().to_string()))
    }

    /// Returns the source of the profile's credentials, and reports it if it is not obvious.
    pub(super) async fn origin(&self, context: &Context, args: &GateArgs) -> Result<Origin, Error> {
        let on_the_command_line = context.global.aws_profile.as_deref();
        let named = Named {
            for_credentials: args.credentials_profile.as_deref(),
            on_the_command_line,
            in_the_manifest: self.site.profile_from_manifest,
        };
        let origin = self.site.gateway.origin(&self.profile, &named).await.map_err(without)?;
        if let Origin::Profile(name) = &origin
            && args.credentials_profile.is_none()
            && *name != self.profile
        {
            context.progress.note(&format!(
                "sentinel: these are the credentials of the AWS profile {name}, not of {}\n",
                self.profile
            ));
        }
        Ok(origin)
    }
}

/// Returns the hint for a record that the user has no permission to read.
fn to_ask_for(error: &CallError) -> String {
    format!("ask for {}; sentinel iam --for requester prints all required permissions", lacking(error))
}

pub(super) fn unlogged((path, error): Unwritten) -> Error {
    Error::File {
        path: path.display().to_string(),
        what: format!("the decision cannot be logged: {error}"),
        hint: Some(String::from("choose another --log-file; Sentinel does nothing that it cannot log")),
        source: Some(error),
    }
}

/// Returns the error for missing credentials, with a fix.
pub(super) fn without(none: NoCredentials) -> Error {
    let hint = match &none {
        NoCredentials::NoProfile(_) => {
            String::from("add it, or name the AWS profile whose credentials to release with --credentials-profile NAME")
        }
        NoCredentials::Circle(_) => String::from(
            "name the AWS profile for Sentinel's own calls with --aws-profile \
             NAME",
        ),
        NoCredentials::Files { .. } => String::from("correct ~/.aws/config and ~/.aws/credentials"),
        NoCredentials::Mfa { .. } => String::from(
            "give it with --mfa-code CODE; the session of a server ends with the credentials from one code",
        ),
        NoCredentials::Profile { .. } => String::from("correct it in ~/.aws/config"),
        NoCredentials::Provider { profile, source } => match source.code {
            Code::Sso | Code::ExpiredCredentials => {
                format!("renew the session with: aws sso login --profile {profile}")
            }
            code => crate::explain::hint(code).unwrap_or("correct it in ~/.aws/config").to_owned(),
        },
        NoCredentials::Own(_) => String::from("give credentials, or name an AWS profile with --credentials-profile"),
        NoCredentials::Role { source, .. } if source.class == Class::Denied => String::from(
            "the caller's permissions and the role's trust policy must allow sts:AssumeRole and \
             sts:SetSourceIdentity; an existing source identity cannot be changed",
        ),
        NoCredentials::Role { .. } | NoCredentials::Unknown { .. } => String::from("-v shows each call"),
        NoCredentials::Root(_) => String::from("use an IAM user, or a role with the permissions for the task"),
        NoCredentials::Permanent { .. } => String::from(
            "Sentinel does not release keys that never expire: give the AWS profile a role_arn to assume with these \
             keys, or use IAM Identity Center",
        ),
        NoCredentials::Ended => String::from("ask for access again"),
    };
    Error::NoCredentials { hint, source: Box::new(none) }
}

/// Returns the MFA code that the origin's role requires, if it requires one: from the option, or from the terminal.
pub(super) async fn mfa_code(
    context: &Context,
    args: &GateArgs,
    asked: &Asked,
    origin: &Origin,
) -> Result<Option<Secret>, Error> {
    let device = asked.site.gateway.mfa_device(origin).await.map_err(without)?;
    let Some(device) = device.filter(|_| args.mfa_code.is_none() && context.terminal.can_ask()) else {
        return Ok(args.mfa_code.clone());
    };
    let typed = context.ask(&format!("Code of the MFA device {}: ", escape(&device))).await?;
    Ok(Some(typed).filter(|code| !code.is_empty()).map(Secret::new))
}

/// Returns the attributes of the session for a decision.
pub(super) fn stamped(
    decision: &Decision,
    id: &str,
    duration: Option<Duration>,
    now: Timestamp,
) -> Result<Stamp, Error> {
    stamp::stamp(decision, id, duration, now).map_err(|error| denied(error.to_string(), ""))
}

/// Credentials that may be released.
struct Obtained {
    asked: Asked,
    origin: Origin,
    issued: Issued,
}

/// Decides, obtains the credentials, and logs both.
async fn obtain(context: &Context, args: &GateArgs, asked: Asked, way: AccessMode<'_>) -> Result<Obtained, Error> {
    let decision = asked.decide(way).await?;
    if !decision.allowed() {
        return Err(asked.refuse(context, &decision, None));
    }
    let origin = match asked.origin(context, args).await {
        Ok(origin) => origin,
        Err(error) => return Err(asked.fail(&decision, None, error)),
    };
    // Checked first, so that no MFA code is used up for credentials that are not released.
    if let Some(why) = decision.bound.excludes_source(CredentialSource::own(origin.aws_profile())) {
        return Err(asked.refuse(context, &decision.withheld(why), None));
    }
    let issued = async {
        let mut stamp = stamped(&decision, decision.stamp_id(), None, now())?;
        stamp.mfa_code = mfa_code(context, args, &asked, &origin).await?;
        // Typing the code may have taken some time.
        stamp.now = now().as_second();
        asked.site.gateway.credentials(&origin, &stamp).await.map_err(without)
    };
    let issued = match issued.await {
        Ok(issued) => issued,
        Err(error) => return Err(asked.fail(&decision, None, error)),
    };
    if let Some(why) = decision.bound.excludes_role(issued.role_arn.as_deref()) {
        return Err(asked.refuse(context, &decision.withheld(why), None));
    }
    asked.log.write(&decision, None, Outcome::Released(&issued)).map_err(unlogged)?;
    super::breakglass::announce(context, &OpenedBy::of(&decision));
    Ok(Obtained { asked, origin, issued })
}

pub(in crate::command) async fn credentials(context: &Context, args: &CredentialsArgs) -> Result<Exit, Error> {
    let asked = Asked::new(context, &args.gate).await?;
    let credentials = match asked.site.broker {
        Some(_) => brokered::obtain(context, &args.gate, &asked, Mode::CredentialProcess).await?.credentials.into(),
        None => obtain(context, &args.gate, asked, AccessMode::CredentialProcess).await?.issued.credentials,
    };
    print_for_process(context, credentials)
}

/// Prints credentials as SDKs read them from a process.
fn print_for_process(context: &Context, credentials: Credentials) -> Result<Exit, Error> {
    let expiration = credentials.expires.and_then(|at| Timestamp::from_second(at).ok());
    let mut body = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
    });
    if let Some(token) = credentials.session_token {
        body["SessionToken"] = json!(token.reveal());
    }
    if let Some(expiration) = expiration {
        body["Expiration"] = json!(expiration.to_string());
    }
    // SDKs read this document, on a terminal or not, and ignore unknown members.
    let line = |body: serde_json::Value| body.to_string() + "\n";
    let text = body.clone();
    context.terminal.script(|| line(text), || json::document("credentials", body))?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn run(context: &Context, args: &ExecArgs) -> Result<Exit, Error> {
    let asked = Asked::new(context, &args.gate).await?;
    match (args.server, asked.site.broker.is_some()) {
        (true, true) => Box::pin(brokered::serve(context, args, asked)).await,
        (true, false) => Box::pin(super::serve::run(context, args, asked)).await,
        (false, true) => {
            let grant = brokered::obtain(context, &args.gate, &asked, Mode::Cli).await?;
            tell_gate(&asked);
            let region = asked.site.region().to_string();
            let place = Place { region, account: Some(grant.account.clone()).filter(|account| !account.is_empty()) };
            give_way(context, args, &asked, place, &grant.credentials.into())
        }
        (false, false) => {
            let Obtained { asked, origin, issued } = obtain(context, &args.gate, asked, AccessMode::Cli).await?;
            tell_gate(&asked);
            tell_emulator(context, &args.command);
            let region = asked.child_region(&origin).await?;
            let account = issued.arn.split(':').nth(4).filter(|account| !account.is_empty()).map(str::to_owned);
            give_way(context, args, &asked, Place { region, account }, &issued.credentials)
        }
    }
}

/// Logs whether AWS enforces the gate. Without a broker it does not: this process obtained the credentials with the user's own permissions.
/// With a broker it depends on the trust policies. They are not read here, because users of a broker need no permission for that.
fn tell_gate(asked: &Asked) {
    let profile = &asked.profile;
    if asked.site.broker.is_some() {
        tracing::info!(
            "the broker decided. To see whether AWS refuses every other way to {profile}: sentinel trust check {profile}"
        );
    } else {
        tracing::info!(
            "the gate of {profile} is advisory: AWS does not enforce it, because these credentials come from the user's own permissions"
        );
    }
}

/// Notes that the credentials of the AWS emulator are of no use to a command that calls AWS, unless the command line sets its endpoint.
pub(super) fn tell_emulator(context: &Context, command: &[OsString]) {
    let Some(store) = &context.global.local else { return };
    if command.iter().any(|word| word.to_string_lossy().contains("AWS_ENDPOINT_URL")) {
        return;
    }
    let store =
        if store.is_empty() { String::new() } else { format!(" --local={}", quoted(&[store.to_string_lossy()])) };
    context.progress.note(&format!(
        "sentinel: these credentials work only in the AWS emulator, but the command calls AWS itself. To let it call the emulator:\n\
         sentinel:     sentinel local serve{store} &\n\
         sentinel:     sentinel exec … -- env AWS_ENDPOINT_URL=http://127.0.0.1:4566 COMMAND\n",
    ));
}

/// The environment of a command.
struct Place {
    region: String,
    account: Option<String>,
}

/// Replaces this process with the command, which gets its signals, terminal and exit code.
fn give_way(
    context: &Context,
    args: &ExecArgs,
    asked: &Asked,
    place: Place,
    credentials: &Credentials,
) -> Result<Exit, Error> {
    let mut command = command(&args.command);
    let Place { region, account } = place;
    let endpoint = context.global.endpoint_url.as_deref();
    Surroundings { profile: &asked.profile, region: &region, account: account.as_deref(), endpoint }
        .apply(&mut command);
    command.env("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.reveal());
    if let Some(token) = &credentials.session_token {
        command.env("AWS_SESSION_TOKEN", token.reveal());
    }
    if let Some(at) = credentials.expires.and_then(|at| Timestamp::from_second(at).ok()) {
        command.env("AWS_CREDENTIAL_EXPIRATION", at.to_string());
    }
    // The summary is printed now, because this process is replaced.
    context.sum_up();
    asked.dumps.restore();
    Err(not_started(&args.command, command.exec()))
}
