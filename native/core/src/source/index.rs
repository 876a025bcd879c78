//! The source's end of the index: announcements in order, numbered under one lock, settled by acknowledgements.

use std::sync::{Arc, Mutex, PoisonError};

use super::directory::SourceDirectory;
use super::in_flight::InFlight;
use super::links::WaitingName;
use super::queue::FileTask;
use crate::digest::Digest;
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::stat::{InodeKey, Kind};
use crate::session::item::Item;
use crate::wire::channel::Channel;
use crate::wire::cursor::Put;
use crate::wire::frame::FrameType;
use crate::wire::index::{DirectoryEnd, DirectoryMark, EntriesHead};
use crate::wire::items::put_item;

/// An announced entry that is settled by the acknowledgement of its frame.
pub(super) struct Announced {
    pub(super) position: u32,
    pub(super) leaf_index: u64,
    pub(super) what: AnnouncedKind,
}

pub(super) enum AnnouncedKind {
    /// A symlink, FIFO, socket or device, or another name of one.
    Made {
        kind: Kind,
        leaf: Leaf,
        link: Option<(InodeKey, Digest)>,
        first: bool,
    },
    /// Another name of a regular file.
    FileName {
        key: InodeKey,
        name: WaitingName,
    },
    /// A regular file in a session that compares: sent only when the target says so.
    File(Box<Compared>),
    Failed,
}

/// A file that waits for the target's word.
pub(super) struct Compared {
    /// Its file id counts from the frame's first.
    pub(super) task: FileTask,
    pub(super) attributes: Attributes,
}

pub(super) enum IndexRecord {
    Directory(Arc<SourceDirectory>),
    Entries { directory: Arc<SourceDirectory>, first_file: u64, announced: Vec<Announced> },
    End { directory: Arc<SourceDirectory>, entries: u64 },
    Failed { directory: Arc<SourceDirectory>, entry: u64 },
}

#[derive(Debug, Default)]
struct Numbers {
    file: u64,
}

pub(super) struct Index {
    pub(super) channel: Arc<Channel>,
    pub(super) in_flight: InFlight<IndexRecord>,
    numbers: Mutex<Numbers>,
}

impl Index {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel, in_flight: InFlight::new(), numbers: Mutex::new(Numbers::default()) }
    }

    /// Goes out with the directory's entries, or with the next flush.
    pub(super) fn announce_directory(&self, payload: &[u8], record: IndexRecord) -> Result<(), CoreError> {
        self.hold(FrameType::Directory, payload, record)
    }

    /// Sends an ENTRIES frame of which `files` entries are regular files; the file id of the first of them.
    pub(super) fn send_entries(
        &self,
        head: EntriesHead,
        entries: &[u8],
        files: u64,
        record: impl FnOnce(u64) -> IndexRecord,
    ) -> Result<u64, CoreError> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let first_file = numbers.file;
        numbers.file += files;
        let mut payload = Vec::with_capacity(32);
        EntriesHead { first_file, ..head }.put(&mut payload);
        self.push(record(first_file))?;
        self.channel.send(FrameType::Entries, false, &[&payload, entries])?;
        Ok(first_file)
    }

    /// Goes out with the next directory's entries, or with the next flush.
    pub(super) fn announce_end(&self, end: DirectoryEnd, record: IndexRecord) -> Result<(), CoreError> {
        let mut payload = Vec::with_capacity(17);
        end.put(&mut payload);
        self.hold(FrameType::DirectoryEnd, &payload, record)
    }

    pub(super) fn announce_failed(&self, mark: DirectoryMark, record: IndexRecord) -> Result<(), CoreError> {
        let mut payload = Vec::with_capacity(16);
        mark.put(&mut payload);
        self.hold(FrameType::DirectoryFailed, &payload, record)
    }

    /// Sends what is held back: nothing else may follow for a while.
    pub(super) fn flush(&self) -> Result<(), CoreError> {
        self.channel.flush()
    }

    pub(super) fn send_item(&self, item: &Item) -> Result<(), CoreError> {
        let mut payload = Vec::with_capacity(64 + item.path.len());
        payload.put_u32(1);
        put_item(&mut payload, item);
        self.channel.send(FrameType::Items, false, &[&payload])
    }

    pub(super) fn send_settled(&self) -> Result<(), CoreError> {
        self.channel.send(FrameType::Settled, false, &[])
    }

    fn hold(&self, frame: FrameType, payload: &[u8], record: IndexRecord) -> Result<(), CoreError> {
        let _numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        self.push(record)?;
        self.channel.hold(frame, &[payload])
    }

    /// Records in the order of sending: the caller holds `numbers`, and sends or holds back the frame next. Whoever has to
    /// wait for an acknowledgement sends first what it may be for.
    fn push(&self, record: IndexRecord) -> Result<(), CoreError> {
        if !self.in_flight.has_room() {
            self.channel.flush()?;
        }
        self.in_flight.push(record).map_err(|_| CoreError::network("The index connection is closed."))
    }
}
