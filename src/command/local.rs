//! The AWS emulator: opening it for `--local`, and `sentinel local serve`.

use std::path::Path;

use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::context::Context;
use crate::cli::ServeArgs;
use crate::error::{Error, Exit};
use crate::resource::destination::Destination;

#[cfg(feature = "local")]
mod users;

#[cfg(feature = "local")]
pub(super) use users::Users;

/// Opens the AWS emulator in a folder, as an HTTP client for the SDK.
#[cfg(feature = "local")]
pub(super) fn open(folder: &Path, destination: &Destination, users: &Users) -> Result<SharedHttpClient, Error> {
    use crate::local::{LocalAws, Rules, store_of};
    let name = destination.name.as_deref().map(crate::manifest::folder_of);
    let name = name.filter(|name| folder.file_name().is_some_and(|last| last == name.as_str()));
    let local = match (store_of(folder), name) {
        (Some(store), Some(name)) => LocalAws::open_target(store, &name, Rules::default()),
        _ => LocalAws::open(folder, Rules::default()),
    };
    let local = local.map_err(Error::local)?;
    local.prepare(&destination.region.name).map_err(Error::local)?;
    Ok(SharedHttpClient::new(users.on(&local)?))
}

#[cfg(feature = "local")]
pub(super) async fn serve(context: &Context, args: &ServeArgs) -> Result<Exit, Error> {
    use super::access::find_manifest;
    use crate::local::{LocalAws, Rules, Server};
    let folder = context.local_folder(Path::new("")).unwrap_or_else(|| Path::new(".sentinel").to_owned());
    let users = match args.file.clone().map_or_else(find_manifest, |file| Ok(Some(file)))? {
        Some(file) => Users::of_file(context, &file)?,
        None => Users::default(),
    };
    let local = users.on(&LocalAws::open(&folder, Rules::default()).map_err(Error::local)?)?;
    let mut server = Server::bind(args.port, local)
        .await
        .map_err(|what| Error::Local { what, hint: Some("choose another --port; 0 selects a free one") })?;
    if let Some(path) = &args.log {
        server.log_to(path).map_err(|error| Error::io(path, error).with_hint("choose another file for --log"))?;
    }
    let url = format!("http://{}", server.address());
    let json = || crate::report::json::document("local serve", serde_json::json!({ "url": url }));
    let restricted: Vec<&str> = users.names().collect();
    if !restricted.is_empty() {
        let names = restricted.join(", ");
        context.terminal.note(&format!("With the permissions of their policies only: {names}\n"));
    }
    context.terminal.either(
        || {
            format!(
                "AWS emulator in {} on {url}\n\n  export AWS_ENDPOINT_URL={url} AWS_ACCESS_KEY_ID=local \
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

/// Without the AWS emulator, the users are ignored.
#[cfg(not(feature = "local"))]
#[derive(Debug, Clone, Default)]
pub(super) struct Users {}

#[cfg(not(feature = "local"))]
impl Users {
    pub(super) fn of(_: &super::context::Project) -> Self {
        Self {}
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other build's reads a file")]
    pub(super) fn of_file(_: &Context, _: &Path) -> Result<Self, Error> {
        Ok(Self {})
    }
}

#[cfg(not(feature = "local"))]
pub(super) fn open(_: &Path, _: &Destination, _: &Users) -> Result<SharedHttpClient, Error> {
    Err(absent())
}

#[cfg(not(feature = "local"))]
#[expect(clippy::unused_async, reason = "the other build's waits")]
pub(super) async fn serve(_: &Context, _: &ServeArgs) -> Result<Exit, Error> {
    Err(absent())
}

#[cfg(not(feature = "local"))]
fn absent() -> Error {
    Error::usage("this build has no AWS emulator", "build it with the cargo feature `local`")
}
