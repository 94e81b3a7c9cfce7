//! Certificates for migrations that are encrypted, as QEMU's `tls-creds-x509` takes them from a directory.

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::workspace;

/// The host that certificates are made out to.
pub(crate) const HOST: &str = "localhost";

/// Makes a CA, and with it a certificate for each side, in one directory.
pub(crate) fn make(dir: &Path) -> Result<()> {
    workspace::create_dir(dir)?;
    let mut params = parameters("vmig interop CA", vec![])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, key()?).into_diagnostic()?;
    workspace::write(&dir.join("ca-cert.pem"), ca.pem())?;

    let server = vec![HOST.to_owned(), "127.0.0.1".to_owned()];
    let sides = [
        ("server", server, ExtendedKeyUsagePurpose::ServerAuth),
        ("client", vec![], ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (side, names, usage) in sides {
        let mut params = parameters(side, names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![usage];
        let key = key()?;
        let certificate = params.signed_by(&key, &ca).into_diagnostic().wrap_err("cannot sign")?;
        workspace::write(&dir.join(format!("{side}-cert.pem")), certificate.pem())?;
        workspace::write(&dir.join(format!("{side}-key.pem")), key.serialize_pem())?;
    }
    Ok(())
}

fn key() -> Result<KeyPair> {
    KeyPair::generate().into_diagnostic().wrap_err("cannot make a key")
}

fn parameters(name: &str, hosts: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts).into_diagnostic()?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
