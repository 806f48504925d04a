//! Writing TOML as a person would: one setting a line, keys bare where TOML allows that.

use std::fmt::Write;

use super::is_hidden;
use crate::resource::Tags;

/// Adds a setting to a section, if it has a value.
pub fn line(section: &mut String, key: &str, value: Option<String>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = writeln!(section, "{key} = {value}");
    }
}

/// Returns tags as an inline table.
pub fn tags(tags: &Tags) -> String {
    if tags.is_empty() {
        return String::from("{}");
    }
    let pairs: Vec<String> = tags.iter().map(|(key, value)| format!("{} = {}", bare(key), quoted(value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// Returns a text as a TOML string.
pub fn quoted(text: &str) -> String {
    // A manifest with hidden characters would not be read back.
    if text.chars().any(is_hidden) {
        return basic(text);
    }
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns a key as it may stand in a header: bare where TOML allows that.
pub fn bare(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(plain) { key.to_owned() } else { basic(key) }
}

/// Returns a string on one line, with an escape for each hidden character. A key cannot be a multi-line string, which is how
/// `toml` writes a value with a line break.
fn basic(key: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in key.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            hidden if is_hidden(hidden) => {
                let _ = match u32::from(hidden) {
                    code @ ..0x1_0000 => write!(quoted, "\\u{code:04X}"),
                    code => write!(quoted, "\\U{code:08X}"),
                };
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
