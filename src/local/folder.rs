//! The folder of a store. It may be part of a checkout with hostile files, so no link in it is followed, and only regular files with one
//! hard link are written.
//!
//! Each folder is opened relative to its open parent, so a name that is replaced by a link in the meantime has no effect.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// An open folder, reached from the store's own folder without following a link.
#[derive(Debug)]
pub(super) struct Folder {
    /// Its canonical path.
    path: PathBuf,
    /// Its path as the user named it, for messages.
    shown: PathBuf,
    opened: OwnedFd,
}

/// The file that excludes a store from version control.
const IGNORE: &str = ".gitignore";
/// The folder of a store with the stores of the manifest's targets.
pub(super) const TARGETS: &str = "targets";

/// The maximum size of a database.
const DATABASE_BYTES: u64 = 256 << 20;
/// The files of a region's folder.
const LOCK: &str = "opening.lock";
const DATABASES: [&str; 2] = ["aws.db", "dynamodb.db"];
/// The suffixes of SQLite's additional files.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Folder {
    /// Opens a store's folder, and creates it if it does not exist. Links above it are followed, because they belong to the user or the
    /// system, such as `/tmp` on macOS.
    pub(super) fn open(shown: &Path) -> Result<Self, String> {
        let folder = Self::make(shown)?;
        folder.check_store()?;
        Ok(folder)
    }

    /// Opens a target's store within a manifest's store. A fault in the store of another target does not matter.
    pub(super) fn open_target(store: &Path, target: &str) -> Result<Self, String> {
        let store = Self::make(store)?;
        store.check(IGNORE)?;
        let folder = store.folder(TARGETS)?.folder(target)?;
        folder.check_store()?;
        Ok(folder)
    }

    fn make(shown: &Path) -> Result<Self, String> {
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let whole;
        let (parent, name) = if let Some(parts) = shown.parent().zip(shown.file_name()) {
            parts
        } else {
            // `.` and `..` have no name of their own.
            whole = shown.canonicalize().map_err(|error| failed(shown, error))?;
            let none = || format!("{} cannot hold a store; name a folder in it", shown.display());
            whole.parent().zip(whole.file_name()).ok_or_else(none)?
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let parent = parent.canonicalize().map_err(|error| failed(parent, error))?;
        let above = rustix::fs::openat(CWD, &parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let above = above.map_err(|error| failed(&parent, error.into()))?;
        let (opened, made) = Self::enter(&above, name.as_ref(), shown)?;
        let folder = Self { path: parent.join(name), shown: shown.to_owned(), opened };
        if made {
            // Files next to a manifest would otherwise be committed with it.
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let ignore = rustix::fs::openat(&folder.opened, IGNORE, flags, FILE_MODE);
            let ignore = ignore.map_err(|error| folder.failed(IGNORE, error))?;
            File::from(ignore).write_all(b"*\n").map_err(|error| failed(shown, error))?;
        }
        Ok(folder)
    }

    /// Checks the files of a store, so that every fault is known before anything is done.
    fn check_store(&self) -> Result<(), String> {
        self.check(IGNORE)?;
        for name in self.names()? {
            let Some(below) = self.existing(&name, is_region(&name) || ["accounts", TARGETS].contains(&&*name))? else {
                continue;
            };
            match name.as_str() {
                "accounts" => below.each(|account| account.each_region(Self::check_region))?,
                TARGETS => below.each(Self::check_store)?,
                _ => below.check_region()?,
            }
        }
        Ok(())
    }

    fn each(&self, check: impl Fn(&Self) -> Result<(), String>) -> Result<(), String> {
        for name in self.names()? {
            self.existing(&name, true)?.map_or(Ok(()), |below| check(&below))?;
        }
        Ok(())
    }

    fn each_region(&self, check: impl Fn(&Self) -> Result<(), String>) -> Result<(), String> {
        for name in self.names()? {
            self.existing(&name, is_region(&name))?.map_or(Ok(()), |below| check(&below))?;
        }
        Ok(())
    }

    fn check_region(&self) -> Result<(), String> {
        self.check(LOCK)?;
        for name in DATABASES {
            self.check(name)?;
            BESIDE.iter().try_for_each(|beside| self.check(&format!("{name}{beside}")).map(drop))?;
        }
        Ok(())
    }

    /// Returns the names in this folder. Names that are not UTF-8 do not belong to a store.
    fn names(&self) -> Result<Vec<String>, String> {
        let failed = |error: Errno| format!("{}: {error}", self.shown.display());
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.opened).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            names.extend(entry.file_name().to_str().ok().filter(|name| ![".", ".."].contains(name)).map(str::to_owned));
        }
        Ok(names)
    }

    /// Opens a subfolder, if it belongs to the store and exists.
    fn existing(&self, name: &str, ours: bool) -> Result<Option<Self>, String> {
        if !ours || matches!(rustix::fs::statat(&self.opened, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)) {
            return Ok(None);
        }
        let (path, shown) = (self.path.join(name), self.shown.join(name));
        let opened = Self::enter_existing(&self.opened, name.as_ref(), &shown)?;
        Ok(Some(Self { path, shown, opened }))
    }

    /// Opens a subfolder, and creates it if it does not exist.
    pub(super) fn folder(&self, name: &str) -> Result<Self, String> {
        let (path, shown) = (self.path.join(name), self.shown.join(name));
        let (opened, _) = Self::enter(&self.opened, name.as_ref(), &shown)?;
        Ok(Self { path, shown, opened })
    }

    fn enter(above: &OwnedFd, name: &Path, shown: &Path) -> Result<(OwnedFd, bool), String> {
        let made = match rustix::fs::mkdirat(above, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(format!("{}: {error}", shown.display())),
        };
        Ok((Self::enter_existing(above, name, shown)?, made))
    }

    fn enter_existing(above: &OwnedFd, name: &Path, shown: &Path) -> Result<OwnedFd, String> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(above, name, flags, Mode::empty()).map_err(|error| {
            let found = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
            match found.map(|found| FileType::from_raw_mode(found.st_mode)) {
                Ok(FileType::Symlink) => {
                    format!("{} is a link; name the folder that it leads to with --local=PATH", shown.display())
                }
                Ok(FileType::Directory) | Err(_) => format!("{}: {error}", shown.display()),
                Ok(_) => format!("{} is a file, not a folder; name a folder with --local=PATH", shown.display()),
            }
        })
    }

    /// Locks this region's folder until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, String> {
        let name = LOCK;
        self.check(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.opened, name, flags, FILE_MODE);
        let file = File::from(file.map_err(|error| self.failed(name, error))?);
        // Verifies that the locked file is the one that was checked, and not a replacement.
        let found = rustix::fs::fstat(&file).map_err(|error| self.failed(name, error))?;
        self.check_file(name, &found)?;
        self.keep_private(name, &found);
        file.lock().map_err(|error| format!("{}: {error}", self.shown.join(name).display()))?;
        Ok(file)
    }

    /// Returns the path of a database in this folder, which is created if it does not exist, after a check of the file and of SQLite's
    /// additional files.
    ///
    /// The files are checked without opening them, because closing a file releases all of SQLite's locks on it in this process.
    pub(super) fn database(&self, name: &str) -> Result<Database<'_>, String> {
        let found = if let Some(found) = self.check(name)? {
            found
        } else {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(&self.opened, name, flags, FILE_MODE);
            let made = made.map_err(|error| self.failed(name, error))?;
            rustix::fs::fstat(made).map_err(|error| self.failed(name, error))?
        };
        self.keep_private(name, &found);
        for beside in BESIDE {
            let name = format!("{name}{beside}");
            if let Some(found) = self.check(&name)? {
                self.keep_private(&name, &found);
            }
        }
        let path = self.path.join(name);
        if path.to_str().is_none() {
            return Err(format!("{} is not UTF-8, which SQLite's paths are; name another folder", path.display()));
        }
        Ok(Database { folder: self, name: name.to_owned(), path, found })
    }

    /// Checks a file, if it exists: it must be a regular file with a single hard link.
    fn check(&self, name: &str) -> Result<Option<Stat>, String> {
        match rustix::fs::statat(&self.opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => self.check_file(name, &found).map(|()| Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn check_file(&self, name: &str, found: &Stat) -> Result<(), String> {
        let path = self.shown.join(name);
        let what = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile if found.st_nlink > 1 => "has a second name (a hard link)",
            FileType::RegularFile => {
                let size = u64::try_from(found.st_size).unwrap_or(u64::MAX);
                if size <= DATABASE_BYTES {
                    return Ok(());
                }
                let most = format!("has {size} bytes, and a file of a store may have at most {DATABASE_BYTES}");
                return Err(format!("{} {most}; delete the store to start over", path.display()));
            }
            FileType::Symlink => "is a link",
            _ => "is no regular file",
        };
        let advice = "and was not changed; delete it, or name another folder with --local=PATH";
        Err(format!("{} {what}, {advice}", path.display()))
    }

    /// Removes the permissions of others from a file that an earlier release created. Some file systems do not support this.
    fn keep_private(&self, name: &str, found: &Stat) {
        if Mode::from_raw_mode(found.st_mode) != FILE_MODE {
            let _ = rustix::fs::chmodat(&self.opened, name, FILE_MODE, AtFlags::SYMLINK_NOFOLLOW);
        }
    }

    fn failed(&self, name: &str, error: Errno) -> String {
        format!("{}: {error}", self.shown.join(name).display())
    }
}

/// Returns whether a name has the form of an AWS region. Other folders are checked when they are opened.
fn is_region(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && name.matches('-').count() >= 2 && name.ends_with(|last: char| last.is_ascii_digit())
}

/// A database that has been checked.
#[derive(Debug)]
pub(super) struct Database<'a> {
    folder: &'a Folder,
    name: String,
    path: PathBuf,
    found: Stat,
}

