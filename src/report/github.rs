//! Plans and status as GitHub Actions workflow commands: annotations at the lines of the manifest and policies.

use super::detail::Detail;
use super::escape;
use super::listed::Listed;
use super::sheet::{AttentionKind, Entry, Sheet, Tone};
use super::status::Status;
use super::total::Sums;
use crate::error::Error;
use crate::reconcile::{Orphans, Plan};
use crate::review::{Place, Review};

/// The maximum number of annotations of one level that GitHub shows for a step. Source: GitHub's documentation of the limits
/// of problem matchers, which apply to workflow commands too.
const MAX_ANNOTATIONS: usize = 10;

/// The level of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Notice,
}

/// One annotation.
#[derive(Debug)]
struct Annotation {
    level: Level,
    place: Option<Place>,
    title: String,
    message: String,
}

impl Annotation {
    fn line(&self) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let place = self.place.as_ref().map(|place| format!("file={},line={},", property(&place.path), place.line));
        let place = place.unwrap_or_default();
        format!("::{level} {place}title={}::{}\n", property(&self.title), data(&self.message))
    }
}

/// Returns text for a command's message: escaped, and encoded as GitHub decodes it.
fn data(text: &str) -> String {
    escape(text).replace('%', "%25")
}

/// Returns text for a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns the output with commands switched off for `text`: the runner executes none in it. `token` must be unknown to
/// everyone who wrote a part of the text.
pub(super) fn quoted(text: &str, token: &str) -> String {
    format!("::stop-commands::{token}\n{text}::{token}::\n")
}

