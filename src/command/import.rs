//! `sentinel import`: a manifest and policy files from what is live.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::context::{Context, no_region};
use super::init::write_by;
use super::local::Users;
use super::pass::Destination;
use super::status::{Carry, command_line};
use crate::cli::ImportArgs;
use crate::diagnostic::{Faults, Source};
use crate::error::{Error, Exit};
use crate::files::{self, Root};
use crate::kind::policy_parameter::{Found, ParameterType, Tier, check_profile, profile_of};
use crate::kind::table::{Table, Ttl};
use crate::kind::{Address, Batch, Desired, KindId, ObservedResource};
use crate::manifest::{AwsSection, Builtin, DEFAULT_ROOT, Manifest, ProfileSection, TableSection, is_uniform};
use crate::policy;
use crate::provider::{Observe, Reader};
use crate::reconcile::{self, Action, Intent, Scope};
use crate::report::import::{Imported, ImportedResource, Warning, render};
use crate::report::json;
use crate::resource::{Observed, Tags};

/// What is to be written: the manifest, and the policies by the path of their file.
#[derive(Debug, Default)]
pub(super) struct Import {
    pub(super) manifest: Manifest,
    files: Vec<(String, Arc<str>)>,
    resources: Vec<ImportedResource>,
    pub(super) warnings: Vec<Warning>,
}

pub(super) async fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Error> {
    let Some(region) = context.region(&AwsSection::default()).await else { return Err(no_region(false)) };
    let destination = Destination {
        name: None,
        region,
        aws_profile: context.global.aws_profile.clone(),
        role_arn: None,
        account_id: None,
        local: context.local_folder(Path::new("")),
        users: Users::default(),
    };
    let root = context.global.policy_root.clone().unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    let (reader, target) = context.connect(&destination, &root).await?;
    let mut import = Import::default();
    let read = async {
        let caller = reader.identify().await?;
        for found in reader.discover(&root).await? {
            import.policy(&root, found);
        }
        import.tables(&reader, &args.tables).await?;
        Ok(caller)
    };
    let caller = context.reading(read).await?;
    let manifest = &mut import.manifest;
    manifest.aws.region = Some(destination.region.name.clone());
    // The embedded AWS is nobody's account.
    manifest.aws.account_id = destination.local.is_none().then(|| caller.account.clone());
    manifest.policy_root = Some(root.clone()).filter(|root| root != DEFAULT_ROOT);
    let written = import.write(&args.out)?;
    let project = context.project(&args.out.join("sentinel.toml"))?;
    let scope = Scope::of(Intent::Converge);
    let work = async { Ok(reconcile::plan(&reader, target, &project.loaded.desired, scope).await?) };
    let plan = context.reading(work).await?.plan;
    let differs = plan.resources.iter().filter(|resource| resource.action != Action::Unchanged);
    let imported = Imported {
        region: destination.region.name.clone(),
        account: caller.account,
        differs: differs.map(|resource| resource.address.to_string()).collect(),
        next: next(context, &destination, &args.out),
        resources: import.resources,
        warnings: import.warnings,
        written,
    };
    context.terminal.either(|| render(&imported), || json::document("import", &imported))?;
    Ok(if imported.differs.is_empty() { Exit::Done } else { Exit::Error })
}

/// Returns the command that plans what was imported.
fn next(context: &Context, destination: &Destination, out: &Path) -> String {
    let file = out.join("sentinel.toml").display().to_string();
    let mut words = ["sentinel", "plan", "-f", &file].map(str::to_owned).to_vec();
    // Beside the new manifest there is no embedded AWS: its folder has to be named.
    words.extend(destination.local.as_ref().map(|folder| format!("--local={}", folder.display())));
    command_line(context, words, &Carry { region: None, policy_root: None, aws_profile: true, local: false })
}

impl Import {
    fn warn(&mut self, name: &str, why: impl Into<String>) {
        self.warnings.push(Warning { name: name.to_owned(), why: why.into() });
    }

    pub(super) fn policy(&mut self, root: &str, found: Found) {
        let Found { name, live } = found;
        let profile = profile_of(&name, root).to_owned();
        if check_profile(&profile).is_err() {
            return self.warn(&name, "left out: it stands deeper than a profile's policy does");
        }
        let (Some(ParameterType::String), Some(content)) = (live.state.parameter_type, live.state.content) else {
            return self.warn(&name, "left out: it is no plain string, and a policy is one");
        };
        let mut section = ProfileSection::default();
        let mut faults = Faults::default();
        policy::check(&Source::new(name.clone(), &*content), &mut faults);
        let file = if faults.is_empty() {
            let file = self.file(&profile);
            section.policy = Some(file.clone());
            // Only this tier holds so much; a smaller one's tier is left alone.
            section.tier = (content.len() > Tier::Standard.limit()).then_some(Tier::Advanced);
            self.files.push((file.clone(), content));
            Some(file)
        } else {
            let first = faults.into_sorted().into_iter().next().map(|fault| fault.message).unwrap_or_default();
            self.warn(&name, format!("named without its content, which is no valid policy ({first})"));
            None
        };
        let address = Address::new(KindId::Policy, profile.clone()).to_string();
        self.resources.push(ImportedResource { address, name, file });
        self.manifest.sections.profiles.insert(profile, section);
    }

