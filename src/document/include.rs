//! The files that a pattern names in a folder.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::Folder;
use crate::resource::Invalid;

/// The most files that one pattern may match.
const MOST: usize = 10_000;

const HELP: &str = "write a path or a pattern relative to the manifest, inside its folder: teams/*.toml";

impl Folder {
    /// Returns the files that a path or a pattern names, in order. A `*` matches no `/`, and no name that begins with a dot.
    pub fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, Invalid> {
        let path = Path::new(pattern);
        if pattern.is_empty() || path.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(Invalid::new(format!("\"{pattern}\" leads out of the manifest's folder"), HELP));
        }
        let options =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        let mut found = vec![PathBuf::new()];
        for part in path.components().filter_map(|part| part.as_os_str().to_str()).filter(|part| *part != ".") {
            if !part.contains(['*', '?', '[']) {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let invalid = |why: String| Invalid::new(format!("\"{pattern}\" is no pattern: {why}"), HELP);
            if part.contains("**") {
                return Err(invalid(String::from("** is not supported")));
            }
            let part = Pattern::new(part).map_err(|error| invalid(error.to_string()))?;
            let mut below = Vec::new();
            for folder in &found {
                let names = self.names(folder).unwrap_or_default();
                below.extend(
                    names.into_iter().filter(|name| part.matches_with(name, options)).map(|name| folder.join(name)),
                );
            }
            found = below;
        }
        let is_pattern = pattern.contains(['*', '?', '[']);
        found.retain(|path| !is_pattern || !self.is_folder(path));
        match found.len() {
            0 => Err(Invalid::new(format!("no file is called \"{pattern}\""), HELP)),
            1..=MOST => Ok(found),
            count => Err(Invalid::new(format!("\"{pattern}\" matches {count} files"), "name fewer: 10,000 at most")),
        }
    }
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
        for bad in ["", "../x.toml", "/etc/*", "teams/*.json", "teams/[", "**/a.toml", "teams/../x.toml"] {
            assert!(matching(bad).is_err(), "{bad}");
        }
    }
}
