//! Writes the output of a command: to stdout, to files, and to the summary of a workflow's job.

use std::io::Write;
use std::path::{Component, Path};

use super::baseline;
use super::context::Context;
use super::pass::Keep;
use crate::cli::{Format, OutputArgs};
use crate::error::Error;
use crate::files;
use crate::report::output::{Part, Shown};
use crate::report::{Detail, Terminal, for_file};

impl Context {
    /// Returns what the selected formats need of targets that are in sync.
    pub(super) fn keep(&self, args: &OutputArgs) -> Keep {
        let json = args.files().iter().any(|(format, _)| *format == Format::Json) || args.format == Some(Format::Json);
        if json || self.terminal.json() { Keep::All } else { Keep::Count }
    }

    /// Writes the output: first to files, then to stdout.
    pub(super) fn show(&self, args: &OutputArgs, shown: &Shown<'_>) -> Result<(), Error> {
        for (format, path) in args.files() {
            let text = written(shown, format)?;
            files::write(path, text.as_bytes(), files::SHARED).map_err(|error| Error::io(path, error))?;
        }
        let terminal = self.terminal;
        let format = args.format.unwrap_or(if terminal.json() { Format::Json } else { Format::Text });
        match format {
            Format::Text => terminal.result(&shown.render(format, terminal.width())?),
            Format::Github => {
                summarize(&for_file(&shown.render(Format::Markdown, None)?))?;
                terminal.commands(&shown.workflow_log(&token()?));
            }
            format => terminal.result(&shown.render(format, None)?),
        }
        Ok(())
    }
}

/// Writes an error in every selected format. Failures to write are ignored, because stderr has the error already.
pub(super) fn failed(terminal: Terminal, args: &OutputArgs, command: &str, error: &Error) {
    let shown = Shown {
        command,
        preface: None,
        extra: Vec::new(),
        parts: vec![Part { name: None, index: None, body: Err(error) }],
        detail: Detail::Changes,
    };
    for (format, path) in args.files().into_iter().filter(|(_, path)| check_report(path).is_ok()) {
        if let Ok(text) = written(&shown, format) {
            let _ = files::write(path, text.as_bytes(), files::SHARED);
        }
    }
    match args.format {
        None | Some(Format::Text | Format::Json) => {}
        Some(Format::Github) => {
            if let Ok(markdown) = shown.render(Format::Markdown, None) {
                let _ = summarize(&for_file(&markdown));
            }
            terminal.commands(&shown.annotations());
        }
        Some(format) => {
            if let Ok(text) = shown.render(format, None) {
                terminal.result(&text);
            }
        }
    }
}

/// Refuses files that cannot be written, before the first AWS call.
pub(super) fn writable(args: &OutputArgs) -> Result<(), Error> {
    let files = args.files();
    for (index, (_, path)) in files.iter().enumerate() {
        check_report(path)?;
        if files.iter().take(index).any(|(_, other)| is_same(path, other)) {
            return Err(same(path));
        }
    }
    Ok(())
}

/// Refuses what `check` refuses, and to write a report over a baseline.
fn check_report(path: &Path) -> Result<(), Error> {
    check(path)?;
    if baseline::is_one(path) {
        return Err(Error::file(path, "this is a baseline, and was not changed").with_hint("name another file"));
    }
    Ok(())
}

/// Returns whether two paths are the same file, which may not exist yet.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).join(path.file_name().unwrap_or_default())
    };
    place(one) == place(other)
}

/// Returns the error for two options with the same file.
pub(super) fn same(path: &Path) -> Error {
    let message = format!("two options name the file {}", path.display());
    Error::usage(message, "give each a file of its own")
}

/// Checks that the folder of a new file exists.
pub(super) fn check_folder(path: &Path) -> Result<(), Error> {
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        let error = Error::file(path, "its folder does not exist");
        return Err(error.with_hint("create the folder, or correct the path"));
    }
    Ok(())
}

/// Refuses to write over a file that is probably a manifest or a policy.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let refused = |what: &str| Error::file(path, what);
    if path == Path::new("-") {
        let hint = "name a file; --format chooses what is written to standard output";
        return Err(Error::usage("- is not a file to write to", hint));
    }
    if is_link(path) {
        return Err(refused(files::LINK));
    }
    if path.is_dir() {
        return Err(refused(files::FOLDER).with_hint("name a file"));
    }
    check_folder(path)?;
    if leads_out(path) {
        return Err(refused("its folder is a link out of the current folder; name the target folder of the link"));
    }
    let written_by_hand =
        path.extension().is_some_and(|ending| ending == "toml" || ending == "yaml" || ending == "yml");
    if written_by_hand && path.exists() {
        let what = "this file looks like a manifest or a policy, and was not changed";
        return Err(Error::file(path, what).with_hint("name another file, such as plan.md, plan.html or plan.json"));
    }
    Ok(())
}

/// Returns whether a path is a link. In a folder to which others can write, a link could lead to any file of the user. Links of
/// the system, such as `/dev/stdout`, are allowed.
pub(super) fn is_link(path: &Path) -> bool {
    !files::is_standard(path) && path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

/// Returns whether a relative path leads out of the current folder through a link. In a checkout, the links are untrusted.
fn leads_out(path: &Path) -> bool {
    if path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return false;
    }
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return false };
    match (folder.canonicalize(), Path::new(".").canonicalize()) {
        (Ok(folder), Ok(current)) => !folder.starts_with(current),
        _ => false,
    }
}

/// Returns the content of a file. Only the format for GitHub contains workflow commands.
fn written(shown: &Shown<'_>, format: Format) -> Result<String, Error> {
    match format {
        Format::Github => Ok(shown.annotations()),
        format => Ok(for_file(&shown.render(format, None)?)),
    }
}

/// Appends to the job's summary, if there is one.
#[expect(clippy::disallowed_methods, reason = "the file of the job's summary is named by the workflow's runner")]
fn summarize(markdown: &str) -> Result<(), Error> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    let path = Path::new(&path);
    files::append(path, files::SHARED)
        .and_then(|mut file| file.write_all(markdown.as_bytes()))
        .map_err(|error| Error::io(path, error))
}

/// Returns the error for a system without random numbers.
pub(super) fn no_random(error: getrandom::Error) -> Error {
    Error::system("cannot get a random number", Some("is /dev/urandom there?"), error)
}

/// Returns a random token.
fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(no_random)?;
    Ok(hex::encode(bytes))
}
