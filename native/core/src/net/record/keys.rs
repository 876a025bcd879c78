//! The key of one direction, and where the next one comes from.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::kernel::KernelConnection;
use rustls::{ConnectionTrafficSecrets, Error};

use super::{APPLICATION_DATA, HEADER_BYTES, TAG_BYTES};

/// Sequence number and secrets, as rustls gives them out.
type Secrets = (u64, ConnectionTrafficSecrets);

/// What rustls keeps of a connection whose records it no longer sees: enough for KeyUpdate (RFC 8446, 4.6.3).
pub(crate) trait KeySchedule: Send {
    fn next_sending(&mut self) -> Result<RecordKey, Error>;
    fn next_receiving(&mut self) -> Result<RecordKey, Error>;
}

/// Of a client or of a server.
impl<Data: Send> KeySchedule for KernelConnection<Data> {
    fn next_sending(&mut self) -> Result<RecordKey, Error> {
        self.update_tx_secret().and_then(RecordKey::new)
    }

    fn next_receiving(&mut self) -> Result<RecordKey, Error> {
        self.update_rx_secret().and_then(RecordKey::new)
    }
}

/// One direction's AEAD with its count of records, of which no number is ever used twice.
pub(crate) struct RecordKey {
    aead: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl RecordKey {
    pub(crate) fn new((sequence, secrets): Secrets) -> Result<Self, Error> {
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(unusable()),
        };
        let unbound = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| unusable())?;
        let iv = iv.as_ref().try_into().map_err(|_| unusable())?;
        Ok(Self { aead: LessSafeKey::new(unbound), iv, sequence })
    }

    /// RFC 8446, 5.3: the record's number, padded on the left, exclusive-or the IV.
    fn next_nonce(&mut self) -> Result<Nonce, Error> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Error::EncryptError)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Writes one record to the front of `out`, which has room for it; how long it is.
    pub(super) fn seal(&mut self, kind: u8, content: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let sealed = content.len() + 1 + TAG_BYTES;
        let (header, rest) = out.split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&header_of(sealed));
        let (ciphertext, rest) = rest.split_at_mut(content.len());
        let nonce = self.next_nonce()?;
        self.aead
            .seal_out_of_place_scatter(
                nonce,
                Aad::from(&*header),
                content,
                ciphertext,
                &[kind],
                &mut rest[..1 + TAG_BYTES],
            )
            .map_err(|_| Error::EncryptError)?;
        Ok(HEADER_BYTES + sealed)
    }

    /// Opens `ciphertext` into `out`, which is as long as it is without its tag.
    pub(super) fn open_into(&mut self, header: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let nonce = self.next_nonce()?;
        let (ciphertext, tag) = ciphertext.split_at(out.len());
        self.aead.open_separate_gather(nonce, Aad::from(header), ciphertext, tag, out).map_err(|_| Error::DecryptError)
    }

    /// Opens a record where it lies; its content, type and padding are at the front of `ciphertext` then.
    pub(super) fn open_in_place(&mut self, header: &[u8], ciphertext: &mut [u8]) -> Result<(), Error> {
        let nonce = self.next_nonce()?;
        self.aead.open_in_place(nonce, Aad::from(header), ciphertext).map(|_| ()).map_err(|_| Error::DecryptError)
    }
}

/// RFC 8446, 5.2: every record looks like application data of TLS 1.2.
fn header_of(sealed: usize) -> [u8; HEADER_BYTES] {
    [APPLICATION_DATA, 3, 3, (sealed >> 8) as u8, sealed as u8]
}

fn unusable() -> Error {
    Error::General("the agreed cipher suite is not one of those offered".to_owned())
}
