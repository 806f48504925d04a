//! Access to files. All other modules open files through this one, which limits reads and never writes through a link.
//!
//! A checkout may contain hostile files: a pipe named `sentinel.toml`, a link named `plan.md`, or a file without end. Only regular files
//! are read, up to a limit. A file is opened for writing without following a link, and is truncated only if it is a regular file with a
//! single hard link.
//!
//! A path from a document, as opposed to one from the user, is opened within a [`Root`], and cannot lead out of it.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path};

use cap_std::fs::{Dir, OpenOptionsExt as _};
use rustix::fs::OFlags;

/// A kind of file, and its maximum size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    what: &'static str,
    bytes: u64,
}

impl Limit {
    const fn new(what: &'static str, bytes: u64) -> Self {
        Self { what, bytes }
    }

    /// Returns the maximum size.
    pub(crate) const fn bytes(self) -> u64 {
        self.bytes
    }
}

/// A manifest of 10,000 profiles has about 1 MiB.
pub(crate) const MANIFEST: Limit = Limit::new("a manifest", 16 << 20);
/// A parameter has at most 8 KiB.
pub(crate) const POLICY: Limit = Limit::new("a policy", 1 << 20);
pub(crate) const CASES: Limit = Limit::new("a file of test cases", 1 << 20);
/// A plan of 10,000 new policies has about 50 MiB.
pub(crate) const PLAN: Limit = Limit::new("a saved plan", 128 << 20);
pub(crate) const CACHE: Limit = Limit::new("the list of profiles", 4 << 20);
pub(crate) const PEM: Limit = Limit::new("a certificate or key", 1 << 20);
pub(crate) const BASELINE: Limit = Limit::new("a baseline", 4 << 20);
/// One line of keyboard input.
pub(crate) const LINE: Limit = Limit::new("a line", 4 << 10);

/// The mode of a file that only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;
/// The mode of other files, which the umask restricts.
pub(crate) const SHARED: u32 = 0o666;
/// The mode of a program, which the umask restricts.
pub(crate) const PROGRAM: u32 = 0o777;

/// Reads a file. Links are followed.
pub(crate) fn read(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    // A device is not opened, because opening it can have effects.
    check_kind(path, &std::fs::metadata(path)?)?;
    contents(path, File::options().read(true).custom_flags(flags(NO_BLOCK)).open(path)?, limit)
}

/// Opening a pipe without a writer would block forever.
const NO_BLOCK: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

