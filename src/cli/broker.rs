//! The command line of `sentinel broker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{AwsArgs, RootArgs, TargetArgs};
use crate::resource::signed_identity::BrokerUrl;

#[derive(Debug, Args)]
pub struct ServeBrokerArgs {
    /// The manifest, whose [broker] says whom it serves [default: the nearest sentinel.toml, from here upwards].
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one and says which. Without TLS it is on loopback.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// The address on which /metrics answers, without TLS; nothing else answers there [default: no metrics].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Its own address, as its users write it [default: `url` of [broker] in the manifest].
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<BrokerUrl>,
    /// The certificate for TLS and those above it, in PEM. It is read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Append each decision to this file, a JSON object a line [default: standard output]. What cannot be logged is not done.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// How many requests a second each user may make; five times as many at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// How many requests are answered at once. More are refused, and clients may ask again.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub at_once: u32,
    /// How many connections are open at once. A further one takes the place of one that waits for its client.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

fn url(value: &str) -> Result<BrokerUrl, String> {
    BrokerUrl::new(value).map_err(|invalid| invalid.to_string())
}
