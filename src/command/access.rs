//! The common parts of the access commands: the connection, the caller, the tables, and the explanation of errors.

pub(super) mod answers;
mod asking;
pub(super) mod breakglass;
pub(super) mod broker;
mod brokered;
mod child;
pub(super) mod enforcement;
pub(super) mod exec;
mod held;
pub(super) mod locks;
pub(super) mod requests;
mod serve;
pub(super) mod sessions;
pub(super) mod shell;
mod trust;
mod unknown;
pub(super) mod versions;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::context::{Context, ManifestOrigin, Need, no_region};
use super::gather::gather;
use super::local::Users;
use super::output::no_random;
use super::pass::explained;
use super::status::{CarriedOptions, apply_at_target, command_line};
use super::targets::one_target;
use crate::access::Listed;
use crate::access::desk::{Desk, Operation, Rights, Tables};
use crate::access::gate::Stopped;
use crate::access::locks::{LockTable, LockTableSource};
use crate::access::log::Log;
use crate::code::Code;
use crate::diagnostic::Faults;
use crate::error::Error;
use crate::kind::{KindId, table};
use crate::manifest::{self, Builtin, Manifest, Parsed};
use crate::provider::Gateway;
use crate::reconcile::guard::{self, Credentials};
use crate::report::access::Listing;
use crate::report::json;
use crate::resource::call::{CallError, Class};
use crate::resource::destination::Destination;
use crate::resource::names::{AccountId, PolicyRoot, RegionName};
use crate::resource::pacer::Pace;

use asking::Asking;
pub(super) use held::internal;

/// The connection of a command.
#[derive(Debug)]
pub(super) struct Site {
    destination: Destination,
    manifest: Manifest,
    /// Whether the manifest names the AWS profile.
    profile_from_manifest: bool,
    gateway: Gateway,
    /// The broker that is called instead of AWS.
    broker: Option<Asking>,
}

/// The users of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Serves {
    /// The user who runs the command.
    Caller,
    /// All users of a broker.
    Many,
    /// A user who provisions, with the target's role in the manifest.
    Provisioner,
}

/// A table, and the source of its name as text.
#[derive(Debug, Clone)]
pub(super) struct Table {
    builtin: Builtin,
    name: String,
    source: String,
    /// Whether an option or a variable names it.
    named: bool,
}

/// A command for a record, for display.
#[derive(Debug, Clone, Copy)]
struct OnRecord<'a> {
    command: &'a str,
    id: &'a str,
    by: By,
}

/// The user who will run a displayed command. Only the caller has the AWS profile of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Caller,
    Another,
}

impl Site {
    /// Finds the manifest from the working directory upwards, and connects. Makes no AWS call.
    pub(super) async fn new(context: &Context) -> Result<Self, Error> {
        let mut site = Self::of(context, find_manifest()?, Serves::Caller).await?;
        site.broker = asking::chosen(context, &site.manifest)?.map(Asking::new);
        if site.broker.is_some() && context.global.policy_root.is_some() {
            return Err(not_with_broker("--policy-root"));
        }
        Ok(site)
    }

    /// Finds the manifest as [`Site::new`] does, and connects with the role of the target.
    async fn of_provisioner(context: &Context) -> Result<Self, Error> {
        Self::of(context, find_manifest()?, Serves::Provisioner).await
    }

    /// Connects as a manifest specifies.
    async fn of(context: &Context, found: Option<PathBuf>, serves: Serves) -> Result<Self, Error> {
        let folder = found.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let parsed = found.as_deref().map(read).transpose()?;
        let manifest = parsed.as_ref().map(|parsed| parsed.manifest.clone()).unwrap_or_default();
        let root = context.global.policy_root.clone().or_else(|| manifest.policy_root.clone()).unwrap_or_default();
        let chosen = match &context.global.target {
            Some(target) => {
                let mut chosen = one_target(&manifest, &root, target)?;
                // The role of a target is for provisioning. Users call with their own identity.
                if serves != Serves::Provisioner {
                    chosen.route.role_arn = None;
                }
                chosen
            }
            None if parsed.as_ref().is_some_and(Parsed::table_names_vary) => {
                let message = "the names of the tables differ by target";
                return Err(Error::usage(message, "name one with --target NAME"));
            }
            None => manifest.aws.destination(&root),
        };
        let Some(mut destination) = context.located(chosen, &folder).await? else {
            return Err(no_region(Need::Anything, ManifestOrigin::File));
        };
        Context::own_store(&mut destination);
        let manifest = match &parsed {
            Some(parsed) if destination.name.is_some() => at_target(parsed, &destination)?,
            _ => manifest,
        };
        let users = match found.as_deref().filter(|_| destination.local.is_some()) {
            Some(file) => Users::of_file(context, file)?,
            None => Users::default(),
        };
        let mut connection = context.connection(&destination, &users)?;
        if serves == Serves::Many {
            // The limit on concurrent requests also limits the calls. A throttled call is retried.
            connection.pace = Pace::Free;
        }
        let gateway = Gateway::connect(connection).await;
        gateway.check_profile(destination.route.aws_profile.as_deref()).await.map_err(|none| Error::NoCredentials {
            hint: String::from("check its name; aws configure list-profiles lists the existing ones"),
            source: Box::new(none),
        })?;
        let profile_from_manifest = context.global.aws_profile.is_none() && destination.route.aws_profile.is_some();
        Ok(Self { destination, manifest, profile_from_manifest, gateway, broker: None })
    }

