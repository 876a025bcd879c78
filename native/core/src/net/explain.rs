//! TLS failures in words for somebody who reads them at night.

use super::identity::span;
use crate::error::{CoreError, describe_io, errno_name};
use rustls::{AlertDescription, CertificateError, Error, HandshakeType};
use std::io;
use std::time::Duration;

/// `peer` is the address as `TlsStream::peer` gives it.
pub fn tls_error(error: &Error, peer: &str) -> CoreError {
    match error {
        Error::AlertReceived(alert) => alert_received(*alert, peer),
        Error::InvalidCertificate(reason) => bad_certificate(reason, peer),
        Error::NoCertificatesPresented => CoreError::untrusted(format!("{peer} presented no certificate.")),
        Error::InvalidMessage(_) => {
            CoreError::protocol(format!("What {peer} sent is not TLS, or was damaged on the way."))
        }
        Error::PeerIncompatible(reason) => {
            CoreError::protocol(format!("{peer} does not speak TLS 1.3 as pvferry needs it ({reason:?})."))
        }
        // A listening source takes a connection that is silent for too long for one of its target's.
        Error::InappropriateHandshakeMessage { got_type: HandshakeType::ClientHello, .. } => {
            CoreError::network(format!("{peer} began to speak at the same moment as this side."))
        }
        Error::NoApplicationProtocol => {
            CoreError::protocol(format!("{peer} speaks TLS but none of pvferry's protocols."))
        }
        Error::DecryptError => CoreError::protocol(format!(
            "A TLS record from {peer} does not decrypt: it was damaged or tampered with on the way."
        )),
        other => CoreError::protocol(format!("TLS with {peer} failed: {other}.")),
    }
}

/// The peer's first bytes were not TLS.
pub fn not_tls(first: &[u8], peer: &str) -> CoreError {
    if first.starts_with(b"HTTP/") {
        return CoreError::protocol(format!(
            "Something that does not speak TLS answers at {peer}: a web server (plain HTTP)."
        ));
    }
    if first.starts_with(b"SSH-") {
        return CoreError::protocol(format!("Something that does not speak TLS answers at {peer}: an SSH server."));
    }
    CoreError::protocol(format!("Something that does not speak TLS answers at {peer}."))
}

pub fn handshake_io(error: &io::Error, peer: &str, timeout: Duration) -> CoreError {
    match error.kind() {
        io::ErrorKind::TimedOut => CoreError::network(format!(
            "{peer} accepted the connection but did not complete the TLS handshake within {}.",
            span(timeout.as_secs().max(1))
        )),
        io::ErrorKind::UnexpectedEof => {
            CoreError::network(format!("{peer} closed the connection during the TLS handshake."))
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            CoreError::network(format!("{peer} reset the connection during the TLS handshake."))
                .with_errno(error.raw_os_error())
        }
        _ => CoreError::network(format!("The TLS handshake with {peer} failed: {}.", describe_io(error)))
            .with_errno(error.raw_os_error()),
    }
}

/// An error of the established connection, with the peer's name in it and the kind kept for callers that look at it.
pub fn stream_io(error: &io::Error, peer: &str) -> io::Error {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("The connection to {peer} ended without a farewell: the other side or something between died.")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("The connection to {peer} was reset.")
        }
        io::ErrorKind::TimedOut if error.raw_os_error().is_some() => {
            format!("The connection to {peer} timed out: nothing was acknowledged any more.")
        }
        io::ErrorKind::TimedOut => format!("The connection to {peer} made no progress in time."),
        io::ErrorKind::ConnectionAborted => {
            format!("The connection to {peer} was closed on this side.")
        }
        _ => format!("The connection to {peer} failed: {}.", describe_io(error)),
    };
    let mut wrapped = CoreError::network(message);
    wrapped.errno = error.raw_os_error().and_then(errno_name);
    io::Error::new(error.kind(), wrapped)
}

fn alert_received(alert: AlertDescription, peer: &str) -> CoreError {
    let rejects = format!("{peer} does not accept this side's certificate");
    match alert {
        AlertDescription::UnknownCA => CoreError::untrusted(format!(
            "{rejects}: it was issued by another CA than the one trusted there (TLS alert unknown_ca)."
        )),
        AlertDescription::CertificateRequired => {
            CoreError::untrusted(format!("{peer} demands a certificate and got none (TLS alert certificate_required)."))
        }
        AlertDescription::CertificateExpired => CoreError::untrusted(format!(
            "{rejects}: it has expired, or the clocks differ (TLS alert certificate_expired)."
        )),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            CoreError::untrusted(format!("{rejects} (TLS alert {}).", alert_name(alert)))
        }
        AlertDescription::NoApplicationProtocol => CoreError::protocol(format!(
            "{peer} speaks TLS but not this version of pvferry's protocol (TLS alert no_application_protocol)."
        )),
        AlertDescription::ProtocolVersion => {
            CoreError::protocol(format!("{peer} does not speak TLS 1.3 (TLS alert protocol_version)."))
        }
        AlertDescription::HandshakeFailure => CoreError::protocol(format!(
            "{peer} shares no TLS parameters with this side (TLS alert handshake_failure)."
        )),
        other => CoreError::protocol(format!("{peer} broke off TLS (alert {}).", alert_name(other))),
    }
}

fn bad_certificate(reason: &CertificateError, peer: &str) -> CoreError {
    let ending = match reason {
        CertificateError::UnknownIssuer => "was issued by another CA than the one trusted here".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("has expired {} ago", span(time.as_secs().saturating_sub(not_after.as_secs())))
        }
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "becomes valid only in {}; are both clocks right?",
            span(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        CertificateError::NotValidYet => "is not valid yet; are both clocks right?".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not made for this end of a TLS connection".to_owned()
        }
        other => format!("cannot be accepted ({other})"),
    };
    CoreError::untrusted(format!("The certificate of {peer} {ending}."))
}

/// The name of RFC 8446, section 6.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let camel = format!("{alert:?}");
    let mut previous_lower = false;
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && previous_lower {
            name.push('_');
        }
        previous_lower = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn alerts_bear_the_names_of_the_rfc() {
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(alert_name(AlertDescription::UnexpectedMessage), "unexpected_message");
        assert_eq!(alert_name(AlertDescription::BadRecordMac), "bad_record_mac");
    }

    #[test]
    fn web_servers_are_recognised() {
        let error = not_tls(b"HTTP/1.1 400 Bad Request\r\n", "10.0.0.1:80");
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.message.contains("does not speak TLS answers at 10.0.0.1:80"));
    }

    #[test]
    fn who_speaks_at_the_same_moment_may_be_silent_the_next_time() {
        let both = Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ServerHello],
            got_type: HandshakeType::ClientHello,
        };
        assert_eq!(tls_error(&both, "a:1").kind, ErrorKind::Network);
    }

    #[test]
    fn a_broken_stream_keeps_kind_and_symbol() {
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
        let wrapped = stream_io(&reset, "a:1");
        assert_eq!(wrapped.kind(), io::ErrorKind::ConnectionReset);
        let error = CoreError::from(wrapped);
        assert_eq!((error.kind, error.errno), (ErrorKind::Network, Some("ECONNRESET")));
    }
}
