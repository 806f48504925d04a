//! The structure of the sources: imports point down only, files stay small, and nothing private is mentioned.

mod paths;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use paths::{paths, paths_outside_tests};
use syn::visit::Visit;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// Returns the module path of a file: `["kind", "table"]` for `src/kind/table/mod.rs`, empty for the crate root.
fn place(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let mut parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let file = parts.pop().unwrap();
    parts.extend(Some(file.trim_end_matches(".rs").to_owned()).filter(|name| name != "mod"));
    if let [root] = &parts[..]
        && ["lib", "main"].contains(&root.as_str())
    {
        parts.clear();
    }
    parts
}

/// Returns the module of a file: the first part of its path below `src`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Each module, and the modules of this crate that it may use: only modules above it in this list.
const MAY_USE: &[(&str, &[&str])] = &[
    ("change", &[]),
    ("code", &[]),
    ("diagnostic", &[]),
    ("files", &[]),
    ("serving", &[]),
    ("resource", &["change", "code"]),
    // The principals of a trust policy; pure.
    ("trust", &["resource"]),
    ("document", &["diagnostic", "files", "resource"]),
    ("policy", &["diagnostic", "document", "resource"]),
    ("kind", &["change", "diagnostic", "document", "policy", "resource"]),
    ("iam", &["kind", "resource"]),
    ("manifest", &["diagnostic", "document", "files", "iam", "kind", "policy", "resource"]),
    ("provider", &["code", "kind", "resource"]),
    ("reconcile", &["provider", "kind", "resource", "change", "code"]),
    // The users of the provisioned resources: independent of the engine, in both directions.
    ("access", &["diagnostic", "files", "kind", "policy", "provider", "resource", "serving"]),
    // A server for many users of the provisioned resources.
    ("broker", &["access", "files", "policy", "provider", "resource", "serving"]),
    ("review", &["change", "diagnostic", "kind", "policy", "reconcile", "resource"]),
    ("planfile", &["diagnostic", "kind", "manifest", "reconcile", "resource", "review"]),
    // From desired state to the files of other engines; it performs no I/O.
    ("export", &["kind", "resource"]),
    ("local", &["files", "serving"]),
    ("explain", &["code", "policy"]),
    ("error", &["code", "diagnostic", "explain", "files", "planfile", "provider", "reconcile", "resource"]),
    ("cli", &["access", "change", "document", "kind", "manifest", "policy", "resource", "review"]),
    (
        "report",
        &[
            "access",
            "change",
            "cli",
            "code",
            "diagnostic",
            "error",
            "explain",
            "export",
            "kind",
            "planfile",
            "policy",
            "reconcile",
            "resource",
            "review",
        ],
    ),
    (
        "command",
        &[
            "access",
            "broker",
            "change",
            "cli",
            "code",
            "diagnostic",
            "document",
            "error",
            "explain",
            "export",
            "files",
            "iam",
            "kind",
            "local",
            "manifest",
            "planfile",
            "policy",
            "provider",
            "reconcile",
            "report",
            "resource",
            "review",
            "trust",
        ],
    ),
    ("lib", &[]),
    ("main", &["command"]),
];

/// Additional modules that only the tests of a module may use.
const TESTS_MAY_USE: &[(&str, &[&str])] = &[
    // The faults of reading a manifest are rendered.
    ("report", &["manifest"]),
    // The emulator evaluates trust policies by other code.
    ("trust", &["local"]),
];

/// Returns the forbidden uses of this crate in a file, or the reason why they cannot be determined.
fn trespasses(own: &str, place: &[&str], text: &str) -> Vec<String> {
    let of =
        |list: &[(&str, &'static [&'static str])]| list.iter().find(|(name, _)| *name == own).map(|(_, used)| *used);
    let allowed = of(MAY_USE).unwrap_or_else(|| panic!("{own} is not listed"));
    let in_tests = [allowed, of(TESTS_MAY_USE).unwrap_or_default()].concat();
    // A file below `tests` is a test as a whole.
    let is_test = place.contains(&"tests");
    let mut found = if is_test { Vec::new() } else { beyond(allowed, own, place, paths_outside_tests(text, place)) };
    found.extend(beyond(&in_tests, own, place, paths(text, place)));
    found.sort();
    found.dedup();
    found
}

