//! TLS 1.3 records (RFC 8446, section 5), sealed and opened with keys that rustls has agreed on. Here and not in rustls
//! because rustls copies every byte through buffers of its own: twice on the way in, once on the way out. Here the cipher
//! itself moves the bytes, between the caller's memory and what the kernel is given.

mod inbox;
mod keys;
mod outbox;

pub(crate) use inbox::{Arrival, Inbox};
pub(crate) use keys::{KeySchedule, RecordKey};
pub(crate) use outbox::Outbox;

/// Type, version, length (RFC 8446, 5.1).
const HEADER_BYTES: usize = 5;

/// Content of one record, at most (5.1).
const CONTENT_MOST: usize = 1 << 14;

/// What follows the header, at most: content, its type, padding, tag (5.2).
const CIPHERTEXT_MOST: usize = CONTENT_MOST + 256;

/// Tag of every AEAD of TLS 1.3 that is offered.
const TAG_BYTES: usize = 16;

/// AEAD_AES_128_GCM is good for 2^24.5 records of full size (5.5); keys are changed well before.
const RECORDS_PER_KEY: u64 = 1 << 23;

/// ContentType (5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// HandshakeType (4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// AlertLevel and AlertDescription (6).
const FATAL: u8 = 2;
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// close_notify and user_canceled warn; everything else ends the connection (6).
fn alert_level(description: u8) -> u8 {
    if matches!(description, CLOSE_NOTIFY | USER_CANCELED) { WARNING } else { FATAL }
}

/// Says that nothing more will be sent.
pub(super) const FAREWELL: u8 = CLOSE_NOTIFY;

/// The alert that tells the peer why (6.2).
pub(super) fn alert_for(error: &rustls::Error) -> Option<u8> {
    use rustls::{AlertDescription as Alert, Error};
    match error {
        Error::AlertReceived(_) => None,
        Error::DecryptError => Some(Alert::BadRecordMac.into()),
        Error::PeerSentOversizedRecord => Some(Alert::RecordOverflow.into()),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Some(Alert::UnexpectedMessage.into())
        }
        Error::InvalidMessage(_) => Some(Alert::DecodeError.into()),
        _ => Some(Alert::InternalError.into()),
    }
}

#[cfg(test)]
mod tests;
