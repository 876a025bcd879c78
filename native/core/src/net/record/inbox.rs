//! Records as they come from the kernel.

use std::ops::Range;

use rustls::{AlertDescription, ContentType, Error, HandshakeType};

use super::keys::{KeySchedule, RecordKey};
use super::{
    ALERT, APPLICATION_DATA, CIPHERTEXT_MOST, CLOSE_NOTIFY, HANDSHAKE, HEADER_BYTES, KEY_UPDATE, NEW_SESSION_TICKET,
    TAG_BYTES, USER_CANCELED,
};

/// One read from the socket. Several records; whatever part of one is left is moved to the front, at most 16 KiB in 128.
const INBOX_BYTES: usize = 128 * 1024;

/// A handshake message after the handshake. A ticket is the only one that may be long, and is thrown away.
const HANDSHAKE_MOST: usize = 1 << 16;

/// What the next record turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// So many bytes of content; none is possible.
    Content(usize),
    /// Nothing for the caller.
    Internal,
    /// The peer wants a KeyUpdate from us.
    KeyUpdateWanted,
    /// close_notify: nothing that follows counts.
    End,
    /// More has to come from the socket first.
    Incomplete,
}

pub(crate) struct Inbox {
    key: RecordKey,
    bytes: Box<[u8]>,
    /// Ciphertext that is not opened yet.
    cipher: Range<usize>,
    /// Content, opened in place, that nobody has read yet. It lies before `cipher`.
    plain: Range<usize>,
    /// Content that came with the end of the handshake; goes before everything else.
    early: Vec<u8>,
    /// Handshake messages of which the rest is to come.
    handshake: Vec<u8>,
}

impl Inbox {
    /// `early` is content that the handshake has opened, `ciphertext` what it has left.
    pub(crate) fn new(key: RecordKey, early: Vec<u8>, ciphertext: &[u8]) -> Self {
        let mut bytes = vec![0; INBOX_BYTES.max(ciphertext.len())].into_boxed_slice();
        bytes[..ciphertext.len()].copy_from_slice(ciphertext);
        Self { key, bytes, cipher: 0..ciphertext.len(), plain: 0..0, early, handshake: Vec::new() }
    }

    /// Content that is there without opening another record; how much of it was copied.
    pub(crate) fn take(&mut self, buf: &mut [u8]) -> usize {
        if !self.early.is_empty() {
            let count = self.early.len().min(buf.len());
            buf[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return count;
        }
        let count = self.plain.len().min(buf.len());
        buf[..count].copy_from_slice(&self.bytes[self.plain.start..self.plain.start + count]);
        self.plain.start += count;
        count
    }

    pub(crate) fn has_content(&self) -> bool {
        !self.early.is_empty() || !self.plain.is_empty()
    }

    /// Nothing waits here, opened or not.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_content() && self.cipher.is_empty()
    }

