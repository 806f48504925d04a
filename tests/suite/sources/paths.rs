//! Finds the names in a source file: each path from the root of its crate, in any notation.
//!
//! The file is parsed with `syn`. Macro calls and definitions are token trees that `syn` does not parse, so their paths are found token by
//! token, as are the paths in attribute strings (`#[serde(with = "…")]`).

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// A path from the root of its crate: `["crate", "kind", "Step"]`, `["std", "fs", "File"]`.
pub(super) type Path = Vec<String>;

/// Returns the paths in a file; `module` is the module path of the file: `["kind", "table"]`.
///
/// Names of imported items are omitted, since their imports are included. A path that starts with an imported name, such as `File::open`
/// below `use std::fs::File`, is resolved by the imports of the file.
///
/// # Errors
///
/// Returns the reason why a path cannot be resolved: a crate with another name, an included file, or the root of the crate as a whole.
pub(super) fn paths(text: &str, module: &[&str]) -> Result<BTreeSet<Path>, String> {
    find(&syn::parse_file(text).map_err(|error| error.to_string())?, module)
}

/// Returns the same without the modules that are only built for tests.
pub(super) fn paths_outside_tests(text: &str, module: &[&str]) -> Result<BTreeSet<Path>, String> {
    let mut file = syn::parse_file(text).map_err(|error| error.to_string())?;
    let test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
    };
    file.items.retain(|item| !matches!(item, syn::Item::Mod(item) if item.attrs.iter().any(test)));
    find(&file, module)
}

fn find(file: &syn::File, module: &[&str]) -> Result<BTreeSet<Path>, String> {
    let owned = module.iter().map(|part| (*part).to_owned()).collect();
    let mut finder = Finder { module: owned, imports: Vec::new(), found: BTreeSet::new(), refused: Vec::new() };
    finder.visit_file(file);
    // A path that starts with an imported name continues the imported path, wherever in the file the import is.
    let relative: Vec<Path> = finder.found.iter().filter(|path| path[0] != "crate").cloned().collect();
    for path in relative {
        for (_, import) in finder.imports.iter().filter(|(name, import)| *name == path[0] && import.len() > 1) {
            finder.found.insert(import.iter().chain(&path[1..]).cloned().collect());
        }
    }
    if finder.found.iter().any(|path| path[0] == "crate" && path.get(1).is_none_or(|part| part == "*")) {
        finder.refused.push(String::from("it names the root of the crate, through which everything is in reach"));
    }
    if finder.refused.is_empty() { Ok(finder.found) } else { Err(finder.refused.join("; ")) }
}

struct Finder {
    /// The current module.
    module: Path,
    /// Imported names, and their paths.
    imports: Vec<(String, Path)>,
    found: BTreeSet<Path>,
    refused: Vec<String>,
}

impl Finder {
    /// Resolves `self`, `super` and the name of the library.
    fn absolute(&self, parts: &[String]) -> Path {
        let mut from = self.module.clone();
        let mut rest = parts;
        match parts.first().map(String::as_str) {
            Some("self") if parts.len() > 1 => rest = &rest[1..],
            Some("super") => {}
            Some("crate" | "sentinel") => (from, rest) = (Vec::new(), &rest[1..]),
            // At the root, the modules themselves are in scope.
            Some(_) if self.module.is_empty() && parts.len() > 1 => {
                return [String::from("crate")].iter().chain(parts).cloned().collect();
            }
            _ => return parts.to_vec(),
        }
        while rest.first().is_some_and(|part| part == "super") {
            from.pop();
            rest = &rest[1..];
        }
        [String::from("crate")].iter().chain(&from).chain(rest).cloned().collect()
    }

    fn add(&mut self, parts: &[String]) {
        // A raw identifier is the same name.
        let parts: Path = parts.iter().map(|part| part.trim_start_matches("r#").to_owned()).collect();
        if !parts.is_empty() {
            self.found.insert(self.absolute(&parts));
        }
    }

    fn import(&mut self, head: &Path, tree: &syn::UseTree) {
        let with = |name: &syn::Ident| head.iter().cloned().chain([name.to_string()]).collect::<Path>();
        let (name, parts) = match tree {
            syn::UseTree::Path(path) => return self.import(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(head, tree)),
            syn::UseTree::Name(name) if name.ident == "self" => {
                (head.last().cloned().unwrap_or_default(), head.clone())
            }
            syn::UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(rename) if rename.ident == "self" => (rename.rename.to_string(), head.clone()),
            syn::UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
            // A glob of the root brings every module into scope.
            syn::UseTree::Glob(_) => {
                let all = String::from("*");
                (all.clone(), head.iter().cloned().chain([all]).collect())
            }
        };
        self.add(&parts);
        let path = self.absolute(&parts);
        self.imports.push((name, path));
    }

    /// Finds the paths in unparsed tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(_) => at = self.path(&tokens, at, &Vec::new()),
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Adds the path, or the tree of paths, that starts at a token; returns the index after it.
    fn path(&mut self, tokens: &[TokenTree], mut at: usize, head: &Path) -> usize {
        let mut parts = head.clone();
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(name)) => parts.push(name.to_string()),
                Some(TokenTree::Punct(mark)) if mark.as_char() == '*' => parts.push(String::from("*")),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
                    for branch in inner.split(comma).filter(|branch| !branch.is_empty()) {
                        self.path(branch, 0, &parts);
                    }
                    return at + 1;
                }
                // For example the angle brackets of a type, whose contents are visited next.
                _ => break,
            }
            at += 1;
            let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
            if !(colon(at) && colon(at + 1)) {
                break;
            }
            at += 2;
        }
        if parts.len() > 1 && parts.last().is_some_and(|part| part == "self") {
            parts.pop();
        }
        // A single word is not a path.
        if parts.len() > 1 {
            self.add(&parts);
        }
        at
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Path = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1 {
            self.add(&parts);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.module.push(item.ident.to_string());
        item.content.iter().flat_map(|(_, items)| items).for_each(|item| self.visit_item(item));
        self.module.pop();
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.refused.push(format!("it has `extern crate {}`", item.ident));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|segment| segment.ident == "include") {
            self.refused.push(String::from("it includes another file's text"));
        }
        let parts: Path = call.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(&parts);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if attribute.path().is_ident("path") {
            self.refused.push(String::from("it has a module in another place, by `#[path]`"));
        }
        match &attribute.meta {
            syn::Meta::Path(path) => self.visit_path(path),
            syn::Meta::List(list) => {
                self.strings(list.tokens.clone());
                self.tokens(list.tokens.clone());
            }
            syn::Meta::NameValue(pair) => self.visit_expr(&pair.value),
        }
    }
}

impl Finder {
    /// Finds the paths in strings.
    fn strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.strings(group.stream()),
                TokenTree::Literal(literal) => {
                    let path = syn::parse_str::<syn::LitStr>(&literal.to_string());
                    if let Ok(path) = path.and_then(|text| text.parse::<syn::Path>()) {
                        self.visit_path(&path);
                    }
                }
                _ => {}
            }
        }
    }
}
