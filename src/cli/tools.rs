//! The command line of the tools: completions, manual pages, schemas, explanations, graphs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ManifestArgs, OutputArgs, RootArgs, TargetArgs};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: CompletionShell,
}

/// A shell with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletionShell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The output folder, such as ~/.local/share/man/man1; created if it does not exist.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Join the JSON documents of the shards of a plan or status into one report.
    ///
    /// Reads every file in a folder that ends in .json, and shows them as one run. A missing shard, or a target in two
    /// of them, is an error.
    Merge(ReportMergeArgs),
}

#[derive(Debug, Args)]
pub struct ReportMergeArgs {
    /// The folder with the documents.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct FmtArgs {
    /// The files to format, or - for standard input [default: the manifest, the files that it includes, its policies and
    /// their test cases].
    #[arg(value_name = "FILE", conflicts_with = "file")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// List the files that are not formatted, and exit with 1 if there are any; write nothing.
    #[arg(long)]
    pub check: bool,
    /// Show how each file would change, and exit with 1 if any would; write nothing.
    #[arg(long)]
    pub diff: bool,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The document that the schema describes.
    #[arg(value_enum, value_name = "WHAT", default_value_t = SchemaOf::Manifest)]
    pub of: SchemaOf,
}

/// The subject of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// `sentinel.toml`, for editors.
    Manifest,
    /// The output of `plan --json` and `show --json`, for programs.
    Plan,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The code, such as E101 or L001; without it, lists all codes.
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// The output format.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = GraphFormat::Mermaid)]
    pub format: GraphFormat,
    #[command(flatten)]
    pub root: RootArgs,
    #[command(flatten)]
    pub at: TargetArgs,
}

/// The language of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Markdown on GitHub and elsewhere.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture.
    Svg,
}
