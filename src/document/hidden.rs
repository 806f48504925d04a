//! Characters that a viewer does not show, or shows differently from what a parser reads.
//!
//! A reviewer approves what a viewer shows. If the two can differ, the text is refused.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Fault, Faults, Source};
use crate::resource::Invalid;

/// The code of these faults in `sentinel explain`.
pub const CODE: &str = "L013";

/// Records a fault for the first hidden character of each line.
pub(super) fn check(source: &Arc<Source>, faults: &mut Faults) {
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        if let Some((span, message, help)) = first(line, start) {
            faults.push(Fault {
                source: Arc::clone(source),
                span: start + span.start..start + span.end,
                message,
                label: String::from("here"),
                help: Some(help.to_owned()),
                code: Some(CODE),
                related: None,
            });
        }
        start += line.len();
    }
}

/// Returns the location of the first hidden character in a line that starts at `start`, with its description and fix.
fn first(line: &str, start: usize) -> Option<(Range<usize>, String, &'static str)> {
    let body = line.strip_suffix("\r\n").or(line.strip_suffix('\n')).unwrap_or(line);
    body.char_indices().find_map(|(at, letter)| {
        let (what, help) = match letter {
            // A byte order mark at the start of a text declares the encoding.
            '\u{feff}' if start + at == 0 => return None,
            '\r' => (
                "a carriage return without a line feed",
                "parsers start a new line here, but many viewers do not: end each line with LF or CRLF",
            ),
            '\u{85}' | '\u{2028}' | '\u{2029}' => (
                "a line break that only some programs show",
                "viewers start a new line here, but the parser does not: end each line with LF or CRLF",
            ),
            '\t' => return None,
            letter if letter.is_control() => ("a control character", "remove it"),
            letter if is_direction(letter) => (
                "a character that changes the direction of text",
                "the text is displayed in another order than it is parsed: remove the character, or write it as an \
                 escape in a quoted string",
            ),
            letter if is_invisible(letter) && !joins(letter) => {
                ("an invisible character", "remove it, or write it as an escape in a quoted string")
            }
            _ => return None,
        };
        let message = format!("{what} (U+{:04X})", u32::from(letter));
        Some((at..at + letter.len_utf8(), message, help))
    })
}

/// Returns whether a character may occur in a text only as an escape, including line feed and tab.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') || is_invisible(letter)
}

/// Returns whether a character changes the direction of the text (Unicode Standard Annex 9, "Explicit directional formatting characters").
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether a character is invisible: the property Default_Ignorable_Code_Point (Unicode Character Database,
/// `DerivedCoreProperties.txt`), the interlinear annotations, and the blank Braille pattern.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a character only joins or varies its neighbors. Emoji and several scripts need these, so comments and reasons may
/// contain them.
fn joins(letter: char) -> bool {
    matches!(letter, '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}')
}

/// Checks a name that people read: it is not blank, and every character is visible in any form of escaping.
pub fn check_label(text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("this is blank", "write a text, or remove the key"));
    }
    match text.chars().find(|letter| is_hidden(*letter)) {
        Some(letter) => {
            let problem = format!("this name has an invisible character (U+{:04X})", u32::from(letter));
            Err(Invalid::new(problem, "people identify rules and users by name: remove the character"))
        }
        None => Ok(()),
    }
}

/// Checks the name of a user or profile. AWS names are ASCII, and other letters can look like those of another name.
pub fn check_identifier(text: &str) -> Result<(), Invalid> {
    check_label(text)?;
    match text.chars().find(|letter| !letter.is_ascii()) {
        Some(letter) => {
            let problem = format!("no such name can exist: it has \"{letter}\" (U+{:04X})", u32::from(letter));
            let help = "names of users and profiles are ASCII; letters of other alphabets can look the same, so type \
                 the name again";
            Err(Invalid::new(problem, help))
        }
        None => Ok(()),
    }
}
