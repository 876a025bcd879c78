//! What a side accounts for: entries by kind, bytes, items by class, and what was left out by kind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::difference::{CHANGES, Change};
use super::item::{ITEM_CLASSES, ItemClass};
use crate::digest::leaf::Leaf;
use crate::fs::medium::Medium;
use crate::fs::stat::Kind;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    pub files: u64,
    pub directories: u64,
    pub symlinks: u64,
    pub hard_links: u64,
    pub fifos: u64,
    pub sockets: u64,
    pub devices: u64,
}

#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<EntryCounts>,
    items: [AtomicU64; ITEM_CLASSES.len()],
    not_preserved: Mutex<BTreeMap<String, u64>>,
    bytes: AtomicU64,
    moved: AtomicU64,
    matched: AtomicU64,
    compared: AtomicU64,
    assumed: AtomicU64,
    deleted: AtomicU64,
    excluded: AtomicU64,
    differences: [AtomicU64; CHANGES.len()],
    would_move: AtomicU64,
    not_removed: AtomicU64,
    read_back_files: AtomicU64,
    read_back_bytes: AtomicU64,
}

/// What a target has read from its medium again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// Type of the file system, as mountinfo calls it.
    pub filesystem: String,
    pub medium: Medium,
    /// Files of which every byte was read back and was as it should be.
    pub files: u64,
    /// Their sizes.
    pub bytes: u64,
}

/// What a session did, once it has settled.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub entries: EntryCounts,
    pub bytes: u64,
    pub moved_bytes: u64,
    /// Of files that were sent: data that the target had already, in an older file or an unfinished part.
    pub matched_bytes: u64,
    /// Files that were there, and of which both sides have read the same bytes.
    pub compared: u64,
    /// Files that were there with the same size and modification time.
    pub assumed: u64,
    pub wire_bytes: u64,
    pub resent: u64,
    /// Entries of the target that the source did not have, and that are gone.
    pub deleted: u64,
    /// Entries that the rules exclude: not read (source), or there and left alone (target). What is beneath them is not counted.
    pub excluded: u64,
    /// What a session that only looks has found, in the order of CHANGES; and the file data that a copy would send, bytes.
    pub differences: [u64; CHANGES.len()],
    pub would_move: u64,
    /// None on the source, and where nobody asked for it.
    pub read_back: Option<ReadBack>,
    /// Entries that the source did not have, and that could not be removed: each is an item, *not kept*.
    pub not_removed: u64,
    pub roots: Leaf,
    /// In the order of ITEM_CLASSES.
    pub item_counts: [u64; ITEM_CLASSES.len()],
    pub not_preserved: Vec<(String, u64)>,
}

impl Ledger {
    pub fn count_entry(&self, kind: Kind) {
        self.count_entries(kind, 1);
    }

    pub fn count_entries(&self, kind: Kind, count: u64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let field = match kind {
            Kind::File => &mut entries.files,
            Kind::Directory => &mut entries.directories,
            Kind::Symlink => &mut entries.symlinks,
            Kind::Fifo => &mut entries.fifos,
            Kind::Socket => &mut entries.sockets,
            Kind::CharDevice | Kind::BlockDevice => &mut entries.devices,
        };
        *field += count;
    }

    pub fn count_hard_link(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).hard_links += 1;
    }

    pub fn count_item(&self, class: ItemClass) {
        self.items[class as usize - 1].fetch_add(1, Ordering::Relaxed);
    }

    pub fn leave_out(&self, kind: &str) {
        let mut left_out = self.not_preserved.lock().unwrap_or_else(PoisonError::into_inner);
        match left_out.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                left_out.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Size of regular files read or written.
    pub fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// File data that crossed the lanes.
    pub fn count_moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// File data of which the target had the same, so that it did not cross.
    pub fn count_matched(&self, bytes: u64) {
        self.matched.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn count_compared(&self) {
        self.compared.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_assumed(&self) {
        self.assumed.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries removed because the source does not have them.
    pub fn count_deleted(&self, entries: u64) {
        self.deleted.fetch_add(entries, Ordering::Relaxed);
    }

    pub fn count_not_removed(&self) {
        self.not_removed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_excluded(&self, entries: u64) {
        self.excluded.fetch_add(entries, Ordering::Relaxed);
    }

    pub fn count_difference(&self, change: Change) {
        self.differences[change as usize - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// File data that a copy would send.
    pub fn count_would_move(&self, bytes: u64) {
        self.would_move.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file was read from the medium and is as it was written.
    pub fn count_read_back(&self, bytes: u64) {
        self.read_back_files.fetch_add(1, Ordering::Relaxed);
        self.read_back_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many files that was, and how large they are.
    pub fn read_back(&self) -> (u64, u64) {
        (self.read_back_files.load(Ordering::Relaxed), self.read_back_bytes.load(Ordering::Relaxed))
    }

    pub fn outcome(&self, roots: Leaf, wire_bytes: u64, resent: u64) -> Outcome {
        let left_out = self.not_preserved.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            entries: *self.entries.lock().unwrap_or_else(PoisonError::into_inner),
            bytes: self.bytes.load(Ordering::Relaxed),
            moved_bytes: self.moved.load(Ordering::Relaxed),
            matched_bytes: self.matched.load(Ordering::Relaxed),
            compared: self.compared.load(Ordering::Relaxed),
            assumed: self.assumed.load(Ordering::Relaxed),
            wire_bytes,
            resent,
            deleted: self.deleted.load(Ordering::Relaxed),
            excluded: self.excluded.load(Ordering::Relaxed),
            differences: std::array::from_fn(|at| self.differences[at].load(Ordering::Relaxed)),
            would_move: self.would_move.load(Ordering::Relaxed),
            read_back: None,
            not_removed: self.not_removed.load(Ordering::Relaxed),
            roots,
            item_counts: std::array::from_fn(|at| self.items[at].load(Ordering::Relaxed)),
            not_preserved: left_out.iter().map(|(kind, count)| (kind.clone(), *count)).collect(),
        }
    }
}
