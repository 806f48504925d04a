//! Writes the folder of an export. Only files of an earlier export are replaced.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::export::{File, SCRIPT};
use crate::files::{self, Root};
use crate::resource::digest;

/// The name of the list of files that an export wrote.
const INDEX: &str = ".sentinel-export.json";

/// The files that an export wrote, with their digests, by which changed files are recognized.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    engine: String,
    files: BTreeMap<String, String>,
}

/// Writes an export into a folder, or nothing if another file exists in its place. Returns the paths.
pub(super) fn write(folder: &Path, engine: &str, exported: &[File]) -> Result<Vec<String>, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
    // All files are written relative to the opened folder, even if its path is replaced meanwhile.
    let root = Root::open(folder).map_err(|error| Error::io(folder, error))?;
    let earlier = read(&root, folder)?;
    let names: Vec<&str> = exported.iter().map(|file| file.name.as_str()).collect();
    let stale: Vec<&str> = earlier.files.keys().map(String::as_str).filter(|name| !names.contains(name)).collect();
    let in_the_way: Vec<String> = names
        .iter()
        .chain(&stale)
        .filter(|name| !is_ours(&root, name, &earlier))
        .map(|name| folder.join(name).display().to_string())
        .collect();
    if !in_the_way.is_empty() {
        let what = "this file is not from an earlier export, or was changed since; nothing was written";
        return Err(Error::File {
            path: in_the_way.join(", "),
            what: String::from(what),
            hint: Some(String::from("export into a new folder with -o, and compare the files")),
            source: None,
        });
    }
    // The new list is written first and the old one removed last. After an interruption, each file is still in a list.
    let files: BTreeMap<String, String> = exported.iter().map(|file| (file.name.clone(), digest(&file.text))).collect();
    for name in stale.iter().chain(&names).copied().chain([INDEX]) {
        let path = folder.join(name);
        match root.remove(Path::new(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(&path, error)),
            _ => {}
        }
    }
    let index = serde_json::to_string_pretty(&Index { engine: engine.to_owned(), files }).map_err(Error::unwritable)?;
    create(&root, folder, INDEX, &format!("{index}\n"))?;
    for file in exported {
        create(&root, folder, &file.name, &file.text)?;
    }
    Ok(names.iter().map(|name| folder.join(name).display().to_string()).collect())
}

fn create(root: &Root, folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let mode = if name == SCRIPT { files::PROGRAM } else { files::SHARED };
    let failed = |error| Error::io(&folder.join(name), error);
    let mut file = root.create_new(Path::new(name), mode).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// Reads the list of an earlier export; empty if there was none.
fn read(root: &Root, folder: &Path) -> Result<Index, Error> {
    let path = folder.join(INDEX);
    if !root.is_plain(Path::new(INDEX)).map_err(|error| Error::io(&path, error))? {
        return Ok(Index::default());
    }
    let text = root.read_text(Path::new(INDEX), files::PLAN).map_err(|error| Error::io(&path, error))?;
    let hint = "delete it together with the files of the earlier export, or export into a new folder with -o";
    serde_json::from_str(&text)
        .map_err(|_| Error::file(&path, "this is not the list of files of an export").with_hint(hint))
}

/// Returns whether a file can be written: it does not exist, or has the text of an earlier export.
fn is_ours(root: &Root, name: &str, earlier: &Index) -> bool {
    let path = Path::new(name);
    // The list is untrusted: it must not name files outside of the folder.
    if path.components().count() != 1 || path.file_name().is_none() {
        return false;
    }
    match root.is_plain(path) {
        Ok(false) => true,
        Ok(true) => root
            .read_text(path, files::PLAN)
            .is_ok_and(|text| earlier.files.get(name).is_some_and(|known| *known == digest(&text))),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn file(name: &str, text: &str) -> File {
        File { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn exports_replace_only_files_of_an_earlier_export() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        write(folder.path(), "x", &[file("a", "1"), file("b", "1")]).unwrap();
        write(folder.path(), "x", &[file("a", "2"), file("c", "2")]).unwrap();
        assert_eq!((text("a"), text("c")), (String::from("2"), String::from("2")));
        assert!(!path("b").exists(), "a file that is no part of the export any more was left");
        std::fs::write(path("theirs"), "kept").unwrap();
        std::fs::write(path("a"), "edited").unwrap();
        let refused = write(folder.path(), "x", &[file("theirs", "new"), file("c", "3")]).unwrap_err().to_string();
        assert!(refused.contains("theirs") && refused.contains("/a"), "{refused}");
        assert_eq!((text("a"), text("theirs"), text("c")), ("edited".into(), "kept".into(), "2".into()));
    }

    #[test]
    fn nothing_is_written_or_removed_through_a_link() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = theirs.path().join("victim");
        std::fs::write(&victim, "1").unwrap();
        write(ours.path(), "x", &[file("a", "1")]).unwrap();
        std::fs::remove_file(ours.path().join("a")).unwrap();
        symlink(&victim, ours.path().join("a")).unwrap();
        assert!(write(ours.path(), "x", &[file("a", "2")]).is_err());
        // A list that names files elsewhere.
        let index = format!(
            "{{\"engine\":\"x\",\"files\":{{\"../victim\":\"{0}\",\"{1}\":\"{0}\"}}}}",
            digest("1"),
            victim.display()
        );
        std::fs::remove_file(ours.path().join("a")).unwrap();
        std::fs::write(ours.path().join(INDEX), index).unwrap();
        assert!(write(ours.path(), "x", &[file("b", "2")]).is_err());
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "1");
    }
}
