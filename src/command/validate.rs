//! `sentinel validate`.

use serde_json::json;

use super::context::Context;
use crate::cli::ManifestArgs;
use crate::error::{Error, Exit};
use crate::report::json;

pub(super) fn run(context: &Context, args: &ManifestArgs) -> Result<Exit, Error> {
    let project = context.project(&args.file)?;
    let desired = &project.loaded.desired;
    let tables = desired.iter().filter(|one| one.as_table().is_some()).count();
    let profiles = desired.len() - tables;
    let plural = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let targets = project.loaded.manifest.targets.len();
    let mut counts = format!("{}, {}", plural(profiles, "profile"), plural(tables, "table"));
    if targets > 0 {
        counts.push_str(&format!(", for {}", plural(targets, "target")));
    }
    context.terminal.either(
        || format!("{} is valid: {counts}.\n", args.file.display()),
        || {
            json::document(
                "validate",
                json!({ "valid": true, "profiles": profiles, "tables": tables, "targets": targets }),
            )
        },
    );
    Ok(Exit::Done)
}
