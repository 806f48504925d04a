//! `sentinel exec` and `sentinel credentials`.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::child::{command, environment, not_started};
use super::{Site, Table, denied_in_lines, now, random};
use crate::access::gate::{Consulted, Decision, Gate, Remedy, User, Way};
use crate::access::locks::LockTable;
use crate::access::log::Log;
use crate::access::{self, stamp};
use crate::cli::{BreakglassArgs, CredentialsArgs, ExecArgs, GateArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::provider::{Named, NoCredentials, Origin, Stamp};
use crate::report::{escape, json};
use crate::resource::call::Class;
use crate::resource::role::{Credentials, session_name};

/// A gate that is ready to be asked.
pub(super) struct Asked {
    pub(super) site: Site,
    pub(super) profile: String,
    parameter: String,
    requests: Table,
    pub(super) breakglass: Table,
    locks: Vec<LockTable>,
    pub(super) log: Log,
}

impl Asked {
    pub(super) async fn new(context: &Context, args: &GateArgs) -> Result<Self, Error> {
        let log = Log::open(args.log_file.as_deref(), args.log_stderr).map_err(unlogged)?;
        let site = Site::new(context).await?;
        site.gateway.check_asking().await.map_err(|none| without(&none))?;
        let parameter = site.parameter(&args.profile);
        let requests = site.table(Builtin::Approvals, args.request_table.request_table.as_deref())?;
        let breakglass = site.table(Builtin::BreakGlass, args.breakglass_table.breakglass_table.as_deref())?;
        let locks = site.lock_tables(&requests);
        Ok(Self { site, profile: args.profile.clone(), parameter, requests, breakglass, locks, log })
    }

    /// Returns the gate of a profile for which someone opens a break-glass event.
    pub(super) async fn for_breakglass(context: &Context, args: &BreakglassArgs, log: Log) -> Result<Self, Error> {
        let site = Site::new(context).await?;
        let parameter = site.parameter(&args.profile);
        let requests = site.table(Builtin::Approvals, None)?;
        let breakglass = site.table(Builtin::BreakGlass, args.table.breakglass_table.as_deref())?;
        let locks = site.lock_tables(&requests);
        Ok(Self { site, profile: args.profile.clone(), parameter, requests, breakglass, locks, log })
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

    pub(super) async fn decide(&self, way: Way<'_>) -> Result<Decision, Error> {
        let id = random(access::id())?;
        let decided = self.gate().decide(None, way, &id, now()).await;
        decided.map_err(|stopped| self.site.stopped(stopped))
    }

    /// Returns the refusal that a decision is, with what would help.
    pub(super) fn refusal(&self, context: &Context, decision: &Decision) -> Error {
        self.refused(context, decision, "gets no credentials of")
    }

    /// Returns the refusal that a decision is, with what the user does not get, in words.
    pub(super) fn refused(&self, context: &Context, decision: &Decision, what: &str) -> Error {
        // What a policy says must not pass for a line of ours.
        let why = escape(&decision.why);
        let mut message = format!("{} {what} {}: {why}", decision.user.name, self.profile);
        if let Some(reason) = &decision.reason {
            message.push_str(&format!("\nreason: {}", escape(reason)));
        }
        for would in &decision.would_allow {
            message.push_str(&format!("\n{}", escape(&would.words)));
        }
        for (consulted, error) in &decision.unread {
            let table = match consulted {
                Consulted::Requests => self.requests.clone(),
                Consulted::BreakGlass => self.breakglass.clone(),
                Consulted::Locks(name) => self.requests.or_known(name),
            };
            let unread = self.site.of_table(context, &table, error.clone());
            let hint = unread.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            message.push_str(&format!("\n{}", escape(&format!("{unread}{hint}"))));
        }
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let root = context.global.policy_root.clone();
        let command = |words: Vec<String>, root| self.site.command(context, words, root);
        let hint = match &decision.remedy {
            None => String::new(),
            Some(Remedy::Policy) => {
                let words = words(&["sentinel", "init", "bootstrap", "--profile", &self.profile]);
                let meant = self.site.profile_meant(&self.profile);
                let meant = meant.map(|name| format!("did you mean {name}? Otherwise ")).unwrap_or_default();
                format!("{meant}start one with: {}", command(words, root))
            }
            Some(Remedy::Validate) => String::from("put it in order, and check it with: sentinel validate"),
            Some(Remedy::Request) => {
                let why = "why you need it, in 10 to 500 characters";
                let mut words = words(&["sentinel", "request", "--profile", &self.profile, "--justification", why]);
                words.extend(self.requests.flag());
                format!("ask for it with: {}", command(words, None))
            }
            Some(Remedy::Unlock(user)) => {
                super::locks::ended_by(&self.site, context, (user, &self.profile), &self.requests)
            }
            Some(Remedy::Server) => {
                let words = words(&["sentinel", "exec", "--server", "--profile", &self.profile]);
                format!("{} -- COMMAND", command(words, root))
            }
        };
        denied_in_lines(message, hint)
    }

    /// Returns the region for the command: the AWS profile's own, or else where the policy is.
    pub(super) async fn child_region(&self, origin: &Origin) -> Result<String, Error> {
        let region = self.site.gateway.region(origin).await.map_err(|none| without(&none))?;
        Ok(region.unwrap_or_else(|| self.site.region().to_owned()))
    }

    /// Tells whose credentials the profile's are, and says so where it is not plain.
    pub(super) async fn origin(&self, context: &Context, args: &GateArgs) -> Result<Origin, Error> {
        let on_the_command_line = context.global.aws_profile.as_deref();
        let named = Named {
            for_credentials: args.credentials_profile.as_deref(),
            on_the_command_line,
            in_the_manifest: self.site.profile_from_manifest,
        };
        let origin = self.site.gateway.origin(&self.profile, &named).await.map_err(|none| without(&none))?;
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

pub(super) fn unlogged((path, error): (std::path::PathBuf, std::io::Error)) -> Error {
    Error::File {
        path: path.display().to_string(),
        what: format!("the decision cannot be logged: {error}"),
        hint: Some(String::from("choose another --log-file; what cannot be logged is not done")),
    }
}

/// Says why there are no credentials, and what would help.
pub(super) fn without(none: &NoCredentials) -> Error {
    let hint = match none {
        NoCredentials::NoProfile(_) => {
            String::from("add it, or name the AWS profile whose credentials are meant with --credentials-profile NAME")
        }
        NoCredentials::Circle(_) => String::from("name the one that asks with --aws-profile NAME"),
        NoCredentials::Files(_) => String::from("put ~/.aws/config and ~/.aws/credentials in order"),
        NoCredentials::Mfa { .. } => String::from(
            "give it with --mfa-code CODE; a server's session ends with the credentials that one code gives",
        ),
        NoCredentials::Profile { profile, .. } => {
            format!("put it in order in ~/.aws/config; renew a session with: aws sso login --profile {profile}")
        }
        NoCredentials::Own(_) => String::from("give credentials, or name an AWS profile with --credentials-profile"),
        NoCredentials::Role { error, .. } if error.class == Class::Denied => String::from(
            "the caller's permissions and the role's trust policy have to allow sts:AssumeRole and \
             sts:SetSourceIdentity; a source identity that is set already cannot be changed",
        ),
        NoCredentials::Role { .. } => String::from("-v shows each call"),
    };
    Error::usage(none.to_string(), hint)
}

/// Returns the code that the origin's role wants, if it wants one: the flag's, or what is typed.
pub(super) async fn mfa_code(
    context: &Context,
    args: &GateArgs,
    asked: &Asked,
    origin: &Origin,
) -> Result<Option<String>, Error> {
    let device = asked.site.gateway.mfa_device(origin).await.map_err(|none| without(&none))?;
    let Some(device) = device.filter(|_| args.mfa_code.is_none() && context.terminal.can_ask()) else {
        return Ok(args.mfa_code.clone());
    };
    let typed = context.ask(&format!("Code of the MFA device {}: ", escape(&device))).await?;
    Ok(Some(typed).filter(|code| !code.is_empty()))
}

pub(super) fn stamped(user: &User, id: &str, duration: Option<Duration>) -> Stamp {
    Stamp {
        mfa_code: None,
        source_identity: stamp::source_identity(&user.name, id),
        session_name: session_name(&user.name),
        duration,
    }
}

/// Decides, logs, and returns the credentials.
async fn obtain(context: &Context, args: &GateArgs, way: Way<'_>) -> Result<(Asked, Origin, Credentials), Error> {
    let asked = Asked::new(context, args).await?;
    let decision = asked.decide(way).await?;
    if !decision.allowed() {
        asked.log.write(&decision, None, None).map_err(unlogged)?;
        return Err(asked.refusal(context, &decision));
    }
    super::breakglass::announce(context, &decision);
    let origin = asked.origin(context, args).await?;
    let mut stamp = stamped(&decision.user, decision.stamp_id(), None);
    stamp.mfa_code = mfa_code(context, args, &asked, &origin).await?;
    asked.log.write(&decision, None, Some(&stamp.source_identity)).map_err(unlogged)?;
    let credentials = asked.site.gateway.credentials(&origin, &stamp).await.map_err(|none| without(&none))?;
    Ok((asked, origin, credentials))
}

pub(super) async fn credentials(context: &Context, args: &CredentialsArgs) -> Result<Exit, Error> {
    let (_, _, credentials) = obtain(context, &args.gate, Way::CredentialProcess).await?;
    let expiration = credentials.expires.and_then(|at| Timestamp::from_second(at).ok());
    let mut body = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
    });
    if let Some(token) = credentials.session_token {
        body["SessionToken"] = json!(token);
    }
    if let Some(expiration) = expiration {
        body["Expiration"] = json!(expiration.to_string());
    }
    // Readers of this document are SDKs, on a terminal or not. They pass over what they do not know.
    let line = |body: serde_json::Value| body.to_string() + "\n";
    let text = body.clone();
    context.terminal.script(|| line(text), || json::document("credentials", body))?;
    Ok(Exit::Done)
}

pub(super) async fn run(context: &Context, args: &ExecArgs) -> Result<Exit, Error> {
    let (asked, origin, credentials) = obtain(context, &args.gate, Way::Cli).await?;
    let mut command = command(&args.command);
    environment(&mut command, &asked.profile, &asked.child_region(&origin).await?);
    command.env("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key);
    if let Some(token) = &credentials.session_token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    if let Some(at) = credentials.expires.and_then(|at| Timestamp::from_second(at).ok()) {
        command.env("AWS_CREDENTIAL_EXPIRATION", at.to_string());
    }
    // What there is to say is said before there is nobody to say it.
    context.sum_up();
    // The command takes this process's place: its signals, its terminal and its exit code are its own.
    Err(not_started(&args.command, &command.exec()))
}
