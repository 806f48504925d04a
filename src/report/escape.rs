//! Escapes text, all of which is untrusted, before it reaches a terminal, a document or the log of a workflow.
//!
//! [`escape`] and similar functions are for text within a message. [`guard`] is a second defense: [`super::Terminal`] and output
//! files use it for the complete output, in case a text was not escaped.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, PrependedConcatenationMark};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Returns the text on one line, with invisible characters and those that a terminal interprets as escapes.
pub fn escape(text: &str) -> String {
    escaped(text, &[])
}

/// The same with line breaks and tabs kept.
pub fn escape_lines(text: &str) -> String {
    escaped(text, &['\n', '\t'])
}

/// Returns an equivalent JSON text without anything that a terminal or a workflow's runner interprets. Such characters occur only in
/// strings, where JSON has escapes for them.
pub fn escape_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut units = [0; 2];
    for letter in text.chars() {
        let begins_command = letter == '[' && safe.ends_with("##");
        if (letter != '\n' && is_hidden(letter)) || begins_command {
            // A character outside of the Basic Multilingual Plane needs two escapes.
            letter.encode_utf16(&mut units).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Escapes a complete output, except for line breaks and this program's colors.
pub fn guard(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let plain = anstream::adapter::strip_str(line).to_string();
        if begins_command(&plain) {
            // A line can begin with colors.
            let place = line.find(':').unwrap_or(0);
            safe.push_str(&visible(&line[..place]));
            safe.push_str("\\u{3a}");
            safe.push_str(&visible(&line[(place + 1).min(line.len())..]));
        } else {
            safe.push_str(&visible(line));
        }
        safe.push_str(end);
    }
    safe
}

/// Escapes a script: only the characters that a terminal interprets.
pub(super) fn guard_script(text: &str) -> String {
    text.chars().flat_map(|letter| shown(letter, &['\n', '\t'])).collect()
}

/// Escapes a line, except for its colors.
fn visible(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    let mut rest = line;
    let mut hashes = 0;
    while let Some(letter) = rest.chars().next() {
        if let Some(color) = color(rest) {
            safe.push_str(color);
            rest = &rest[color.len()..];
            continue;
        }
        if letter == '[' && hashes >= 2 {
            safe.push_str("\\u{5b}");
        } else {
            safe.extend(shown(letter, &['\t']));
        }
        hashes = if letter == '#' { hashes + 1 } else { 0 };
        rest = &rest[letter.len_utf8()..];
    }
    safe
}

/// Returns the escape code for a color or weight at the beginning of a text, if there is one. The code for hidden text is not accepted.
fn color(text: &str) -> Option<&str> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    let sets =
        codes[end..].starts_with('m') && !codes[..end].split(';').any(|code| code.trim_start_matches('0') == "8");
    sets.then(|| &text[..end + "\u{1b}[m".len()])
}

/// Returns a text with the same byte offsets, with placeholders for characters that a terminal interprets and the renderer of
/// marked lines does not replace.
pub(super) fn in_place(text: &str) -> String {
    let stand_in = |letter: char| match letter.len_utf8() {
        _ if !is_hidden(letter) => letter,
        2 => '·',
        3 => '\u{fffd}',
        4 => '\u{1f784}',
        // The renderer replaces ASCII control characters itself.
        _ => letter,
    };
    text.chars().map(stand_in).collect()
}

/// Returns whether a terminal interprets a character or does not show it, so that the visible text would differ from the stored one.
///
/// These are control characters, line and paragraph separators, and Unicode's default-ignorable and format characters (such as
/// direction controls, tags and variation selectors), and the Braille pattern without dots, which is blank. The Arabic marks that
/// enclose a number are format characters too, but visible. Sources: Unicode Character Database, `DerivedCoreProperties.txt` and `PropList.txt`, by way of ICU4X.
pub(super) fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    let format =
        category == GeneralCategory::Format && !CodePointSetData::new::<PrependedConcatenationMark>().contains(letter);
    let breaks = matches!(
        category,
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    );
    letter == '\u{2800}' || format || breaks || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
}

/// Returns whether a workflow's runner interprets a line as a command. It ignores white space before `::`, and the older `##[` is a
/// command anywhere in a line. Source: `ActionCommand.cs` of actions/runner.
fn begins_command(line: &str) -> bool {
    line.trim_start().starts_with("::")
}

fn escaped(text: &str, kept: &[char]) -> String {
    let mut safe = String::with_capacity(text.len());
    // Only white space so far on this line. The text before this one is unknown: it may be empty, or end with a colon.
    let mut blank = true;
    for letter in text.chars() {
        if blank && letter == ':' {
            safe.push_str("\\u{3a}");
        } else {
            push(&mut safe, letter, kept);
        }
        blank = (blank && letter.is_whitespace()) || (letter == '\n' && kept.contains(&letter));
    }
    safe
}

