//! A located tree that both TOML and YAML are read into, and the reader that decodes it.
//!
//! The decoder is written by hand instead of with `serde`, because it reports every fault of a text and `serde` stops at the first.

mod conceal;
mod folder;
pub mod format;
mod hidden;
mod include;
mod plain;
mod reader;
mod syntax;
mod variables;
pub mod write;

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::diagnostic::{Fault, Faults, Source};

pub use conceal::conceal;
pub use folder::{FileRole, Folder, GivenFile, cases_file};
pub use hidden::{CODE as HIDDEN, check_identifier, check_label, is_hidden};
pub use plain::CODE as NOT_PLAIN;
pub use reader::{Entry, Fields, Reader, closest};
pub use variables::Variables;

use syntax::Problem;

/// A value and its span.
#[derive(Debug, Clone, Eq)]
pub struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

impl PartialEq for Node {
    /// Compares values and ignores spans.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// The types of values, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A float or a date: no setting accepts one, so only its type name is kept.
    Other(&'static str),
    String(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// Returns whether the value is a map.
    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// Returns the value's type in words, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Other(kind) => kind,
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

/// Reads TOML. Every syntax error and every hidden character becomes a fault, and the rest is returned.
pub fn from_toml(source: &Arc<Source>, faults: &mut Faults) -> Node {
    from_toml_at(0, source, faults)
}

/// The same for a text that is a part of another text; `begins` is its offset, which spans include.
pub fn from_toml_at(begins: usize, source: &Arc<Source>, faults: &mut Faults) -> Node {
    let before = faults.len();
    hidden::check(source, faults);
    let (table, errors) = toml::de::DeTable::parse_recoverable(&source.text);
    if !errors.is_empty()
        && let Some((span, Problem { message, help })) = syntax::other_language(&source.text)
    {
        faults.push(syntax_fault(source, span.clone(), message, help));
        return Node { span: moved(span, begins), value: Value::Map(Vec::new()) };
    }
    // A hidden character is usually a syntax error too, and is reported once.
    let known = faults.len() > before;
    let headless = syntax::keys_without_header(&source.text, &errors);
    for error in errors.into_iter().filter(|_| !known) {
        let span = error.span().unwrap_or(0..0);
        // The span of a wrong character can be empty.
        let end = if span.is_empty() { span.start + 1 } else { span.end };
        let text = source.text.get(span.start..end).unwrap_or_default();
        let Problem { message, help } = syntax::of_toml(error.message().trim(), text);
        faults.push(syntax_fault(source, span, format!("invalid TOML: {message}"), help));
    }
    let mut value = toml_map(table.get_ref(), begins);
    remove_keys(&mut value, &headless.into_iter().map(|span| moved(span, begins)).collect::<Vec<_>>());
    Node { span: moved(table.span(), begins), value }
}

/// Removes the keys in the given spans of the text.
fn remove_keys(value: &mut Value, spans: &[Range<usize>]) {
    match value {
        Value::Map(entries) => {
            entries.retain(|entry| !spans.iter().any(|span| span.contains(&entry.key_span.start)));
            for entry in entries {
                remove_keys(&mut entry.node.value, spans);
            }
        }
        Value::List(items) => {
            for item in items {
                remove_keys(&mut item.value, spans);
            }
        }
        _ => {}
    }
}

fn syntax_fault(source: &Arc<Source>, span: Range<usize>, message: String, help: Option<&str>) -> Fault {
    Fault {
        source: Arc::clone(source),
        span,
        message,
        label: String::from("here"),
        help: help.map(str::to_owned),
        code: None,
        related: None,
    }
}

fn moved(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

fn toml_map(table: &toml::de::DeTable<'_>, begins: usize) -> Value {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        key_span: moved(key.span(), begins),
        node: Node { span: moved(value.span(), begins), value: toml_value(value.get_ref(), begins) },
    });
    Value::Map(entries.collect())
}

fn toml_value(value: &toml::de::DeValue<'_>, begins: usize) -> Value {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or(Value::Other("an integer out of range"), Value::Integer),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node { span: moved(item.span(), begins), value: toml_value(item.get_ref(), begins) })
                .collect(),
        ),
        DeValue::Table(table) => toml_map(table, begins),
    }
}

