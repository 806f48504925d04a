//! `sentinel report merge`.

use super::context::Context;
use crate::cli::ReportMergeArgs;
use crate::error::{Error, Exit};
use crate::files;
use crate::report::merge::merge;

pub(super) fn run(context: &Context, args: &ReportMergeArgs) -> Result<Exit, Error> {
    let entries = std::fs::read_dir(&args.folder).map_err(|error| Error::io(&args.folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::io(&args.folder, error))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut documents = Vec::new();
    for path in paths {
        let text = files::read_text(&path, files::PLAN).map_err(|error| Error::io(&path, error))?;
        let document = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = format!("this is not a complete JSON document: line {line}, column {column}");
            Error::file(&path, what).with_hint("write --json or --out-json of the shard again")
        })?;
        documents.push((path.display().to_string(), document));
    }
    let hint = "write --json or --out-json of each shard to a separate file in the folder, with no other files that end in \
         .json";
    let merged = merge(&documents).map_err(|why| Error::usage(format!("cannot merge: {why}"), hint))?;
    context.show(&args.output, &merged.shown())?;
    Ok(Exit::Done)
}