    /// Performs a user's operation on records: through the broker, or with the user's own permissions.
    pub(super) async fn perform<O: Operation>(
        &self,
        context: &Context,
        table: &Table,
        operation: &O,
    ) -> Result<O::Answer, Error> {
        let mut tables = Tables::default();
        *match table.builtin {
            Builtin::Approvals => &mut tables.approvals,
            Builtin::BreakGlass => &mut tables.breakglass,
            Builtin::Sessions => &mut tables.sessions,
        } = table.name.clone();
        self.perform_on(context, (table, &tables), &Log::default(), operation).await
    }

    /// Performs an operation on several tables, with a log. An error is explained as an error of `table`.
    pub(super) async fn perform_on<O: Operation>(
        &self,
        context: &Context,
        (table, tables): (&Table, &Tables),
        log: &Log,
        operation: &O,
    ) -> Result<O::Answer, Error> {
        if let Some(broker) = &self.broker {
            return broker.ask(&self.gateway, operation).await;
        }
        let desk = Desk {
            gateway: &self.gateway,
            account: self.account(),
            known: None,
            rights: &Rights::Aws,
            tables,
            policy_root: &self.destination.policy_root,
            log,
            now: now(),
        };
        operation.perform(&desk).await.map_err(|stopped| match stopped {
            Stopped::Call(error) => self.of_table(context, table, error),
            other => self.stopped(other),
        })
    }

    fn region(&self) -> &RegionName {
        &self.destination.region.name
    }

    /// Returns the parameter with the policy of a profile.
    fn parameter(&self, profile: &str) -> Result<String, Error> {
        self.check_profile(profile).map(|()| format!("{}/{profile}", self.destination.policy_root))
    }

    /// Refuses a profile that is marked as removed: it gives no access, even if its policy still exists.
    fn check_profile(&self, profile: &str) -> Result<(), Error> {
        if self.manifest.sections.removed.iter().any(|one| one.kind == KindId::Policy && one.key == profile) {
            let message = format!("the profile {profile} gives no access: the manifest says removed = true");
            return Err(denied(message, format!("to use it, remove removed = true from [profiles.{profile}]")));
        }
        Ok(())
    }

    /// Returns the account of the manifest. The AWS emulator accepts any account.
    fn account(&self) -> Option<&AccountId> {
        self.destination.route.account_id.as_ref().filter(|_| self.destination.local.is_none())
    }

    fn stopped(&self, stopped: Stopped) -> Error {
        match stopped {
            Stopped::Call(error) => self.failed(error),
            Stopped::NoUser(why) => Error::NoUser(why),
            Stopped::NoRight(why) => denied(why, ""),
            Stopped::Unlogged(path, error) => {
                exec::unlogged((path, std::io::Error::new(error.kind(), error.to_string())))
            }
            Stopped::WrongAccount(user) => {
                let credentials = Credentials { account: &user.account, arn: &user.arn };
                let expected = self.account().unwrap_or(&user.account);
                Error::Refused(guard::wrong_account("the manifest", expected, credentials))
            }
        }
    }

    fn failed(&self, error: CallError) -> Error {
        explained(Error::Aws(error), &self.destination)
    }