fn beyond(allowed: &[&str], own: &str, place: &[&str], found: Result<BTreeSet<Vec<String>>, String>) -> Vec<String> {
    let found = match found {
        Ok(found) => found,
        Err(why) => return vec![why],
    };
    let mut used: Vec<String> =
        found.into_iter().filter(|path| path[0] == "crate").map(|path| path[1].clone()).collect();
    used.dedup();
    // In the crate root, whose modules are in scope, other crates look like modules.
    used.retain(|name| !place.is_empty() || MAY_USE.iter().any(|(known, _)| known == name));
    used.retain(|name| name != own && !allowed.contains(&name.as_str()));
    used
}

#[test]
fn imports_point_down_only() {
    for (path, text) in sources() {
        let place = place(&path);
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        let found = trespasses(&module(&path), &place, &text);
        assert!(found.is_empty(), "{} uses what {} may not: {found:?}", path.display(), module(&path));
    }
}

#[test]
fn no_two_modules_use_each_other() {
    for (index, (name, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let above = MAY_USE[..index].iter().any(|(above, _)| above == used);
            assert!(above, "{name} may use {used}, which is not above it in the list");
        }
    }
}

/// Each way to name another module, in a file of `report` that may not name `manifest`.
#[test]
fn a_boundary_is_enforced_for_every_notation() {
    let ways = [
        "use crate::manifest::Manifest;",
        "use crate::manifest;",
        "use crate::manifest as other;",
        "use crate::{code, manifest};",
        "use crate::{code::{self, Code}, manifest::{self, parse::{Fault}}};",
        "use {crate::code::Code, crate::manifest::Manifest};",
        "use crate::manifest::*;",
        "pub use crate::manifest::Manifest;",
        "use self::super::super::manifest::Manifest;",
        "use super::super::manifest::Manifest;",
        "use super::super::{code, manifest};",
        "use sentinel::manifest::Manifest;",
        "use crate::r#manifest::Manifest;",
        "mod inner { use super::super::super::manifest::Manifest; }",
        "mod inner { mod deeper { fn f() { super::super::super::super::manifest::read() } } }",
        "fn f() { use crate::manifest::Manifest; }",
        "fn f() { crate::manifest::read(); }",
        "fn f() { super::super::manifest::read(); }",
        "fn f() { let read = crate :: manifest :: read; }",
        "fn f(one: crate::manifest::Manifest) {}",
        "fn f<T: crate::manifest::Reads>() {}",
        "fn f() { let x: Vec<crate::manifest::Manifest> = Vec::new(); }",
        "fn f(x: X) { if let crate::manifest::Manifest { .. } = x {} }",
        "fn f() { <crate::manifest::Manifest as Default>::default(); }",
        "struct S { one: crate::manifest::Manifest }",
        "impl crate::manifest::Reads for S {}",
        "fn f() { format!(\"{}\", crate::manifest::read()); }",
        "fn f() { vec![Some(super::super::manifest::read())]; }",
        "fn f() { assert!(matches!(x, crate::manifest::Manifest { .. })); }",
        "fn f() { crate::manifest::made!(1); }",
        "macro_rules! m { () => { $crate::manifest::read() } }",
        "macro_rules! m { () => { use crate::{code, manifest::{self, Manifest}}; } }",
        "macro_rules! m { ($x:ty) => { mod n { use crate::{code::*, manifest::*}; } } }",
        "thread_local! { static X: crate::manifest::Manifest = f(); }",
        "#[derive(crate::manifest::Read)] struct S;",
        "#[crate::manifest::read] struct S;",
        "#[serde(with = \"crate::manifest::time\")] struct S;",
        "struct S { #[serde(serialize_with = \"super::super::manifest::write\")] one: u8 }",
        "struct S { #[arg(value_parser = crate::manifest::read)] one: u8 }",
    ];
    for way in ways {
        assert_eq!(trespasses("report", &["report", "text"], way), ["manifest"], "{way}");
    }
}

/// Constructs with which a file could reach a module without naming it.
#[test]
fn no_file_bypasses_the_boundaries() {
    let ways = [
        "use crate as root;",
        "use crate::*;",
        "use crate::{self as root, code};",
        "use super::super as root;",
        "use super::super::*;",
        "macro_rules! m { () => { use crate::*; } }",
        "extern crate self as other;",
        "extern crate sentinel;",
        "include!(\"other.rs\");",
        "#[path = \"../manifest.rs\"] mod copy;",
        "fn f( {",
    ];
    for way in ways {
        let found = trespasses("report", &["report", "text"], way);
        assert!(found.len() == 1 && found[0] != "manifest", "{way}: {found:?}");
    }
    let test = "#[cfg(test)] mod tests { use crate::{command, manifest}; }";
    assert_eq!(trespasses("report", &["report", "text"], test), ["command"]);
    // A module that is not listed.
    assert_eq!(trespasses("report", &["report", "text"], "use crate::nowhere::X;"), ["nowhere"]);
}

