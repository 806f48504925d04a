//! The output of `sentinel export`.

use serde::Serialize;

use super::escape::escape;
use crate::export::StackSummary;
use crate::kind::export::Unsupported;

/// The result of an export.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub engine: String,
    pub folder: String,
    pub written: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<StackSummary>,
    pub left_out: Vec<LeftOut>,
    pub notes: Vec<String>,
    /// The next commands.
    pub next: String,
}

/// Something that the other engine cannot do.
#[derive(Debug, Serialize)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
    pub help: String,
}

impl LeftOut {
    /// Returns it from the record of a kind.
    pub fn of(unsupported: &Unsupported) -> Self {
        Self { what: unsupported.what(), why: unsupported.why.clone(), help: unsupported.help.clone() }
    }
}

/// Returns it as text.
pub fn render(summary: &Summary) -> String {
    let files = summary.written.len();
    let mut text = format!("Wrote {} to {}.\n", counted(files, "file"), escape(&summary.folder));
    for stack in &summary.stacks {
        let StackSummary { target, file, resources, bytes, imports, before } = stack;
        let of = target.as_ref().map(|name| format!("{}: ", escape(name))).unwrap_or_default();
        let mut words = vec![counted(*resources, "resource"), format!("{bytes} bytes")];
        words.extend((*imports > 0).then(|| format!("{imports} to import")));
        words.extend((!before.is_empty()).then(|| format!("after {}", before.join(", "))));
        text.push_str(&format!("  {of}{file}: {}\n", words.join(", ")));
    }
    if !summary.left_out.is_empty() {
        text.push_str("\nLeft out:\n");
        for one in &summary.left_out {
            text.push_str(&format!("  {}: {}\n", escape(&one.what), escape(&one.why)));
        }
    }
    if !summary.notes.is_empty() {
        text.push_str("\nNotes:\n");
        for note in &summary.notes {
            text.push_str(&format!("  {}\n", escape(note)));
        }
    }
    text.push_str(&format!("\nNext: {}\n", escape(&summary.next)));
    text
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