/// Appends a character, escaped if necessary.
fn push(safe: &mut String, letter: char, kept: &[char]) {
    if letter == '[' && safe.ends_with("##") {
        safe.push_str("\\u{5b}");
    } else {
        safe.extend(shown(letter, kept));
    }
}

fn shown(letter: char, kept: &[char]) -> Vec<char> {
    match is_hidden(letter) && !kept.contains(&letter) {
        true if letter.is_ascii() => letter.escape_default().collect(),
        true => letter.escape_unicode().collect(),
        false => vec![letter],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_codes_and_reordering_are_shown_not_obeyed() {
        assert_eq!(escape("a\u{1b}[31mred\r\n\u{202e}x"), "a\\u{1b}[31mred\\r\\n\\u{202e}x");
        assert_eq!(escape_lines("one\n\ttwo\u{7}"), "one\n\ttwo\\u{7}");
        assert_eq!(escape("grüße – 安全 \u{0600}12"), "grüße – 安全 \u{0600}12");
    }

    #[test]
    fn invisible_characters_are_shown_as_escapes() {
        let ranges = [
            // Default_Ignorable_Code_Point of Unicode 17.
            '\u{ad}'..='\u{ad}',
            '\u{34f}'..='\u{34f}',
            '\u{61c}'..='\u{61c}',
            '\u{115f}'..='\u{1160}',
            '\u{17b4}'..='\u{17b5}',
            '\u{180b}'..='\u{180f}',
            '\u{200b}'..='\u{200f}',
            '\u{202a}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{3164}'..='\u{3164}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{ffa0}'..='\u{ffa0}',
            '\u{fff0}'..='\u{fff8}',
            '\u{1bca0}'..='\u{1bca3}',
            '\u{1d173}'..='\u{1d17a}',
            '\u{e0000}'..='\u{e0fff}',
            // Other format characters and separators.
            '\u{2028}'..='\u{2029}',
            '\u{fff9}'..='\u{fffb}',
            '\u{13430}'..='\u{1343f}',
            '\u{2800}'..='\u{2800}',
            '\u{80}'..='\u{9f}',
        ];
        for letter in ranges.into_iter().flatten() {
            let shown = format!("a\\u{{{:x}}}b", u32::from(letter));
            assert_eq!(escape(&format!("a{letter}b")), shown);
            assert_eq!(escape_lines(&format!("a{letter}b")), shown);
            assert_eq!(in_place(&letter.to_string()).len(), letter.len_utf8());
            assert!(!in_place(&letter.to_string()).contains(letter));
        }
    }

    #[test]
    fn texts_are_not_workflow_commands() {
        assert_eq!(escape("::error::x"), "\\u{3a}:error::x");
        assert_eq!(escape("  \t::error::x"), "  \\t\\u{3a}:error::x");
        assert_eq!(escape("a ::error::x ##[group]"), "a ::error::x ##\\u{5b}group]");
        assert_eq!(escape_lines("a\n ::error::x\n###[b"), "a\n \\u{3a}:error::x\n###\\u{5b}b");
        assert_eq!(escape_json("{ \"##[group]\": 1 }"), "{ \"##\\u005bgroup]\": 1 }");
    }

    #[test]
    fn escaping_json_preserves_its_meaning() {
        let value = serde_json::json!({ "a": "\u{1b}[31m\u{9b}\u{202e}\u{feff}\u{7f}\n é \u{e0041}##[x]", "b": [1] });
        let text = escape_json(&format!("{value:#}"));
        assert!(
            !text.contains(|letter: char| letter != '\n' && is_hidden(letter)) && !text.contains("##["),
            "{text:?}"
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }

    #[test]
    fn outputs_keep_colors_and_escape_everything_else() {
        let ours = super::super::paint(super::super::RED.bold(), "red") + "\n\tplain\n";
        assert_eq!(guard(&ours), ours);
        assert_eq!(
            guard("\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}2J\u{1b}[8mx\r"),
            "\\u{1b}]0;x\\u{7}\\u{1b}[2J\\u{9b}2J\\u{1b}[8mx\\r"
        );
        assert_eq!(guard("a\n \u{1b}[2m::error::x\n##[group]"), "a\n \u{1b}[2m\\u{3a}:error::x\n##\\u{5b}group]");
    }

    proptest! {
        #[test]
        fn the_guard_escapes_everything(text in "(\u{1b}|\\[|[0-9]|;|m|:|#|\n|\t| |\u{9b}|\u{e0041}|\\PC|.){0,40}") {
            let guarded = guard(&text);
            let plain = super::super::without_color(&guarded);
            for line in plain.lines() {
                prop_assert!(!begins_command(line) && !line.contains("##["), "{line:?}");
                prop_assert!(!line.contains(|letter| letter != '\t' && is_hidden(letter)), "{line:?}");
            }
            prop_assert_eq!(guard(&guarded), guarded);
        }
    }
}
