//! Whether an authenticated peer is the one meant: right transfer, opposite role.

use crate::error::CoreError;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

const SCHEME: &str = "pvferry://";

/// The URI that the peer's leaf must bear: `pvferry://<transfer id>/<role>`.
#[derive(Clone, Debug)]
pub struct PeerName {
    uri: String,
}

impl PeerName {
    pub fn new(uri: &str) -> Result<Self, CoreError> {
        match split(uri) {
            Some(_) => Ok(Self { uri: uri.to_owned() }),
            None => Err(CoreError::untrusted(format!(
                "{:?} is not a peer's name of the form pvferry://<transfer id>/<role>.",
                shown(uri)
            ))),
        }
    }

    /// `Err` holds the sentence that both sides print. A leaf with several pvferry names is refused like one with a
    /// wrong one: it would be two parties at once.
    pub fn check(&self, leaf: Option<&CertificateDer<'_>>, bearer: &str) -> Result<(), String> {
        let certificate = leaf
            .and_then(|der| EndEntityCert::try_from(der).ok())
            .ok_or_else(|| format!("The {bearer} presented no readable certificate."))?;
        let names: Vec<&str> = certificate.valid_uri_names().filter(|uri| uri.starts_with(SCHEME)).collect();
        match names.as_slice() {
            [name] if *name == self.uri => Ok(()),
            [name] => Err(self.explain(name, bearer)),
            [] => {
                Err(format!("The {bearer}'s certificate bears no pvferry:// name; {} was expected.", shown(&self.uri)))
            }
            several => Err(format!(
                "The {bearer}'s certificate bears {} pvferry:// names where exactly one is allowed.",
                several.len()
            )),
        }
    }

    fn explain(&self, found: &str, bearer: &str) -> String {
        let (transfer, role) = split(&self.uri).unwrap_or((&self.uri, "peer"));
        match split(found) {
            Some((same, other)) if same == transfer => format!(
                "The {bearer}'s certificate is for the role {}, but {} was expected: each side needs the certificate made for it.",
                shown(other),
                shown(role)
            ),
            Some((other, _)) => format!(
                "The {bearer}'s certificate belongs to transfer {}, but this is transfer {}: both sides need certificates of one transfer.",
                shown(other),
                shown(transfer)
            ),
            None => format!("The {bearer}'s certificate bears the malformed name {}.", shown(found)),
        }
    }
}

fn split(uri: &str) -> Option<(&str, &str)> {
    let (transfer, role) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    (!transfer.is_empty() && !role.is_empty()).then_some((transfer, role))
}

/// Certificates come from outside: no terminal controls, no endless names.
fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_role_and_transfer_apart() -> Result<(), CoreError> {
        let target = PeerName::new("pvferry://t1/target")?;
        let role = target.explain("pvferry://t1/source", "listener");
        assert!(role.contains("role source, but target was expected"), "{role}");
        let transfer = target.explain("pvferry://t2/target", "listener");
        assert!(transfer.contains("transfer t2, but this is transfer t1"), "{transfer}");
        assert!(PeerName::new("https://t1/target").is_err());
        assert!(PeerName::new("pvferry://t1/").is_err());
        Ok(())
    }
}
