//! The context that commands share: common options, the manifest, the connection, prompts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::deadline::Deadline;
use super::gather::gather;
use super::run::Options;
use crate::cli::BrokerChoice;
use crate::diagnostic::{Faults, Source};
use crate::document::{Folder, GivenFile, Variables};
use crate::error::Error;
use crate::files;
use crate::kind::section::Unset;
use crate::kind::table::Table;
use crate::kind::{Address, DesiredResource, KindId, Sections, policy_parameter};
use crate::manifest::{self, Loaded, Manifest, Overrides, TargetPattern};
use crate::provider::{Sessions, known_region};
use crate::report::{LiveProgress, Terminal};
use crate::resource::destination::{Destination, Region};
use crate::resource::interrupt::{Cause, Interrupt};
use crate::resource::names::{AwsProfile, PolicyRoot, RegionName};
use crate::resource::traffic::Traffic;
use crate::review::{Place, ReviewInput, ReviewInputs};

/// The options for account, region and broker. Options that the command does not accept are empty.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) region: Option<RegionName>,
    pub(super) aws_profile: Option<AwsProfile>,
    pub(super) policy_root: Option<PolicyRoot>,
    pub(super) local: Option<OsString>,
    pub(super) endpoint_url: Option<String>,
    pub(super) verbose: u8,
    /// The target of a command that works at a single target.
    pub(super) target: Option<TargetPattern>,
    /// The broker, if the option selects one.
    pub(super) broker: Option<BrokerChoice>,
}

/// The context of a command.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) global: Global,
    pub(super) terminal: Terminal,
    pub(super) interrupt: Interrupt,
    pub(super) traffic: Traffic,
    pub(super) deadline: Deadline,
    pub(super) progress: LiveProgress,
    pub(super) sessions: Sessions,
}

/// The origin of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ManifestOrigin {
    /// A file.
    File,
    Memory,
}

/// A manifest, and the folder to which its paths are relative.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) loaded: Loaded,
    pub(super) folder: PathBuf,
    pub(super) source: Arc<Source>,
    pub(super) medium: ManifestOrigin,
    pub(super) secrets: Secrets,
    /// The files of the command line.
    pub(super) paths: Vec<PathBuf>,
}

/// Whether plans show the contents of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Hidden,
    Shown,
}

/// The desired state of a manifest at one target.
#[derive(Debug)]
pub(super) struct DesiredAt<'a> {
    pub(super) desired: Cow<'a, [DesiredResource]>,
    /// Resources that use environment variables that are not set.
    pub(super) unset: Cow<'a, [Unset]>,
    /// The sections of the manifest at this target, if they differ from those at other targets.
    own: Option<(Sections, BTreeSet<Address>)>,
}

impl DesiredAt<'_> {
    /// Returns the sections of the manifest at the target.
    pub(super) fn sections<'a>(&'a self, project: &'a Project) -> &'a Sections {
        self.own.as_ref().map_or(&project.loaded.manifest.sections, |(sections, _)| sections)
    }
}

impl Project {
    /// Returns the path of a policy of the manifest, relative to the current folder.
    pub(super) fn policy_path(&self, policy: &str) -> PathBuf {
        let path = self.folder.join(policy);
        path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)
    }

    /// Returns the desired state at one target.
    pub(super) fn wanted(&self, destination: &Destination) -> Result<DesiredAt<'_>, Error> {
        let mut faults = Faults::default();
        let own = self.loaded.wanted(destination, &mut faults);
        if !faults.is_empty() {
            return Err(Error::Faults(faults.into_sorted()));
        }
        let Some(mut own) = own else {
            let (desired, unset) = (Cow::Borrowed(&*self.loaded.desired), Cow::Borrowed(&*self.loaded.unset));
            return Ok(DesiredAt { desired, unset, own: None });
        };
        if self.secrets == Secrets::Shown {
            policy_parameter::reveal(&mut own.desired);
        }
        let sections = Some((own.sections, own.varied));
        Ok(DesiredAt { desired: Cow::Owned(own.desired), unset: Cow::Owned(own.unset), own: sections })
    }

    /// Returns the texts that reviews use in addition to the manifest.
    pub(super) fn review_inputs(&self) -> ReviewInputs {
        self.review_inputs_in(&self.loaded.manifest.sections, &self.loaded.desired, |_| true)
    }

    /// The same for one target. `shared` is used if the target does not differ from others.
    pub(super) fn review_inputs_of(&self, wanted: &DesiredAt<'_>, shared: &Arc<ReviewInputs>) -> Arc<ReviewInputs> {
        let Some((sections, varied)) = &wanted.own else { return Arc::clone(shared) };
        let mut own = self.review_inputs_in(sections, &wanted.desired, |address| varied.contains(address));
        let others = shared.resources.iter().filter(|(address, _)| !varied.contains(address));
        own.resources.extend(others.map(|(address, inputs)| (address.clone(), inputs.clone())));
        Arc::new(own)
    }

    /// Returns the policy files of the profiles at a target, as the manifest has them.
    pub(super) fn policies(&self, wanted: Option<&DesiredAt<'_>>) -> BTreeMap<String, String> {
        let own = wanted.and_then(|wanted| wanted.own.as_ref()).map(|(sections, _)| sections);
        let profiles = own.unwrap_or(&self.loaded.manifest.sections).profiles.iter();
        profiles.filter_map(|(key, section)| Some((key.clone(), section.policy.clone()?))).collect()
    }

    fn review_inputs_in(
        &self,
        sections: &Sections,
        desired: &[DesiredResource],
        wanted: impl Fn(&Address) -> bool,
    ) -> ReviewInputs {
        let folder = Folder::new(&self.folder);
        let of = desired.iter().filter(|desired| wanted(desired.address())).map(|desired| {
            let address = desired.address();
            let place = self.loaded.lines.get(address).filter(|_| self.medium == ManifestOrigin::File);
            let place = place.map(|(path, line)| Place { path: Arc::clone(path), line: *line });
            let section = sections
                .profiles
                .get(&address.key)
                .filter(|_| address.kind == KindId::Policy && desired.presence().is_present());
            let named = section.and_then(|section| section.policy.as_ref());
            let policy = named.map(|policy| self.policy_path(policy));
            let cases = named.zip(policy.as_deref()).and_then(|(named, policy)| {
                Some(Source::new(manifest::cases_file(policy).display().to_string(), folder.read_cases(named)?))
            });
            let policy = policy.map(|path| path.display().to_string());
            let secret = section
                .is_some_and(|section| section.parameter_type == Some(policy_parameter::ParameterType::SecureString));
            (address.clone(), ReviewInput { place, policy, cases, secret })
        });
        let tables = desired.iter().filter_map(|one| one.of::<Table>());
        ReviewInputs {
            resources: of.collect(),
            profiles: sections.profiles.keys().cloned().collect(),
            tables: tables.flat_map(|table| [table.address.key.clone(), table.name.clone()]).collect(),
        }
    }
}

