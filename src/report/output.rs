//! One pass in every format: what a terminal, a comment, an artifact and a script are fed from.

use super::markdown::Part as PlanPart;
use super::status::{self, Status};
use super::total::{Total, in_sync};
use super::{github, html, json, markdown, text};
use crate::cli::Format;
use crate::error::Error;
use crate::reconcile::Plan;
use crate::review::Review;

/// What a command has to show: a part for each target, or one without a name.
#[derive(Debug)]
pub struct Shown<'a> {
    pub command: &'a str,
    /// A line before it all, for people who read text.
    pub preface: Option<String>,
    /// What a document has beside the parts, each under its name.
    pub extra: Vec<(&'static str, serde_json::Value)>,
    pub parts: Vec<Part<'a>>,
}

/// What there is to show of one target.
#[derive(Debug)]
pub struct Part<'a> {
    pub name: Option<&'a str>,
    /// Where the target is among all of its manifest, if that is known.
    pub index: Option<usize>,
    pub body: Result<Body<'a>, &'a Error>,
}

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Plan(&'a Plan, &'a Review),
    Status(&'a Status),
    /// A target of several of which nothing is kept but how many resources it has: all are in sync.
    Settled(usize),
}

impl<'a> Part<'a> {
    fn plan(&self) -> Option<PlanPart<'a>> {
        match self.body {
            Ok(Body::Plan(plan, review)) => Some((self.name, Ok((plan, review)))),
            Ok(Body::Status(_) | Body::Settled(_)) => None,
            Err(error) => Some((self.name, Err(error))),
        }
    }

    fn status(&self) -> Option<(Option<&'a str>, Result<&'a Status, &'a Error>)> {
        match self.body {
            Ok(Body::Status(status)) => Some((self.name, Ok(status))),
            Ok(Body::Plan(..) | Body::Settled(_)) => None,
            Err(error) => Some((self.name, Err(error))),
        }
    }
}

impl Shown<'_> {
    /// Returns it in a format; `width` is that of the terminal a text is for.
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
                self.split(|plans| markdown::plans(self.command, plans), markdown::status) + &sums
            }
            Format::Html => {
                let sums = self.total().map(|total| html::total(&total, &self.in_sync())).unwrap_or_default();
                self.split(|plans| html::plans(self.command, plans, &sums), |status| html::status(status, &sums))
            }
            Format::Github => self.annotations(),
        })
    }

    /// Returns it as the commands of a workflow.
    pub fn annotations(&self) -> String {
        let total = self.total().map(|total| github::total(&total)).unwrap_or_default();
        self.split(github::plans, github::status) + &total
    }

    /// Returns the targets of several that are in sync, each with how many resources it has.
    fn in_sync(&self) -> Vec<(&str, usize)> {
        self.parts.iter().filter_map(|part| Some((part.name?, self.settled(part)?))).collect()
    }

    fn text(&self, width: Option<usize>) -> String {
        let mut all = self.preface.clone().unwrap_or_default();
        for part in &self.parts {
            if let (Some(name), Some(count)) = (part.name, self.settled(part)) {
                all.push_str(&text::in_one_line(name, &in_sync(count)));
                continue;
            }
            let body = match &part.body {
                Ok(Body::Plan(plan, review)) => text::plan(plan, review, width),
                Ok(Body::Status(status)) => status::render(status),
                Ok(Body::Settled(count)) => in_sync(*count) + "\n",
                Err(error) => text::error(error),
            };
            all.push_str(&part.name.map_or(body.clone(), |name| text::grouped(name, &body)));
        }
        if let Some(total) = self.total() {
            all.push_str(&text::total(&total));
        }
        all
    }

    /// Returns the sums over all targets, where there are several.
    fn total(&self) -> Option<Total> {
        match self.parts.as_slice() {
            [_] => None,
            parts => Some(Total::of(parts)),
        }
    }

    /// Returns how many resources of one of several targets are in sync, where all are: it is one line then.
    fn settled(&self, part: &Part<'_>) -> Option<usize> {
        if self.parts.len() < 2 {
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
            Ok(Body::Status(status)) => json::value(status),
            // Where a document is wanted, all is kept.
            Ok(Body::Settled(count)) => json::value(serde_json::json!({ "in_sync": count })),
            Err(error) => Ok(json::error_part(error)),
        };
        match self.parts.as_slice() {
            [part] if part.name.is_none() => json::document(self.command, body(part)?),
            parts => {
                let targets = parts.iter().map(|part| json::target(part.name, part.index, body(part)));
                json::with_total(json::targets(self.command, targets), &Total::of(parts))
            }
        }
    }

    /// Returns what one of two makes of it: of plans, or of a status.
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

    /// Returns what is more than one line.
    fn unsettled(&self) -> impl Iterator<Item = &Part<'_>> {
        self.parts.iter().filter(|part| self.settled(part).is_none())
    }

    /// Returns its text for the log of a workflow: the text with no command in it obeyed, then the annotations.
    pub fn workflow_log(&self, token: &str) -> String {
        github::quoted(&super::for_file(&self.text(None)), token) + &self.annotations()
    }
}
