//! Parts of large files that are not whole: what earlier sessions have left of them, and what the journal is told about
//! those of this one. What the journal says is no more than a hint: a part is compared before any of it counts.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::Announced;
use super::journal::{MAX_RANGES, Part, PartEnd, Record, now};
use super::large::{Large, base_of};
use super::session::Shared;
use crate::digest::Digest;
use crate::digest::file::PIECE;
use crate::error::CoreError;
use crate::fs::make;
use crate::wire::limits::PACK_FILE;

/// Bytes that may have come, for all parts together, since the journal was last told of them: with what is on its way,
/// what a killed agent has sent again stays below 64 MB.
const UNRECORDED: u64 = 16 << 20;

#[derive(Default)]
pub(super) struct Unfinished {
    /// Of earlier sessions, by the hash of their path, until their file is announced.
    left: Mutex<HashMap<Digest, Part>>,
    unrecorded: AtomicU64,
    /// Names that the journal knows. Held while they are written there, so that a part is not recorded after its end.
    recorded: Mutex<HashSet<String>>,
}

/// A part of an earlier session that goes on.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) name: String,
    pub(super) ranges: Vec<(u64, u64)>,
}

fn path_digest(path: &[u8]) -> Digest {
    *blake3::hash(path).as_bytes()
}

impl Unfinished {
    pub(super) fn new(parts: &[Part]) -> Self {
        let recorded = parts.iter().map(|part| part.name.clone()).collect();
        let left = parts.iter().map(|part| (part.path, part.clone())).collect();
        Self { left: Mutex::new(left), unrecorded: AtomicU64::new(0), recorded: Mutex::new(recorded) }
    }

    fn left(&self) -> MutexGuard<'_, HashMap<Digest, Part>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorded(&self) -> MutexGuard<'_, HashSet<String>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an announced file the part that an earlier session has left of it.
    pub(super) fn join(&self, announced: Announced) -> Announced {
        let mut left = self.left();
        if left.is_empty() || announced.size <= PACK_FILE {
            return announced;
        }
        let Some(Part { name, ranges, .. }) = left.remove(&path_digest(&announced.path())) else { return announced };
        let held = ranges.last().map_or(0, |(first, count)| first.saturating_add(*count));
        let base = base_of(held.saturating_mul(PIECE), announced.size).max(announced.base);
        Announced { base, left: Some(Box::new(Left { name, ranges })), ..announced }
    }
}

impl Shared {
    /// Some of a large file has come.
    pub(super) fn note_progress(&self, bytes: u64) -> Result<(), CoreError> {
        let before = self.unfinished.unrecorded.fetch_add(bytes, Ordering::Relaxed);
        if before / UNRECORDED == (before + bytes) / UNRECORDED { Ok(()) } else { self.record_parts() }
    }

    /// Tells the journal how far all large files are that are under way.
    pub(super) fn record_parts(&self) -> Result<(), CoreError> {
        let mut recorded = self.unfinished.recorded();
        let parts: Vec<Record> = self.files.large().iter().filter_map(part_record).map(Record::Part).collect();
        if parts.is_empty() {
            return Ok(());
        }
        self.volume.journal().append(&parts)?;
        recorded.extend(parts.into_iter().filter_map(|record| match record {
            Record::Part(part) => Some(part.name),
            _ => None,
        }));
        Ok(())
    }

    /// A part got its name, or was removed.
    pub(super) fn part_ended(&self, name: &str, how: PartEnd) -> Result<(), CoreError> {
        if !self.unfinished.recorded().remove(name) {
            return Ok(());
        }
        self.volume.journal().append(&[Record::PartEnded { name: name.to_owned(), how }])
    }

    /// Everything is written: what earlier sessions have left of files that are not wanted any more goes.
    pub(super) fn drop_left_parts(&self) -> Result<(), CoreError> {
        let left = std::mem::take(&mut *self.unfinished.left());
        left.into_values().try_for_each(|part| {
            let _ = make::unlink(self.volume.parts(), part.name.as_bytes());
            self.part_ended(&part.name, PartEnd::Dropped)
        })
    }
}

/// None for a part of which there is nothing new, and for a file that is written into itself.
fn part_record(large: &Arc<Large>) -> Option<Part> {
    let name = large.part.name.clone()?;
    let (size, mut ranges) = large.coming()?;
    ranges.truncate(MAX_RANGES);
    let path = path_digest(&large.announced.path());
    Some(Part { path, name, size, recorded: now(), ranges })
}
