//! Packaging a release, the Homebrew formula, and the install script, which downloads from a local server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::docs::root;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes a small program in place of the binary, whose debug build takes long to compress.
fn program(folder: &Path, version: &str) -> PathBuf {
    let path = folder.join("program");
    let text = format!(
        "#!/bin/sh\ncase \"$1\" in\n--version) echo 'sentinel {version} (access policies and DynamoDB tables on AWS)' ;;\ncompletions) echo \"$2\" ;;\n\
         man) echo page >\"$2/sentinel.1\" ;;\nesac\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Returns the target whose archive the install script selects on this machine.
fn target() -> String {
    let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-musl" };
    format!("{}-{system}", std::env::consts::ARCH)
}

fn package(program: &Path, folder: &Path) -> Output {
    let mut command = Command::new(root().join("scripts/package"));
    command.arg(program).arg(target()).arg(folder).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Packages a release into a folder, with its checksums, and returns the archive.
fn release(folder: &Path) -> PathBuf {
    let packed = package(&program(folder, VERSION), folder);
    assert!(packed.status.success(), "{}", text(&packed));
    let archive = folder.join(format!("sentinel-{VERSION}-{}.tar.gz", target()));
    let digest = hex::encode(Sha256::digest(std::fs::read(&archive).unwrap()));
    let name = archive.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::write(folder.join("SHA256SUMS"), format!("{digest}  {name}\n")).unwrap();
    archive
}

/// Serves the files of a folder, and returns the address.
fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
            let (status, body) = match std::fs::read(folder.join(name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

fn install(address: &str, into: &Path) -> Output {
    let mut command = Command::new("sh");
    command.arg(root().join("install.sh")).env("SENTINEL_BASE_URL", address).env("SENTINEL_BIN_DIR", into);
    command.env_remove("SENTINEL_VERSION").output().unwrap()
}

/// Packaging needs GNU tar, which macOS lacks by default.
fn can_pack() -> bool {
    let gnu = |name| Command::new(name).arg("--version").output().is_ok_and(|output| text(&output).contains("GNU tar"));
    gnu("tar") || gnu("gtar")
}

#[test]
fn a_release_is_installed_from_a_server() {
    if !can_pack() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    release(folder.path());
    let bin = folder.path().join("bin");
    let installed = install(&serve(folder.path()), &bin);
    assert!(installed.status.success(), "{}", text(&installed));
    let run = Command::new(bin.join("sentinel")).arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&run.stdout),
        format!("sentinel {VERSION} (access policies and DynamoDB tables on AWS)\n")
    );
}

#[test]
fn an_altered_archive_is_not_installed() {
    if !can_pack() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = release(folder.path());
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.push(0);
    std::fs::write(&archive, bytes).unwrap();
    let bin = folder.path().join("bin");
    let refused = install(&serve(folder.path()), &bin);
    assert!(!refused.status.success());
    assert!(text(&refused).contains("the checksum of") && text(&refused).contains("nothing was installed"));
    assert!(!bin.join("sentinel").exists());
}

#[test]
fn checksums_without_the_archive_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("SHA256SUMS"), format!("{}  sentinel.cdx.json\n", "0".repeat(64))).unwrap();
    let refused = install(&serve(folder.path()), &folder.path().join("bin"));
    assert!(!refused.status.success());
    assert!(text(&refused).contains("does not list exactly one archive"), "{}", text(&refused));
}

#[test]
fn a_binary_of_another_version_is_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    let refused = package(&program(folder.path(), "99.0.0"), folder.path());
    assert!(!refused.status.success());
    assert!(text(&refused).contains(&format!("is not sentinel {VERSION}")), "{}", text(&refused));
}

#[test]
fn packing_the_same_binary_twice_gives_the_same_archive() {
    if !can_pack() {
        return;
    }
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archives = [&one, &other].map(|folder| std::fs::read(release(folder.path())).unwrap());
    assert!(archives[0] == archives[1]);
}

