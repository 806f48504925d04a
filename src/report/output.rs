//! One pass in every format: what a terminal, a comment, an artifact and a script are fed from.

use super::markdown::Part as PlanPart;
use super::status::{self, Status};
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
    pub parts: Vec<Part<'a>>,
}

/// What there is to show of one target.
#[derive(Debug)]
pub struct Part<'a> {
    pub name: Option<&'a str>,
    pub body: Result<Body<'a>, &'a Error>,
}

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Plan(&'a Plan, &'a Review),
    Status(&'a Status),
}

impl<'a> Part<'a> {
    fn plan(&self) -> Option<PlanPart<'a>> {
        match self.body {
            Ok(Body::Plan(plan, review)) => Some((self.name, Ok((plan, review)))),
            Ok(Body::Status(_)) => None,
            Err(error) => Some((self.name, Err(error))),
        }
    }

    fn status(&self) -> Option<(Option<&'a str>, Result<&'a Status, &'a Error>)> {
        match self.body {
            Ok(Body::Status(status)) => Some((self.name, Ok(status))),
            Ok(Body::Plan(..)) => None,
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
            Format::Markdown => self.split(|plans| markdown::plans(self.command, plans), markdown::status),
            Format::Html => self.split(|plans| html::plans(self.command, plans), html::status),
            Format::Github => self.annotations(),
        })
    }

    /// Returns it as the commands of a workflow.
    pub fn annotations(&self) -> String {
        self.split(github::plans, github::status)
    }

    fn text(&self, width: Option<usize>) -> String {
        let mut all = self.preface.clone().unwrap_or_default();
        for part in &self.parts {
            let body = match &part.body {
                Ok(Body::Plan(plan, review)) => text::plan(plan, review, width),
                Ok(Body::Status(status)) => status::render(status),
                Err(error) => text::error(error),
            };
            all.push_str(&part.name.map_or(body.clone(), |name| text::grouped(name, &body)));
        }
        all
    }

    fn json(&self) -> json::Document {
        let body = |part: &Part<'_>| match &part.body {
            Ok(Body::Plan(plan, review)) => json::plan_part(plan, review),
            Ok(Body::Status(status)) => json::value(status),
            Err(error) => Ok(json::error_part(error)),
        };
        match self.parts.as_slice() {
            [part] if part.name.is_none() => json::document(self.command, body(part)?),
            parts => json::targets(self.command, parts.iter().map(|part| json::named(part.name, body(part)))),
        }
    }

    /// Returns what one of two makes of it: of plans, or of a status.
    fn split(
        &self,
        plans: impl FnOnce(&[PlanPart<'_>]) -> String,
        status: impl FnOnce(&[(Option<&str>, Result<&Status, &Error>)]) -> String,
    ) -> String {
        if self.command.ends_with("status") {
            status(&self.parts.iter().filter_map(Part::status).collect::<Vec<_>>())
        } else {
            plans(&self.parts.iter().filter_map(Part::plan).collect::<Vec<_>>())
        }
    }

    /// Returns its text for the log of a workflow: the text with no command in it obeyed, then the annotations.
    pub fn workflow_log(&self, token: &str) -> String {
        github::quoted(&super::for_file(&self.text(None)), token) + &self.annotations()
    }
}