fn contents(path: &Path, file: File, limit: Limit) -> io::Result<Vec<u8>> {
    let found = file.metadata()?;
    check_kind(path, &found)?;
    if found.is_file() && found.len() > limit.bytes {
        return Err(too_large(limit, Some(found.len())));
    }
    if !found.is_file() {
        rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or_default());
    file.take(limit.bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit.bytes { Err(too_large(limit, None)) } else { Ok(bytes) }
}

/// Reads a text file. Links are followed.
pub(crate) fn read_text(path: &Path, limit: Limit) -> io::Result<String> {
    text(read(path, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| invalid(NOT_UTF8))
}

/// An open folder, whose files are opened by relative paths. A link is followed if its target is within the folder. The call that opens the
/// file refuses `..` and links that lead out of the folder, and absolute ones.
#[derive(Debug)]
pub(crate) struct Root(Dir);

impl Root {
    /// Opens a folder that the user named. Links in its path are followed.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(folder, cap_std::ambient_authority()).map(Self)
    }

    /// Returns the size of a file.
    pub(crate) fn size(&self, path: &Path) -> io::Result<u64> {
        self.0.metadata(path).map(|found| found.len())
    }

    /// Reads a file.
    pub(crate) fn read(&self, path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
        let found = self.0.metadata(path)?;
        if !found.is_file() {
            return Err(invalid(if found.is_dir() { FOLDER } else { UNREADABLE }));
        }
        let mut options = cap_std::fs::OpenOptions::new();
        options.read(true).custom_flags(flags(NO_BLOCK));
        contents(path, self.0.open_with(path, &options)?.into_std(), limit)
    }

    /// Reads a text file.
    pub(crate) fn read_text(&self, path: &Path, limit: Limit) -> io::Result<String> {
        text(self.read(path, limit)?)
    }

    /// Returns the names of a folder's entries in order, except those that are not UTF-8.
    pub(crate) fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut names = Vec::new();
        for entry in self.0.read_dir(folder)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// Returns whether a path exists. A link exists even if its target does not.
    pub(crate) fn is_there(&self, path: &Path) -> io::Result<bool> {
        match self.0.symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn is_folder(&self, path: &Path) -> bool {
        self.0.metadata(path).is_ok_and(|found| found.is_dir())
    }

    /// Returns whether a regular file exists at a path. Anything else there, such as a link, is an error.
    pub(crate) fn is_plain(&self, path: &Path) -> io::Result<bool> {
        match self.0.symlink_metadata(path) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) => Err(invalid(if found.is_symlink() { LINK } else { UNREADABLE })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    /// Creates a folder and its missing parents.
    pub(crate) fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    /// Creates a file, which must not exist.
    pub(crate) fn create_new(&self, path: &Path, mode: u32) -> io::Result<File> {
        let mut options = cap_std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        Ok(self.0.open_with(path, &options)?.into_std())
    }
}

/// Returns the system's message for an error, without the error number.
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let description = error.raw_os_error().and_then(|number| text.strip_suffix(&format!(" (os error {number})")));
    description.map(str::to_owned).unwrap_or(text)
}

/// Returns whether a path was refused because it leads out of a [`Root`]. Such an error has no system error number.
pub(crate) fn leads_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// Reads at most this many bytes from the start of a file.
pub(crate) fn read_beginning(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    check_kind(path, &std::fs::metadata(path)?)?;
    let file = File::options().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)?;
    check_kind(path, &file.metadata()?)?;
    let mut read = Vec::new();
    file.take(bytes).read_to_end(&mut read)?;
    Ok(read)
}

/// Reads a text from a stream to its end.
pub(crate) fn read_stream(from: &mut impl Read, limit: Limit) -> io::Result<String> {
    let mut read = Vec::new();
    from.take(limit.bytes + 1).read_to_end(&mut read)?;
    if read.len() as u64 > limit.bytes {
        return Err(too_large(limit, None));
    }
    text(read)
}

/// Reads a line, including its line break.
pub(crate) fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(LINE.bytes + 1).read_until(b'\n', &mut line)?;
    if line.len() as u64 > LINE.bytes {
        return Err(too_large(LINE, None));
    }
    String::from_utf8(line).map_err(|_| invalid(NOT_UTF8))
}

/// Opens the controlling terminal, if there is one.
pub(crate) fn terminal() -> Option<File> {
    File::open("/dev/tty").ok()
}

/// Opens a file for writing, and truncates it once it is known to be a regular file.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    let file = open_to_write(path, File::options().write(true).create(true), mode)?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Opens a file for appending.
pub(crate) fn append(path: &Path, mode: u32) -> io::Result<File> {
    open_to_write(path, File::options().append(true).create(true), mode)
}

/// Creates a file, which must not exist.
pub(crate) fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(mode).open(path)
}

/// Writes a file, replacing its contents.
pub(crate) fn write(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    create(path, mode)?.write_all(text)
}

/// Replaces the contents of an existing file atomically. If it fails, the file is unchanged.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let found = open_to_write(path, File::options().append(true), PRIVATE)?.metadata()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let write = || {
        let mut file = create_new(&temporary, PRIVATE)?;
        file.write_all(text)?;
        file.set_permissions(found.permissions())?;
        std::fs::rename(&temporary, path)
    };
    let written = write();
    // A file that existed before with the temporary name is not deleted.
    if written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists) {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn open_to_write(path: &Path, options: &mut std::fs::OpenOptions, mode: u32) -> io::Result<File> {
    if is_standard(path) {
        return options.open(path);
    }
    let safe = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.mode(mode).custom_flags(flags(safe)).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        // The system's error for a link (ELOOP; EMLINK on FreeBSD) does not mention links.
        Some(_) if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) => invalid(LINK),
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => invalid(NO_FILE),
        _ => error,
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(invalid(if found.is_dir() { "this is a folder, not a file" } else { NO_FILE }));
    }
    if found.nlink() > 1 {
        return Err(invalid(HARD_LINK));
    }
    Ok(file)
}