/// Reads one YAML document. A syntax error or a construct that can mean something other than it shows becomes a fault, and then nothing is
/// returned.
///
/// Booleans are YAML 1.2's (`true`, `false`), a repeated key is an error, and the parser's own budget bounds aliases.
pub fn from_yaml(source: &Arc<Source>, faults: &mut Faults) -> Option<Node> {
    let before = faults.len();
    hidden::check(source, faults);
    let stopped = plain::check(source, faults);
    let root = decode(source, faults, before);
    if faults.len() == before
        && let Some(stopped) = stopped
    {
        faults.push(stopped);
    }
    root.filter(|_| faults.len() == before)
}

/// Decodes one YAML document. A syntax error becomes a fault unless there are other faults, which are the likely cause.
fn decode(source: &Arc<Source>, faults: &mut Faults, before: usize) -> Option<Node> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
    };
    match serde_saphyr::from_str_with_options::<Spanned<YamlValue>>(&source.text, options) {
        Ok(root) => Some(yaml_node(root, &source.text)),
        Err(_) if faults.len() > before => None,
        Err(error) => {
            if let Some((span, Problem { message, help })) = syntax::merge_conflict(&source.text) {
                faults.push(syntax_fault(source, span, message, help));
                return None;
            }
            let error = error.without_snippet();
            let span = error.location().map_or(0..0, |location| byte_span(location, &source.text));
            let text = error.to_string();
            // The marked line shows the location, so the message does not repeat it.
            let text = text.split(" at line ").next().unwrap_or(&text);
            let text = text.strip_prefix("error: ").unwrap_or(text);
            // The library's advice is for its callers, not for users.
            let text = text.split(", set DuplicateKeyPolicy").next().unwrap_or(text);
            let text =
                text.split_once(": ").filter(|(head, _)| head.starts_with("line ")).map_or(text, |(_, rest)| rest);
            let Problem { message, help } = syntax::of_yaml(text.lines().next().unwrap_or_default().trim());
            faults.push(syntax_fault(source, span, format!("invalid YAML: {message}"), help));
            None
        }
    }
}

