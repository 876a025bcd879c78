//! What is known of a large file on its way: the attempt that runs, and what is counted over all of them.

use std::collections::{BTreeMap, VecDeque};

use super::links::Known;
use super::part::Part;
use crate::digest::file::{FileDigest, Form, PIECE, pieces};
use crate::fs::extents::DataRanges;
use crate::fs::stat::Stat;

pub(super) struct State {
    pub(super) attempt: u16,
    /// The target has heard of this attempt: parts of it may be handed out.
    pub(super) announced: bool,
    pub(super) stat: Stat,
    pub(super) form: Form,
    pub(super) digest: FileDigest,
    pub(super) ranges: DataRanges,
    pub(super) next: u64,
    /// Bytes from the start with which the target can compare pieces of this attempt.
    pub(super) base: u64,
    /// What is to be handed out besides: parts that came back, and patches that the target asked for.
    pub(super) returned: VecDeque<Part>,
    pub(super) outstanding: u64,
    /// Tries that found the file changed.
    pub(super) changes: u32,
    /// Ends that the target refused for their digest.
    pub(super) mismatches: u32,
    /// How often the target found a piece wrong, or a hole that begins there, that it has not taken yet.
    pub(super) refused: BTreeMap<u64, u32>,
    pub(super) changed: bool,
    /// What is acknowledged of this attempt.
    pub(super) progress: u64,
    /// Of that, what the target had already.
    pub(super) matched: u64,
    /// Of attempts that were given up, not yet taken from the counters.
    pub(super) forgotten: u64,
    /// A lane died with a part of it.
    pub(super) retried: bool,
    /// It was settled, or will be by a GONE: nothing more is handed out.
    pub(super) given_up: bool,
    /// What the last END said.
    pub(super) known: Option<Known>,
}

impl State {
    pub(super) fn new(attempt: u16, stat: Stat, form: Form, base: u64) -> Self {
        Self {
            attempt,
            // Of the first one it has from the index, and where it has not, nobody is given the file before it has.
            announced: true,
            digest: FileDigest::new(form, stat.size),
            ranges: DataRanges::new(stat.size),
            form,
            stat,
            next: 0,
            base,
            returned: VecDeque::new(),
            outstanding: 0,
            changes: 0,
            mismatches: 0,
            refused: BTreeMap::new(),
            changed: false,
            progress: 0,
            matched: 0,
            forgotten: 0,
            retried: false,
            given_up: false,
            known: None,
        }
    }

    /// What was acknowledged will be sent again.
    pub(super) fn forget_progress(&mut self) {
        self.forgotten += std::mem::take(&mut self.progress);
    }

    pub(super) fn settle_part(&mut self, data: u64) {
        self.outstanding -= 1;
        self.progress += data;
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.given_up && self.outstanding == 0 && self.returned.is_empty() && self.next >= pieces(self.stat.size)
    }

    /// Whether the target can compare a piece instead of being sent it: all of it is data, and it begins within the base.
    pub(super) fn may_compare(&self, part: &Part) -> bool {
        let Part::Piece { index, length, segments, .. } = part else { return false };
        index.saturating_mul(PIECE) < self.base && segments == &[(0, *length)]
    }
}