/// The message for an output path that is a link.
pub(crate) const LINK: &str = "this is a link, and its target was not changed; name the file itself";
const HARD_LINK: &str = "this file has a second hard link, and was not changed; delete it, or name another file";
const NO_FILE: &str =
    "this is not a regular file (but a pipe, a socket or a device), and was not changed; name another file";

/// Returns whether a path is a name of the system or of a shell (`>(command)`) for an open file or terminal. These are links and pipes, and
/// are used on purpose.
pub(crate) fn is_standard(path: &Path) -> bool {
    if ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/null", "/dev/tty"]
        .iter()
        .any(|known| path == Path::new(known))
    {
        return true;
    }
    let opened = ["/dev/fd", "/proc/self/fd"].iter().find_map(|folder| path.strip_prefix(folder).ok());
    opened.is_some_and(|rest| {
        let mut parts = rest.components();
        let number =
            |part: &std::ffi::OsStr| part.to_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if number(part))
    })
}

/// Refuses to read anything but a regular file or a pipe from a shell.
fn check_kind(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.is_file() || (found.file_type().is_fifo() && is_standard(path)) {
        return Ok(());
    }
    Err(invalid(if found.is_dir() { FOLDER } else { UNREADABLE }))
}

pub(crate) const NOT_UTF8: &str = "this is not UTF-8 text";
pub(crate) const FOLDER: &str = "this is a folder, not a file";
const UNREADABLE: &str = "this is not a regular file (but a pipe, a socket or a device), and cannot be read";

