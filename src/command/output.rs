//! Where what a command has to show goes: stdout, files, and the summary of a workflow's job.

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
    /// Returns what has to be kept of targets that are in sync, to show them in the formats that are asked for.
    pub(super) fn keep(&self, args: &OutputArgs) -> Keep {
        let json = args.files().iter().any(|(format, _)| *format == Format::Json) || args.format == Some(Format::Json);
        if json || self.terminal.json() { Keep::All } else { Keep::Count }
    }

    /// Shows it: first to the files that are asked for, then on stdout.
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

/// Tells in every format that is asked for that a command came to nothing. What it says on stderr says so already, so
/// that what cannot be written here is no error of its own.
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

/// Refuses files that cannot be written, before anything is asked of AWS for them.
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

/// Refuses to write a report over a baseline, too.
fn check_report(path: &Path) -> Result<(), Error> {
    check(path)?;
    if baseline::is_one(path) {
        return Err(Error::file(path, "this is a baseline, and was not changed").with_hint("name another file"));
    }
    Ok(())
}

/// Returns whether two paths are one file, there or not.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).join(path.file_name().unwrap_or_default())
    };
    place(one) == place(other)
}

/// Returns the error for one file that two options name.
pub(super) fn same(path: &Path) -> Error {
    let message = format!("two options name the file {}", path.display());
    Error::usage(message, "give each a file of its own")
}

/// Refuses to write over what is most likely a manifest or a policy, named here by mistake.
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
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(refused("its folder does not exist").with_hint("create the folder, or correct the path"));
    }
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

/// Returns whether a path is a link to somewhere else: in a folder that others write to, one could lead to any file of the
/// user's. The system's own, such as `/dev/stdout`, are meant.
pub(super) fn is_link(path: &Path) -> bool {
    !files::is_standard(path) && path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

/// Returns whether a path that seems to be below the current folder is not, because of a link: in a checkout, whoever put
/// that together chose where it leads.
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

/// Returns what a file gets. A workflow's annotations are commands, and nothing else is.
fn written(shown: &Shown<'_>, format: Format) -> Result<String, Error> {
    match format {
        Format::Github => Ok(shown.annotations()),
        format => Ok(for_file(&shown.render(format, None)?)),
    }
}

/// Appends to the job's summary, where the workflow has one.
#[expect(clippy::disallowed_methods, reason = "the file of the job's summary is named by the workflow's runner")]
fn summarize(markdown: &str) -> Result<(), Error> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    let path = Path::new(&path);
    files::append(path, files::SHARED)
        .and_then(|mut file| file.write_all(markdown.as_bytes()))
        .map_err(|error| Error::io(path, error))
}

/// Returns the error for a system that gives no random numbers.
pub(super) fn no_random(error: getrandom::Error) -> Error {
    Error::system("cannot get a random number", Some("is /dev/urandom there?"), error)
}

/// Returns a word that nobody can guess.
fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(no_random)?;
    Ok(hex::encode(bytes))
}
