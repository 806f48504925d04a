//! Faults in manifests and policies, with their lines marked.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::escape::in_place;
use super::escape_lines;
use crate::diagnostic::{Fault, Source};
use crate::policy::lint::Finding;
use crate::resource::secret::without_userinfo_in_place;

/// Returns a message for a marked line. It names a tab as such, because the marked line shows it as spaces.
fn describe(text: &str) -> String {
    escape_lines(text).replace('\t', "\\t")
}

/// Returns a lint's finding with its line marked.
pub(super) fn marked(source: &Source, finding: &Finding) -> String {
    let (title, path) = (describe(&finding.message), describe(&source.path));
    let help = describe(&finding.help);
    let end = finding.span.end.min(source.text.len());
    let span = finding.span.start.min(end)..end;
    let text = in_place(&source.shown());
    let snippet = Snippet::source(text.as_str()).path(path.as_str()).annotation(AnnotationKind::Primary.span(span));
    let group = Group::with_title(Level::WARNING.primary_title(title.as_str()).id(finding.code.code()))
        .element(snippet)
        .element(Level::HELP.message(help.as_str()));
    Renderer::styled().render(&[group]) + "\n\n"
}

/// Returns the faults as text, each with its marked line and its fix.
pub fn render(faults: &[Fault]) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for fault in faults {
        let title = describe(&fault.message);
        let label = describe(&fault.label);
        // The marks are byte offsets, so the displayed text must have the same offsets.
        let source = without_userinfo_in_place(&in_place(&fault.source.shown()));
        let end = fault.span.end.min(fault.source.text.len());
        let span = fault.span.start.min(end)..end;
        let path = describe(&fault.source.path);
        let snippet = Snippet::source(source.as_str())
            .path(path.as_str())
            .annotation(AnnotationKind::Primary.span(span).label(label.as_str()));
        let help = fault.help.as_ref().map(|help| describe(help));
        let title = Level::ERROR.primary_title(title.as_str());
        let title = if let Some(code) = fault.code { title.id(code) } else { title };
        let other = fault.related.as_ref().map(|related| {
            let source = without_userinfo_in_place(&in_place(&related.source.shown()));
            let end = related.span.end.min(related.source.text.len());
            (source, related.span.start.min(end)..end, describe(&related.source.path), describe(&related.label))
        });
        let mut group = Group::with_title(title).element(snippet);
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let mut groups = vec![group];
        // In one group, the second location would begin with `::`, which a workflow's runner interprets.
        if let Some((source, span, path, label)) = &other {
            let mark = AnnotationKind::Primary.span(span.clone());
            let snippet = Snippet::source(source.as_str()).path(path.as_str()).annotation(mark);
            groups.push(Group::with_title(Level::NOTE.secondary_title(label.as_str())).element(snippet));
        }
        text.push_str(&renderer.render(&groups));
        text.push_str("\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::escape::is_hidden;
    use super::super::without_color;
    use super::*;
    use crate::diagnostic::{Faults, RelatedSpan};
    use crate::{manifest, policy};

    /// Text similar enough to a manifest or a policy to be parsed beyond its first line.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("[aws]\n".to_owned()),
            Just("[tables.approvals]\n".to_owned()),
            Just("[profiles.\"é\u{7}\"]\n".to_owned()),
            Just("rules:\n  - name: x\n".to_owned()),
            Just("version: \"1\"\n".to_owned()),
            Just("    conditions: { time: { hours: [".to_owned()),
            Just("region = \"".to_owned()),
            Just("\u{1b}[31m\u{202e}\r\n".to_owned()),
            Just("é = '…'\n".to_owned()),
            Just("# \u{99}\u{9b}2J\u{ad}\u{7f}\u{200b}\n: ".to_owned()),
            Just("\t&a [*a, *b]\n".to_owned()),
            "\\PC{0,12}\n?",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
    }

    /// The width of a tab in a message depends on the terminal.
    #[test]
    fn what_a_message_quotes_is_shown_as_it_is_written() {
        let source = Source::new("x", "[aws]\nregion = f\0s\t\teas]\n");
        let mut faults = Faults::default();
        manifest::parse(&source, &mut faults);
        let rendered = without_color(&render(&faults.into_sorted()));
        assert!(!rendered.contains('\t') && rendered.contains("\\t\\teas"), "{rendered}");
    }

    /// Each of two locations begins with an arrow, which a workflow's runner does not interpret and is not escaped.
    #[test]
    fn a_fault_with_two_locations_shows_both() {
        let source = |path: &str| Source::new(path, "[tables.x]\n".to_owned());
        let mark = RelatedSpan { source: source("second.toml"), span: 1..9, label: "first here".to_owned() };
        let fault = Fault {
            source: source("first.toml"),
            span: 1..9,
            message: "`tables.x` is defined twice".to_owned(),
            label: "again here".to_owned(),
            help: None,
            code: None,
            related: Some(Box::new(mark)),
        };
        let shown = escape_lines(&without_color(&render(&[fault])));
        assert!(shown.contains("--> first.toml:1:2") && shown.contains("--> second.toml:1:2"), "{shown}");
        assert!(shown.contains("note: first here") && !shown.contains('\\'), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_or_rendering_panic(text in texts()) {
            let source = Source::new("x", text);
            let mut faults = Faults::default();
            manifest::parse(&source, &mut faults);
            policy::check(&source, &mut faults);
            let rendered = without_color(&render(&faults.into_sorted()));
            let obeyed = |letter: char| letter != '\n' && is_hidden(letter);
            prop_assert!(!rendered.contains(obeyed), "{rendered:?}");
        }
    }
}
