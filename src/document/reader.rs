use std::ops::Range;
use std::sync::Arc;

use strum::VariantArray;

use super::{Node, Value};
use crate::diagnostic::{Fault, Faults, RelatedSpan, Source};
use crate::resource::Invalid;

/// A key, its value, and their spans.
#[derive(Debug, Clone, Eq)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub node: Node,
}

impl PartialEq for Entry {
    /// Compares keys and values and ignores spans.
    fn eq(&self, other: &Self) -> bool {
        (&self.key, &self.node) == (&other.key, &other.node)
    }
}

/// Decodes the nodes of one text. An invalid node becomes a fault and reads as `None`.
#[derive(Debug)]
pub struct Reader<'a> {
    source: Arc<Source>,
    language: Language,
    faults: &'a mut Faults,
}

impl<'a> Reader<'a> {
    /// The name of the whole manifest in messages.
    pub const ROOT: &'static str = "the manifest";

    /// Returns a reader of a TOML text that records into `faults`.
    pub fn new(source: &Arc<Source>, faults: &'a mut Faults) -> Self {
        Self { source: Arc::clone(source), language: Language::Toml, faults }
    }

    /// Returns a reader of a YAML text that records into `faults`.
    pub fn yaml(source: &Arc<Source>, faults: &'a mut Faults) -> Self {
        Self { source: Arc::clone(source), language: Language::Yaml, faults }
    }

    /// Records a fault at the given bytes.
    pub fn fault(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into()).filter(|help| !help.is_empty());
        let source = Arc::clone(&self.source);
        self.faults.push(Fault {
            source,
            span,
            message: message.into(),
            label: label.into(),
            help,
            code: None,
            related: None,
        });
    }

    /// Records a fault that suppresses later faults of the same text, since they would only follow from it.
    pub fn sole_fault(&mut self, span: Range<usize>, invalid: Invalid, label: &str) {
        self.fault(span, invalid.problem, label, invalid.help);
        self.faults.suppress_last();
    }

    /// Records a fault that refers to two locations.
    pub fn twice(&mut self, first: Range<usize>, second: Range<usize>, message: String, help: &str) {
        let source = Arc::clone(&self.source);
        let related =
            Box::new(RelatedSpan { source: Arc::clone(&source), span: first, label: String::from("first here") });
        self.faults.push(Fault {
            source,
            span: second,
            message,
            label: String::from("again here"),
            help: Some(help.to_owned()),
            code: None,
            related: Some(related),
        });
    }

    /// Keeps a secret value out of all messages.
    pub fn conceal(&mut self, node: &Node) {
        self.source.conceal(node.span.clone());
    }

    /// Sets the code of the last recorded fault.
    pub fn coded(&mut self, code: &'static str) {
        self.faults.code_last(code);
    }

    /// Records a value of the wrong type. `what` names it as in `quoted`.
    pub fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        self.wrong_type_with_help(node, what, expected, "");
    }

    fn wrong_type_with_help(&mut self, node: &Node, what: &str, expected: &str, help: &str) {
        let found = match node.value {
            Value::Integer(number) if expected.starts_with("an integer") => number.to_string(),
            Value::Map(_) => self.language.map().to_owned(),
            _ => node.value.kind().to_owned(),
        };
        let message = format!("{} must be {expected}, not {found}", quoted(what));
        self.fault(node.span.clone(), message, format!("expected {expected}"), help);
    }

    /// Reads a map. `what` names it in messages, as in `quoted`.
    pub fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        if let Value::Map(entries) = &node.value {
            return Some(Fields { what: what.to_owned(), span: node.span.clone(), entries, asked: Vec::new() });
        }
        let is_list_of_maps = matches!(&node.value, Value::List(items) if items.iter().all(|item| item.value.is_map()));
        let help = match self.language {
            Language::Yaml => String::from("write KEY: VALUE"),
            Language::Toml if is_list_of_maps => format!("write a header with single brackets, such as [{what}.NAME]"),
            Language::Toml => String::from("write { KEY = VALUE }"),
        };
        self.wrong_type_with_help(node, what, self.language.map(), &help);
        None
    }

    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        let help = match self.language {
            Language::Yaml => "start each item with \"- \"",
            Language::Toml => "write [VALUE], also for one value",
        };
        self.wrong_type_with_help(node, what, "a list", help);
        None
    }

    pub fn string(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::String(text) => return Some(text.clone()),
            Value::Integer(_) | Value::Bool(_) | Value::Other(_) => {
                let written = self.source.text.get(node.span.clone()).unwrap_or_default().to_owned();
                let message = format!("{} must be a string, not {}", quoted(what), node.value.kind());
                self.fault(node.span.clone(), message, "expected a string", format!("quote it: \"{written}\""));
            }
            _ => self.wrong_type(node, what, "a string"),
        }
        None
    }

    pub fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        let help = if matches!(node.value, Value::String(_)) { "write true or false without quotes" } else { "" };
        self.wrong_type_with_help(node, what, "true or false", help);
        None
    }

    /// Reads a whole number of at least 1.
    pub fn count(&mut self, node: &Node, what: &str) -> Option<i64> {
        match node.value {
            Value::Integer(number) if number >= 1 => Some(number),
            _ => {
                let help = if matches!(node.value, Value::String(_)) { "write the number without quotes" } else { "" };
                self.wrong_type_with_help(node, what, "an integer of at least 1", help);
                None
            }
        }
    }

    /// Reads a string with a fixed set of values.
    pub fn choice<T: Copy>(&mut self, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(node, what)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let help = match (words.as_slice(), closest(&text, &words)) {
            ([only], _) => format!("write \"{only}\""),
            (_, Some(word)) => format!("did you mean \"{word}\"? Write one of: {}", words.join(", ")),
            (_, None) => format!("write one of: {}", words.join(", ")),
        };
        let message = format!("{} cannot be \"{text}\"", quoted(what));
        self.fault(node.span.clone(), message, "not one of the choices", help);
        None
    }

    /// Reads a variant of an enum by its name.
    pub fn variant<T: VariantArray + Copy + Into<&'static str>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let choices: Vec<(&str, T)> = T::VARIANTS.iter().map(|one| ((*one).into(), *one)).collect();
        self.choice(node, what, &choices)
    }

    /// Checks a string with a rule that returns an error, and returns the string if it is valid.
    pub fn checked(
        &mut self,
        node: &Node,
        what: &str,
        rule: impl FnOnce(&str) -> Result<(), Invalid>,
    ) -> Option<String> {
        let text = self.string(node, what)?;
        match rule(&text) {
            Ok(()) => Some(text),
            Err(invalid) => {
                self.fault(node.span.clone(), invalid.problem, "not allowed here", invalid.help);
                None
            }
        }
    }
}

