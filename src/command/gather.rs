//! Reads the texts of a manifest: the files on the command line or standard input, and the files that they include.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Fault, Faults, Source};
use crate::document::Folder;
use crate::error::Error;
use crate::files;
use crate::manifest;
use crate::resource::Invalid;

/// The path for standard input.
pub(super) const STDIN: &str = "-";

/// The texts of a manifest, joined.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) source: Arc<Source>,
    /// The folder of the first file, to which paths are relative.
    pub(super) folder: PathBuf,
    /// The included files.
    pub(super) included: Vec<PathBuf>,
}

/// Reads a manifest's files, and those that they include.
pub(super) fn gather(paths: &[PathBuf]) -> Result<Gathered, Error> {
    let folder = folder_of(paths.first().map_or(Path::new("sentinel.toml"), PathBuf::as_path));
    let mut faults = Faults::default();
    let (mut texts, mut included) = (Vec::new(), Vec::new());
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    let key = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for path in paths {
        if !seen.insert(key(path)) {
            let message = format!("the manifest {} is given twice", path.display());
            return Err(Error::usage(message, "name each file once"));
        }
    }
    for path in paths {
        let source = read(path)?;
        let below = folder_of(path);
        texts.push(Arc::clone(&source));
        let includes = manifest::includes(&source);
        if includes.is_empty() {
            continue;
        }
        let within = Folder::new(&below);
        for include in includes {
            let found = match within.matching(&include.pattern) {
                Ok(found) => found,
                Err(invalid) => {
                    faults.push(fault(&source, include.span, invalid, "names no file"));
                    continue;
                }
            };
            for file in found {
                let path = shown(&below.join(&file));
                // The manifest itself can match a pattern, and two patterns can match the same file.
                if !seen.insert(key(&path)) {
                    continue;
                }
                match within.read_manifest(&file) {
                    Ok(text) => {
                        let source = Source::new(path.display().to_string(), text);
                        if let Some(nested) = manifest::includes(&source).into_iter().next() {
                            let problem = "an included file cannot include others";
                            let help = "include them in the manifest that -f names";
                            faults.push(fault(&source, nested.span, Invalid::new(problem, help), "included from here"));
                        }
                        texts.push(source);
                        included.push(path);
                    }
                    Err(invalid) => faults.push(fault(&source, include.span.clone(), invalid, "this file")),
                }
            }
        }
    }
    if faults.is_empty() {
        return Ok(Gathered { source: Source::joined(texts), folder, included });
    }
    Err(Error::Faults(faults.into_sorted()))
}

fn fault(source: &Arc<Source>, span: std::ops::Range<usize>, invalid: Invalid, label: &str) -> Fault {
    let source = Arc::clone(source);
    let help = Some(invalid.help);
    Fault { source, span, message: invalid.problem, label: label.to_owned(), help, code: None, related: None }
}

/// Returns the folder of a file; for standard input, the current folder.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Returns a path without a leading `./`.
fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

/// Reads standard input.
pub(super) fn stdin() -> Result<Arc<Source>, Error> {
    let text = files::read_stream(&mut std::io::stdin().lock(), files::MANIFEST);
    Ok(Source::new("<stdin>", text.map_err(|error| Error::io(Path::new("<stdin>"), error))?))
}

fn read(path: &Path) -> Result<Arc<Source>, Error> {
    if path.as_os_str() == STDIN {
        return stdin();
    }
    let text = files::read_text(path, files::MANIFEST).map_err(|error| {
        let is_there = path.symlink_metadata().is_ok();
        let missing =
            if is_there { "this is a link to a file that does not exist" } else { "there is no such manifest" };
        let hint = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory if !is_there => {
                "name one with -f FILE, or start one with: sentinel init bootstrap --profile dev --all \
                 --write-manifest sentinel.toml"
            }
            ErrorKind::PermissionDenied => "make it readable for you, or name another file with -f FILE",
            _ if error.to_string() == files::NOT_UTF8 => "save it as UTF-8, or name another file with -f FILE",
            _ => "name the manifest with -f FILE",
        };
        Error::read(path, error, missing).with_hint(hint)
    })?;
    Ok(Source::new(path.display().to_string(), text))
}