impl Context {
    pub(super) fn new(options: Options, terminal: Terminal) -> Self {
        let global = Global {
            region: options.place.region.map(RegionName::new),
            aws_profile: options.place.aws_profile.map(AwsProfile::new),
            policy_root: options.root.policy_root.map(PolicyRoot::new),
            local: options.local.local,
            endpoint_url: options.service.endpoint_url,
            verbose: options.common.verbose,
            target: options.at.target,
            broker: options.by.broker,
        };
        let (interrupt, traffic) = (Interrupt::default(), Traffic::default());
        let (progress, sessions) = (terminal.progress(), Sessions::default());
        Self { global, terminal, interrupt, traffic, deadline: Deadline::default(), progress, sessions }
    }

    /// Lets the first Ctrl-C finish the current steps, and the second end the program.
    pub(super) fn listen_for_interrupts(&self) {
        let (interrupt, progress) = (self.interrupt.clone(), self.progress.clone());
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                end(&interrupt, &progress);
            }
        });
    }

    /// The same for SIGTERM, which cancels jobs; it ends a run that changes nothing at once.
    #[cfg(unix)]
    pub(super) fn listen_for_termination(&self) {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, progress) = (self.interrupt.clone(), self.progress.clone());
        let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
        tokio::spawn(async move {
            while terminated.recv().await.is_some() {
                end(&interrupt, &progress);
            }
        });
    }

    /// Other systems have no SIGTERM.
    #[cfg(not(unix))]
    pub(super) fn listen_for_termination(&self) {}

    /// Prints the summary of AWS calls with `-v`.
    pub(super) fn sum_up(&self) {
        if self.global.verbose > 0 {
            self.terminal.note(&crate::report::traffic::summary(&self.traffic.take()));
        }
    }

    /// Runs reading work, which an interrupt ends at once.
    pub(super) async fn reading<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.interrupt.wait() => Err(self.interruption_error()),
            result = work => result,
        }
    }

    /// Returns the error for a run that ended before it changed anything.
    pub(super) fn interruption_error(&self) -> Error {
        match self.interrupt.cause() {
            Some(Cause::Deadline) => Error::OutOfTime,
            Some(Cause::User) | None => Error::Interrupted,
        }
    }

    fn overrides(&self) -> Overrides {
        #[expect(clippy::disallowed_methods, reason = "the value of a parameter is where the manifest says")]
        let variables = Variables::new(|name| std::env::var(name).ok());
        Overrides { policy_root: self.global.policy_root.clone(), region: self.global.region.clone(), variables }
    }

    /// Reads a manifest from its files.
    pub(super) fn project(&self, paths: &[PathBuf]) -> Result<Project, Error> {
        let gathered = gather(paths)?;
        let project = self.resolve(&gathered.source, gathered.folder, ManifestOrigin::File)?;
        Ok(Project { paths: paths.to_vec(), ..project })
    }

    /// Reads a manifest that was built in memory.
    pub(super) fn project_in_memory(&self, manifest: &Manifest) -> Result<Project, Error> {
        self.resolve(
            &Source::new("the manifest of this command", manifest.to_toml()),
            PathBuf::from("."),
            ManifestOrigin::Memory,
        )
    }

    /// The same for a manifest with policy files, whose texts are given.
    pub(super) fn project_of_texts(
        &self,
        manifest: &Manifest,
        files: impl IntoIterator<Item = GivenFile>,
    ) -> Result<Project, Error> {
        let source = Source::new("the manifest of this command", manifest.to_toml());
        self.resolve_in(&source, Folder::given(files), PathBuf::from("."), ManifestOrigin::Memory)
    }

    fn resolve(&self, source: &Arc<Source>, folder: PathBuf, medium: ManifestOrigin) -> Result<Project, Error> {
        self.resolve_in(source, Folder::new(&folder), folder, medium)
    }

    fn resolve_in(
        &self,
        source: &Arc<Source>,
        files: Folder,
        folder: PathBuf,
        medium: ManifestOrigin,
    ) -> Result<Project, Error> {
        let mut faults = Faults::default();
        let parsed = manifest::parse(source, &mut faults);
        let loaded = manifest::resolve_in(files, parsed, &folder, &self.overrides(), &mut faults);
        if faults.is_empty() {
            Ok(Project {
                loaded,
                folder,
                source: Arc::clone(source),
                medium,
                secrets: Secrets::Hidden,
                paths: Vec::new(),
            })
        } else {
            Err(Error::Faults(faults.into_sorted()))
        }
    }

    /// Returns the region and its source, if there is one.
    pub(super) async fn region(&self, chosen: &Destination<Option<RegionName>>) -> Option<Region> {
        if let Some(name) = &self.global.region {
            return Some(Region { name: name.clone(), source: String::from("--region") });
        }
        if let Some(name) = &chosen.region {
            return Some(Region { name: name.clone(), source: String::from("the manifest") });
        }
        known_region(self.global.aws_profile.as_ref().or(chosen.route.aws_profile.as_ref()).map(AwsProfile::as_str))
            .await
    }

    /// Returns the folder of the AWS emulator, if the command uses it.
    pub(super) fn local_folder(&self, beside: &Path) -> Option<PathBuf> {
        let given = self.global.local.as_ref()?;
        let default = || beside.strip_prefix("./").unwrap_or(beside).join(".sentinel");
        let folder = if given.is_empty() { default() } else { PathBuf::from(given) };
        // Shows `./.sentinel` as `.sentinel`.
        Some(folder.strip_prefix(".").map(Path::to_owned).unwrap_or(folder))
    }

    /// Asks for a line.
    pub(super) async fn ask(&self, question: &str) -> Result<String, Error> {
        self.terminal.note(question);
        let (sender, answer) = tokio::sync::oneshot::channel();
        // A blocking read on another thread, so that an interrupt is still handled.
        std::thread::spawn(move || {
            let line = files::read_line(&mut std::io::stdin().lock());
            let _ = sender.send(line.unwrap_or_default());
        });
        self.deadline.pause();
        let answer = tokio::select! {
            answer = answer => Ok(answer.unwrap_or_default().trim().to_owned()),
            () = self.interrupt.wait() => Err(self.interruption_error()),
        };
        self.deadline.go_on(&self.interrupt);
        answer
    }

    /// Asks for confirmation.
    pub(super) async fn confirm(&self, question: &str) -> Result<(), Error> {
        if !self.terminal.can_ask() {
            return Err(Error::NotConfirmed {
                message: String::from("there is no terminal for the confirmation; nothing was changed"),
                hint: Some(String::from("add --yes to apply without confirmation")),
            });
        }
        let answer = self.ask(&format!("\n{question} [y/N] ")).await?;
        match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Error::NotConfirmed { message: String::from("not confirmed; nothing was changed"), hint: None }),
        }
    }
}

/// Interrupts a run, or ends it if it has been interrupted before.
fn end(interrupt: &Interrupt, progress: &LiveProgress) {
    if interrupt.raised() {
        #[expect(clippy::disallowed_methods, reason = "the user asks twice: waiting is what they want no more of")]
        std::process::exit(130);
    }
    interrupt.raise();
    progress.note("\nInterrupted: finishing the calls in flight. Press Ctrl-C again to stop at once.\n");
}

/// The purpose of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Tables,
    Anything,
}

/// Returns the error for a missing region.
pub(super) fn no_region(need: Need, manifest: ManifestOrigin) -> Error {
    let hint = match manifest {
        ManifestOrigin::File => {
            "give --region, or set region under [aws] in the manifest, AWS_REGION, or the AWS profile's region"
        }
        ManifestOrigin::Memory => {
            "give --region, or set AWS_REGION or the AWS profile's region; this command does not read the manifest"
        }
    };
    let message = match need {
        Need::Tables => "--region is required when provisioning DynamoDB tables",
        Need::Anything => "no AWS region configured",
    };
    Error::NoRegion { message: message.to_owned(), hint: hint.to_owned() }
}
