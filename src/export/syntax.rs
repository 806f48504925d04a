//! Files in the HashiCorp configuration language (HCL).
//!
//! External texts are written as quoted templates without interpolation, never as heredocs. Source: "HCL Native Syntax Specification" in
//! hashicorp/hcl.

use crate::kind::export::terraform::{Body, Expression, Item};

/// Adds a block with labels. The labels are generated names.
pub(super) fn block(text: &mut String, keyword: &str, labels: &[&str], body: &Body) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(keyword);
    for label in labels {
        text.push_str(&format!(" {}", quoted(label)));
    }
    write_body(text, body, 0);
}

fn write_body(text: &mut String, body: &Body, depth: usize) {
    if body.0.is_empty() {
        text.push_str(" {}\n");
        return;
    }
    text.push_str(" {\n");
    let indent = "  ".repeat(depth + 1);
    // As in `terraform fmt`: the equals signs of consecutive arguments are aligned.
    let mut index = 0;
    while index < body.0.len() {
        let run = body.0[index..].iter().take_while(|(_, item)| is_short(item)).count();
        let width = body.0[index..index + run].iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, item) in &body.0[index..index + run.max(1)] {
            match item {
                Item::Argument(value) => {
                    text.push_str(&format!("{indent}{name:width$} = "));
                    write_expression(text, value, depth + 1);
                    text.push('\n');
                }
                Item::Block(inner) => {
                    text.push_str(&format!("{indent}{name}"));
                    write_body(text, inner, depth + 1);
                }
            }
        }
        index += run.max(1);
    }
    text.push_str(&format!("{}}}\n", "  ".repeat(depth)));
}

/// Returns whether an item is an argument on one line.
fn is_short(item: &Item) -> bool {
    match item {
        Item::Argument(Expression::Map(entries)) => entries.is_empty(),
        Item::Argument(Expression::List(items)) => items.iter().all(|one| !matches!(one, Expression::Map(_))),
        Item::Argument(_) => true,
        Item::Block(_) => false,
    }
}

fn write_expression(text: &mut String, value: &Expression, depth: usize) {
    match value {
        Expression::Text(own) => text.push_str(&quoted(own)),
        Expression::Integer(number) => text.push_str(&number.to_string()),
        Expression::Number(number) => text.push_str(&number.to_string()),
        Expression::Bool(on) => text.push_str(&on.to_string()),
        Expression::Reference(path) => text.push_str(path),
        Expression::List(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { ", " });
                write_expression(text, item, depth);
            }
            text.push(']');
        }
        Expression::Map(entries) if entries.is_empty() => text.push_str("{}"),
        Expression::Map(entries) => {
            text.push_str("{\n");
            let names: Vec<String> = entries.iter().map(|(name, _)| quoted(name)).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
            for (name, (_, value)) in names.iter().zip(entries) {
                text.push_str(&format!("{}{name:width$} = ", "  ".repeat(depth + 1)));
                write_expression(text, value, depth + 1);
                text.push('\n');
            }
            text.push_str(&format!("{}}}", "  ".repeat(depth)));
        }
    }
}

/// Returns a quoted template that evaluates to the text. `${` and `%{` would start an interpolation, so their first character is written as
/// a Unicode escape, which is decoded after the template is parsed. The usual escape `$${` has another meaning after a `$`.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '$' | '%' if letters.peek() == Some(&'{') => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            // Control and formatting characters are escaped, because people review the file before they apply it.
            other if other.is_control() || is_format(other) => match u32::from(other) {
                code @ 0..=0xffff => quoted.push_str(&format!("\\u{code:04x}")),
                code => quoted.push_str(&format!("\\U{code:08x}")),
            },
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns whether a character changes the direction of text, or is invisible.
fn is_format(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use hcl::Expression as Parsed;
    use proptest::prelude::*;

    use super::*;

    /// Returns the text that an HCL parser reads from a quoted template.
    fn read(written: &str) -> String {
        match hcl::parse(&format!("a = {written}\n")).unwrap().attributes().next().unwrap().expr() {
            Parsed::String(text) => text.clone(),
            other => panic!("{written} is no plain text: {other:?}"),
        }
    }

    #[test]
    fn exported_text_is_not_interpolated() {
        for text in [
            "${a}",
            "$${a}",
            "$$${a}",
            "%{if x}",
            "%%{x}",
            "\"",
            "\\",
            "\\\"",
            "\n<<EOT\n",
            "\u{7}\u{202e}é😀",
            "${",
            "$",
            "%",
            "$ {",
        ] {
            let written = quoted(text);
            assert!(!written.contains("${") && !written.contains("%{"), "{written}");
            assert_eq!(read(&written), text, "{written}");
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_back(text in "[$%{}\"\\\\\n\u{0}-\u{1f}a-c\u{202e}é]{0,12}|\\PC{0,12}") {
            prop_assert_eq!(read(&quoted(&text)), text);
        }
    }

    #[test]
    fn a_body_is_formatted_like_terraform_fmt() {
        let mut inner = Body::new();
        inner.set("enabled", true);
        let mut body = Body::new();
        body.set("name", "t")
            .set("read_capacity", 5)
            .block("ttl", inner)
            .set("tags", Expression::Map(vec![(String::from("a b"), "c".into())]));
        let mut text = String::new();
        block(&mut text, "resource", &["aws_dynamodb_table", "t"], &body);
        insta::assert_snapshot!(text, @r#"
        resource "aws_dynamodb_table" "t" {
          name          = "t"
          read_capacity = 5
          ttl {
            enabled = true
          }
          tags = {
            "a b" = "c"
          }
        }
        "#);
    }
}