/// The language of the text that a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Toml,
    Yaml,
}

impl Language {
    /// Returns the language's name for a map, with its article.
    fn map(self) -> &'static str {
        match self {
            Self::Toml => "a table",
            Self::Yaml => "a mapping",
        }
    }
}

/// Returns the name of a value for a message: a key or a path of keys in backticks, and a phrase such as "the rule" unchanged.
fn quoted(what: &str) -> String {
    if what.starts_with("the ") { what.to_owned() } else { format!("`{what}`") }
}

/// A map being read. It records which keys were read, so the others are reported as unknown.
#[derive(Debug)]
pub struct Fields<'n> {
    what: String,
    span: Range<usize>,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Returns the fields of these entries.
    pub fn of(entries: &'n [Entry]) -> Self {
        Self { what: String::new(), span: 0..0, entries, asked: Vec::new() }
    }

    /// Returns the entry with this name, if there is one.
    pub fn get(&mut self, name: &'static str) -> Option<&'n Entry> {
        // Several readers may read the same key.
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Returns the entry with this name; a missing entry is a fault.
    pub fn required(&mut self, reader: &mut Reader<'_>, name: &'static str, help: &str) -> Option<&'n Entry> {
        let found = self.get(name);
        if found.is_none() {
            let message = format!("{} has no `{name}`", quoted(&self.what));
            reader.fault(self.span.clone(), message, format!("`{name}` is missing"), help);
        }
        found
    }

    /// Returns every entry in the order of the text, for maps with user-defined keys.
    pub fn all(&self) -> &'n [Entry] {
        self.entries
    }

    /// Records a fault for each key that was not read.
    pub fn finish(self, reader: &mut Reader<'_>) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let help = closest(&entry.key, &self.asked).map_or_else(
                || format!("valid keys are: {}", self.asked.join(", ")),
                |name| format!("did you mean `{name}`? Valid keys are: {}", self.asked.join(", ")),
            );
            let what = match self.what.as_str() {
                // The name of its file.
                Reader::ROOT => format!("`{}`", reader.source.place(entry.key_span.start).0),
                what => quoted(what),
            };
            let message = format!("unknown key `{}` in {what}", entry.key);
            reader.fault(entry.key_span.clone(), message, "unknown key", help);
        }
    }
}

/// Returns the known word that is most similar to the written one, if any is similar.
pub fn closest<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let likeness = |word: &str| {
        let (written, word) = (written.to_lowercase(), word.to_lowercase());
        // In a short word, two swapped letters are a large distance but most likely a typo.
        let slip = written.chars().count() > 2 && strsim::osa_distance(&written, &word) == 1;
        strsim::jaro_winkler(&written, &word).max(if slip { 0.9 } else { 0.0 })
    };
    words
        .iter()
        .map(|word| (likeness(word), *word))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, word)| word)
}
