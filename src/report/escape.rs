//! Text from AWS is untrusted: it is made harmless here before it reaches a terminal or a pull request.

/// Returns the text on one line, with control and direction-changing characters shown as escapes.
pub fn escape(text: &str) -> String {
    text.chars().flat_map(|letter| harmless(letter, false)).collect()
}

/// Returns the text with its line breaks and tabs kept, and all else escaped.
pub fn escape_lines(text: &str) -> String {
    text.chars().flat_map(|letter| harmless(letter, true)).collect()
}

/// Returns a JSON text that means the same and has no control and direction-changing characters: a terminal is often where
/// it goes first. Such characters only stand in strings, where JSON has an escape for them.
pub fn escape_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter != '\n' && (letter.is_control() || is_deceiving(letter)) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Returns a text of the same bytes in number and place, with a stand-in for what a terminal would obey and the renderer of
/// marked lines lets through.
pub(super) fn in_place(text: &str) -> String {
    let stand_in = |letter: char| match letter.len_utf8() {
        _ if !letter.is_control() && !is_deceiving(letter) => letter,
        2 => '·',
        3 => '\u{fffd}',
        // What is left is ASCII, which the renderer shows as pictures.
        _ => letter,
    };
    text.chars().map(stand_in).collect()
}

/// Returns whether a character reorders or hides text, so that something other is shown than what is stored.
pub(super) fn is_deceiving(letter: char) -> bool {
    matches!(letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

fn harmless(letter: char, lines: bool) -> Vec<char> {
    let kept = lines && matches!(letter, '\n' | '\t');
    if (letter.is_control() && !kept) || is_deceiving(letter) {
        letter.escape_default().collect()
    } else {
        vec![letter]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_codes_and_reordering_are_shown_not_obeyed() {
        assert_eq!(escape("a\u{1b}[31mred\r\n\u{202e}x"), "a\\u{1b}[31mred\\r\\n\\u{202e}x");
        assert_eq!(escape_lines("one\n\ttwo\u{7}"), "one\n\ttwo\\u{7}");
        assert_eq!(escape("grüße – 安全"), "grüße – 安全");
    }

    #[test]
    fn a_json_text_means_the_same_without_them() {
        let value = serde_json::json!({ "a": "\u{1b}[31m\u{9b}\u{202e}\u{feff}\u{7f}\n é", "b": [1] });
        let text = escape_json(&serde_json::to_string_pretty(&value).unwrap_or_default());
        assert!(
            !text.contains(|letter: char| letter != '\n' && (letter.is_control() || is_deceiving(letter))),
            "{text:?}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }
}
