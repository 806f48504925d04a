//! Writes TOML in a common style: one setting per line, and bare keys where TOML allows them.

use std::fmt::Write;

use toml_writer::{ToTomlKey, ToTomlValue, TomlKeyBuilder, TomlStringBuilder};

use super::{Node, Value, is_hidden};
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

pub fn list<T: AsRef<str>>(texts: &[T]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text.as_ref())).collect::<Vec<_>>().join(", "))
}

/// Returns a value on one line. A type that no manifest accepts is written as an empty string.
pub fn inline(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Other(_) => String::from("\"\""),
        Value::Bool(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) if entries.is_empty() => String::from("{}"),
        Value::Map(entries) => {
            let pairs = entries.iter().map(|entry| format!("{} = {}", bare(&entry.key), inline(&entry.node)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns a text as a TOML string.
pub fn quoted(text: &str) -> String {
    let string = TomlStringBuilder::new(text);
    // A manifest with hidden characters could not be read back.
    if text.chars().any(is_hidden) {
        return escaped(string.as_basic().to_toml_value());
    }
    string.as_default().to_toml_value()
}

/// Returns a text in double quotes, in a form that TOML and YAML have in common.
pub fn double_quoted(text: &str) -> String {
    escaped(serde_json::Value::from(text).to_string())
}

/// Returns a key for a header: bare where TOML allows that.
pub fn bare(key: &str) -> String {
    let key = TomlKeyBuilder::new(key);
    key.as_unquoted().map_or_else(|| escaped(key.as_basic().to_toml_key()), |bare| bare.to_toml_key())
}

/// Returns a basic string on one line, with an escape for each hidden character. TOML requires escapes only for control characters.
fn escaped(basic: String) -> String {
    let mut text = String::with_capacity(basic.len());
    for letter in basic.chars() {
        // Writing to a string cannot fail.
        let _ = match u32::from(letter) {
            _ if !is_hidden(letter) => write!(text, "{letter}"),
            code @ ..0x1_0000 => write!(text, "\\u{code:04X}"),
            code => write!(text, "\\U{code:08X}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_with_hidden_characters_are_written_on_one_line() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a \"word\""), "'a \"word\"'");
        assert_eq!(quoted("a\u{202e}\"\\\u{e0001}"), "\"a\\u202E\\\"\\\\\\U000E0001\"");
    }

    #[test]
    fn keys_are_bare_if_toml_allows_it() {
        assert_eq!(bare("a-b_C1"), "a-b_C1");
        assert_eq!(bare(""), "\"\"");
        assert_eq!(bare("a.b"), "\"a.b\"");
        assert_eq!(bare("é\n"), "\"é\\n\"");
        assert_eq!(bare("a\u{200b}\u{7}"), "\"a\\u200B\\u0007\"");
    }

    #[test]
    fn written_values_read_back() {
        for text in [
            "",
            "a",
            "a.b",
            "it's",
            "\"",
            "\\",
            "\\u0041",
            "\n",
            "\t\r",
            "\u{0}",
            "\u{feff}é\u{2028}",
            "'\"\\\u{202e}\u{e0001}",
        ] {
            let document = format!("{} = {}\n", bare(text), quoted(text));
            let read: toml::Table = toml::from_str(&document).unwrap();
            assert_eq!(read.get(text).and_then(toml::Value::as_str), Some(text), "{document}");
            assert!(document.lines().count() == 1 || !text.chars().any(is_hidden), "{document}");
        }
    }
}
