//! Checks the owner of a manifest that was found and not named. A manifest in `/tmp` or another shared folder would otherwise choose the
//! account, region and tables for everyone below it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Stat, lstat, stat};

use crate::error::Error;

/// The folders whose manifests are read regardless of the owner; `*` means all folders.
const TRUSTED: &str = "SENTINEL_SAFE_DIRECTORY";

/// Refuses a manifest unless it and its folder belong to the user or to root, as git does for a repository (`safe.directory` in
/// git-config(1)). With sudo, the calling user counts too.
#[expect(clippy::disallowed_methods, reason = "these variables are part of the contract")]
pub(super) fn check(manifest: &Path) -> Result<(), Error> {
    let folder = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let user = rustix::process::geteuid().as_raw();
    let caller = std::env::var("SUDO_UID").ok().filter(|_| user == 0).and_then(|number| number.parse().ok());
    // A link is its creator's choice, and its target is the text of the target's owner.
    let looks: [(&Path, rustix::io::Result<Stat>); 3] =
        [(manifest, lstat(manifest)), (manifest, stat(manifest)), (&folder, stat(&folder))];
    for (path, found) in looks {
        let found = found.map_err(|error| Error::io(path, error.into()))?;
        let owner = found.st_uid;
        if ![Some(0), Some(user), caller].contains(&Some(owner))
            && !trusted(&folder, std::env::var_os(TRUSTED).as_deref())
        {
            let what = format!("it belongs to another user ({owner}), who could choose the account and the tables");
            return Err(Error::file(path, what).with_hint(format!(
                "if you trust it, set {TRUSTED}={}; otherwise run sentinel in a folder of your own",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// Returns whether a list of folders, separated as in `PATH`, contains this one.
fn trusted(folder: &Path, list: Option<&OsStr>) -> bool {
    let same = |listed: PathBuf| listed == Path::new("*") || listed.canonicalize().is_ok_and(|listed| listed == folder);
    list.is_some_and(|list| std::env::split_paths(list).any(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_trusted_by_their_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let list = std::env::join_paths([Path::new("/"), &real]).unwrap();
        assert!(trusted(&real, Some(&list)));
        assert!(trusted(&real, Some(OsStr::new("*"))));
        assert!(!trusted(&real, Some(OsStr::new(""))));
        assert!(!trusted(&real, Some(OsStr::new("/"))));
        assert!(!trusted(&real, None));
    }
}
