//! The directory of certificates, and what rustls makes of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::channel::Error;

const CA: &str = "ca-cert.pem";
const REVOKED: &str = "ca-crl.pem";

/// A certificate with those that lead to the CA, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A directory laid out as QEMU's `tls-creds-x509` takes it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    provider: Arc<CryptoProvider>,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), provider: Arc::new(ring::default_provider()) }
    }

    pub(super) fn client(&self) -> Result<ClientConfig, Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots()?, Arc::clone(&self.provider))
            .with_crls(self.revoked()?)
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| self.not_verifying(&error))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failed(CA, error))?
            .with_webpki_verifier(verifier);
        let mut config = match self.identity("client", true)? {
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| self.not_matching("client", &error))?,
            None => builder.with_no_client_auth(),
        };
        // A migration connects once.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    pub(super) fn server(&self, verify_peer: bool) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failed(CA, error))?;
        let builder = if verify_peer {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(self.roots()?, Arc::clone(&self.provider))
                    .with_crls(self.revoked()?)
                    .allow_unknown_revocation_status()
                    .build()
                    .map_err(|error| self.not_verifying(&error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let Some((certificates, key)) = self.identity("server", false)? else {
            return Err(self.failed("server-cert.pem", "it is missing"));
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| self.not_matching("server", &error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// Whom we trust.
    fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in self.all::<CertificateDer<'static>>(CA, "a certificate of a CA")? {
            roots.add(certificate).map_err(|error| self.failed(CA, error))?;
        }
        Ok(Arc::new(roots))
    }

    /// Which certificates are not trusted any more.
    fn revoked(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
        if !self.exists(REVOKED) {
            return Ok(Vec::new());
        }
        self.all(REVOKED, "a revocation list")
    }

    /// Who we are; nobody if the files are missing and may be.
    fn identity(&self, side: &str, is_optional: bool) -> Result<Option<Identity>, Error> {
        let (certificate, key) = (format!("{side}-cert.pem"), format!("{side}-key.pem"));
        if is_optional && !self.exists(&certificate) && !self.exists(&key) {
            return Ok(None);
        }
        let certificates = self.all(&certificate, "a certificate")?;
        let found = PrivateKeyDer::from_pem_file(self.path.join(&key));
        let found = found.map_err(|error| {
            self.unreadable(&key, "a private key without a password (`BEGIN PRIVATE KEY`)", error)
        })?;
        Ok(Some((certificates, found)))
    }

    /// Everything of one kind that a file holds, which is not nothing.
    fn all<T: PemObject>(&self, file: &str, expected: &str) -> Result<Vec<T>, Error> {
        let unreadable = |error| self.unreadable(file, expected, error);
        let found: Result<Vec<T>, _> = T::pem_file_iter(self.path.join(file)).map_err(unreadable)?.collect();
        let found = found.map_err(unreadable)?;
        if found.is_empty() { Err(unreadable(pem::Error::NoItemsFound)) } else { Ok(found) }
    }

    fn exists(&self, file: &str) -> bool {
        // One that may not be looked at exists, and reading it tells why it cannot be used.
        self.path.join(file).try_exists().unwrap_or(true)
    }

    fn unreadable(&self, file: &str, expected: &str, error: pem::Error) -> Error {
        let reason = match error {
            pem::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("it is missing; expected {expected} in PEM")
            }
            pem::Error::Io(error) => error.to_string(),
            pem::Error::NoItemsFound => format!("expected {expected} in PEM, found none"),
            other => format!("expected {expected} in PEM: {other}"),
        };
        self.failed(file, reason)
    }

    fn not_matching(&self, side: &str, error: &rustls::Error) -> Error {
        let reason = format!("it does not go with {side}-cert.pem: {error}; make both anew together");
        self.failed(&format!("{side}-key.pem"), reason)
    }

    fn not_verifying(&self, error: &VerifierBuilderError) -> Error {
        let file = if matches!(error, VerifierBuilderError::InvalidCrl(_)) { REVOKED } else { CA };
        self.failed(file, error)
    }

    fn failed(&self, file: &str, reason: impl ToString) -> Error {
        Error::Credentials { file: self.path.join(file), reason: reason.to_string() }
    }
}
