//! The embedded AWS: opening it for `--local`, and `sentinel local serve`.

use std::path::Path;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::context::Context;
use crate::cli::ServeArgs;
use crate::error::{Error, Exit};

/// Opens the embedded AWS in a folder, as an HTTP client that the SDK can be given.
#[cfg(feature = "local")]
pub(super) fn open(folder: &Path, region: &str) -> Result<SharedHttpClient, Error> {
    if super::output::is_link(folder) {
        let what = format!("{} is a link; name the folder that it leads to with --local=PATH", folder.display());
        return Err(Error::Local(what));
    }
    let local = crate::local::LocalAws::open(folder, crate::local::Rules::default()).map_err(Error::Local)?;
    local.prepare(region).map_err(Error::Local)?;
    Ok(SharedHttpClient::new(local))
}

#[cfg(feature = "local")]
pub(super) async fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Error> {
    use crate::local::{LocalAws, Rules, Server};
    let folder = context.local_folder(Path::new("")).unwrap_or_else(|| Path::new(".sentinel").to_owned());
    let local = LocalAws::open(&folder, Rules::default()).map_err(Error::Local)?;
    let mut server = Server::bind(args.port, local)
        .await
        .map_err(|error| Error::usage(error, "choose another --port; 0 takes a free one"))?;
    if let Some(path) = &args.log {
        server.log_to(path).map_err(|error| Error::usage(error, "choose another file for --log"))?;
    }
    let url = format!("http://{}", server.address());
    let json = || crate::report::json::document("local serve", serde_json::json!({ "url": url }));
    context.terminal.either(
        || {
            format!(
                "Embedded AWS in {} on {url}\n\n  export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=local \
                 AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1\n\nEnds with Ctrl-C.\n",
                folder.display()
            )
        },
        json,
    )?;
    tokio::select! {
        () = server.run() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Done)
}

#[cfg(not(feature = "local"))]
pub(super) fn open(_: &Path, _: &str) -> Result<SharedHttpClient, Error> {
    Err(absent())
}

#[cfg(not(feature = "local"))]
#[expect(clippy::unused_async, reason = "the other build's waits")]
pub(super) async fn serve(_: &Context, _: &ServeArgs) -> Result<Exit, Error> {
    Err(absent())
}

#[cfg(not(feature = "local"))]
fn absent() -> Error {
    Error::usage("this build has no embedded AWS", "build it with the cargo feature `local`")
}
