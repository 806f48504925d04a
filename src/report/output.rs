//! The output of a command in every format.

use super::applied::{self, AppliedTotal};
use super::detail::Detail;
use super::markdown::Part as PlanPart;
use super::status::{self, Status};
pub use super::total::InSync;
use super::total::{Sums, Total, is_unfinished};
use super::{github, html, json, markdown, text};
use crate::cli::Format;
use crate::error::Error;
use crate::reconcile::{ApplyReport, Plan};
use crate::review::Review;

/// The output of a command: a part for each target, or one part without a name.
#[derive(Debug)]
pub struct Shown<'a> {
    pub command: &'a str,
    /// The first lines of the text format.
    pub preface: Option<String>,
    /// Additional fields of the JSON document.
    pub extra: Vec<(&'static str, serde_json::Value)>,
    pub parts: Vec<Part<'a>>,
    /// Which resources of plans are listed.
    pub detail: Detail,
}

/// The output for one target.
#[derive(Debug)]
pub struct Part<'a> {
    pub name: Option<&'a str>,
    /// The position of the target in the manifest, if it is known.
    pub index: Option<usize>,
    pub body: Result<Body<'a>, &'a Error>,
}

/// The content of a part.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Plan(&'a Plan, &'a Review),
    /// A plan, and the result of its apply.
    Applied(&'a Plan, &'a Review, &'a ApplyReport),
    Status(&'a Status),
    /// One of several targets that is in sync. Its plan is not kept, to save memory.
    Settled(InSync),
}

impl<'a> Part<'a> {
    fn plan(&self) -> Option<PlanPart<'a>> {
        match self.body {
            Ok(Body::Plan(plan, review)) => Some((self.name, Ok((plan, review)))),
            Ok(Body::Status(_) | Body::Applied(..) | Body::Settled(_)) => None,
            Err(error) => Some((self.name, Err(error))),
        }
    }

    fn status(&self) -> Option<(Option<&'a str>, Result<&'a Status, &'a Error>)> {
        match self.body {
            Ok(Body::Status(status)) => Some((self.name, Ok(status))),
            Ok(Body::Plan(..) | Body::Applied(..) | Body::Settled(_)) => None,
            Err(error) => Some((self.name, Err(error))),
        }
    }
}

