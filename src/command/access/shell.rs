//! `sentinel shell init`.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Site, find_manifest};
use crate::access::shell::{Delivery, Format, Function, functions, script};
use crate::cli::{ShellFormat, ShellInitArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::files;
use crate::kind::policy_parameter::profile_of;
use crate::report::{escape, json};

/// The time limit for a new shell.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The cached profiles. They are only names, which are checked when they are read, so nothing in the file is evaluated.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CachedProfiles {
    region: String,
    root: String,
    /// The selected target of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    profiles: Vec<String>,
}

pub(in crate::command) async fn init(context: &Context, args: &ShellInitArgs) -> Result<Exit, Error> {
    let format = match args.format {
        Some(ShellFormat::Bash) => Format::Bash,
        Some(ShellFormat::Zsh) => Format::Zsh,
        Some(ShellFormat::Fish) => Format::Fish,
        None => own_shell(),
    };
    let cache = cache_file(context);
    let asked = tokio::time::timeout(TIMEOUT, context.reading(ask(context))).await;
    let asked = asked.unwrap_or(Err(Error::TimedOut(TIMEOUT)));
    let (known, fresh) = match asked {
        Ok(known) => {
            if let Some(cache) = &cache {
                // A cache that cannot be written must not disturb the start of a shell.
                let _ = remember(cache, &known);
            }
            (known, true)
        }
        Err(error) => {
            let known = cache.as_deref().and_then(recall);
            let instead = match &known {
                Some(_) => "Sentinel uses the profiles of the last successful run",
                None => "there are no sentinel-PROFILE functions",
            };
            comment(context, &format!("{error}; {instead}"));
            (known.unwrap_or_default(), false)
        }
    };
    let words = |profile: &str| words(context, &known, profile);
    let deliveries: &[Delivery] =
        if args.include_server { &[Delivery::Environment, Delivery::Server] } else { &[Delivery::Environment] };
    let (functions, left_out) = functions(&known.profiles, words, deliveries);
    for (name, why) in &left_out {
        comment(context, &format!("no function for {name:?}: {why}"));
    }
    let script = script(format, &functions);
    let names: Vec<&str> = functions.iter().map(|Function { name, .. }| name.as_str()).collect();
    let document = || {
        let body = json!({ "format": format.word(), "fresh": fresh, "functions": names, "script": script });
        json::document("shell init", body)
    };
    context.terminal.script(|| script.clone(), document)?;
    Ok(Exit::Done)
}

/// Lists the profiles in AWS.
async fn ask(context: &Context) -> Result<CachedProfiles, Error> {
    let site = Site::new(context).await?;
    let found = site.gateway.discover(&site.destination.policy_root).await.map_err(|error| site.failed(error))?;
    Ok(CachedProfiles {
        region: site.region().to_string(),
        root: site.destination.policy_root.to_string(),
        target: site.destination.name.clone(),
        profiles: found.iter().map(|found| profile_of(&found.name, &site.destination.policy_root).to_owned()).collect(),
    })
}

/// Returns the options with which `exec` finds the same profiles from any folder.
fn words(context: &Context, known: &CachedProfiles, profile: &str) -> Vec<String> {
    let global = &context.global;
    let mut words = vec![format!("--region={}", known.region), format!("--policy-root={}", known.root)];
    // The target determines the account and the tables.
    words.extend(known.target.iter().map(|name| format!("--target={name}")));
    if let Some(name) = &global.aws_profile {
        words.push(format!("--aws-profile={name}"));
        // The AWS profile that reads the policies must not supply the credentials of another profile.
        if name.as_str() != profile && global.local.is_none() {
            words.push(format!("--credentials-profile={profile}"));
        }
    }
    words.extend(global.endpoint_url.iter().map(|url| format!("--endpoint-url={url}")));
    if let Some(folder) = context.local_folder(Path::new("")) {
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        words.push(format!("--local={}", folder.display()));
    }
    words
}

/// Prints a comment on stderr, which has no effect if a shell evaluates it.
fn comment(context: &Context, text: &str) {
    context.terminal.note(&format!("# sentinel: {}\n", escape(text)));
}

#[expect(clippy::disallowed_methods, reason = "the functions are for the shell the user has")]
fn own_shell() -> Format {
    let shell = std::env::var("SHELL").unwrap_or_default();
    match shell.rsplit('/').next() {
        Some("zsh") => Format::Zsh,
        Some("fish") => Format::Fish,
        _ => Format::Bash,
    }
}

/// Returns the path of the cache for these options.
#[expect(clippy::disallowed_methods, reason = "this is where programs keep what they can do without")]
fn cache_file(context: &Context) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    let global = &context.global;
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"].map(std::env::var_os);
    let local = context.local_folder(Path::new("")).map(|folder| std::path::absolute(&folder).unwrap_or(folder));
    let flags = (&global.region, &global.aws_profile, &global.policy_root, &global.endpoint_url);
    // A target belongs to the manifest that is found here.
    let target = global.target.as_ref().map(|target| (target.as_str(), manifest_here()));
    let digest = Sha256::digest(format!("{flags:?} {local:?} {variables:?} {target:?}"));
    Some(folder.join("sentinel").join(format!("profiles-{}.json", hex::encode(&digest[..8]))))
}

fn manifest_here() -> Option<PathBuf> {
    find_manifest().ok().flatten()?.canonicalize().ok()
}

fn recall(cache: &Path) -> Option<CachedProfiles> {
    let known: CachedProfiles = serde_json::from_slice(&files::read(cache, files::CACHE).ok()?).ok()?;
    let valid = crate::manifest::check_region(&known.region).is_ok()
        && crate::kind::policy_parameter::check_root(&known.root).is_ok()
        && known.target.as_deref().is_none_or(|name| crate::manifest::check_target(name).is_ok());
    valid.then_some(known)
}

/// Writes the file under another name first, so that a concurrent shell reads either the old or the new one.
fn remember(cache: &Path, known: &CachedProfiles) -> std::io::Result<()> {
    let Some(folder) = cache.parent() else { return Ok(()) };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let aside = cache.with_extension(format!("{}.new", std::process::id()));
    // An existing file remains from a killed process with the same ID.
    let _ = std::fs::remove_file(&aside);
    let mut file = files::create_new(&aside, files::PRIVATE)?;
    file.write_all(serde_json::to_string(known)?.as_bytes())?;
    std::fs::rename(&aside, cache)
}