    /// Returns the table of the option, of the environment or of the manifest, or the default one.
    fn table(&self, builtin: Builtin, flag: Option<&str>) -> Result<Table, Error> {
        if let Some(broker) = &self.broker {
            if flag.is_some() {
                return Err(not_with_broker(&format!("--{}", flag_of(builtin))));
            }
            // A broker's users do not need to know its table name.
            let source = format!("of the broker {}", broker.url());
            return Ok(Table { builtin, name: builtin.default_name().to_owned(), source, named: false });
        }
        let of = |name: &str, source: String| Table { builtin, name: name.to_owned(), source, named: true };
        if let Some(name) = flag {
            return Ok(of(name, format!("from --{}", flag_of(builtin))));
        }
        let variable = variable_of(builtin);
        #[expect(clippy::disallowed_methods, reason = "these variables are part of the contract")]
        if let Some(name) = std::env::var(variable).ok().filter(|name| !name.is_empty()) {
            table::check_name(&name)
                .map_err(|invalid| Error::usage(format!("{variable}: {}", invalid.problem), invalid.help))?;
            return Ok(of(&name, format!("from {variable}")));
        }
        let known = self.manifest.sections.tables.contains_key(builtin.key());
        let source = if known { "from the manifest" } else { "the default name" };
        Ok(Table { named: false, ..of(self.known_table(builtin), source.to_owned()) })
    }

    /// Returns the name that the manifest gives a table, or its default one.
    fn known_table(&self, builtin: Builtin) -> &str {
        self.manifest.table_name(builtin)
    }

    /// Returns the tables that may contain locks, if this is the table of approvals. Naming another table, by an option or by a manifest,
    /// does not bypass a lock.
    fn lock_tables(&self, approvals: &Table) -> Vec<LockTable> {
        use LockTableSource::{Beside, Named, Usual};
        let known = self.known_table(Builtin::Approvals);
        let default = Builtin::Approvals.default_name();
        let all = [
            LockTable { name: approvals.name.clone(), found: if approvals.named { Named } else { Usual } },
            LockTable { name: known.to_owned(), found: Usual },
            LockTable { name: default.to_owned(), found: Beside },
        ];
        let mut tables: Vec<LockTable> = Vec::new();
        for table in all {
            if tables.iter().all(|other| other.name != table.name) {
                tables.push(table);
            }
        }
        tables
    }

    /// Returns an error of a table with a fix.
    fn of_table(&self, context: &Context, table: &Table, error: CallError) -> Error {
        let Table { builtin, name, source, .. } = table;
        if error.class == Class::NotFound {
            let message = format!("there is no table {name} ({source}) in {}", self.region());
            let hint = self.create_table(context, table);
            return Error::Explained { code: Code::NoResource, message, hint, source: Box::new(error) };
        }
        if error.diagnosis() == Code::NoIndex {
            let message =
                format!("the table {name} lacks an index of the {} layout: {}", builtin.label(), error.message);
            let hint = String::from(
                "sentinel plan shows how it differs, and sentinel apply creates the missing \
                 indexes",
            );
            return Error::Explained { code: Code::NoIndex, message, hint, source: Box::new(error) };
        }
        self.failed(error)
    }

    /// Returns a command for a record of a table that can be pasted, by this user or by another one.
    fn on_record(&self, context: &Context, record: &OnRecord<'_>, table: &Table) -> String {
        let mut words = ["sentinel", record.command, record.id].map(str::to_owned).to_vec();
        words.extend(table.flag());
        let region = Some(self.region().clone());
        command_line(
            context,
            words,
            &CarriedOptions { region, policy_root: None, aws_profile: record.by == By::Caller, local: true },
        )
    }

    /// Returns a command for another user, without this run's AWS profile.
    fn command_of_another(&self, context: &Context, words: Vec<String>) -> String {
        let region = Some(self.region().clone());
        command_line(context, words, &CarriedOptions { region, policy_root: None, aws_profile: false, local: true })
    }

    /// Returns the command that creates a table. For a target it is `apply`, because `init` has no `--target` and would use other
    /// credentials or another store.
    fn create_table(&self, context: &Context, table: &Table) -> String {
        let key = table.builtin.key();
        if self.destination.name.is_some() {
            let listed =
                self.manifest.sections.tables.contains_key(key) && self.known_table(table.builtin) == table.name;
            let command = apply_at_target(context, Some(key));
            return match listed {
                true => format!("create it with: {command}"),
                false => format!(
                    "give [tables.{key}] of the manifest the name {}, then create it with: {command}",
                    table.name
                ),
            };
        }
        let mut words = ["sentinel", "init", table.builtin.key()].map(str::to_owned).to_vec();
        if table.name != table.builtin.default_name() {
            words.extend([String::from("--table"), table.name.clone()]);
        }
        format!("create it with: {}", self.command(context, words, None))
    }

    /// Returns a command with the options of this run.
    fn command(&self, context: &Context, words: Vec<String>, policy_root: Option<PolicyRoot>) -> String {
        let region = Some(self.region().clone());
        command_line(context, words, &CarriedOptions { region, policy_root, aws_profile: true, local: true })
    }
}

