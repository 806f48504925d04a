//! TLS from files, which are reloaded when they change, because many certificates are valid for weeks only.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::metrics::Metrics;
use crate::files;
use crate::serving::Handshake;

/// The interval between two checks of the files.
const INTERVAL: Duration = Duration::from_secs(5);

/// The files of the certificate and its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by the intermediate certificates.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The current TLS configuration. Clones share it.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<Mutex<(Fingerprint, Arc<ServerConfig>)>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The digest of the contents of both files.
type Fingerprint = [u8; 32];

/// A file that cannot be used, and why.
pub type Unusable = (PathBuf, io::Error);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Fails when one cannot be read, or they are not a certificate and its key.
    pub fn open(files: TlsFiles) -> Result<Self, Unusable> {
        let current = read(&files)?;
        Ok(Self { files: Arc::new(files), current: Arc::new(Mutex::new(current)) })
    }

    /// Reloads the files whenever they change. If they are not valid, the previous certificate stays in use.
    pub async fn keep_current(&self, metrics: &Metrics) {
        let mut reported = false;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let before = self.current.lock().unwrap_or_else(PoisonError::into_inner).0;
            match read(&self.files) {
                Ok((seen, _)) if seen == before => reported = false,
                Ok(read) => {
                    *self.current.lock().unwrap_or_else(PoisonError::into_inner) = read;
                    metrics.reloaded();
                    tracing::info!("the TLS certificate was reloaded");
                    reported = false;
                }
                // A certificate and its key are not replaced atomically: the next check may find both.
                Err((path, error)) => {
                    if !reported {
                        metrics.not_reloaded();
                        tracing::warn!("{}: {error}; the previous certificate stays in use", path.display());
                    }
                    reported = true;
                }
            }
        }
    }
}

impl Handshake for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn handshake(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).1);
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn read(files: &TlsFiles) -> Result<(Fingerprint, Arc<ServerConfig>), Unusable> {
    let at = |path: &Path, error: io::Error| (path.to_owned(), error);
    let bytes = |path: &Path| files::read(path, files::PEM).map_err(|error| at(path, error));
    let (certificate, key) = (bytes(&files.certificate)?, zeroize::Zeroizing::new(bytes(&files.key)?));
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain =
        chain.map_err(|error| at(&files.certificate, invalid(format!("it is not a certificate in PEM: {error}"))))?;
    if chain.is_empty() {
        return Err(at(&files.certificate, invalid(String::from("it does not contain a certificate in PEM"))));
    }
    let private = PrivateKeyDer::from_pem_slice(&key);
    let private =
        private.map_err(|error| at(&files.key, invalid(format!("it is not a private key in PEM: {error}"))))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_no_client_auth().with_single_cert(chain, private));
    let mut config =
        config.map_err(|error| at(&files.certificate, invalid(format!("it cannot be used with the key: {error}"))))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(&certificate));
    digest.update(Sha256::digest(&*key));
    Ok((digest.finalize().into(), Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: (&str, &str) = (
        include_str!("../../tests/suite/e2e/broker/tls/first.crt"),
        include_str!("../../tests/suite/e2e/broker/tls/first.key"),
    );
    const SECOND: (&str, &str) = (
        include_str!("../../tests/suite/e2e/broker/tls/second.crt"),
        include_str!("../../tests/suite/e2e/broker/tls/second.key"),
    );

    fn write(files: &TlsFiles, (certificate, key): (&str, &str)) {
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
    }

    fn files(folder: &Path) -> TlsFiles {
        TlsFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_valid_new_certificate_is_used_and_an_invalid_one_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        write(&files, FIRST);
        let tls = Tls::open(files.clone()).unwrap();
        let (metrics, seen) = (Metrics::default(), || tls.current.lock().unwrap().0);
        let first = seen();
        let rest = async {
            tokio::time::sleep(INTERVAL * 3).await;
            assert_eq!(seen(), first);
            // The key of another certificate.
            write(&files, (FIRST.0, SECOND.1));
            tokio::time::sleep(INTERVAL * 3).await;
            assert_eq!(seen(), first);
            write(&files, SECOND);
            tokio::time::sleep(INTERVAL * 3).await;
            assert_ne!(seen(), first);
        };
        tokio::select! {
            () = tls.keep_current(&metrics) => {}
            () = rest => {}
        }
        let text = metrics.text();
        assert!(text.contains("tls_reloads_total{outcome=\"done\"} 1\n"), "{text}");
        assert!(text.contains("tls_reloads_total{outcome=\"failed\"} 1\n"), "{text}");
    }

    #[test]
    fn an_error_names_the_file_that_is_not_a_certificate_or_key() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let refused = || Tls::open(files.clone()).map(drop).unwrap_err();
        assert_eq!(refused().0, files.certificate);
        for (pair, file) in [
            (("", FIRST.1), &files.certificate),
            (("-----BEGIN CERTIFICATE-----\nx\n", FIRST.1), &files.certificate),
            ((FIRST.0, ""), &files.key),
            ((FIRST.0, FIRST.0), &files.key),
            ((FIRST.0, SECOND.1), &files.certificate),
        ] {
            write(&files, pair);
            let (path, error) = refused();
            assert_eq!(&path, file, "{error}");
        }
    }
}
