//! The files of a folder that match a pattern.

use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::Folder;
use super::folder::LINKS;
use crate::files;
use crate::resource::Invalid;

/// The maximum number of files that one pattern may match.
const MAX: usize = 10_000;

const HELP: &str = "write a path or a pattern relative to the manifest, inside its folder: teams/*.toml";

impl Folder {
    /// Returns the files that match a path or a pattern, in order. A `*` does not match `/` or a leading dot.
    pub fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, Invalid> {
        let path = Path::new(pattern);
        if pattern.is_empty() || path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(Invalid::new(format!("\"{pattern}\" leaves the manifest's folder"), HELP));
        }
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        let is_pattern = |part: &str| part.contains(['*', '?', '[']);
        let mut found = vec![PathBuf::new()];
        // Whether an earlier part was a pattern. A folder that matched it need not contain the file.
        let mut patterned = false;
        for part in path.components().filter_map(|part| part.as_os_str().to_str()).filter(|part| *part != ".") {
            let mut below = Vec::new();
            if !is_pattern(part) {
                for folder in found {
                    let path = folder.join(part);
                    if !patterned || self.is_there(&path).map_err(|error| unreadable(&folder, &error))? {
                        below.push(path);
                    } else if let Err(error) = self.listed(&folder) {
                        return Err(unreadable(&folder, &error));
                    }
                }
                found = below;
                continue;
            }
            let invalid = |why: String| Invalid::new(format!("\"{pattern}\" is not a pattern: {why}"), HELP);
            if part.contains("**") {
                return Err(invalid(String::from("** is not supported")));
            }
            let part = Pattern::new(part).map_err(|error| invalid(error.to_string()))?;
            for folder in &found {
                // A folder that cannot be listed may contain manifest files, whose resources would otherwise seem to be removed.
                let names = match self.listed(folder) {
                    Ok(names) => names,
                    Err(error) if error.kind() == io::ErrorKind::NotFound && !patterned => Vec::new(),
                    Err(error) => return Err(unreadable(folder, &error)),
                };
                below.extend(
                    names.into_iter().filter(|name| part.matches_with(name, options)).map(|name| folder.join(name)),
                );
            }
            found = below;
            patterned = true;
        }
        found.retain(|path| !patterned || !self.is_folder(path));
        match found.len() {
            0 => Err(Invalid::new(format!("no file matches \"{pattern}\""), HELP)),
            1..=MAX => Ok(found),
            count => Err(Invalid::new(format!("\"{pattern}\" matches {count} files"), "name fewer: 10,000 at most")),
        }
    }

    /// Returns the names in a folder. A file has none.
    fn listed(&self, folder: &Path) -> io::Result<Vec<String>> {
        match self.names(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
            names => names,
        }
    }
}

/// Returns the fault for a folder that cannot be listed.
fn unreadable(path: &Path, error: &io::Error) -> Invalid {
    let path = path.display();
    if files::leads_out(error) {
        return Invalid::new(format!("\"{path}\" is a link out of the manifest's folder"), LINKS);
    }
    let help = "make it readable, correct the link, or write a pattern that does not match it";
    Invalid::new(format!("\"{path}\" cannot be read: {}", files::system_text(error)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_files_of_the_folder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["teams/a.toml", "teams/b.toml", "teams/.c.toml", "teams/d.yaml", "teams/deep/e.toml", "x.toml"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let matching = |pattern: &str| {
            let found = Folder::new(folder.path()).matching(pattern).map_err(|invalid| invalid.problem)?;
            Ok::<_, String>(found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(matching("teams/*.toml").unwrap(), ["teams/a.toml", "teams/b.toml"]);
        assert_eq!(matching("./*/*/e.toml").unwrap(), ["teams/deep/e.toml"]);
        assert_eq!(matching("x.toml").unwrap(), ["x.toml"]);
        assert_eq!(matching("*").unwrap(), ["x.toml"]);
        // A file next to the folders, or a folder without such a file, is not a fault.
        std::fs::create_dir(folder.path().join("teams/empty")).unwrap();
        assert_eq!(matching("teams/*/e.toml").unwrap(), ["teams/deep/e.toml"]);
        assert_eq!(matching("*/*/*.toml").unwrap(), ["teams/deep/e.toml"]);
        assert_eq!(matching("teams/*/none.toml").unwrap_err(), "no file matches \"teams/*/none.toml\"");
        assert_eq!(matching("none/*.toml").unwrap_err(), "no file matches \"none/*.toml\"");
        for bad in ["", "../x.toml", "/etc/*", "teams/*.json", "teams/[", "**/a.toml", "teams/../x.toml"] {
            assert!(matching(bad).is_err(), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_listed_is_a_fault() {
        use std::os::unix::fs::symlink;

        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(folder.path().join("teams/a")).unwrap();
        std::fs::write(folder.path().join("teams/a/t.toml"), "").unwrap();
        std::fs::write(outside.path().join("t.toml"), "").unwrap();
        let matching = |pattern: &str| {
            let found = Folder::new(folder.path()).matching(pattern).map_err(|invalid| invalid.problem)?;
            Ok::<_, String>(found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        symlink("a", folder.path().join("teams/same")).unwrap();
        assert_eq!(matching("teams/*/*.toml").unwrap(), ["teams/a/t.toml", "teams/same/t.toml"]);
        symlink(outside.path(), folder.path().join("teams/out")).unwrap();
        for pattern in ["teams/*/*.toml", "teams/*/t.toml", "teams/out/*.toml"] {
            assert_eq!(
                matching(pattern).unwrap_err(),
                "\"teams/out\" is a link out of the manifest's folder",
                "{pattern}"
            );
        }
        std::fs::remove_file(folder.path().join("teams/out")).unwrap();
        symlink("nowhere", folder.path().join("teams/out")).unwrap();
        for pattern in ["teams/*/*.toml", "teams/*/t.toml"] {
            assert!(matching(pattern).unwrap_err().starts_with("\"teams/out\" cannot be read: "), "{pattern}");
        }
    }
}
