//! The formats and files of an output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A format of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: symbols and text, with color on a terminal.
    #[default]
    Text,
    /// One document, for programs; the same as --json.
    Json,
    /// For a comment on a pull request.
    Markdown,
    /// One self-contained file.
    Html,
    /// For a GitHub Actions log: the text and annotations; the Markdown goes to the job summary.
    Github,
}

/// The format of stdout, and the files that are written.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// The format of stdout.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<Format>,
    /// Also write the text to a file; these options can be combined.
    #[arg(long, value_name = "FILE")]
    pub out_text: Option<PathBuf>,
    /// Also write the JSON document to a file.
    #[arg(long, value_name = "FILE")]
    pub out_json: Option<PathBuf>,
    /// Also write the Markdown to a file.
    #[arg(long, value_name = "FILE")]
    pub out_markdown: Option<PathBuf>,
    /// Also write the HTML page to a file.
    #[arg(long, value_name = "FILE")]
    pub out_html: Option<PathBuf>,
    /// Also write the annotations to a file.
    #[arg(long, value_name = "FILE")]
    pub out_github: Option<PathBuf>,
}

impl OutputArgs {
    /// Returns the files that the options name, each with its format.
    pub fn files(&self) -> Vec<(Format, &PathBuf)> {
        let all = [
            (Format::Text, &self.out_text),
            (Format::Json, &self.out_json),
            (Format::Markdown, &self.out_markdown),
            (Format::Html, &self.out_html),
            (Format::Github, &self.out_github),
        ];
        all.into_iter().filter_map(|(format, path)| Some((format, path.as_ref()?))).collect()
    }
}

/// Which resources of a plan are listed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct DetailArgs {
    /// List every resource in text, Markdown and HTML: those that are in sync are otherwise only counted.
    #[arg(long)]
    pub all: bool,
}