#[test]
fn the_formula_has_the_checksum_of_each_archive() {
    let folder = tempfile::tempdir().unwrap();
    let targets =
        ["aarch64-apple-darwin", "x86_64-apple-darwin", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];
    let digest = |place: usize| format!("{place}").repeat(64);
    let lines = targets.iter().enumerate();
    let sums: String =
        lines.map(|(place, target)| format!("{}  sentinel-{VERSION}-{target}.tar.gz\n", digest(place))).collect();
    let path = folder.path().join("SHA256SUMS");
    std::fs::write(&path, &sums).unwrap();
    let formula = || Command::new(root().join("scripts/formula")).arg(&path).output().unwrap();
    let written = text(&formula());
    for (place, target) in targets.iter().enumerate() {
        let url = format!("sentinel-{VERSION}-{target}.tar.gz\"\n      sha256 \"{}\"", digest(place));
        assert!(written.contains(&url), "{target}: {written}");
    }
    assert!(!written.contains("@VERSION@"));
    std::fs::write(&path, sums.lines().next().unwrap()).unwrap();
    assert!(!formula().status.success());
}

/// Every command of CI can be run locally in the same way.
#[test]
fn ci_runs_recipes_of_the_justfile() {
    let justfile = std::fs::read_to_string(root().join("justfile")).unwrap();
    let head = |line: &str| line.split([' ', ':']).next().unwrap_or_default().to_owned();
    let is_recipe = |line: &&str| line.starts_with(|letter: char| letter.is_ascii_lowercase()) && line.contains(':');
    let recipes: Vec<String> = justfile.lines().filter(is_recipe).map(head).collect();
    let workflow = std::fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
    let used: Vec<&str> = workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: just ")).collect();
    assert!(used.len() > 5, "{used:?}");
    for recipe in used {
        assert!(recipes.iter().any(|known| known == recipe), "{recipe} is not among {recipes:?}");
    }
}

/// Runs the script of the action in setup/ as the runner does, with a stand-in for `gh` that exits with a code.
fn set_up(folder: &Path, address: &str, gh_exit: i32, variables: &[(&str, &str)]) -> Output {
    let tools = folder.join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    let gh = format!("#!/bin/sh\necho \"$@\" >>'{}'\nexit {gh_exit}\n", folder.join("gh.log").display());
    std::fs::write(tools.join("gh"), gh).unwrap();
    std::fs::set_permissions(tools.join("gh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(root().join("action/setup.sh"));
    command.env_clear().env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()));
    command.env("HOME", folder).env("SENTINEL_BASE_URL", address).env("RUNNER_TEMP", folder);
    command.env("GITHUB_PATH", folder.join("path")).env("GITHUB_OUTPUT", folder.join("output"));
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn the_setup_action_installs_the_attested_release_of_its_own_version() {
    if !can_pack() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    release(folder.path());
    let done = set_up(folder.path(), &serve(folder.path()), 0, &[]);
    assert!(done.status.success(), "{}", text(&done));
    let bin = folder.path().join("sentinel-bin");
    assert!(bin.join("sentinel").is_file());
    assert_eq!(std::fs::read_to_string(folder.path().join("path")).unwrap(), format!("{}\n", bin.display()));
    assert_eq!(std::fs::read_to_string(folder.path().join("output")).unwrap(), format!("version={VERSION}\n"));
    let asked = std::fs::read_to_string(folder.path().join("gh.log")).unwrap();
    assert!(asked.starts_with("attestation verify ") && asked.contains("/.github/workflows/release.yml"), "{asked}");
}

#[test]
fn the_setup_action_refuses_credentials_an_unattested_release_and_other_versions() {
    if !can_pack() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    release(folder.path());
    let address = serve(folder.path());
    type Case = (i32, &'static [(&'static str, &'static str)], &'static str);
    let cases: [Case; 5] = [
        (0, &[("AWS_ACCESS_KEY_ID", "AKIA")], "there are AWS credentials"),
        (1, &[], "did not attest"),
        (0, &[("SENTINEL_VERSION", "9.9.9")], "does not list exactly one archive"),
        (0, &[("SENTINEL_VERSION", "../x")], "version must be a release"),
        (0, &[("SENTINEL_CHECK", "maybe")], "provenance must be"),
    ];
    for (gh_exit, variables, message) in cases {
        let refused = set_up(folder.path(), &address, gh_exit, variables);
        assert!(!refused.status.success() && text(&refused).contains(message), "{message}: {}", text(&refused));
        assert!(!folder.path().join("sentinel-bin/sentinel").exists() && !folder.path().join("path").exists());
    }
}