impl Shown<'_> {
    /// Returns the output in a format. `width` is the number of columns for text.
    ///
    /// # Errors
    ///
    /// Fails when a part of it cannot be written as JSON.
    pub fn render(&self, format: Format, width: Option<usize>) -> Result<String, Error> {
        Ok(match format {
            Format::Text => self.text(width),
            Format::Json => json::text(&self.json()?),
            Format::Markdown => {
                let sums = self.total().map(|total| markdown::total(&total, &self.in_sync())).unwrap_or_default();
                if self.is_apply() {
                    return Ok(markdown::applied(&self.applied()) + &sums);
                }
                self.split(|plans| markdown::plans(self.command, plans, self.detail), markdown::status) + &sums
            }
            Format::Html => {
                let sums = self.total().map(|total| html::total(&total, &self.in_sync())).unwrap_or_default();
                if self.is_apply() {
                    return Ok(html::applied(&self.applied(), &sums));
                }
                self.split(
                    |plans| html::plans(self.command, plans, self.detail, &sums),
                    |status| html::status(status, &sums),
                )
            }
            Format::Github => self.annotations(),
        })
    }

    /// Returns the annotations, as workflow commands.
    pub fn annotations(&self) -> String {
        let total = self.total().map(|total| github::total(&total)).unwrap_or_default();
        if self.is_apply() {
            let failed = self.unsettled().filter_map(|part| Some((part.name, part.body.as_ref().err()?)));
            return github::plans(&failed.map(|(name, error)| (name, Err(*error))).collect::<Vec<_>>()) + &total;
        }
        self.split(github::plans, github::status) + &total
    }

    fn is_apply(&self) -> bool {
        self.command == "apply"
    }

    /// Returns the result of the apply at each target, as text.
    fn applied(&self) -> Vec<(Option<&str>, String)> {
        let text = |part: &Part<'_>| match &part.body {
            Ok(Body::Applied(plan, _, report)) => applied::text(plan, report),
            Err(error) => text::error(error),
            Ok(Body::Plan(..) | Body::Status(_) | Body::Settled(_)) => String::new(),
        };
        self.unsettled().map(|part| (part.name, super::for_file(&text(part)))).collect()
    }

    /// Returns the targets that are in sync, if there are several targets.
    fn in_sync(&self) -> Vec<(&str, InSync)> {
        self.parts.iter().filter_map(|part| Some((part.name?, self.settled(part)?))).collect()
    }

    fn text(&self, width: Option<usize>) -> String {
        let mut all = self.preface.clone().unwrap_or_default();
        for part in &self.parts {
            if let (Some(name), Some(settled)) = (part.name, self.settled(part)) {
                let description = if self.is_apply() { String::from("nothing to do") } else { settled.to_string() };
                all.push_str(&text::in_one_line(name, &description));
                continue;
            }
            if let (Some(name), Err(error)) = (part.name, &part.body)
                && is_unfinished(error)
                && self.parts.len() > 1
            {
                all.push_str(&text::in_one_line(name, "not finished in the time that --timeout gives"));
                continue;
            }
            let body = match &part.body {
                Ok(Body::Plan(plan, review)) => text::plan(plan, review, self.detail, width),
                Ok(Body::Applied(plan, _, report)) => applied::text(plan, report),
                Ok(Body::Status(status)) => status::render(status),
                Ok(Body::Settled(settled)) => format!("{settled}\n"),
                Err(error) => text::error(error),
            };
            all.push_str(&part.name.map_or(body.clone(), |name| text::grouped(name, &body)));
        }
        if let Some(total) = self.total() {
            all.push_str(&text::total(&total));
        }
        all
    }

    /// Returns the sums over all targets, if there are several.
    fn total(&self) -> Option<Sums> {
        if self.parts.len() == 1 { None } else { Some(self.sums()) }
    }

    fn sums(&self) -> Sums {
        match self.is_apply() {
            true => Sums::Applied(AppliedTotal::of(&self.parts)),
            false => Sums::Read(Total::of(&self.parts)),
        }
    }

    /// Returns the counts of one of several targets if all of it is in sync: such a target is one line.
    fn settled(&self, part: &Part<'_>) -> Option<InSync> {
        if self.parts.len() < 2 || self.detail == Detail::All {
            return None;
        }
        part.body.as_ref().ok().and_then(Body::settled)
    }

    fn json(&self) -> json::Document {
        let mut document = self.body()?;
        for (name, value) in &self.extra {
            document[*name] = value.clone();
        }
        Ok(document)
    }

    fn body(&self) -> json::Document {
        let body = |part: &Part<'_>| match &part.body {
            Ok(Body::Plan(plan, review)) => json::plan_part(plan, review),
            Ok(Body::Applied(plan, review, report)) => json::applied_part(plan, review, report),
            Ok(Body::Status(status)) => json::value(status),
            // `Context::keep` keeps the plans if any format is JSON.
            Ok(Body::Settled(settled)) => json::value(serde_json::json!({ "in_sync": settled.resources })),
            Err(error) => Ok(json::error_part(error)),
        };
        match self.parts.as_slice() {
            [part] if part.name.is_none() => json::document(self.command, body(part)?),
            parts => {
                let targets = parts.iter().map(|part| json::target(part.name, part.index, body(part)));
                json::with_total(json::targets(self.command, targets), &self.sums())
            }
        }
    }

    /// Returns the output of `status` for a command that shows a status, otherwise that of `plans`.
    fn split(
        &self,
        plans: impl FnOnce(&[PlanPart<'_>]) -> String,
        status: impl FnOnce(&[(Option<&str>, Result<&Status, &Error>)]) -> String,
    ) -> String {
        if self.command.ends_with("status") {
            status(&self.unsettled().filter_map(Part::status).collect::<Vec<_>>())
        } else {
            plans(&self.unsettled().filter_map(Part::plan).collect::<Vec<_>>())
        }
    }

    /// Returns the parts that need more than one line.
    fn unsettled(&self) -> impl Iterator<Item = &Part<'_>> {
        self.parts.iter().filter(|part| self.settled(part).is_none())
    }

    /// Returns the log of a workflow: the text, in which the runner executes no command, then the annotations.
    pub fn workflow_log(&self, token: &str) -> String {
        github::quoted(&super::for_file(&self.text(None)), token) + &self.annotations()
    }
}
