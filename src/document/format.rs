//! Formats TOML and YAML. Only spaces, blank lines, quotes and the line breaks of lists change; order, comments and values are kept.

#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::sync::Arc;

use super::{from_toml, from_yaml};
use crate::diagnostic::{Faults, Source};

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Toml,
    Yaml,
}

impl Language {
    /// Returns the language of a text without a file name. A manifest starts with a section or a setting, which is not valid YAML.
    pub fn of_text(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let is_toml = first.is_none_or(|line| {
            line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| !key.contains([':', '{']))
        });
        if is_toml { Self::Toml } else { Self::Yaml }
    }
}

/// The result of formatting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formatted {
    /// The formatted text.
    Text(String),
    /// The text has faults, which were recorded.
    Faulty,
    /// Formatting would change the meaning of the text, which is a bug.
    Unsafe,
}

/// Formats a text. The result is parsed and compared with the original, so that a bug cannot change a policy.
pub fn format(language: Language, source: &Arc<Source>, faults: &mut Faults) -> Formatted {
    let before = faults.len();
    let text = match language {
        Language::Toml => {
            let root = from_toml(source, faults);
            if faults.len() > before {
                return Formatted::Faulty;
            }
            let text = toml::format(&source.text);
            let (again, mut new) = (Source::new(source.path.clone(), text.clone()), Faults::default());
            let same = from_toml(&again, &mut new) == root && toml::comments(&text) == toml::comments(&source.text);
            (new.is_empty() && same).then_some(text)
        }
        Language::Yaml => {
            // A text without a value has only comments.
            if !has_content(&source.text) {
                return Formatted::Text(only_comments(&source.text));
            }
            let Some(root) = from_yaml(source, faults) else { return Formatted::Faulty };
            let (text, comments) = yaml::format(&source.text);
            let (again, mut new) = (Source::new(source.path.clone(), text.clone()), Faults::default());
            let same = from_yaml(&again, &mut new).as_ref() == Some(&root) && yaml::comments(&text) == comments;
            (new.is_empty() && same).then_some(text)
        }
    };
    text.map_or(Formatted::Unsafe, Formatted::Text)
}

/// Returns whether a YAML text contains more than comments.
fn has_content(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Returns the comments of a text without other content, without consecutive blank lines.
fn only_comments(text: &str) -> String {
    let mut lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().map(str::trim).collect();
    lines.dedup_by(|one, before| one.is_empty() && before.is_empty());
    let text = lines.join("\n");
    let text = text.trim_matches('\n');
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// Returns whether the line above a byte is blank. There is none above the first line.
fn blank_above(text: &str, at: usize) -> bool {
    let above = text[..at].rfind('\n').map(|end| &text[..end]);
    above.is_some_and(|above| above.rsplit('\n').next().is_some_and(|line| line.trim().is_empty()))
}