#[test]
fn allowed_uses_are_not_refused() {
    let text = r#"
        //! Unlike [`crate::manifest`], see `crate::manifest::read`.
        use std::fmt::{self, Write};
        use crate::{code::Code, report::escape, resource::{self, *}};
        use super::{escape::escape, sheet};
        pub(in crate::report) struct S { manifest: u8 }
        /// Not crate::manifest::Manifest.
        fn f(manifest: u8) -> u8 { super::sheet::g(manifest::h(), "crate::manifest::x", Self::manifest::<u8>()) }
        mod manifest { use super::*; use super::super::sheet; }
        macro_rules! m { ($x:ident) => { $crate::code::Code::$x } }
    "#;
    assert_eq!(trespasses("report", &["report", "text"], text), Vec::<String>::new());
    assert_eq!(trespasses("main", &[], "fn main() { sentinel::command::main() }"), Vec::<String>::new());
    assert_eq!(trespasses("main", &[], "use sentinel::manifest;"), ["manifest"]);
    assert_eq!(trespasses("lib", &[], "pub mod kind; fn f() { kind::f(); std::process::abort() }"), ["kind"]);
}

#[test]
fn each_library_is_used_only_by_its_modules() {
    // The name of a library, and the modules that may use it.
    let places: &[(&str, &[&str])] = &[
        ("aws_sdk_", &["kind", "resource"]),
        ("aws_config", &["provider"]),
        ("anstyle", &["report"]),
        ("anstream", &["report"]),
        ("indicatif", &["report"]),
        ("annotate_snippets", &["report"]),
        ("granit_parser", &["document"]),
        ("glob::", &["document", "kind", "manifest"]),
        ("cap_std", &["files"]),
        ("shlex", &["command", "export", "provider"]),
        ("toml_parser", &["document"]),
        ("toml_writer", &["document"]),
        ("rusqlite", &["local"]),
        ("dynoxide", &["local"]),
        ("clap", &["cli", "command"]),
        ("axum", &["broker"]),
        ("tower::", &["broker"]),
        ("hyper", &["access", "broker", "local", "serving"]),
        // Failed TLS connections are identified by its error type.
        ("rustls", &["broker", "provider", "resource"]),
        ("rustix", &["command", "files", "local"]),
        // The salt of a secret policy.
        ("getrandom", &["access", "command", "kind"]),
        ("println!", &[]),
    ];
    for (path, text) in sources() {
        let own = module(&path);
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (library, allowed) in places.iter().filter(|(library, _)| code.contains(*library)) {
            assert!(allowed.contains(&own.as_str()), "{} speaks of {library}", path.display());
        }
    }
}

/// Returns the calls of a file that open or read files, or the reason why they cannot be determined.
fn openings(place: &[&str], text: &str) -> Vec<String> {
    let found = match paths_outside_tests(text, place) {
        Ok(found) => found,
        Err(why) => return vec![why],
    };
    let opens = |path: &&Vec<String>| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path[..] {
            ["std", "fs", "read" | "read_to_string" | "write" | "copy" | "OpenOptions" | "*", ..]
            | [
                "std",
                "fs",
                "File",
                "open" | "open_buffered" | "create" | "create_buffered" | "create_new" | "options",
                ..,
            ]
            | ["std", "io", "stdin" | "*", ..]
            | ["std", "os", "unix", "fs", "OpenOptionsExt", ..]
            | ["cap_std" | "cap_primitives", ..]
            | ["tokio", "fs", ..] => true,
            ["rustix", "fs", call, ..] => call.starts_with("open") || call == "*",
            _ => false,
        }
    };
    found.iter().filter(opens).map(|path| path.join("::")).collect()
}