impl Table {
    /// Returns the table with this name: this one, or another one that may contain locks.
    fn or_known(&self, name: &str) -> Self {
        if self.name == name {
            return self.clone();
        }
        let source = String::from("which may hold locks");
        Self { builtin: self.builtin, name: name.to_owned(), source, named: false }
    }

    /// Returns the option that names the table, unless it has its default name.
    fn flag(&self) -> Vec<String> {
        if self.name == self.builtin.default_name() {
            return Vec::new();
        }
        vec![format!("--{}", flag_of(self.builtin)), self.name.clone()]
    }
}

const fn variable_of(builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::Approvals => "SENTINEL_REQUEST_TABLE",
        Builtin::BreakGlass => "SENTINEL_BREAKGLASS_TABLE",
        Builtin::Sessions => "SENTINEL_SESSION_TABLE",
    }
}

const fn flag_of(builtin: Builtin) -> &'static str {
    match builtin {
        Builtin::Approvals => "request-table",
        Builtin::BreakGlass => "breakglass-table",
        Builtin::Sessions => "session-table",
    }
}

/// Returns the nearest manifest, from the working directory upwards, relative to it. A manifest of another user is refused.
pub(super) fn find_manifest() -> Result<Option<PathBuf>, Error> {
    // A path that cannot be read as a manifest counts too: a pipe of that name must not make another manifest the nearest.
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let here = Path::new("sentinel.toml").to_owned();
    let above = || {
        let folder = std::env::current_dir().ok()?;
        folder.ancestors().skip(1).map(|folder| folder.join("sentinel.toml")).find(|path| is_there(path))
    };
    let found = if is_there(&here) { Some(here) } else { above() };
    found.map(|path| trust::check(&path).map(|()| path)).transpose()
}

/// Reads a manifest without its policies.
#[cfg(feature = "local")]
pub(super) fn read_manifest(path: &Path) -> Result<Manifest, Error> {
    read(path).map(|parsed| parsed.manifest)
}

/// Returns a manifest for a target.
pub(super) fn at_target(parsed: &Parsed, destination: &Destination) -> Result<Manifest, Error> {
    let mut faults = Faults::default();
    let manifest = parsed.at(destination, &mut faults);
    if faults.is_empty() { Ok(manifest) } else { Err(Error::Faults(faults.into_sorted())) }
}

/// Reads a manifest with the locations of its parts.
pub(super) fn read(path: &Path) -> Result<Parsed, Error> {
    let gathered = gather(&[path.to_owned()])?;
    gathered.included.iter().try_for_each(|path| trust::check(path))?;
    let mut faults = Faults::default();
    let parsed = manifest::parse(&gathered.source, &mut faults);
    if faults.is_empty() { Ok(parsed) } else { Err(Error::Faults(faults.into_sorted())) }
}

/// Prints a list: the name of its items and the filters, each with its key.
fn show_list<T: Serialize>(
    context: &Context,
    table: &Table,
    (command, key): (&str, &str),
    (what, by): (&str, &[(&str, Option<&str>)]),
    listed: &Listed<T>,
    rendered: fn(&Listing<'_>, &[T]) -> String,
) -> Result<(), Error> {
    let width = context.terminal.width();
    let listing = Listing { what, by, table: &table.name, more: listed.more, now: now(), width };
    context.terminal.either(
        || rendered(&listing, &listed.records),
        || json::document(command, json!({ "table": table.name, key: listed.records, "more": listed.more })),
    )
}

/// The only clock of these commands.
#[expect(clippy::disallowed_methods, reason = "here the time comes in; what decides is handed it")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns a random ID, or the error of the system.
fn random<T>(made: Result<T, getrandom::Error>) -> Result<T, Error> {
    made.map_err(no_random)
}

/// Returns the error for an option that has no effect with a broker.
fn not_with_broker(option: &str) -> Error {
    let message = format!("{option} cannot be given where a broker is asked");
    Error::usage(message, "the broker decides that; leave the option out, or ask AWS itself with --broker none")
}

/// Returns a refusal because of a record's state or of the caller. It is one line, whatever a record contains.
fn denied(message: String, hint: impl Into<String>) -> Error {
    denied_in_lines(crate::report::escape(&message), hint)
}

/// Returns a refusal of several lines, whose texts are escaped.
fn denied_in_lines(message: String, hint: impl Into<String>) -> Error {
    Error::Denied { message, hint: Some(hint.into()).filter(|hint| !hint.is_empty()) }
}
