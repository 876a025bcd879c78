//! What an acknowledgement settles: leaves, hard links, counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::directory::{SourceComplete, SourceDirectory};
use super::in_flight::Acknowledged;
use super::index::{Announced, AnnouncedKind, IndexRecord};
use super::links::{Known, WaitingName};
use super::queue::FileTask;
use super::session::Shared;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::tree::{expect, settle};
use crate::error::CoreError;
use crate::fs::stat::Kind;
use crate::session::counters::Counter;
use crate::wire::index::Outcome;
use crate::wire::limits::MAX_REFUSALS;

/// What the entries of a frame come to, on its way.
#[derive(Default)]
struct Settling {
    leaves: Vec<(u64, Leaf)>,
    checks: Vec<FileTask>,
}

/// Files on their way to the trees of their directories: those of one directory that follow one another go together.
#[derive(Default)]
pub(super) struct SettledFiles {
    directory: Option<Arc<SourceDirectory>>,
    leaves: Vec<(u64, Leaf)>,
    files: u64,
    bytes: u64,
}

impl Shared {
    /// Settles what one acknowledged frame of the index announced.
    pub(super) fn settle_index(&self, acknowledged: Acknowledged<IndexRecord>) -> Result<(), CoreError> {
        let (record, exceptions) = acknowledged;
        match record {
            IndexRecord::Directory(directory) => {
                if self.is_unlike(outcome_at(&exceptions, 0))? {
                    directory.data.failed.store(true, Ordering::Relaxed);
                } else {
                    self.ledger.count_entry(Kind::Directory);
                    self.counters.add(Counter::EntriesDone, 1);
                }
                Ok(())
            }
            IndexRecord::End { directory, entries } => {
                let root = expect(&directory, entries, &SourceComplete)?;
                self.volume_complete(root)
            }
            IndexRecord::Failed { directory, entry } => self.settle_leaves(&directory, &[(entry, FAILED_LEAF)]),
            IndexRecord::Entries { directory, first_file, announced } => {
                let mut settling = Settling::default();
                let mut outcomes = exceptions.iter().peekable();
                for entry in announced {
                    // Exceptions come in the order of the entries, a thousand of each in a frame.
                    while outcomes.next_if(|(at, _)| *at < entry.position).is_some() {}
                    let outcome = outcomes.peek().filter(|(at, _)| *at == entry.position).map(|(_, outcome)| *outcome);
                    self.settle_announced(entry, first_file, outcome, &mut settling)?;
                }
                self.queue.check(settling.checks);
                self.settle_leaves(&directory, &settling.leaves)
            }
        }
    }

    fn settle_announced(
        &self,
        entry: Announced,
        first_file: u64,
        outcome: Option<Outcome>,
        Settling { leaves, checks }: &mut Settling,
    ) -> Result<(), CoreError> {
        let failed = !matches!(entry.what, AnnouncedKind::File(_)) && self.is_unlike(outcome)?;
        match entry.what {
            AnnouncedKind::File(compared) => self.settle_compared(*compared, first_file, outcome, checks)?,
            AnnouncedKind::Failed => leaves.push((entry.leaf_index, FAILED_LEAF)),
            AnnouncedKind::Made { kind, leaf, link, first } => {
                if let Some((key, path_hash)) = link {
                    self.links.settle_made(key, (!failed).then_some(path_hash));
                }
                leaves.push((entry.leaf_index, if failed { FAILED_LEAF } else { leaf }));
                self.count_made(failed, (!first).then_some(()).map_or(Some(kind), |()| None));
            }
            AnnouncedKind::FileName { key, name } if failed => {
                self.links.settle_made(key, None);
                self.settle_leaves(&name.directory, &[(name.leaf, FAILED_LEAF)])?;
            }
            AnnouncedKind::FileName { key, name } => {
                if let Some((name, leaf)) = self.links.settle_other(key, name) {
                    self.settle_name(&name, leaf)?;
                }
            }
        }
        Ok(())
    }

