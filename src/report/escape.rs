//! Text from AWS is untrusted: it is made harmless here before it reaches a terminal or a pull request.

/// Returns the text on one line, with control and direction-changing characters shown as escapes.
pub fn escape(text: &str) -> String {
    text.chars().flat_map(|letter| harmless(letter, false)).collect()
}

/// Returns the text with its line breaks and tabs kept, and all else escaped.
pub fn escape_lines(text: &str) -> String {
    text.chars().flat_map(|letter| harmless(letter, true)).collect()
}

fn harmless(letter: char, lines: bool) -> Vec<char> {
    let kept = lines && matches!(letter, '\n' | '\t');
    // Characters that reorder or hide text let a diff show something other than what is stored.
    let deceiving = matches!(letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}');
    if (letter.is_control() && !kept) || deceiving { letter.escape_default().collect() } else { vec![letter] }
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
}
