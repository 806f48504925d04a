//! `sentinel import`: writes a manifest and policy files for live resources.

use std::path::{Path, PathBuf};

use super::context::{Context, ManifestOrigin, Need, no_region};
use super::gather::folder_of;
use super::init::write_by;
use super::local::Users;
use super::status::quoted;
use crate::change::ChangeMethod;
use crate::cli::ImportArgs;
use crate::error::{Error, Exit};
use crate::files::{self, Root};
use crate::kind::KindId;
use crate::kind::import::{DiscoverError, ImportedFile, Named, Request};
use crate::manifest::Manifest;
use crate::provider::Observe;
use crate::reconcile::{self, Action, Intent, ResourcePlan, Scope};
use crate::report::import::{Imported, render};
use crate::report::json;
use crate::resource::Invalid;
use crate::resource::destination::Destination;
use crate::resource::names::OwnerKey;

/// The manifest and the files to write.
#[derive(Debug, Default)]
pub(super) struct Import {
    pub(super) manifest: Manifest,
    pub(super) files: Vec<ImportedFile>,
}

pub(super) async fn run(context: &Context, args: &ImportArgs) -> Result<Exit, Error> {
    let root = context.global.policy_root.clone().unwrap_or_default();
    let Some(destination) = context.located(Destination::new(None, root.clone()), Path::new("")).await? else {
        return Err(no_region(Need::Anything, ManifestOrigin::Memory));
    };
    let reader = context.connect(&destination, &Users::default()).await?;
    let ownership = OwnerKey::default();
    let tables = args.tables.iter().map(|name| Named { kind: KindId::Table, name: name.clone() });
    let all: &[KindId] = if args.all_tables { &[KindId::Table] } else { &[] };
    let named: Vec<Named> = tables.chain(args.resources.iter().cloned()).collect();
    let read = async {
        let caller = reader.identify().await?;
        let request = Request { policy_root: &root, ownership: &ownership, named: &named, all };
        let found = reader.importable(&request).await.map_err(|error| match error {
            DiscoverError::Missing(Invalid { problem, help }) => Error::NoResource { message: problem, hint: help },
            DiscoverError::Unread { denied, why } => Error::Unread { denied, message: why.problem, hint: why.help },
            DiscoverError::Call(error) => error.into(),
        })?;
        Ok((caller, found.import(&root)))
    };
    let (caller, found) = Box::pin(context.reading(read)).await?;
    let mut import =
        Import { manifest: Manifest { sections: found.sections, ..Manifest::default() }, files: found.files };
    let manifest = &mut import.manifest;
    manifest.aws.region = Some(destination.region.name.clone());
    // The AWS emulator has no real account.
    manifest.aws.account_id = destination.local.is_none().then(|| caller.account.clone());
    manifest.policy_root = Some(root.clone()).filter(|root| !root.is_default());
    let written = import.write(&args.out.join("sentinel.toml"), FILE_EXISTS_HINT)?;
    let project = context.project(&[args.out.join("sentinel.toml")])?;
    let scope = Scope::of(Intent::Converge);
    let work = async { Ok(reconcile::plan(&reader, destination.clone(), &project.loaded.desired, scope).await?) };
    let plan = context.reading(work).await?.plan;
    let (settling, differs): (Vec<&ResourcePlan>, Vec<&ResourcePlan>) =
        plan.resources.iter().filter(|resource| resource.action != Action::Unchanged).partition(|one| settles(one));
    let addresses = |all: Vec<&ResourcePlan>| all.into_iter().map(|one| one.address.to_string()).collect();
    let imported = Imported {
        region: destination.region.name.to_string(),
        account: caller.account.into(),
        differs: addresses(differs),
        settling: addresses(settling),
        next: next(context, &destination, &args.out),
        resources: found.resources.into_iter().map(Into::into).collect(),
        warnings: found.warnings,
        written,
    };
    context.terminal.either(|| render(&imported), || json::document("import", &imported))?;
    Ok(if imported.differs.is_empty() { Exit::Done } else { Exit::Error })
}

/// Returns whether a resource will be in sync after AWS completes its current changes.
fn settles(resource: &ResourcePlan) -> bool {
    let passes =
        !resource.changes.is_empty() && resource.changes.iter().all(|change| change.method == ChangeMethod::Time);
    resource.action == Action::Finish || passes
}

/// Returns the command that plans the new manifest.
fn next(context: &Context, destination: &Destination, out: &Path) -> String {
    let file = out.join("sentinel.toml").display().to_string();
    let mut words = ["sentinel", "plan", "-f", &file].map(str::to_owned).to_vec();
    // The new manifest has the region, but no AWS profile and no endpoint.
    let mut flag = |name: &str, value: Option<&str>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
    };
    flag("--aws-profile", context.global.aws_profile.as_deref());
    flag("--endpoint-url", context.global.endpoint_url.as_deref());
    let mut command = quoted(&words);
    // The store of the AWS emulator is not in the folder of the new manifest, so the command names it.
    if let Some(folder) = &destination.local {
        command.push_str(&format!(" --local={}", quoted(&[folder.display().to_string()])));
    }
    command
}

/// Returns a path without a leading `./`.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// The hint for a file that exists already.
pub(super) const FILE_EXISTS_HINT: &str = "import into a new folder with -o, and compare the files";

impl Import {
    /// Writes all files, or none if one exists already; `hint` is for that error. Returns the paths, the manifest's first.
    pub(super) fn write(&self, manifest: &Path, hint: &str) -> Result<Vec<String>, Error> {
        let folder = &folder_of(manifest);
        let manifest = folder.join(manifest.file_name().unwrap_or_default());
        let texts: Vec<(PathBuf, &str)> =
            self.files.iter().map(|file| (folder.join(&file.path), &*file.text)).collect();
        let in_the_way = std::iter::once(&manifest).chain(texts.iter().map(|(path, _)| path));
        let in_the_way: Vec<String> =
            in_the_way.filter(|path| path.symlink_metadata().is_ok()).map(|path| shown(path)).collect();
        if !in_the_way.is_empty() {
            return Err(Error::File {
                path: in_the_way.join(", "),
                what: String::from("this file exists; nothing was written"),
                hint: Some(hint.to_owned()),
                source: None,
            });
        }
        let made = if texts.is_empty() { folder.to_owned() } else { folder.join("policies") };
        if super::output::is_link(&made) && made != *folder {
            let what = "this is a link, and Sentinel does not write policies through links; nothing was written";
            return Err(Error::file(&made, what).with_hint(hint));
        }
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        // All files are written relative to the opened folder, even if its path is replaced meanwhile.
        let root = Root::open(folder).map_err(|error| Error::io(folder, error))?;
        if !texts.is_empty() {
            root.create_folder(Path::new("policies")).map_err(|error| Error::io(&made, error))?;
        }
        let within = |path: &Path| root.create_new(path.strip_prefix(folder).unwrap_or(path), files::SHARED);
        // The manifest is written last, when all files that it names exist.
        for (path, text) in &texts {
            write_by(within, path, text)?;
        }
        write_by(within, &manifest, &self.manifest.to_toml())?;
        let paths = std::iter::once(&manifest).chain(texts.iter().map(|(path, _)| path));
        Ok(paths.map(|path| shown(path)).collect())
    }
}
