//! TLS towards clients: the configured certificate, or one made at start.
//! Never here: TLS towards MySQL.

mod shown_certificate;

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use segue_config::settings::Tls;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use shown_certificate::ShownCertificate;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("[tls] certificate and key must be given together")]
    Incomplete,
    #[error("no RSA key could be made for passwords of clients without TLS")]
    Key,
    #[error("certificate: {0}")]
    Certificate(String),
}

/// Reads the certificate and key, or makes a self-signed pair where none is configured.
pub fn acceptor(settings: &Tls) -> Result<TlsAcceptor, TlsError> {
    let (certificates, key) = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => (read_certificates(certificate)?, read_key(key)?),
        (None, None) => self_signed()?,
        _ => return Err(TlsError::Incomplete),
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(ShownCertificate(provider.clone()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_client_cert_verifier(verifier).with_single_cert(certificates, key)
        })
        .map_err(|e| TlsError::Certificate(e.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File { path: path.display().to_string(), reason };
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect())
        .map_err(|e| failed(e.to_string()))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|e| TlsError::File { path: path.display().to_string(), reason: e.to_string() })
}

fn self_signed() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let made = rcgen::generate_simple_self_signed(vec!["segue".to_owned(), "localhost".to_owned()])
        .map_err(|e| TlsError::Certificate(e.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_files_a_certificate_is_made() {
        assert!(acceptor(&Tls::default()).is_ok());
    }

    #[test]
    fn a_certificate_without_key_is_refused() {
        let half = Tls { certificate: Some("x.pem".into()), key: None };
        assert!(matches!(acceptor(&half), Err(TlsError::Incomplete)));
    }
}
