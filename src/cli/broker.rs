//! The command line of `sentinel broker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{AwsArgs, RootArgs, TargetArgs};
use crate::resource::signed_identity::BrokerUrl;

#[derive(Debug, Args)]
pub struct ServeBrokerArgs {
    /// The manifest, whose [broker] lists the users [default: the nearest sentinel.toml in this folder or above it].
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The address to listen on; port 0 selects a free one and prints it. Must be on loopback without TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// The address on which /metrics answers, without TLS; nothing else answers there [default: no metrics].
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// The address of the broker for its users [default: url under [broker] in the manifest].
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<BrokerUrl>,
    /// The certificate chain for TLS, in PEM. The broker reads it again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Append each decision to this file, as JSON lines [default: standard output]. The broker refuses requests that it
    /// cannot log.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The maximum number of requests per second for each user, with bursts of five times as many.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// The maximum number of concurrent requests. The broker refuses more, and clients can retry.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub at_once: u32,
    /// The maximum number of open connections. Another connection replaces an idle one.
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
