//! Records on their way to the kernel.

use std::io::IoSlice;

use rustls::Error;

use super::keys::{KeySchedule, RecordKey};
use super::{ALERT, APPLICATION_DATA, CONTENT_MOST, HANDSHAKE, HEADER_BYTES, KEY_UPDATE, RECORDS_PER_KEY, TAG_BYTES};

/// What is sealed before it is handed to the kernel; small enough to stay in the cache in between.
const OUTBOX_BYTES: usize = 8 * RECORD_MOST;

/// A record of full size; padding is never sent.
const RECORD_MOST: usize = HEADER_BYTES + CONTENT_MOST + 1 + TAG_BYTES;

pub(crate) struct Outbox {
    key: RecordKey,
    /// Records sealed with this key.
    sealed: u64,
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// A record's content when it comes from more than one part.
    gathered: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new(key: RecordKey) -> Self {
        Self { key, sealed: 0, bytes: vec![0; OUTBOX_BYTES].into_boxed_slice(), start: 0, end: 0, gathered: Vec::new() }
    }

    /// What the kernel has not taken yet.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The kernel has taken so much of `pending`.
    pub(crate) fn taken(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// True when the key has sealed as many records as it should.
    pub(crate) fn wants_new_key(&self) -> bool {
        self.sealed >= RECORDS_PER_KEY
    }

    /// Seals as much of `parts` as there is room for, and takes it off them.
    pub(crate) fn fill(&mut self, parts: &mut &mut [IoSlice<'_>]) -> Result<(), Error> {
        while !parts.is_empty() && self.has_room() {
            if parts.len() == 1 || parts[0].len() >= CONTENT_MOST {
                let count = parts[0].len().min(CONTENT_MOST);
                self.seal(APPLICATION_DATA, &parts[0][..count])?;
                IoSlice::advance_slices(parts, count);
            } else {
                self.seal_gathered(parts)?;
            }
        }
        Ok(())
    }

    /// Small parts share a record: a frame's header and table do not travel in records of their own.
    fn seal_gathered(&mut self, parts: &mut &mut [IoSlice<'_>]) -> Result<(), Error> {
        let mut content = std::mem::take(&mut self.gathered);
        content.clear();
        for part in parts.iter() {
            let room = CONTENT_MOST - content.len();
            content.extend_from_slice(&part[..part.len().min(room)]);
        }
        IoSlice::advance_slices(parts, content.len());
        let sealed = self.seal(APPLICATION_DATA, &content);
        self.gathered = content;
        sealed
    }

    /// The peer learns that everything after this record has another key (RFC 8446, 4.6.3). It is not asked for one.
    pub(crate) fn change_key(&mut self, schedule: &mut dyn KeySchedule) -> Result<(), Error> {
        const UPDATE_NOT_REQUESTED: u8 = 0;
        self.seal(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, UPDATE_NOT_REQUESTED])?;
        self.key = schedule.next_sending()?;
        self.sealed = 0;
        Ok(())
    }

    pub(crate) fn alert(&mut self, description: u8) -> Result<(), Error> {
        self.seal(ALERT, &[super::alert_level(description), description])
    }

    /// A place for one more record of full size. There is one whenever nothing is pending.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes.len() - self.end >= RECORD_MOST
    }

    fn seal(&mut self, kind: u8, content: &[u8]) -> Result<(), Error> {
        if !self.has_room() {
            return Err(Error::EncryptError);
        }
        self.end += self.key.seal(kind, content, &mut self.bytes[self.end..])?;
        self.sealed += 1;
        Ok(())
    }
}
