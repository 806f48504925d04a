//! Wraps messages at the width of a terminal.

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use super::without_color;

/// The label of a correction below a marked line.
const HELP: &str = "= help: ";

/// Wraps the lines of messages that are too long for a terminal, at spaces. Continuation lines are indented.
///
/// Commands stay on one line, so that they can be copied, and so do marked lines of a file.
pub(super) fn messages(text: &str, width: usize) -> String {
    // A very narrow column is harder to read than a line that is too long.
    let width = width.max(40);
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        message(line, width, &mut wrapped);
        wrapped.push_str(end);
    }
    wrapped
}

fn message(line: &str, width: usize, wrapped: &mut String) {
    let plain = without_color(line);
    if display_width(&plain) <= width || (is_whole(&plain) && !plain.contains(". Next: ")) {
        return wrapped.push_str(line);
    }
    if let Some((before, command)) = line.split_once(". Next: ") {
        message(&format!("{before}."), width, wrapped);
        return wrapped.push_str(&format!("\nNext: {command}"));
    }
    let indent = match plain.find(HELP) {
        Some(place) => place + HELP.len(),
        None => plain.len() - plain.trim_start().len() + 2,
    };
    let indent = " ".repeat(if indent > width / 2 { 4 } else { indent });
    // Names and ARNs are not broken, so that they can be copied.
    let options =
        Options::new(width).subsequent_indent(&indent).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    wrapped.push_str(&textwrap::wrap(line, options).join("\n"));
    // A question ends with a space before the answer.
    wrapped.push_str(&line[line.trim_end().len()..]);
}

/// Returns whether a line stays whole: a command, or a marked line of a file.
fn is_whole(plain: &str) -> bool {
    if plain.trim_start().starts_with(HELP) {
        return false;
    }
    let marked = plain.trim_start().trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start();
    let is_marked = ["|", "-->", ":::"].iter().any(|mark| marked.starts_with(mark));
    // In a sentence, the product is "Sentinel".
    is_marked || plain.contains(" sentinel ") || ["    ", "Next: "].iter().any(|start| plain.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::{RED, paint};
    use super::*;

    #[test]
    fn long_messages_wrap_at_words_and_continue_indented() {
        let head = paint(RED.bold(), "error[E301]:");
        let text = format!("{head} alice has no access to the profile prod\nhint: ask for it\n");
        let expected = format!("{head} alice has no access to the\n  profile prod\nhint: ask for it\n");
        assert_eq!(messages(&text, 40), expected);
        let question = "Is this question longer than the terminal is wide? [y/N] ";
        assert_eq!(messages(question, 40), "Is this question longer than the\n  terminal is wide? [y/N] ");
    }

    #[test]
    fn help_continues_below_its_text() {
        let text = " 1 | region = 1\n   = help: write a region such as us-east-1 between double quotes\n";
        let expected = " 1 | region = 1\n   = help: write a region such as\n           us-east-1 between double\n           quotes\n";
        assert_eq!(messages(text, 40), expected);
        // The number of a late line makes the margin wide.
        let text = "     = help: write a region such as us-east-1\n";
        assert_eq!(messages(text, 40), "     = help: write a region such as\n             us-east-1\n");
    }

    #[test]
    fn commands_and_marked_lines_stay_whole() {
        let command = "sentinel plan -f some/folder/sentinel.toml --region us-east-1";
        let arn = "arn:aws:iam::123456789012:user/a/very/long/path/to/alice";
        for line in [
            format!("    {command}\n"),
            format!("  {command}\n"),
            format!("Next: {command}\n"),
            format!("hint: create it with: {command} --local\n"),
            String::from("12 | users = [\"alice\", \"bob\", \"carol\", \"dave\"]\n"),
            String::from("   |          ^^^^^^^ the first of all the users that it names\n"),
            String::from("  --> some folder/with a very long name/in it/dev.yaml:12:10\n"),
            format!("{arn}\n"),
        ] {
            assert_eq!(messages(&line, 40), line);
        }
        let text = format!("Wrote sentinel.toml. Next: {command}\n");
        assert_eq!(messages(&text, 40), format!("Wrote sentinel.toml.\nNext: {command}\n"));
    }
}
