//! Who we are and whom we accept: PEM texts turned into TLS configurations.

use super::trust::PeerName;
use crate::error::CoreError;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;
use webpki::{EndEntityCert, KeyUsage};

/// PEM texts and the URI that the peer's leaf must bear.
pub struct IdentityTexts {
    pub ca: String,
    pub certificate: String,
    pub key: String,
    pub peer_uri: String,
}

/// What a connection is for; told apart by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Control,
    Index,
    Lane,
    Doctor,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Control, Self::Index, Self::Lane, Self::Doctor];

    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => b"pvferry-control/1",
            Self::Index => b"pvferry-index/1",
            Self::Lane => b"pvferry-lane/1",
            Self::Doctor => b"pvferry-doctor/1",
        }
    }

    pub fn from_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.alpn() == name)
    }
}

/// One identity, ready for any number of connections in either role.
#[derive(Clone)]
pub struct Credentials {
    server: Arc<ServerConfig>,
    clients: [Arc<ClientConfig>; Protocol::ALL.len()],
    own_chain: Vec<CertificateDer<'static>>,
    ca: Vec<CertificateDer<'static>>,
    peer: PeerName,
}

impl Credentials {
    /// Fails in words when the texts are not PEM, do not belong together, or are not valid now.
    pub fn new(texts: &IdentityTexts) -> Result<Self, CoreError> {
        let ca = parse_certificates(&texts.ca, "CA certificate")?;
        let own_chain = parse_certificates(&texts.certificate, "certificate")?;
        let key = parse_key(&texts.key)?;
        let peer = PeerName::new(&texts.peer_uri)?;
        check_own(&own_chain, &ca)?;
        let provider = Arc::new(provider());
        let roots = Arc::new(root_store(&ca)?);
        let server = server_config(&provider, &roots, own_chain.clone(), key.clone_key())?;
        let client = client_config(&provider, &roots, own_chain.clone(), key)?;
        let clients = Protocol::ALL.map(|protocol| {
            let mut config = client.clone();
            config.alpn_protocols = vec![protocol.alpn().to_vec()];
            Arc::new(config)
        });
        Ok(Self { server: Arc::new(server), clients, own_chain, ca, peer })
    }

    /// Said before dialling: the peer would only answer with a terse alert.
    pub fn check_validity(&self) -> Result<(), CoreError> {
        check_own(&self.own_chain, &self.ca)
    }

    pub fn peer(&self) -> &PeerName {
        &self.peer
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    pub(super) fn client(&self, protocol: Protocol) -> Arc<ClientConfig> {
        Arc::clone(&self.clients[protocol as usize])
    }
}

fn parse_certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, CoreError> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match list {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(CoreError::untrusted(format!("The {what} is not a PEM text: it holds no BEGIN CERTIFICATE."))),
        Err(_) => Err(CoreError::untrusted(format!("The {what} is not a well-formed PEM text."))),
    }
}

fn parse_key(pem: &str) -> Result<PrivateKeyDer<'static>, CoreError> {
    if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(CoreError::untrusted("The private key is protected by a passphrase; pvferry needs one without."));
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| CoreError::untrusted("The private key is not a PEM text that holds a key."))
}

/// AES-128 first: every machine of interest has AES instructions, and 128 bits are the cheaper ones.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..rustls::crypto::aws_lc_rs::default_provider()
    }
}

fn root_store(ca: &[CertificateDer<'static>]) -> Result<RootCertStore, CoreError> {
    let mut roots = RootCertStore::empty();
    for certificate in ca {
        roots
            .add(certificate.clone())
            .map_err(|_| CoreError::untrusted("The CA certificate cannot be used as a CA."))?;
    }
    Ok(roots)
}

fn check_own(chain: &[CertificateDer<'static>], ca: &[CertificateDer<'static>]) -> Result<(), CoreError> {
    let unusable = |what: &str| CoreError::untrusted(format!("This side's {what}."));
    let Some((first, intermediates)) = chain.split_first() else {
        return Err(unusable("certificate is missing"));
    };
    let leaf =
        EndEntityCert::try_from(first).map_err(|_| unusable("certificate cannot be read as an X.509 certificate"))?;
    let anchors: Result<Vec<_>, _> = ca.iter().map(webpki::anchor_from_trusted_cert).collect();
    let anchors = anchors.map_err(|_| unusable("CA certificate cannot be used as a CA"))?;
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            intermediates,
            UnixTime::now(),
            usage,
            None,
            None,
        )
        .map_err(|error| explain_own(&error))?;
    }
    Ok(())
}

fn explain_own(error: &webpki::Error) -> CoreError {
    let ending = match error {
        webpki::Error::CertExpired { time, not_after } => format!(
            "has expired {} ago; make new ones with `pvferry pki renew`",
            span(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        webpki::Error::CertNotValidYet { time, not_before } => format!(
            "becomes valid only in {}; is this machine's clock right?",
            span(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        webpki::Error::UnknownIssuer => "was not issued by the CA certificate beside it".to_owned(),
        webpki::Error::RequiredEkuNotFoundContext(_) => "is not made for both serverAuth and clientAuth".to_owned(),
        other => format!("cannot be used ({other})"),
    };
    CoreError::untrusted(format!("This side's certificate {ending}."))
}

/// A span of time as people say it: the largest unit that fits.
pub(super) fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, CoreError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(|error| CoreError::untrusted(format!("The CA cannot be used: {error}.")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(explain_config)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(explain_config)?;
    config.alpn_protocols = Protocol::ALL.map(|p| p.alpn().to_vec()).to_vec();
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    // For net/record, which takes over after the handshake.
    config.enable_secret_extraction = true;
    Ok(config)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, CoreError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(explain_config)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ChainOnly {
            roots: Arc::clone(roots),
            algorithms: provider.signature_verification_algorithms,
        }))
        .with_client_auth_cert(chain, key)
        .map_err(explain_config)?;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_secret_extraction = true;
    Ok(config)
}

fn explain_config(error: rustls::Error) -> CoreError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            CoreError::untrusted("This side's private key does not belong to its certificate.")
        }
        other => CoreError::untrusted(format!("This side's certificate or key is unusable: {other}.")),
    }
}

/// Chain, validity and purpose as usual; the host name is not looked at, because addresses of routes and node ports
/// say nothing about whose volume is behind them. The URI in the leaf does, and is checked after the handshake.
#[derive(Debug)]
struct ChainOnly {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
