//! The manifest's folder. Sentinel reads no manifest file outside it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::files::{self, Root};
use crate::resource::Invalid;

/// Returns the path of a policy's test cases.
pub fn cases_file(policy: &Path) -> PathBuf {
    policy.with_extension("test.yaml")
}

const INSIDE: &str = "write a path relative to the manifest, inside its folder: policies/dev.yaml";
pub(super) const LINKS: &str = "replace the link with a file, or with a relative link to one inside the folder";

/// Checks that a policy's path does not lead out of the manifest's folder, apart from links.
pub(super) fn check_path(file: &str, what: FileRole) -> Result<(), Invalid> {
    let steps_out = Path::new(file).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if file.is_empty() || steps_out {
        return Err(Invalid::new(format!("the {what}path \"{file}\" leaves the manifest's folder"), INSIDE));
    }
    Ok(())
}

/// The role of a file in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    Policy,
    /// The value of a parameter.
    Value,
}

impl fmt::Display for FileRole {
    /// Writes the word that precedes `file` or `path`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Policy => "policy ",
            Self::Value => "",
        })
    }
}

/// The manifest's folder, or given texts in its place.
#[derive(Debug)]
pub struct Folder(Files);

/// The text of a file that is given and not read from disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenFile {
    /// Its path in the folder.
    pub path: String,
    pub text: String,
}

#[derive(Debug)]
enum Files {
    Within(Root),
    /// The folder cannot be opened, nor can its files.
    Closed(io::ErrorKind),
    /// The texts of its files, by their paths in the folder.
    Given(HashMap<String, String>),
}

impl Folder {
    /// A folder that does not exist is treated as empty.
    pub fn new(folder: &Path) -> Self {
        Self(Root::open(folder).map_or_else(|error| Files::Closed(error.kind()), Files::Within))
    }

    /// Returns a folder with these files that is not on disk.
    pub fn given(files: impl IntoIterator<Item = GivenFile>) -> Self {
        Self(Files::Given(files.into_iter().map(|GivenFile { path, text }| (path, text)).collect()))
    }

    /// Returns whether its files are given texts.
    pub fn is_given(&self) -> bool {
        matches!(self.0, Files::Given(_))
    }

    /// Refuses a test case file that is a link out of the folder, because plans show parts of it.
    pub fn check_cases(&self, policy: &str) -> Result<(), Invalid> {
        let Files::Within(root) = &self.0 else { return Ok(()) };
        let file = cases_file(Path::new(policy));
        if root.size(&file).is_err_and(|error| files::leads_out(&error)) {
            let problem = format!("the test case file \"{}\" is a link out of the manifest's folder", file.display());
            return Err(Invalid::new(problem, "keep the test cases in a regular file next to the policy"));
        }
        Ok(())
    }

    /// Reads the test cases of a policy of the manifest, if there are any.
    pub fn read_cases(&self, policy: &str) -> Option<String> {
        let Files::Within(root) = &self.0 else { return None };
        root.read_text(&cases_file(Path::new(policy)), files::CASES).ok()
    }

    pub fn text_given(&self, path: &str) -> Option<&str> {
        match &self.0 {
            Files::Given(given) => given.get(path).map(String::as_str),
            Files::Within(_) | Files::Closed(_) => None,
        }
    }