enum YamlValue {
    Null,
    Bool(bool),
    Integer(i64),
    Other(&'static str),
    String(String),
    List(Vec<Spanned<YamlValue>>),
    Map(Vec<(Spanned<String>, Spanned<YamlValue>)>),
}

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = YamlValue;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a YAML value")
            }
            fn visit_unit<E>(self) -> Result<YamlValue, E> {
                Ok(YamlValue::Null)
            }
            fn visit_none<E>(self) -> Result<YamlValue, E> {
                Ok(YamlValue::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<YamlValue, D::Error> {
                inner.deserialize_any(Self)
            }
            fn visit_bool<E>(self, flag: bool) -> Result<YamlValue, E> {
                Ok(YamlValue::Bool(flag))
            }
            fn visit_i64<E>(self, number: i64) -> Result<YamlValue, E> {
                Ok(YamlValue::Integer(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<YamlValue, E> {
                Ok(i64::try_from(number).map_or(YamlValue::Other("an integer out of range"), YamlValue::Integer))
            }
            fn visit_f64<E>(self, _: f64) -> Result<YamlValue, E> {
                Ok(YamlValue::Other("a float"))
            }
            fn visit_str<E>(self, text: &str) -> Result<YamlValue, E> {
                Ok(YamlValue::String(text.to_owned()))
            }
            fn visit_bytes<E>(self, _: &[u8]) -> Result<YamlValue, E> {
                Ok(YamlValue::Other("binary data"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlValue, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(YamlValue::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlValue, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(YamlValue::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn yaml_node(spanned: Spanned<YamlValue>, text: &str) -> Node {
    let span = byte_span(spanned.referenced, text);
    let value = match spanned.value {
        YamlValue::Null => Value::Null,
        YamlValue::Bool(flag) => Value::Bool(flag),
        YamlValue::Integer(number) => Value::Integer(number),
        YamlValue::Other(kind) => Value::Other(kind),
        YamlValue::String(text) => Value::String(text),
        YamlValue::List(items) => Value::List(items.into_iter().map(|item| yaml_node(item, text)).collect()),
        YamlValue::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_span: byte_span(key.referenced, text),
                    key: key.value,
                    node: yaml_node(value, text),
                })
                .collect(),
        ),
    };
    Node { span, value }
}

/// Returns the bytes of a YAML location. An empty location is extended to the rest of its line.
fn byte_span(location: serde_saphyr::Location, text: &str) -> Range<usize> {
    let span = location.span();
    let as_index = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let start = span
        .byte_offset()
        .map_or_else(|| text.char_indices().nth(as_index(span.offset())).map_or(text.len(), |(at, _)| at), as_index);
    let start = text.floor_char_boundary(start.min(text.len()));
    let length = as_index(span.byte_len().unwrap_or(span.len()));
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = if length == 0 { line_end } else { start.saturating_add(length).min(text.len()) };
    // A block's span extends to the next token: mark its first line only, without trailing white space.
    let end = text.floor_char_boundary(end.min(line_end).max(start));
    start..start + text[start..end].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_yaml(text: &str) -> (Option<Node>, Vec<Fault>) {
        let mut faults = Faults::default();
        let node = from_yaml(&Source::new("p.yaml", text), &mut faults);
        (node, faults.into_sorted())
    }

    #[test]
    fn yaml_keys_and_values_know_their_bytes() {
        let text = "version: \"1\"\nrules:\n  - name: x\n";
        let (node, faults) = read_yaml(text);
        assert!(faults.is_empty(), "{faults:?}");
        let Value::Map(entries) = node.unwrap().value else { panic!("not a map") };
        assert_eq!(&text[entries[0].key_span.clone()], "version");
        assert_eq!(&text[entries[0].node.span.clone()], "\"1\"");
        let Value::List(items) = &entries[1].node.value else { panic!("not a list") };
        assert_eq!(&text[items[0].span.clone()], "name: x");
    }

    #[test]
    fn yaml_spans_are_byte_offsets_after_multibyte_characters() {
        let text = "a: \"é…\"\nb: x\n";
        let (node, _) = read_yaml(text);
        let Value::Map(entries) = node.unwrap().value else { panic!("not a map") };
        assert_eq!(&text[entries[1].node.span.clone()], "x");
    }

    #[test]
    fn invalid_yaml_is_one_fault_with_its_line() {
        let (node, faults) = read_yaml("version: \"1\"\nrules: [\n");
        assert!(node.is_none());
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.starts_with("invalid YAML: "), "{}", faults[0].message);
    }

    #[test]
    fn a_repeated_yaml_key_is_a_fault() {
        let (node, faults) = read_yaml("version: \"1\"\nversion: \"1\"\n");
        assert!(node.is_none());
        assert_eq!(faults[0].source.line(faults[0].span.start), 2, "{faults:?}");
    }

    /// Returns each fault as `line: message`.
    fn faults_of(text: &str) -> Vec<String> {
        let (node, faults) = read_yaml(text);
        assert_eq!(node.is_none(), !faults.is_empty(), "{text:?}");
        faults.iter().map(|fault| format!("{}: {}", fault.source.line(fault.span.start), fault.message)).collect()
    }

    #[test]
    fn hidden_characters_are_faults_on_their_line() {
        for (text, expected) in [
            // The parser ends the comment at the carriage return; an editor and a diff do not.
            ("a: 1\n# note\r b: 2\nc: 3\n", "2: a carriage return without a line feed (U+000D)"),
            ("a: 1\r\nb: 2\r\r\n", "2: a carriage return without a line feed (U+000D)"),
            ("a: 1\rb: 2\r", "1: a carriage return without a line feed (U+000D)"),
            ("# a\u{85}b: 1\nc: 1\n", "1: a line break that only some programs show (U+0085)"),
            ("a: 1\n# a\u{2028}b: 1\n", "2: a line break that only some programs show (U+2028)"),
            ("a: [b,\u{2029}c]\n", "1: a line break that only some programs show (U+2029)"),
            ("a: 1 # \u{b}\n", "1: a control character (U+000B)"),
            ("a: \"\u{9b}2J\"\n", "1: a control character (U+009B)"),
            ("a: 1\n\0\n", "2: a control character (U+0000)"),
            ("a: \"x\u{61c}y\"\n", "1: a character that changes the direction of text (U+061C)"),
            ("# \u{202e}\na: 1\n", "1: a character that changes the direction of text (U+202E)"),
            ("a: al\u{200b}ice\n", "1: an invisible character (U+200B)"),
            ("a: 1\nb: \u{e0041}\n", "2: an invisible character (U+E0041)"),
            ("\u{feff}\u{feff}a: 1\n", "1: an invisible character (U+FEFF)"),
            ("a: 1\nb: x\u{feff}y\n", "2: an invisible character (U+FEFF)"),
        ] {
            assert_eq!(faults_of(text), [expected], "{text:?}");
        }
    }

    #[test]
    fn texts_in_any_language_are_accepted() {
        for text in [
            "a: 1\r\nb:\t2\r\n",
            "\u{feff}a: 1\n",
            "# Zürich – 安全 – سلام – 🏳️‍🌈 ⚠️ می‌خواهم\na: \"naïve\u{a0}: ok\"\n",
            "a: \"\\u202e\\r\"\n",
            "---\na: 1\n...\n# the end\n",
            "a: &who [alice]\nb: *who\n",
            "a: \"<<\"\nb: <<\nc: \"!!str\"\nd: \"%YAML\"\n",
        ] {
            assert_eq!(faults_of(text), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn yaml_with_a_hidden_meaning_is_a_fault() {
        for (text, expected) in [
            ("a: !!str 1\n", "1: the YAML tag `!!str`"),
            ("a: 1\nb: !not [x]\n", "2: the YAML tag `!not`"),
            ("a: ! x\n", "1: the YAML tag `!`"),
            ("a: !<tag:yaml.org,2002:str> x\n", "1: the YAML tag `!<tag:yaml.org,2002:str>`"),
            ("a: !!binary YWxpY2U=\n", "1: the YAML tag `!!binary`"),
            ("!policy\na: 1\n", "1: the YAML tag `!policy`"),
            ("!!str a: 1\n", "1: the YAML tag `!!str`"),
            ("a: &a !x {}\n", "1: the YAML tag `!x`"),
            ("a: &a { b: 1 }\nc:\n  <<: *a\n", "3: the YAML merge key `<<`"),
            ("{ <<: { b: 1 } }\n", "1: the YAML merge key `<<`"),
            ("? <<\n: { b: 1 }\n", "1: the YAML merge key `<<`"),
            ("a: [&m <<]\nb: { *m : { c: 1 } }\n", "2: a YAML alias as a key"),
            ("a: &x 1\nb: &x 2\nc: *x\n", "2: the YAML anchor `x` is defined twice"),
            ("a: &x 1\nb: &х 2\n", "2: the YAML anchor `х` is not ASCII"),
            ("a: 1\n---\nb: 2\n", "2: a second YAML document"),
            ("---\n---\na: 1\n", "2: a second YAML document"),
            ("%YAML 1.1\n---\na: 1\n", "1: a YAML directive"),
            ("%TAG ! tag:x,2000:\n---\na: 1\n", "1: a YAML directive"),
            ("a: 1\na: 2\n", "2: invalid YAML: the key `a` is defined twice"),
            ("a: 1\n\"\\x61\": 2\n", "2: invalid YAML: the key `a` is defined twice"),
            // Text after the end of the document is not parsed, so it is not allowed.
            ("a: 1\n...\n[[[ % x\n", "3: invalid YAML: a value that starts with `%`"),
        ] {
            assert_eq!(faults_of(text), [expected], "{text:?}");
        }
        assert_eq!(faults_of("a: !x 1\nb: !y 2\n# \u{200b}\n").len(), 3);
    }

    #[test]
    fn hidden_characters_are_faults_in_toml_too() {
        for (text, expected) in [
            ("# a\r[aws]\n", "a carriage return without a line feed (U+000D)"),
            ("a = 1 # \u{2028}b = 2\n", "a line break that only some programs show (U+2028)"),
            ("a = 1 # \u{85}b = 2\n", "a line break that only some programs show (U+0085)"),
            ("a = \"\u{202e}x\"\n", "a character that changes the direction of text (U+202E)"),
            ("a = 1 # \u{e0020}\n", "an invisible character (U+E0020)"),
        ] {
            let mut faults = Faults::default();
            from_toml(&Source::new("sentinel.toml", text), &mut faults);
            let faults = faults.into_sorted();
            assert_eq!(faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(), [expected], "{text:?}");
        }
    }

    #[test]
    fn nested_aliases_are_limited() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(",")));
        }
        let (node, faults) = read_yaml(&text);
        assert!(node.is_none());
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn invalid_toml_reports_each_error() {
        let source = Source::new("sentinel.toml", "[aws]\nregion = \n[profiles.dev]\npolicy = \"x\ntier = 1\n");
        let mut faults = Faults::default();
        from_toml(&source, &mut faults);
        assert!(faults.into_sorted().len() >= 2);
    }
}