    /// `kind` is None for a hard link.
    fn count_made(&self, failed: bool, kind: Option<Kind>) {
        if failed {
            return;
        }
        match kind {
            Some(kind) => self.ledger.count_entry(kind),
            None => self.ledger.count_hard_link(),
        }
        self.counters.add(Counter::EntriesDone, 1);
    }

    fn settle_name(&self, name: &WaitingName, leaf: Leaf) -> Result<(), CoreError> {
        self.count_made(leaf == FAILED_LEAF, None);
        self.settle_leaves(&name.directory, &[(name.leaf, leaf)])
    }

    /// As `settle_file`, of files with one name, with what was read of them.
    pub(super) fn gather_settled(
        &self,
        task: &FileTask,
        known: &Known,
        size: u64,
        settled: &mut SettledFiles,
    ) -> Result<(), CoreError> {
        if settled.directory.as_ref().is_none_or(|directory| !Arc::ptr_eq(directory, &task.directory)) {
            self.settle_gathered(std::mem::take(settled))?;
            settled.directory = Some(Arc::clone(&task.directory));
        }
        settled.leaves.push((task.leaf, known.leaf(&task.name)));
        settled.files += 1;
        settled.bytes += size;
        Ok(())
    }

    /// To be called after the last of them.
    pub(super) fn settle_gathered(&self, settled: SettledFiles) -> Result<(), CoreError> {
        let SettledFiles { directory: Some(directory), leaves, files, bytes } = settled else { return Ok(()) };
        self.count_files(files, bytes);
        self.queue.settled(usize::try_from(files).unwrap_or(usize::MAX));
        self.settle_leaves(&directory, &leaves)
    }

    /// A regular file is on the target, with what was read of it; None when it is not.
    pub(super) fn settle_file(&self, task: &FileTask, known: Option<Known>, size: u64) -> Result<(), CoreError> {
        let leaf = known.as_ref().map_or(FAILED_LEAF, |known| known.leaf(&task.name));
        self.settle_file_leaf(task, leaf, known, size)
    }

    /// As `settle_file`, with a leaf that the target named.
    pub(super) fn settle_file_leaf(
        &self,
        task: &FileTask,
        leaf: Leaf,
        known: Option<Known>,
        size: u64,
    ) -> Result<(), CoreError> {
        if known.is_some() {
            self.count_files(1, size);
        }
        self.queue.settled(1);
        self.settle_leaves(&task.directory, &[(task.leaf, leaf)])?;
        let Some(key) = task.link else { return Ok(()) };
        let first = WaitingName { directory: Arc::clone(&task.directory), leaf: task.leaf, name: task.name.clone() };
        for (name, leaf) in self.links.resolve(key, &first, known) {
            self.settle_name(&name, leaf)?;
        }
        Ok(())
    }

    pub(super) fn count_files(&self, files: u64, bytes: u64) {
        self.ledger.count_entries(Kind::File, files);
        self.ledger.count_bytes(bytes);
        self.counters.add(Counter::EntriesDone, files);
        self.counters.add(Counter::FilesDone, files);
    }

    pub(super) fn settle_leaves(
        &self,
        directory: &Arc<SourceDirectory>,
        leaves: &[(u64, Leaf)],
    ) -> Result<(), CoreError> {
        let root = settle(directory, leaves, &SourceComplete)?;
        self.volume_complete(root)
    }
}

/// Whether the exceptions of a frame name this position, and how.
pub(super) fn outcome_at(exceptions: &[(u32, Outcome)], position: usize) -> Option<Outcome> {
    exceptions.iter().find(|(at, _)| *at as usize == position).map(|(_, outcome)| *outcome)
}

/// A target says that it need not be sent what was sent.
pub(super) fn compared_in_vain() -> CoreError {
    CoreError::protocol("The peer broke the protocol: it compares what was sent.")
}

/// A target that finds the same bytes wrong time after time has something else in mind than a copy.
pub(super) fn check_refusals(refused: u32) -> Result<(), CoreError> {
    if refused <= MAX_REFUSALS {
        return Ok(());
    }
    Err(CoreError::protocol("The peer broke the protocol: it asks for the same bytes again and again."))
}