    /// Room for what comes next from the socket; `received` is to be told how much did. Only while there is no content.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.plain = 0..0;
        self.bytes.copy_within(self.cipher.clone(), 0);
        self.cipher = 0..self.cipher.len();
        &mut self.bytes[self.cipher.end..]
    }

    pub(crate) fn received(&mut self, count: usize) {
        self.cipher.end += count;
    }

    /// Opens the next record straight into `buf` when it fits in there, and in place otherwise.
    pub(crate) fn open_into(&mut self, schedule: &mut dyn KeySchedule, buf: &mut [u8]) -> Result<Arrival, Error> {
        let Some(record) = self.next_record()? else { return Ok(Arrival::Incomplete) };
        let inner = record.len() - HEADER_BYTES - TAG_BYTES;
        if inner > buf.len() {
            let arrival = self.open_record(record, schedule)?;
            return Ok(if let Arrival::Content(_) = arrival { Arrival::Content(self.take(buf)) } else { arrival });
        }
        let (header, ciphertext) = self.bytes[record.clone()].split_at(HEADER_BYTES);
        self.key.open_into(header, ciphertext, &mut buf[..inner])?;
        self.cipher.start = record.end;
        let (kind, length) = content_of(&buf[..inner])?;
        if kind == APPLICATION_DATA {
            return Ok(Arrival::Content(length));
        }
        self.handle(kind, &buf[..length], schedule)
    }

    /// Opens the next record in place: its content waits to be taken.
    pub(crate) fn open(&mut self, schedule: &mut dyn KeySchedule) -> Result<Arrival, Error> {
        match self.next_record()? {
            Some(record) => self.open_record(record, schedule),
            None => Ok(Arrival::Incomplete),
        }
    }

    fn open_record(&mut self, record: Range<usize>, schedule: &mut dyn KeySchedule) -> Result<Arrival, Error> {
        let (header, ciphertext) = self.bytes[record.clone()].split_at_mut(HEADER_BYTES);
        self.key.open_in_place(header, ciphertext)?;
        self.cipher.start = record.end;
        let inner = record.start + HEADER_BYTES..record.end - TAG_BYTES;
        let (kind, length) = content_of(&self.bytes[inner.clone()])?;
        if kind == APPLICATION_DATA {
            self.plain = inner.start..inner.start + length;
            return Ok(Arrival::Content(length));
        }
        let content = self.bytes[inner.start..inner.start + length].to_vec();
        self.handle(kind, &content, schedule)
    }

    /// Where the next record lies, once all of it has come. Its length is checked before anything is waited for.
    fn next_record(&self) -> Result<Option<Range<usize>>, Error> {
        let Some(&[kind, _, _, high, low]) = self.bytes[self.cipher.clone()].first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        if kind != APPLICATION_DATA {
            return Err(unexpected(kind));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > CIPHERTEXT_MOST {
            return Err(Error::PeerSentOversizedRecord);
        }
        if length <= TAG_BYTES {
            return Err(Error::DecryptError);
        }
        let end = self.cipher.start + HEADER_BYTES + length;
        Ok((end <= self.cipher.end).then_some(self.cipher.start..end))
    }

    fn handle(&mut self, kind: u8, content: &[u8], schedule: &mut dyn KeySchedule) -> Result<Arrival, Error> {
        match (kind, content) {
            (ALERT, [_, CLOSE_NOTIFY]) => Ok(Arrival::End),
            (ALERT, [_, USER_CANCELED]) => Ok(Arrival::Internal),
            (ALERT, [_, description]) => Err(Error::AlertReceived(AlertDescription::from(*description))),
            (HANDSHAKE, _) => self.handle_handshake(content, schedule),
            _ => Err(unexpected(kind)),
        }
    }

    fn handle_handshake(&mut self, content: &[u8], schedule: &mut dyn KeySchedule) -> Result<Arrival, Error> {
        self.handshake.extend_from_slice(content);
        let mut arrival = Arrival::Internal;
        while let Some(&[kind, high, middle, low]) = self.handshake.first_chunk::<4>() {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > HANDSHAKE_MOST {
                return Err(Error::InvalidMessage(rustls::InvalidMessage::HandshakePayloadTooLarge));
            }
            if self.handshake.len() < 4 + length {
                break;
            }
            let message: Vec<u8> = self.handshake.drain(..4 + length).collect();
            if self.handle_message(kind, &message[4..], schedule)? {
                arrival = Arrival::KeyUpdateWanted;
            }
        }
        Ok(arrival)
    }

    /// True when the peer wants a KeyUpdate from us.
    fn handle_message(&mut self, kind: u8, body: &[u8], schedule: &mut dyn KeySchedule) -> Result<bool, Error> {
        match (kind, body) {
            // Sessions are never resumed.
            (NEW_SESSION_TICKET, _) => Ok(false),
            // No message may lie on both sides of a change of keys (RFC 8446, 5.1).
            (KEY_UPDATE, [wanted @ (0 | 1)]) if self.handshake.is_empty() => {
                self.key = schedule.next_receiving()?;
                Ok(*wanted == 1)
            }
            _ => Err(Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::KeyUpdate],
                got_type: HandshakeType::from(kind),
            }),
        }
    }
}

/// Type and length of what was in a record: the type is the last byte that is not padding (RFC 8446, 5.4).
fn content_of(inner: &[u8]) -> Result<(u8, usize), Error> {
    let length = inner.iter().rposition(|byte| *byte != 0).ok_or(unexpected(0))?;
    if length > super::CONTENT_MOST {
        return Err(Error::PeerSentOversizedRecord);
    }
    Ok((inner[length], length))
}

fn unexpected(kind: u8) -> Error {
    Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type: ContentType::from(kind) }
}