/// Files are opened in one module, which limits the size of reads and does not follow links when it writes.
#[test]
fn files_are_opened_in_one_module() {
    for (path, text) in sources() {
        let place = place(&path);
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        // The helpers of tests are exempt.
        if place[..] == ["files"] || place[..] == ["reconcile", "tests"] {
            continue;
        }
        let mut found = openings(&place, &text);
        match place[..] {
            // The line that a user types is read by `files`, from a given stream.
            ["command", "context"] => found.retain(|call| call != "std::io::stdin"),
            // The manifest may be on standard input, which is read by `files` too.
            ["command", "gather"] => found.retain(|call| call != "std::io::stdin"),
            // This only checks whether it is a terminal.
            ["report"] => found.retain(|call| call != "std::io::stdin"),
            // A pipe from the process that started this one.
            ["command", "access", "held"] => found.retain(|call| call != "std::io::stdin"),
            // The folder of a store: each part is opened relative to its parent.
            ["local", "folder"] => found.retain(|call| !call.starts_with("rustix::fs::open")),
            _ => {}
        }
        assert!(found.is_empty(), "{} opens files and is not the module `files`: {found:?}", path.display());
    }
}

#[test]
fn file_access_is_found_in_every_notation() {
    let ways = [
        "fn f() { std::fs::read(x); }",
        "use std::fs; fn f() { fs::read_to_string(x); }",
        "use std::fs::read; fn f() { read(x); }",
        "use std::fs::{self as files, Metadata}; fn f() { files::write(x, y); }",
        "use std::fs::File; fn f() { File::open(x); }",
        "use std::fs::File as F; fn f() { F::options().read(true).open(x); }",
        "use std::{fs::OpenOptions, io};",
        "use std::fs::*;",
        "fn f() { println!(\"{}\", std::fs::read_to_string(x)); }",
        "use std::fs::File; fn f() { log!(File::create(x)); }",
        "fn f() { let read = std::io::stdin().lock(); }",
        "use tokio::fs;",
        "use rustix::fs::{self, OFlags}; fn f() { fs::openat(x, y, OFlags::RDONLY, z); }",
        "use cap_std::fs::Dir;",
    ];
    for way in ways {
        assert!(!openings(&["report", "text"], way).is_empty(), "{way}");
    }
    let fine = "use std::fs::{self, File, Metadata}; fn f(file: &File) { fs::metadata(x); fs::remove_file(x); }
        #[cfg(test)] mod tests { use super::*; fn f() { fs::write(x, y); } }";
    assert_eq!(openings(&["report", "text"], fine), Vec::<String>::new());
}

#[test]
fn files_stay_small() {
    for (path, text) in sources() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= 500, "{} has {lines} lines before its tests", path.display());
    }
}

/// Calls `check` with each signature of a file outside its tests and trait implementations.
fn signatures(text: &str, check: impl FnMut(&syn::Signature)) {
    struct Signatures<F>(F);

    impl<'ast, F: FnMut(&syn::Signature)> Visit<'ast> for Signatures<F> {
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            let test = |attribute: &syn::Attribute| {
                attribute.path().is_ident("cfg")
                    && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
            };
            if !module.attrs.iter().any(test) {
                syn::visit::visit_item_mod(self, module);
            }
        }

        fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
            // A trait determines the signatures of its methods.
            if item.trait_.is_none() {
                syn::visit::visit_item_impl(self, item);
            }
        }

        fn visit_signature(&mut self, signature: &'ast syn::Signature) {
            (self.0)(signature);
        }
    }

    Signatures(check).visit_file(&syn::parse_file(text).unwrap());
}

/// Returns the functions of a file, outside its tests, that take a `bool`, because `f(true)` does not show its meaning.
fn flags(text: &str) -> Vec<String> {
    struct Bool(bool);
    impl<'ast> Visit<'ast> for Bool {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.0 |= path.is_ident("bool");
            syn::visit::visit_path(self, path);
        }
        // The parameters of a closure type do not count.
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }

    let mut found = Vec::new();
    signatures(text, |signature| {
        let mut flag = Bool(false);
        signature.inputs.iter().for_each(|input| flag.visit_fn_arg(input));
        if flag.0 {
            found.push(signature.ident.to_string());
        }
    });
    found
}

/// A call shows its meaning by the name of a variant or a function.
#[test]
fn no_function_takes_a_bool() {
    for (path, text) in sources() {
        let found = flags(&text);
        // The built-in AWS emulator uses AWS's terms, many of which are flags.
        assert!(module(&path) == "local" || found.is_empty(), "{} has functions with flags: {found:?}", path.display());
    }
}