    /// Returns the names in one of its folders, in order.
    pub(super) fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        match &self.0 {
            Files::Within(root) => root.names(folder),
            Files::Closed(kind) => Err((*kind).into()),
            Files::Given(_) => Ok(Vec::new()),
        }
    }

    /// Returns whether it has such a path. A link counts regardless of its target, and an unknown state is an error.
    pub(super) fn is_there(&self, path: &Path) -> io::Result<bool> {
        match &self.0 {
            Files::Within(root) => root.is_there(path),
            Files::Closed(kind) => Err((*kind).into()),
            Files::Given(_) => Ok(false),
        }
    }

    /// Returns whether a path is a folder within it.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        matches!(&self.0, Files::Within(root) if root.is_folder(path))
    }

    pub fn read_manifest(&self, file: &Path) -> Result<String, Invalid> {
        let text = match &self.0 {
            Files::Within(root) => root.read_text(file, files::MANIFEST),
            Files::Closed(kind) => Err((*kind).into()),
            Files::Given(_) => Err(io::ErrorKind::NotFound.into()),
        };
        text.map_err(|error| match files::leads_out(&error) {
            true => Invalid::new(format!("\"{}\" is a link out of the manifest's folder", file.display()), LINKS),
            false if error.kind() == io::ErrorKind::NotFound => {
                Invalid::new(format!("there is no file {}", file.display()), "create it, or correct the path")
            }
            false => Invalid::new(
                format!("{} cannot be read: {}", file.display(), files::system_text(&error)),
                "make it a readable TOML file, or correct the path",
            ),
        })
    }

    /// Reads a policy that the manifest refers to.
    pub fn read(&self, file: &str) -> Result<String, Invalid> {
        self.read_as(file, FileRole::Policy)
    }

    /// Reads a file that the manifest refers to.
    pub fn read_as(&self, file: &str, what: FileRole) -> Result<String, Invalid> {
        check_path(file, what)?;
        let failed = |error: io::Error| {
            if files::leads_out(&error) {
                return Invalid::new(
                    format!("the {what}path \"{file}\" is a link out of the manifest's folder"),
                    LINKS,
                );
            }
            let problem = match error.kind() {
                io::ErrorKind::NotFound => format!("there is no {what}file {file}"),
                _ => format!("the {what}file {file} cannot be read: {}", files::system_text(&error)),
            };
            let help = match error.kind() {
                io::ErrorKind::PermissionDenied => "check the permissions of the file and of its folder",
                io::ErrorKind::NotFound => "create it, or correct the path, which is relative to the manifest's folder",
                _ => "correct the path, which is relative to the manifest's folder",
            };
            Invalid::new(problem, help)
        };
        let root = match &self.0 {
            Files::Within(root) => root,
            Files::Closed(kind) => return Err(failed((*kind).into())),
            Files::Given(given) => {
                return given.get(file).cloned().ok_or_else(|| failed(io::ErrorKind::NotFound.into()));
            }
        };
        let path = Path::new(file);
        // A parameter has at most 8 KiB, so a path to a huge file is not read completely.
        let size = root.size(path).map_err(failed)?;
        if size > files::POLICY.bytes() {
            let problem = format!("the {what}file {file} has {size} bytes");
            return Err(Invalid::new(problem, "a parameter holds 4,096 bytes, or 8,192 in the advanced tier"));
        }
        String::from_utf8(root.read(path, files::POLICY).map_err(failed)?)
            .map_err(|_| Invalid::new(format!("the {what}file {file} is not UTF-8 text"), "save it as UTF-8"))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_within_the_folder_are_followed_and_links_out_of_it_are_refused() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(ours.path().join("policies")).unwrap();
        for file in [ours.path().join("policies/dev.yaml"), theirs.path().join("dev.yaml")] {
            std::fs::write(file, "text").unwrap();
        }
        symlink("policies", ours.path().join("same")).unwrap();
        symlink("dev.yaml", ours.path().join("policies/prod.yaml")).unwrap();
        symlink(theirs.path(), ours.path().join("linked")).unwrap();
        symlink(theirs.path().join("dev.yaml"), ours.path().join("policies/out.yaml")).unwrap();
        symlink("../linked/dev.yaml", ours.path().join("policies/dev.test.yaml")).unwrap();
        let folder = Folder::new(ours.path());
        for inside in
            ["policies/dev.yaml", "./policies/prod.yaml", "same/dev.yaml", "same/prod.yaml", "policies/./dev.yaml"]
        {
            assert_eq!(folder.read(inside).unwrap(), "text", "{inside}");
        }
        // An absolute link is refused wherever it ends, because its target is unknown after the folder moves.
        symlink(ours.path().join("policies/dev.yaml"), ours.path().join("absolute.yaml")).unwrap();
        for outside in ["linked/dev.yaml", "policies/out.yaml", "same/out.yaml", "absolute.yaml"] {
            assert!(
                folder.read(outside).unwrap_err().problem.contains("is a link out of the manifest's folder"),
                "{outside}"
            );
        }
        assert!(folder.check_cases("policies/prod.yaml").is_ok());
        assert_eq!(folder.read_cases("policies/dev.yaml"), None);
        std::fs::write(ours.path().join("policies/prod.test.yaml"), "cases").unwrap();
        assert_eq!(folder.read_cases("same/prod.yaml").as_deref(), Some("cases"));
        for outside in ["policies/dev.yaml", "same/dev.yaml"] {
            assert!(folder.check_cases(outside).is_err(), "{outside}");
        }
        assert!(folder.read("gone/dev.yaml").unwrap_err().problem.contains("there is no policy file"));
        for a_folder in ["policies", ".", "./", "policies/."] {
            assert!(folder.read(a_folder).unwrap_err().problem.contains("cannot be read"), "{a_folder}");
        }
        let nowhere = Folder::new(&ours.path().join("none"));
        assert!(nowhere.read("dev.yaml").unwrap_err().problem.contains("there is no policy file"));
    }
}