    /// Returns a file for a profile; some file systems take `Dev` and `dev` for the same.
    fn file(&self, profile: &str) -> String {
        let taken: HashSet<String> = self.files.iter().map(|(path, _)| path.to_lowercase()).collect();
        let numbered = (2..).map(|number| format!("policies/{profile}-{number}.yaml"));
        let names = std::iter::once(format!("policies/{profile}.yaml")).chain(numbered);
        names.into_iter().find(|path| !taken.contains(&path.to_lowercase())).unwrap_or_default()
    }

    /// Reads the tables named, or those with a built-in name.
    async fn tables(&mut self, reader: &Reader, named: &[String]) -> Result<(), Error> {
        let builtin = || Builtin::ALL.iter().map(|builtin| builtin.default_name().to_owned()).collect();
        let names: IndexSet<String> = if named.is_empty() { builtin() } else { named.to_vec() }.into_iter().collect();
        let wanted: Vec<Desired<Table>> = names.iter().map(|name| everything_of(name)).collect();
        let reads = wanted.iter().enumerate().map(|one| reader.read(Batch::Table(vec![one])));
        let found = futures_util::future::join_all(reads).await.into_iter().flatten();
        for (name, (_, observed)) in names.into_iter().zip(found) {
            let ObservedResource::Table(pair) = observed else { continue };
            match pair.observed {
                Observed::Absent if named.is_empty() => {}
                Observed::Absent => {
                    let message = format!("there is no table {name}");
                    let hint = String::from("see the names with: aws dynamodb list-tables; nothing was written");
                    return Err(Error::NoTable { message, hint });
                }
                Observed::Unknown(gap) => {
                    let message = format!("the table {name} cannot be read: {}", gap.message);
                    let hint = format!("it takes {}; nothing was written", gap.action);
                    return Err(Error::Unread { denied: gap.denied, message, hint });
                }
                Observed::Present(live) => {
                    for gap in &live.gaps {
                        let path = gap.path.clone().unwrap_or_default();
                        self.warn(&name, format!("{path} is not managed: it could not be read ({})", gap.action));
                    }
                    if !is_uniform(&live.state) {
                        let why = "billing is not managed: its indexes have capacities of their own";
                        self.warn(&name, why);
                    }
                    let (key, section) = TableSection::of_live(&name, &live.state);
                    let address = Address::new(KindId::Table, key.clone()).to_string();
                    self.resources.push(ImportedResource { address, name, file: None });
                    self.manifest.sections.tables.insert(key, section);
                }
            }
        }
        Ok(())
    }

    /// Writes all of it, or nothing where a file is in the way. Returns the paths, the manifest's first.
    pub(super) fn write(&self, folder: &Path) -> Result<Vec<String>, Error> {
        let manifest = folder.join("sentinel.toml");
        let texts: Vec<(PathBuf, &str)> = self.files.iter().map(|(path, text)| (folder.join(path), &**text)).collect();
        let in_the_way = std::iter::once(&manifest).chain(texts.iter().map(|(path, _)| path));
        let in_the_way: Vec<String> =
            in_the_way.filter(|path| path.symlink_metadata().is_ok()).map(|path| path.display().to_string()).collect();
        if !in_the_way.is_empty() {
            return Err(Error::File {
                path: in_the_way.join(", "),
                what: String::from("there already, and left as it is; nothing was written"),
                hint: Some(String::from("write into a new folder with -o, then compare")),
                source: None,
            });
        }
        let made = if texts.is_empty() { folder.to_owned() } else { folder.join("policies") };
        if super::output::is_link(&made) && made != folder {
            let what = "this is a link, and policies would be written to where it leads; nothing was written";
            return Err(Error::file(&made, what).with_hint("write into a new folder with -o, then compare"));
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        // Whatever takes the place of the folder from now on, all is written within it.
        let root = Root::open(folder).map_err(|error| Error::io(folder, error))?;
        if !texts.is_empty() {
            root.create_folder(Path::new("policies")).map_err(|error| Error::io(&made, error))?;
        }
        let within = |path: &Path| root.create_new(path.strip_prefix(folder).unwrap_or(path), files::SHARED);
        // The manifest comes last: one that is there names only files that are.
        for (path, text) in &texts {
            write_by(within, path, text)?;
        }
        write_by(within, &manifest, &self.manifest.to_toml())?;
        let paths = std::iter::once(&manifest).chain(texts.iter().map(|(path, _)| path));
        Ok(paths.map(|path| path.strip_prefix(".").unwrap_or(path).display().to_string()).collect())
    }
}

/// Returns a wish of which everything is managed, so that everything is read.
fn everything_of(name: &str) -> Desired<Table> {
    let managed = Table {
        ttl: Some(Ttl::Disabled),
        point_in_time_recovery: Some(false),
        tags: Some(Tags::new()),
        ..Table::default()
    };
    let ownership = AwsSection::default().ownership_key();
    Desired { ownership, ..Desired::new(Address::new(KindId::Table, name), name, managed) }
}
