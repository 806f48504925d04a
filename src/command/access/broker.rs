//! `sentinel broker`.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::exec::unlogged;
use super::held::Dumps;
use super::{Serves, Site, find_manifest};
use crate::access::desk::Tables;
use crate::access::log::{Log, LogQueue};
use crate::broker::{Broker, Rate, Server, Settings, Tls, TlsFiles};
use crate::cli::ServeBrokerArgs;
use crate::command::context::Context;
use crate::command::log::write_in_background;
use crate::error::{Error, Exit};
use crate::manifest::{BrokerSection, Builtin};
use crate::report::json;
use crate::resource::signed_identity::{BrokerUrl, is_loopback};

/// How long a cached policy is used for other requests. Reads of Parameter Store are eventually consistent with a similar delay.
const POLICY: Duration = Duration::from_secs(1);
/// The number of file descriptors reserved for AWS, the log and the manifest.
const RESERVED: u64 = 300;

pub(in crate::command) async fn run(context: &Context, args: &ServeBrokerArgs) -> Result<Exit, Error> {
    let _dumps = Dumps::off()?;
    let found = args.file.clone().map_or_else(find_manifest, |file| Ok(Some(file)))?;
    let mut site = Site::of(context, found, Serves::Many).await?;
    let url = address(args, &site.manifest.broker)?;
    let tls = tls(args)?;
    let endpoint = endpoint(&site)?;
    let tables = tables(&site)?;
    let log = Log::open(args.log_file.as_deref()).map_err(unlogged)?;
    let log = if args.log_file.is_none() { log.and_stdout().map_err(unlogged)? } else { log };
    let settings = settings(&site, args, (url, endpoint)).await?;
    let policy_root = site.destination.policy_root.clone();
    site.gateway = site.gateway.sharing_policies(POLICY);
    let connections = connections(args.connections);
    let unbound = |option: &str| {
        let hint = format!("choose another {option}");
        move |(address, error)| Error::system(&format!("the broker cannot listen on {address}"), Some(&hint), error)
    };
    let mut server = Server::bind(args.listen, tls, connections).await.map_err(unbound("--listen"))?;
    if let Some(address) = args.metrics_listen {
        server = server.with_metrics(address).await.map_err(unbound("--metrics-listen"))?;
    }
    say(context, args, (&settings, &server))?;
    write_in_background()?;
    let log = LogQueue::start(log).map_err(|error| Error::system("no thread can be started", None, error))?;
    let broker = Broker::new(settings, site.gateway, (tables, policy_root), log);
    server.run(broker, ended()?).await;
    Ok(Exit::Done)
}

/// Returns the broker's address, which users sign.
fn address(args: &ServeBrokerArgs, section: &BrokerSection) -> Result<BrokerUrl, Error> {
    args.url.clone().or_else(|| section.url.clone()).ok_or_else(|| {
        Error::usage(
            "the broker does not know its own address",
            "set url under [broker] in the manifest, or give --url https://broker.example.com",
        )
    })
}

fn tls(args: &ServeBrokerArgs) -> Result<Option<Tls>, Error> {
    let (Some(certificate), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) else {
        if args.listen.ip().is_loopback() {
            return Ok(None);
        }
        let message = format!("without TLS the broker listens on loopback only, and {} is not loopback", args.listen);
        return Err(Error::usage(message, "give --tls-cert FILE and --tls-key FILE, or --listen 127.0.0.1:PORT"));
    };
    let unusable = |(path, error): (PathBuf, std::io::Error)| Error::io(&path, error);
    Tls::open(TlsFiles { certificate, key }).map(Some).map_err(unusable)
}

/// Returns the endpoint for requests to STS, if it is not AWS's. It must be on loopback, where no other host can answer.
fn endpoint(site: &Site) -> Result<Option<String>, Error> {
    let Some(endpoint) = site.gateway.endpoint_url() else { return Ok(None) };
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).trim_end_matches('/');
    if is_loopback(authority) {
        return Ok(Some(endpoint.to_owned()));
    }
    let message = format!("the broker asks AWS itself who its users are, and {endpoint} is not AWS");
    Err(Error::usage(
        message,
        "an emulator has to be on loopback; leave out --endpoint-url and AWS_ENDPOINT_URL for AWS",
    ))
}

fn tables(site: &Site) -> Result<Tables, Error> {
    let approvals = site.table(Builtin::Approvals, None)?;
    Ok(Tables {
        locks: site.lock_tables(&approvals),
        approvals: approvals.name,
        breakglass: site.table(Builtin::BreakGlass, None)?.name,
        sessions: site.table(Builtin::Sessions, None)?.name,
    })
}

async fn settings(
    site: &Site,
    args: &ServeBrokerArgs,
    (url, endpoint): (BrokerUrl, Option<String>),
) -> Result<Settings, Error> {
    let BrokerSection { url: _, accounts, principals, approvers, operators, roles: _ } = site.manifest.broker.clone();
    let own = site.gateway.identify().await.map_err(|error| site.failed(error))?;
    let accounts = accounts.or_else(|| site.account().cloned().map(|account| vec![account]));
    let roles = site.manifest.brokered_roles(&own).into_iter().map(|(profile, role)| (profile.to_owned(), role));
    let rate = f64::from(args.rate);
    Ok(Settings {
        url,
        partition: own.partition().to_owned(),
        accounts: accounts.unwrap_or_else(|| vec![own.account.clone()]),
        principals,
        approvers: approvers.unwrap_or_default(),
        operators: operators.unwrap_or_default(),
        roles: roles.collect(),
        endpoint,
        rate: Rate { per_second: rate, burst: rate * 5.0 },
        at_once: args.at_once as usize,
    })
}

/// Returns the maximum number of connections, after raising the limit on open files as far as possible.
fn connections(wanted: u32) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let open = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = open.saturating_sub(RESERVED).max(16);
    usize::try_from(most.min(u64::from(wanted))).unwrap_or(usize::MAX)
}

/// Prints the address and the settings.
fn say(context: &Context, args: &ServeBrokerArgs, (settings, server): (&Settings, &Server)) -> Result<(), Error> {
    let (url, listens) = (&settings.url, server.address().to_string());
    let log = args.log_file.as_ref().map_or_else(|| String::from("standard output"), |file| file.display().to_string());
    if !context.terminal.json() {
        let profiles: Vec<&str> = settings.roles.keys().map(String::as_str).collect();
        let profiles = if profiles.is_empty() { String::from("none") } else { profiles.join(", ") };
        let note = format!(
            "Broker {url} on {listens}\n  profiles with a role: {profiles}\n  decisions are logged to {log}\nEnds with Ctrl-C.\n"
        );
        context.terminal.note(&note);
        return Ok(());
    }
    context.terminal.either(String::new, || json::document("broker", json!({ "url": url, "listens": listens })))
}

/// Waits for a signal that ends the program.
fn ended() -> Result<impl Future<Output = ()>, Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::system("signals cannot be received", None, error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