/// Returns the annotations of plans, one for each target.
pub(super) fn plans(parts: &[super::markdown::Part<'_>]) -> String {
    let mut all = Vec::new();
    for (name, part) in parts {
        let of = name.map(|name| format!(" ({name})")).unwrap_or_default();
        match part {
            Ok((plan, review)) => all.extend(of_plan(plan, review, &of)),
            Err(error) => all.extend(of_error(error, &of)),
        }
    }
    lines(all)
}

/// Returns the sums over all targets.
pub(super) fn total(total: &Sums) -> String {
    let mut message = total.describe();
    total.lines().iter().for_each(|line| message.push_str(&format!("; {line}")));
    let level = if total.any_failed() { Level::Error } else { Level::Notice };
    Annotation { level, place: None, title: String::from("total"), message }.line()
}

/// Returns the annotations of an error: one for each fault, at its line.
fn of_error(error: &Error, of: &str) -> Vec<Annotation> {
    if let Error::Faults(faults) = error {
        let fault = |fault: &crate::diagnostic::Fault| {
            let place =
                Some(Place { path: fault.source.path.as_str().into(), line: fault.source.line(fault.span.start) });
            let help = fault.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            let (title, message) = (format!("fault{of}"), format!("{}{help}", fault.message));
            Annotation { level: Level::Error, place, title, message }
        };
        return faults.iter().map(fault).collect();
    }
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let title = format!("sentinel {}{of}", error.code());
    vec![Annotation { level: Level::Error, place: None, title, message: format!("{error}{hint}") }]
}

fn of_plan(plan: &Plan, review: &Review, of: &str) -> Vec<Annotation> {
    let sheet = Sheet::of(plan, review, Detail::Changes);
    let mut found = Vec::new();
    for one in &sheet.attention {
        let level = match one.what {
            AttentionKind::Refused => Level::Error,
            AttentionKind::Destructive
            | AttentionKind::Unknown
            | AttentionKind::Dependency
            | AttentionKind::CaseFails
            | AttentionKind::Unusual => Level::Warning,
        };
        let about = one.about.as_deref().unwrap_or("plan");
        let title = format!("{}: {about}{of}", one.what.word());
        found.push(Annotation { level, place: one.place.clone(), title, message: one.text.clone() });
    }
    for entry in sheet.entries() {
        for finding in entry.findings {
            let place = Some(Place { path: finding.path.as_str().into(), line: finding.line });
            let message = format!("{}; {}", finding.message, finding.help);
            let title = format!("{}{of}", finding.code.code());
            found.push(Annotation { level: Level::Warning, place, title, message });
        }
        if matches!(entry.tone, Tone::Create | Tone::Change | Tone::Delete) {
            found.push(change(entry, of));
        }
    }
    found.extend(orphans(&plan.orphans, of));
    found
}

fn orphans(orphans: &Orphans, of: &str) -> Vec<Annotation> {
    let Listed { title, names } = super::listed::orphans(orphans);
    let listed = (!names.is_empty()).then(|| format!("{title}: {}", names.join(", ")));
    let notice = |message| Annotation { level: Level::Notice, place: None, title: format!("orphans{of}"), message };
    listed.into_iter().chain(super::listed::orphan_notes(orphans)).map(notice).collect()
}

fn change(entry: &Entry<'_>, of: &str) -> Annotation {
    let mut words: Vec<String> = entry.means.iter().map(|meaning| meaning.text.clone()).collect();
    words
        .extend(entry.fields.iter().map(|field| format!("{}: {} -> {}", field.change.path, field.live, field.desired)));
    let said = if words.is_empty() { String::new() } else { format!(": {}", words.join("; ")) };
    Annotation {
        level: Level::Notice,
        place: entry.place.cloned(),
        title: format!("{}: {}{of}", entry.tone.word(), entry.resource.address),
        message: format!("{}{}{said}", entry.title, entry.text),
    }
}

/// Returns the annotations as lines: errors first, and of each level no more than GitHub shows.
fn lines(all: Vec<Annotation>) -> String {
    let mut text = String::new();
    for level in [Level::Error, Level::Warning, Level::Notice] {
        let of_level: Vec<&Annotation> = all.iter().filter(|one| one.level == level).collect();
        let fits = of_level.len() <= MAX_ANNOTATIONS;
        let shown = if fits { of_level.len() } else { MAX_ANNOTATIONS - 1 };
        of_level.iter().take(shown).for_each(|one| text.push_str(&one.line()));
        if !fits {
            let message = format!("{} more like this; see the complete plan", of_level.len() - shown);
            text.push_str(&Annotation { level, place: None, title: String::from("sentinel"), message }.line());
        }
    }
    text
}

/// Returns the annotations of a status.
pub(super) fn status(parts: &[(Option<&str>, Result<&Status, &Error>)]) -> String {
    let mut all = Vec::new();
    for (name, part) in parts {
        let of = name.map(|name| format!(" ({name})")).unwrap_or_default();
        match part {
            Err(error) => all.extend(of_error(error, &of)),
            Ok(status) => {
                all.extend(orphans(&status.orphans, &of));
                let notice = |title: String, message| Annotation { level: Level::Notice, place: None, title, message };
                all.extend(
                    status
                        .suggestions
                        .iter()
                        .map(|one| notice(format!("sentinel status{of}"), format!("{}: {}", one.message, one.command))),
                );
            }
        }
    }
    lines(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_starts_a_workflow_command() {
        let place = Some(Place { path: "a,b:c%.toml".into(), line: 3 });
        let message = String::from("one\n::error::two\r100%\u{1b}");
        let one = Annotation { level: Level::Notice, place, title: String::from("x::y,z"), message };
        let expected =
            "::notice file=a%2Cb%3Ac%25.toml,line=3,title=x%3A%3Ay%2Cz::one\\n::error::two\\r100%25\\u{1b}\n";
        assert_eq!(one.line(), expected);
    }

    #[test]
    fn annotations_of_each_level_are_limited() {
        let one = |level| Annotation { level, place: None, title: String::from("t"), message: String::from("m") };
        let all: Vec<Annotation> = (0..12)
            .map(|_| one(Level::Notice))
            .chain([one(Level::Error)])
            .chain((0..10).map(|_| one(Level::Warning)))
            .collect();
        let text = lines(all);
        let count = |head: &str| text.lines().filter(|line| line.starts_with(head)).count();
        assert_eq!((count("::error"), count("::warning"), count("::notice")), (1, 10, 10));
        assert!(text.ends_with("::notice title=sentinel::3 more like this; see the complete plan\n"), "{text}");
    }
}
