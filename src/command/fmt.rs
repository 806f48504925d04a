//! `sentinel fmt`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::context::{Context, Project};
use super::gather::{STDIN, gather, stdin};
use super::policy::{Reader, whole};
use crate::cli::FmtArgs;
use crate::diagnostic::{Faults, Source};
use crate::document::format::{Formatted, Language, format};
use crate::error::{Error, Exit};
use crate::files;
use crate::manifest::{Override, cases_file, conceal_secrets};
use crate::report::fmt::{Changed, Purpose, differences, listed, summary};
use crate::report::json;

/// A text to format.
struct Input {
    /// The file that is written; `None` for standard input, whose text is printed.
    path: Option<PathBuf>,
    language: Language,
    source: Arc<Source>,
    /// Whether its text is secret, and not shown.
    secret: bool,
}

pub(super) fn run(context: &Context, args: &FmtArgs) -> Result<Exit, Error> {
    let is_stdin = |path: &PathBuf| path.as_os_str() == STDIN;
    let inputs = match args.files.as_slice() {
        [] if args.manifest.file.iter().any(is_stdin) => {
            return Err(Error::usage("a manifest on standard input has no file to write", "run: sentinel fmt -"));
        }
        [] => of_manifest(context, &args.manifest.file)?,
        [one] if is_stdin(one) => {
            let source = stdin()?;
            vec![Input { path: None, language: Language::of_text(&source.text), source, secret: false }]
        }
        several if several.iter().any(is_stdin) => {
            return Err(Error::usage("- can only be given alone", "format standard input in a run of its own"));
        }
        several => several.iter().map(|path| named(path)).collect::<Result<_, _>>()?,
    };
    let texts = formatted(&inputs)?;
    let writes = !args.check && !args.diff;
    let changed: Vec<(&Input, &str)> = inputs
        .iter()
        .zip(&texts)
        .filter(|(input, text)| input.source.text != **text)
        .map(|(input, text)| (input, text.as_str()))
        .collect();
    if writes {
        for (path, text) in changed.iter().filter_map(|(input, text)| Some((input.path.as_ref()?, text))) {
            files::replace(path, text.as_bytes()).map_err(|error| Error::io(path, error))?;
        }
        if let ([Input { path: None, .. }], [text]) = (inputs.as_slice(), texts.as_slice()) {
            let document = || json::document("fmt", json!({ "text": text }));
            context.terminal.script(|| text.clone(), document)?;
            return Ok(Exit::Done);
        }
    }
    let shown: Vec<Changed> = changed.iter().map(|(input, text)| input.changed(text)).collect();
    let document = || {
        let file = |input: &Input| {
            let change = shown.iter().find(|change| change.path == input.source.path);
            let diff = change.filter(|_| args.diff).map(Changed::diff);
            json!({ "path": input.source.path, "formatted": change.is_none(), "diff": diff })
        };
        json::document("fmt", json!({ "files": inputs.iter().map(file).collect::<Vec<_>>(), "written": writes }))
    };
    context.terminal.either(|| if args.diff { differences(&shown) } else { listed(&shown) }, document)?;
    context.terminal.note(&summary(inputs.len(), shown.len(), if writes { Purpose::Write } else { Purpose::Check }));
    Ok(if writes || shown.is_empty() { Exit::Done } else { Exit::Error })
}

impl Input {
    fn changed(&self, text: &str) -> Changed {
        let path = self.source.path.clone();
        if self.secret {
            return Changed { path, texts: None };
        }
        let after = Source::new(path.clone(), text);
        if self.language == Language::Toml {
            conceal_secrets(&self.source);
            conceal_secrets(&after);
        }
        Changed { path, texts: Some((self.source.shown().into_owned(), after.shown().into_owned())) }
    }
}

/// Formats every text. If one has a fault, all faults are reported, and nothing is written.
fn formatted(inputs: &[Input]) -> Result<Vec<String>, Error> {
    let mut faults = Faults::default();
    let mut texts = Vec::new();
    for input in inputs {
        match format(input.language, &input.source, &mut faults) {
            Formatted::Text(text) => texts.push(text),
            Formatted::Faulty => {}
            Formatted::Unsafe => {
                let path = &input.source.path;
                return Err(Error::internal(format!("formatting would change what {path} means; nothing was written")));
            }
        }
    }
    if faults.is_empty() { Ok(texts) } else { Err(Error::Faults(faults.into_sorted())) }
}

/// Reads a file that the user names.
fn named(path: &Path) -> Result<Input, Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let (language, limit) = match ending {
        "toml" => (Language::Toml, files::MANIFEST),
        "yaml" | "yml" => (Language::Yaml, files::POLICY),
        _ => {
            let hint = "its name must end in .toml, .yaml or .yml";
            return Err(Error::file(path, "sentinel fmt does not know the language of this file").with_hint(hint));
        }
    };
    let text = files::read_text(path, limit).map_err(|error| Error::read(path, error, "there is no such file"))?;
    let source = Source::new(path.display().to_string(), text);
    Ok(Input { path: Some(path.to_owned()), language, source, secret: false })
}

/// Returns the files of a manifest without repetition: its own, the policies, and their test cases.
fn of_manifest(context: &Context, paths: &[PathBuf]) -> Result<Vec<Input>, Error> {
    let project = context.project(paths)?;
    let reader = Reader::within(&project)?;
    let mut inputs = Vec::new();
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for (_, source) in gather(paths)?.source.parts() {
        let path = PathBuf::from(&source.path);
        let language = Language::Toml;
        if seen.insert(whole(&path)) {
            inputs.push(Input { path: Some(path), language, source, secret: false });
        }
    }
    let secret: BTreeSet<PathBuf> = project
        .review_inputs()
        .resources
        .into_values()
        .filter(|one| one.secret)
        .filter_map(|one| one.policy)
        .map(|path| whole(Path::new(&path)))
        .collect();
    for policy in policies(&project) {
        let policy = project.policy_path(&policy);
        for (path, limit) in [(policy.clone(), files::POLICY), (cases_file(&policy), files::CASES)] {
            let target = whole(&path);
            if (path != policy && !reader.has(&path)) || !seen.insert(target.clone()) {
                continue;
            }
            let source = Source::new(path.display().to_string(), reader.read(&path, limit, None)?);
            let secret = secret.contains(&whole(&policy));
            // The reader has checked that a link leads to a file in the manifest's folder.
            inputs.push(Input { path: Some(target), language: Language::Yaml, source, secret });
        }
    }
    Ok(inputs)
}

/// Returns the policy files of a manifest at all targets.
fn policies(project: &Project) -> BTreeSet<String> {
    let manifest = &project.loaded.manifest;
    let own = manifest.sections.profiles.values().filter_map(|profile| profile.policy.clone());
    let varied = manifest.targets.values().flat_map(|target| &target.overrides).filter_map(Override::policy_file);
    own.chain(varied).collect()
}