#[test]
fn bool_parameters_are_found_in_every_position() {
    for text in [
        "fn f(x: bool) {}",
        "fn f(x: u8, (y, z): (&str, bool)) {}",
        "fn f(x: Option<bool>) {}",
        "impl S { pub(super) async fn f(&self, x: &[bool]) {} }",
        "mod inner { const fn f(x: bool) {} }",
        "trait T { fn f(x: bool); }",
    ] {
        assert_eq!(flags(text), ["f"], "{text}");
    }
    for text in [
        "fn f(x: impl Fn(bool) -> bool, y: fn(&u8) -> bool) -> bool { true }",
        "impl From<bool> for S { fn from(x: bool) -> Self { S } }",
        "#[cfg(test)] mod tests { fn f(x: bool) {} }",
        "struct S { x: bool }",
    ] {
        assert_eq!(flags(text), [""; 0], "{text}");
    }
}

/// The last words of a parameter's name that identifies something.
const NAMING: &[&str] = &[
    "account",
    "alias",
    "arn",
    "endpoint",
    "id",
    "key",
    "name",
    "ownership",
    "parameter",
    "person",
    "profile",
    "region",
    "requester",
    "role",
    "root",
    "subject",
    "table",
    "target",
    "topic",
    "user",
    "who",
];

/// Returns the functions of a file, outside its tests, that take two texts with identifying names: a call that swaps them compiles.
fn swappable(text: &str) -> Vec<String> {
    /// Returns whether a type is a text: `&str`, `String`, `Option<&str>`, `&[String]`, `impl Into<String>`.
    fn is_text(ty: &syn::Type) -> bool {
        struct Text(bool);
        impl<'ast> Visit<'ast> for Text {
            fn visit_path(&mut self, path: &'ast syn::Path) {
                self.0 |= path.segments.last().is_some_and(|last| last.ident == "str" || last.ident == "String");
                syn::visit::visit_path(self, path);
            }
            fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
            fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        }
        let mut text = Text(false);
        text.visit_type(ty);
        text.0
    }

    /// Returns the number of names in a parameter, which may be a tuple.
    fn count(pattern: &syn::Pat, ty: &syn::Type) -> usize {
        match (pattern, ty) {
            (syn::Pat::Ident(ident), ty) => {
                let ident = ident.ident.to_string();
                usize::from(ident.rsplit('_').next().is_some_and(|last| NAMING.contains(&last)) && is_text(ty))
            }
            (syn::Pat::Tuple(parts), syn::Type::Tuple(types)) => {
                parts.elems.iter().zip(&types.elems).map(|(part, ty)| count(part, ty)).sum()
            }
            _ => 0,
        }
    }

    let mut found = Vec::new();
    signatures(text, |signature| {
        let names = signature.inputs.iter().map(|input| match input {
            syn::FnArg::Typed(typed) => count(&typed.pat, &typed.ty),
            syn::FnArg::Receiver(_) => 0,
        });
        if names.sum::<usize>() > 1 {
            found.push(signature.ident.to_string());
        }
    });
    found
}

/// The types of two names must differ, so that a call cannot swap them.
#[test]
fn no_function_takes_two_names_as_text() {
    for (path, text) in sources() {
        let found = swappable(&text);
        // The built-in AWS emulator reads requests, in which all names are text.
        assert!(module(&path) == "local" || found.is_empty(), "{} takes two names as text: {found:?}", path.display());
    }
}

#[test]
fn swappable_names_are_found_in_every_position() {
    for text in [
        "fn f(name: &str, arn: &str) {}",
        "fn f(user: &str, now: Timestamp, profile: Option<&str>) {}",
        "fn f(backup_name: String, id: &Option<String>) {}",
        "fn f((user, profile): (&str, &str)) {}",
        "fn f(table: impl Into<String>, (user, seconds): (&str, u32)) {}",
        "impl S { pub(super) async fn f(&self, key: &str, owner_key: &str) {} }",
        "trait T { fn f(name: &str, root: &str); }",
    ] {
        assert_eq!(swappable(text), ["f"], "{text}");
    }
    for text in [
        "fn f(name: &str, text: &str) {}",
        "fn f(name: &str, root: &PolicyRoot) {}",
        "fn f(name: &str, user: &User, profile: impl Fn(&str) -> String) {}",
        "impl Kind for S { fn f(key: &str, name: &str) {} }",
        "#[cfg(test)] mod tests { fn f(name: &str, arn: &str) {} }",
        "struct S { name: String, arn: String }",
    ] {
        assert_eq!(swappable(text), [""; 0], "{text}");
    }
}