fn too_large(limit: Limit, size: Option<u64>) -> io::Error {
    let has = size.map_or_else(|| format!("more than {} bytes", limit.bytes), |size| format!("{size} bytes"));
    invalid(format!("it has {has}, and {} can have at most {}", limit.what, limit.bytes))
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Returns flags in the type of the standard library.
fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, Instant};

    use super::*;

    fn pipe(path: &Path) {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    }

    /// Runs work that must not block.
    #[allow(clippy::disallowed_methods, reason = "the test is about time")]
    fn at_once<T>(work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        assert!(started.elapsed() < Duration::from_secs(2));
        result
    }

    #[test]
    fn only_regular_files_up_to_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let limit = Limit::new("a test", 10);
        std::fs::write(path("fits"), "0123456789").unwrap();
        std::fs::write(path("large"), "0123456789a").unwrap();
        symlink("fits", path("link")).unwrap();
        pipe(&path("pipe"));
        assert_eq!(read_text(&path("fits"), limit).unwrap(), "0123456789");
        assert_eq!(read_text(&path("link"), limit).unwrap(), "0123456789");
        let said = |name: &str| at_once(|| read(&path(name), limit)).unwrap_err().to_string();
        assert_eq!(said("large"), "it has 11 bytes, and a test can have at most 10");
        assert_eq!(said("pipe"), "this is not a regular file (but a pipe, a socket or a device), and cannot be read");
        assert_eq!(said("."), "this is a folder, not a file");
        for device in ["/dev/zero", "/dev/tty", "/dev/null", "/dev/urandom"] {
            assert!(at_once(|| read(Path::new(device), limit)).is_err(), "{device}");
            assert!(at_once(|| read_beginning(Path::new(device), 10)).is_err(), "{device}");
        }
        // Files of the kernel have no size.
        assert!(read(Path::new("/proc/self/environ"), Limit::new("a test", 1)).is_err());
        assert_eq!(read(&path("none"), limit).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(path("bytes"), [0xff]).unwrap();
        assert!(read_text(&path("bytes"), limit).is_err());
    }

    #[test]
    fn no_file_outside_of_a_root_is_opened() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| ours.path().join(name);
        std::fs::write(theirs.path().join("file"), "theirs").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        std::fs::write(path("folder/file"), "ours").unwrap();
        symlink("folder", path("within")).unwrap();
        symlink("../within/file", path("folder/again")).unwrap();
        symlink(theirs.path(), path("out")).unwrap();
        symlink(theirs.path().join("file"), path("folder/out")).unwrap();
        symlink("../../within", path("folder/up")).unwrap();
        symlink(path("folder/file"), path("absolute")).unwrap();
        symlink("loop", path("loop")).unwrap();
        pipe(&path("pipe"));
        let root = Root::open(ours.path()).unwrap();
        let limit = Limit::new("a test", 10);
        for inside in ["folder/file", "within/file", "folder/again", "folder/../folder/file", "./folder/./file"] {
            assert_eq!(root.read_text(Path::new(inside), limit).unwrap(), "ours", "{inside}");
        }
        let theirs_in_full = theirs.path().join("file").display().to_string();
        for outside in
            ["out/file", "folder/out", "folder/up/file", "absolute", "..", "../x", &theirs_in_full, "out/new"]
        {
            let outside = Path::new(outside);
            let refused = root.read(outside, limit).unwrap_err();
            assert!(leads_out(&refused), "{}: {refused}", outside.display());
            assert!(root.create_new(outside, SHARED).is_err(), "{}", outside.display());
        }
        for bad in ["pipe", "folder", "loop", "none"] {
            let refused = at_once(|| root.read(Path::new(bad), limit)).unwrap_err();
            assert!(!leads_out(&refused), "{bad}: {refused}");
        }
        assert!(root.create_new(Path::new("within/new"), SHARED).is_ok() && path("folder/new").exists());
        assert!(root.create_new(Path::new("folder/new"), SHARED).is_err());
        assert_eq!(std::fs::read_dir(theirs.path()).unwrap().count(), 1);
        // The open folder is used, whatever replaces it.
        std::fs::rename(path("folder"), path("old")).unwrap();
        let held = Root::open(&path("old")).unwrap();
        std::fs::remove_file(path("within")).unwrap();
        symlink(theirs.path(), path("folder")).unwrap();
        assert_eq!(held.read_text(Path::new("file"), limit).unwrap(), "ours");
    }

    #[test]
    fn a_file_without_read_permission_is_not_reported_as_outside() {
        assert!(!leads_out(&io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error())));
        assert!(!leads_out(&io::Error::from_raw_os_error(rustix::io::Errno::PERM.raw_os_error())));
    }

    #[test]
    fn a_line_is_bounded() {
        assert_eq!(read_line(&mut "yes\nno\n".as_bytes()).unwrap(), "yes\n");
        assert_eq!(read_line(&mut "yes".as_bytes()).unwrap(), "yes");
        assert!(read_line(&mut io::BufReader::new(io::repeat(b'x'))).is_err());
    }

    #[test]
    fn links_are_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("victim"), "kept").unwrap();
        symlink("victim", path("link")).unwrap();
        symlink("nothing", path("dangling")).unwrap();
        std::fs::hard_link(path("victim"), path("hard")).unwrap();
        pipe(&path("pipe"));
        std::fs::create_dir(path("folder")).unwrap();
        for name in ["link", "dangling", "hard", "pipe", "folder"] {
            assert!(at_once(|| write(&path(name), b"new", SHARED)).is_err(), "{name}");
            assert!(at_once(|| append(&path(name), SHARED)).is_err(), "{name}");
            assert!(at_once(|| create_new(&path(name), SHARED)).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(path("victim")).unwrap(), "kept");
        assert!(!path("nothing").exists());
    }

    #[test]
    fn files_are_written_with_their_mode_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"a longer text", PRIVATE).unwrap();
        write(&path, b"short", PRIVATE).unwrap();
        append(&path, PRIVATE).unwrap().write_all(b" and more").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short and more");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        write(Path::new("/dev/null"), b"gone", SHARED).unwrap();
    }

    #[test]
    fn names_of_open_files_are_recognized() {
        for path in ["/dev/stdout", "/dev/null", "/dev/fd/63", "/proc/self/fd/1"] {
            assert!(is_standard(Path::new(path)), "{path}");
        }
        for path in ["/dev/shm/plan.md", "/dev/fd/../shm/x", "/dev/fd/1/x", "/dev/fd", "dev/null", "/dev/../etc/passwd"]
        {
            assert!(!is_standard(Path::new(path)), "{path}");
        }
    }
}
