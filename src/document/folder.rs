//! The manifest's folder, outside which it reads nothing.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::files;
use crate::resource::Invalid;

/// Returns where the cases of a policy are.
pub fn cases_file(policy: &Path) -> PathBuf {
    policy.with_extension("test.yaml")
}

const INSIDE: &str = "write a path relative to the manifest, inside its folder: policies/dev.yaml";

/// Checks that the path of a policy does not lead out of the manifest's folder, links aside.
pub(super) fn check_path(file: &str) -> Result<(), Invalid> {
    let steps_out = Path::new(file).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if file.is_empty() || steps_out {
        return Err(Invalid::new(format!("the policy path \"{file}\" leads out of the manifest's folder"), INSIDE));
    }
    Ok(())
}

/// A folder, with links followed.
#[derive(Debug)]
pub struct Folder {
    real: PathBuf,
    /// Where the folders below it that were asked for are: most policies share a few.
    below: HashMap<PathBuf, PathBuf>,
    /// The texts of its files, where they are at hand and none is read.
    given: Option<HashMap<String, String>>,
}

impl Folder {
    /// One that is not there holds nothing.
    pub fn new(folder: &Path) -> Self {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Self { real, below: HashMap::new(), given: None }
    }

    /// A folder of these files, by their paths in it, that is nowhere on the disk.
    pub fn given(files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { real: PathBuf::new(), below: HashMap::new(), given: Some(files.into_iter().collect()) }
    }

    /// Returns where a file is, links followed, and its size. Only what may be a link is followed step by step.
    fn find(&mut self, relative: &Path) -> io::Result<(PathBuf, u64)> {
        let (Some(parent), Some(name)) = (relative.parent(), relative.file_name()) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let whole = if let Some(known) = self.below.get(parent) {
            known.join(name)
        } else {
            let found = self.real.join(parent).canonicalize()?;
            let whole = found.join(name);
            self.below.insert(parent.to_owned(), found);
            whole
        };
        let metadata = whole.symlink_metadata()?;
        if !metadata.is_symlink() {
            return Ok((whole, metadata.len()));
        }
        let whole = whole.canonicalize()?;
        let size = whole.metadata()?.len();
        Ok((whole, size))
    }

    /// Refuses cases beside a policy that are a link out of the folder: plans show of them.
    pub fn check_cases(&mut self, policy: &str) -> Result<(), Invalid> {
        if self.given.is_some() {
            return Ok(());
        }
        let file = cases_file(Path::new(policy));
        if self.find(&file).is_ok_and(|(whole, _)| !whole.starts_with(&self.real)) {
            let problem = format!("the cases \"{}\" link out of the manifest's folder", file.display());
            return Err(Invalid::new(problem, "keep them as a file of its own beside the policy"));
        }
        Ok(())
    }

    /// Reads a file that the manifest names.
    pub fn read(&mut self, file: &str) -> Result<String, Invalid> {
        check_path(file)?;
        let relative = Path::new(file);
        let failed = |error: io::Error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => format!("there is no policy file {file}"),
                _ => format!("the policy file {file} cannot be read: {error}"),
            };
            Invalid::new(problem, "create it, or correct the path, which starts at the manifest's folder")
        };
        if let Some(given) = &self.given {
            return given.get(file).cloned().ok_or_else(|| failed(io::ErrorKind::NotFound.into()));
        }
        let (whole, size) = self.find(relative).map_err(failed)?;
        if !whole.starts_with(&self.real) {
            return Err(Invalid::new(format!("the policy path \"{file}\" links out of the manifest's folder"), INSIDE));
        }
        // Nothing a parameter holds is larger than 8 KiB: a path that names something huge by mistake is not read whole.
        if size > files::POLICY.bytes() {
            let problem = format!("the policy file {file} has {size} bytes");
            return Err(Invalid::new(problem, "a parameter holds 4,096 bytes, or 8,192 in the advanced tier"));
        }
        let bytes = files::read(&whole, files::POLICY).map_err(failed)?;
        String::from_utf8(bytes)
            .map_err(|_| Invalid::new(format!("the policy file {file} is not UTF-8 text"), "save it as UTF-8"))
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
        let mut folder = Folder::new(ours.path());
        for inside in
            ["policies/dev.yaml", "./policies/prod.yaml", "same/dev.yaml", "same/prod.yaml", "policies/./dev.yaml"]
        {
            assert_eq!(folder.read(inside).unwrap(), "text", "{inside}");
        }
        // Twice: the second time, where its folder leads is known.
        for outside in ["linked/dev.yaml", "linked/dev.yaml", "policies/out.yaml", "same/out.yaml"] {
            assert!(
                folder.read(outside).unwrap_err().problem.contains("links out of the manifest's folder"),
                "{outside}"
            );
        }
        assert!(folder.check_cases("policies/prod.yaml").is_ok());
        for outside in ["policies/dev.yaml", "same/dev.yaml"] {
            assert!(folder.check_cases(outside).is_err(), "{outside}");
        }
        assert!(folder.read("gone/dev.yaml").unwrap_err().problem.contains("there is no policy file"));
        for a_folder in ["policies", ".", "./", "policies/."] {
            assert!(folder.read(a_folder).unwrap_err().problem.contains("cannot be read"), "{a_folder}");
        }
    }
}