impl Database<'_> {
    /// Returns its canonical path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a database that was replaced after the check.
    pub(super) fn check_unchanged(&self) -> Result<(), String> {
        let now = self.folder.check(&self.name)?;
        let same = now.is_some_and(|now| (now.st_dev, now.st_ino) == (self.found.st_dev, self.found.st_ino));
        let by_path = rustix::fs::lstat(&self.path).is_ok_and(|now| now.st_ino == self.found.st_ino);
        if same && by_path {
            return Ok(());
        }
        Err(format!("{} was replaced while it was being opened; run the command again", self.shown().display()))
    }

    /// Returns its path as the user named it.
    pub(super) fn shown(&self) -> PathBuf {
        self.folder.shown.join(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_new_store_is_private_to_its_owner() {
        let temp = tempfile::tempdir().unwrap();
        let store = Folder::open(&temp.path().join("a/b/store")).unwrap();
        let region = store.folder("eu-west-1").unwrap();
        drop(region.lock().unwrap());
        let database = region.database("aws.db").unwrap();
        database.check_unchanged().unwrap();
        let mode = |path: &str| temp.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        for folder in ["a/b/store", "a/b/store/eu-west-1"] {
            assert_eq!(mode(folder), 0o700, "{folder}");
        }
        for file in [".gitignore", "eu-west-1/opening.lock", "eu-west-1/aws.db"] {
            assert_eq!(mode(&format!("a/b/store/{file}")), 0o600, "{file}");
        }
        assert_eq!(std::fs::read_to_string(temp.path().join("a/b/store/.gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn a_store_readable_by_others_becomes_private() {
        let temp = tempfile::tempdir().unwrap();
        let store = Folder::open(&temp.path().join("store")).unwrap();
        let file = temp.path().join("store/aws.db");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
        store.database("aws.db").unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        // Linux supports the call since version 6.6.
        assert!(mode == 0o600 || mode == 0o666, "{mode:o}");
    }

    #[test]
    fn links_above_the_store_are_followed_and_a_linked_store_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("real")).unwrap();
        symlink("real", temp.path().join("link")).unwrap();
        Folder::open(&temp.path().join("link/store")).unwrap();
        assert!(temp.path().join("real/store/.gitignore").exists());
        for spelled in ["link", "link/", "link/."] {
            let refused = Folder::open(&temp.path().join(spelled)).unwrap_err();
            assert!(refused.contains("is a link; name the folder that it leads to"), "{refused}");
        }
    }

    #[test]
    fn a_replaced_database_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let store = Folder::open(&temp.path().join("store")).unwrap();
        let database = store.database("aws.db").unwrap();
        let file = temp.path().join("store/aws.db");
        std::fs::rename(&file, temp.path().join("old")).unwrap();
        std::fs::write(&file, "").unwrap();
        assert!(database.check_unchanged().is_err());
        std::fs::remove_file(&file).unwrap();
        symlink(temp.path().join("old"), &file).unwrap();
        assert!(database.check_unchanged().is_err());
    }
}
