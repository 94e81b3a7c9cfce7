//! TLS with certificates, from a directory laid out as QEMU's `tls-creds-x509` takes it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `ca-cert.pem` | whom both sides trust |
//! | `ca-crl.pem` | which certificates are not trusted any more; may be missing |
//! | `server-cert.pem`, `server-key.pem` | who the side is that takes the guest |
//! | `client-cert.pem`, `client-key.pem` | who the side is that sends it; may be missing |
//!
//! In a migration the source is the client, whoever connected. TLS 1.2 and 1.3.

mod credentials;
mod session;

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection, ServerConfig};
use rustls::{InvalidMessage, ServerConnection};

use super::Error;
use credentials::Directory;

pub(super) use session::Session;

/// Who we are in TLS, and whom we trust.
#[derive(Debug, Clone)]
pub struct Tls {
    role: Role,
    hostname: Option<String>,
}

#[derive(Debug, Clone)]
enum Role {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Tls {
    /// Reads what the side needs that sends the guest. Its peer's certificate is always checked.
    ///
    /// # Errors
    /// [`Error::Credentials`] with the file that cannot be used.
    pub fn client(directory: &Path) -> Result<Self, Error> {
        let role = Role::Client(Arc::new(Directory::new(directory).client()?));
        Ok(Self { role, hostname: None })
    }

    /// Reads what the side needs that takes the guest.
    ///
    /// With `verify_peer`, which is the default of QEMU's `verify-peer`, a client without a certificate of
    /// the CA is refused.
    ///
    /// # Errors
    /// [`Error::Credentials`] with the file that cannot be used.
    pub fn server(directory: &Path, verify_peer: bool) -> Result<Self, Error> {
        let role = Role::Server(Arc::new(Directory::new(directory).server(verify_peer)?));
        Ok(Self { role, hostname: None })
    }

    /// The host that the server's certificate must name, as QEMU's `tls-hostname`, if it is not the one that
    /// the address names.
    #[must_use]
    pub fn with_hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// A connection to `host`, which the address names, if it does.
    fn connection(&self, host: Option<&str>, channel: &str) -> Result<Connection, Error> {
        let connection = match &self.role {
            Role::Server(config) => ServerConnection::new(Arc::clone(config)).map(Connection::from),
            Role::Client(config) => {
                let host = self.hostname.as_deref().or(host);
                let name = host.and_then(|host| ServerName::try_from(host.to_owned()).ok());
                let name = name.ok_or_else(|| Error::NoHostname { channel: channel.to_owned() })?;
                ClientConnection::new(Arc::clone(config), name).map(Connection::from)
            }
        };
        let doing = super::Doing::Handshaking;
        connection.map_err(|error| Error::Tls { channel: channel.to_owned(), doing, error })
    }
}

/// What can be done about it.
pub(super) fn advice(error: &rustls::Error) -> &'static str {
    use rustls::Error as E;
    match error {
        E::NoCertificatesPresented => {
            "; the client sends no certificate: it needs client-cert.pem and client-key.pem, or this side takes \
             it without (verify-peer=off)"
        }
        E::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            "; the peer wants a certificate: put client-cert.pem and client-key.pem into the TLS directory"
        }
        E::AlertReceived(AlertDescription::UnknownCA)
        | E::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; both sides need certificates that the CA in ca-cert.pem has signed"
        }
        E::AlertReceived(_) => "; the peer refuses this side: its log says why",
        E::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "; the certificate must name the host as a subject alternative name; if it is known by another \
             name, give that as the hostname (tls-hostname)"
        }
        E::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "; renew the certificate, and see that both clocks are right",
        E::InvalidCertificate(CertificateError::Revoked) => "; ca-crl.pem revokes it: make a new one",
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; what the peer sends is no TLS: does it use TLS (`tls-creds`)?"
        }
        _ => "",
    }
}
