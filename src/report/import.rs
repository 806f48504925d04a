//! The output of `sentinel import`.

use serde::Serialize;

use crate::kind::import::{self as kind, Warning};

use super::{BOLD, GREEN, YELLOW, escape, paint};

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    pub region: String,
    pub account: String,
    /// The manifest, and every policy file.
    pub written: Vec<String>,
    pub resources: Vec<ImportedResource>,
    /// What was left out or is only partly managed, and why.
    pub warnings: Vec<Warning>,
    /// Addresses that a plan on the new manifest would change.
    pub differs: Vec<String>,
    /// Addresses that a plan would change as long as AWS is making changes to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settling: Vec<String>,
    /// The command that plans the new manifest.
    pub next: String,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedResource {
    pub address: String,
    pub name: String,
    /// The first of its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// All of its files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

impl From<kind::ImportedResource> for ImportedResource {
    fn from(one: kind::ImportedResource) -> Self {
        let kind::ImportedResource { address, name, files } = one;
        Self { address: address.to_string(), name, file: files.first().cloned(), files }
    }
}

/// Returns it as text.
pub fn render(imported: &Imported) -> String {
    let mut text = format!("Account {}, region {}\n\n", escape(&imported.account), escape(&imported.region));
    let width = imported.resources.iter().map(|one| one.address.chars().count()).max().unwrap_or(0);
    for one in &imported.resources {
        let files: Vec<String> = one.files.iter().map(|file| escape(file)).collect();
        let file = if files.is_empty() { String::new() } else { format!(" -> {}", files.join(", ")) };
        let line = format!("{:width$}  {}{file}", escape(&one.address), escape(&one.name));
        text.push_str(&format!("  {} {line}\n", paint(GREEN, '+')));
    }
    if imported.resources.is_empty() {
        text.push_str("  nothing was found\n");
    }
    for warning in &imported.warnings {
        text.push_str(&format!("  {} {}: {}\n", paint(YELLOW, '?'), escape(&warning.name), escape(&warning.why)));
    }
    let manifest = imported.written.first().map(String::as_str).unwrap_or_default();
    let count = imported.written.len().saturating_sub(1);
    let plural = if count == 1 { "" } else { "s" };
    let wrote = format!("{} {} and {count} policy file{plural}.", paint(BOLD, "Wrote:"), escape(manifest));
    text.push_str(&format!("\n{wrote}\n"));
    match (imported.differs.as_slice(), imported.settling.as_slice()) {
        ([], []) => text.push_str("Verified: a plan on it is empty.\n"),
        ([], settling) => {
            let settling = settling.join(", ");
            text.push_str(&format!("Verified: a plan on it will be empty once AWS has finished {settling}.\n"));
        }
        (differs, _) => text.push_str(&format!("Verified: a plan on it is not empty in {}.\n", differs.join(", "))),
    }
    text.push_str(&format!("Next: {}\n", imported.next));
    text
}
