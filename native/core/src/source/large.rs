//! A large file on its way: which parts are handed out, which are acknowledged, and whether it stood still.
//!
//! States of an attempt: pieces are handed out; when all are acknowledged the file is looked at again; if it stood still
//! END is sent, otherwise AGAIN and the next attempt. Both are acknowledged before anything else happens.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::large_state::State;
use super::links::Known;
use super::part::Part;
use super::queue::FileTask;
use super::transit::outcome_at;
use crate::digest::Digest;
use crate::digest::file::{FileDigest, Form, PIECE, piece_length, pieces, pieces_from};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::extents::DataRanges;
use crate::fs::stat::{Stat, stat_fd};
use crate::scan::read::{form_of, segments, stood_still};
use crate::wire::index::Outcome;
use crate::wire::lane::FileAttempt;
use crate::wire::limits::{MAX_ATTEMPTS, MAX_SEGMENTS, SUMS_PIECES};

pub(super) struct Large {
    pub(super) task: FileTask,
    fd: OwnedFd,
    /// That of files as they are sent in this session.
    sent_form: Form,
    state: Mutex<State>,
}

/// How often the target may find the whole file's digest wrong.
const MAX_MISMATCHES: u32 = 3;

/// What END says.
pub(super) struct Finished {
    pub(super) stat: Stat,
    pub(super) form: Form,
    pub(super) digest: Digest,
    pub(super) changed: bool,
    /// Bytes of it that the target had already.
    pub(super) matched: u64,
}

impl Large {
    /// Takes an opened file. `Some(Part::Again)` comes back when the target has to hear of its size or form first.
    pub(super) fn new(task: FileTask, fd: OwnedFd, stat: Stat, sent_form: Form) -> Result<(Self, bool), Errno> {
        let form = form_as_sent(sent_form, fd.as_fd(), stat.size)?;
        // A file without pieces is ended by the acknowledgement of its AGAIN: nothing else would be sent of it.
        let surprising = form != sent_form || stat.size != task.size || task.sent_before || stat.size == 0;
        let state = State::new(u16::from(surprising), stat, form, task.base);
        Ok((Self { task, fd, sent_form, state: Mutex::new(state) }, surprising))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn attempt(&self) -> FileAttempt {
        FileAttempt { file: self.task.file, attempt: self.lock().attempt }
    }

    pub(super) fn size_and_form(&self) -> (u64, Form) {
        let state = self.lock();
        (state.stat.size, state.form)
    }

    /// The next part to be sent, if any is left to hand out.
    pub(super) fn next_part(&self) -> Result<Option<Part>, Errno> {
        let mut state = self.lock();
        // A lane may still have the file before it when the others have sent all of an attempt and the next one begins.
        if state.given_up || !state.announced {
            return Ok(None);
        }
        let part = match state.returned.pop_front() {
            Some(part) => Some(part),
            None => self.following_part(&mut state)?,
        };
        if part.is_some() {
            state.outstanding += 1;
        }
        Ok(part)
    }

    fn following_part(&self, state: &mut State) -> Result<Option<Part>, Errno> {
        let (index, total) = (state.next, pieces(state.stat.size));
        if index >= total {
            return Ok(None);
        }
        let part = self.piece_at(state, index)?;
        let Part::Piece { segments, .. } = &part else { return Ok(Some(part)) };
        if state.may_compare(&part) {
            return self.sums_from(state, index).map(Some);
        }
        if !segments.is_empty() {
            state.next += 1;
            return Ok(Some(part));
        }
        let data = state.ranges.next(self.fd.as_fd(), index * PIECE)?;
        let end = data.map_or(total, |(start, _)| (start / PIECE).max(index + 1));
        state.next = end;
        Ok(Some(Part::Hole { attempt: state.attempt, first: index, count: end - index }))
    }

    /// Sums of as many pieces as belong into one frame. The first is one that may be compared.
    fn sums_from(&self, state: &mut State, first: u64) -> Result<Part, Errno> {
        let mut length = 0;
        while state.next < (first + SUMS_PIECES).min(pieces(state.stat.size)) {
            let part = self.piece_at(state, state.next)?;
            let Part::Piece { length: one, .. } = part else { break };
            if !state.may_compare(&part) {
                break;
            }
            length += one;
            state.next += 1;
        }
        Ok(Part::Sums { attempt: state.attempt, first, length })
    }

    fn piece_at(&self, state: &mut State, index: u64) -> Result<Part, Errno> {
        let length = piece_length(state.stat.size, index).ok_or(Errno::INVAL)?;
        let length = u32::try_from(length).map_err(|_| Errno::INVAL)?;
        let segments = segments(&mut state.ranges, self.fd.as_fd(), index * PIECE, length, MAX_SEGMENTS as usize)?;
        Ok(Part::Piece { attempt: state.attempt, index, length, segments })
    }

    /// A part's lane died before the acknowledgement came: it is to be handed out again.
    pub(super) fn give_back(&self, part: &Part) {
        let mut state = self.lock();
        if part.attempt() != Some(state.attempt) {
            return;
        }
        state.returned.push_back(part.clone());
        state.outstanding -= 1;
        state.retried = true;
    }

    /// The target holds something else than what it was sent a patch for: the piece goes whole.
    pub(super) fn give_back_whole(&self, index: u64, length: u32) {
        let mut state = self.lock();
        let attempt = state.attempt;
        state.returned.push_back(Part::Piece { attempt, index, length, segments: vec![(0, length)] });
        state.outstanding -= 1;
    }

    /// The target has heard of the attempt that has begun, and can compare with so many bytes of it.
    pub(super) fn announced(&self, base: u64) {
        let mut state = self.lock();
        state.announced = true;
        state.base = base;
    }

    /// What the target says of the sums of some pieces. True in the second place when nothing is left to be sent.
    pub(super) fn sums_done(
        &self,
        first: u64,
        length: u32,
        digests: &[Digest],
        outcomes: &[(u32, Outcome)],
    ) -> Result<(u64, bool), CoreError> {
        let mut state = self.lock();
        let (attempt, mut matched) = (state.attempt, 0);
        if outcomes.iter().any(|(at, _)| *at as usize >= digests.len()) {
            return Err(unasked());
        }
        for (at, ((index, length), digest)) in pieces_from(first, length).zip(digests).enumerate() {
            match outcome_at(outcomes, at) {
                None => {
                    state.digest.add_piece(index, *digest);
                    matched += u64::from(length);
                }
                Some(Outcome::Lacks(blocks)) if !blocks.is_empty() && blocks.fits(length as usize) => {
                    state.returned.push_back(Part::Patch { attempt, index, length, digest: *digest, blocks });
                }
                Some(Outcome::Again) => {
                    state.returned.push_back(Part::Piece { attempt, index, length, segments: vec![(0, length)] });
                }
                Some(_) => return Err(unasked()),
            }
        }
        state.matched += matched;
        state.settle_part(matched);
        Ok((matched, state.is_complete()))
    }

    /// The target found the part wrong that begins with this piece: how often it has by now. One that changes while it is
    /// compared may be found wrong once, and so may all of a file that is being written.
    pub(super) fn refuse(&self, index: u64) -> u32 {
        let mut state = self.lock();
        let refused = state.refused.entry(index).or_default();
        *refused += 1;
        *refused
    }

    /// Bytes that had been acknowledged when the attempt was given up.
    pub(super) fn forget_progress(&self) -> u64 {
        std::mem::take(&mut self.lock().forgotten)
    }

    /// True for the first caller, who settles the file or sends GONE.
    pub(super) fn give_up(&self) -> bool {
        !std::mem::replace(&mut self.lock().given_up, true)
    }

    /// It was settled, or is sent as another one: what is still answered of it says nothing.
    pub(super) fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    /// Gives it up for now. True for the first caller, who has it sent as another one.
    pub(super) fn put_off(&self) -> bool {
        let mut state = self.lock();
        let first = !std::mem::replace(&mut state.given_up, true);
        if first {
            state.forget_progress();
        }
        first
    }

    /// A lane died that may have carried the file's end.
    pub(super) fn mark_retried(&self) {
        self.lock().retried = true;
    }

    /// The task as a file of which the target may have all, when a lane died with a part of it.
    pub(super) fn task_for_gone(&self) -> FileTask {
        let retried = self.lock().retried;
        FileTask { sent_before: retried || self.task.sent_before, ..self.task.clone() }
    }

    pub(super) fn remember(&self, known: Known) {
        self.lock().known = Some(known);
    }

    pub(super) fn recall(&self) -> Option<Known> {
        self.lock().known.clone()
    }

    /// A piece is on the target, with what `part` brought of it.
    pub(super) fn piece_done(&self, index: u64, digest: Digest, part: &Part) -> bool {
        let mut state = self.lock();
        state.digest.add_piece(index, digest);
        state.matched += part.covered_bytes() - part.data_bytes();
        state.settle_part(part.covered_bytes());
        state.is_complete()
    }

    /// A hole is on the target. The zeros of the plain form are hashed here.
    pub(super) fn hole_done(&self, first: u64, count: u64) -> bool {
        let mut state = self.lock();
        state.digest.add_holes(first, count);
        state.settle_part(0);
        state.is_complete()
    }

    /// A part is not sent, but counts as if it were. True when nothing is left.
    pub(super) fn forecast_part(&self, part: &Part) -> bool {
        let mut state = self.lock();
        state.matched += part.covered_bytes() - part.data_bytes();
        state.settle_part(part.covered_bytes());
        state.is_complete()
    }

    /// What a copy would send of it, when nothing is left, bytes.
    pub(super) fn would_move(&self) -> u64 {
        let state = self.lock();
        state.progress - state.matched
    }

    /// True when nothing is left to be sent of an empty attempt.
    pub(super) fn is_complete(&self) -> bool {
        self.lock().is_complete()
    }

    /// All pieces are acknowledged: whether the file stood still. If not, and tries are left, the next attempt begins
    /// and the target has to hear of it.
    pub(super) fn look_again(&self, rereads: u32) -> Result<Part, Errno> {
        let mut state = self.lock();
        let now = stat_fd(self.fd.as_fd())?;
        if stood_still(&state.stat, &now) {
            return Ok(Part::End);
        }
        if state.changes >= rereads {
            // It keeps the mtime of before the reading: a later pass has to find that its own is newer.
            state.changed = true;
            return Ok(Part::End);
        }
        state.changes += 1;
        self.begin(&mut state, now)
    }

    /// The target read other bytes than we did: the file is sent again from the start; None after some tries.
    pub(super) fn mismatched(&self) -> Result<Option<Part>, Errno> {
        let mut state = self.lock();
        state.mismatches += 1;
        if state.mismatches > MAX_MISMATCHES {
            return Ok(None);
        }
        let now = stat_fd(self.fd.as_fd())?;
        self.begin(&mut state, now).map(Some)
    }

    fn begin(&self, state: &mut State, stat: Stat) -> Result<Part, Errno> {
        if state.attempt == MAX_ATTEMPTS {
            return Err(Errno::AGAIN);
        }
        state.attempt += 1;
        state.announced = false;
        state.forget_progress();
        state.matched = 0;
        // What it has of this one, the target says when it has heard of it.
        state.base = 0;
        state.form = form_as_sent(self.sent_form, self.fd.as_fd(), stat.size)?;
        state.digest = FileDigest::new(state.form, stat.size);
        state.ranges = DataRanges::new(stat.size);
        state.stat = stat;
        state.next = 0;
        state.returned.clear();
        state.outstanding = 0;
        Ok(Part::Again)
    }

    pub(super) fn finished(&self) -> Option<Finished> {
        let state = self.lock();
        let digest = state.digest.finish()?;
        let (stat, form, changed, matched) = (state.stat.clone(), state.form, state.changed, state.matched);
        Some(Finished { stat, form, digest, changed, matched })
    }
}

/// What is not hashed has no holes to spare the hash.
fn form_as_sent(sent_form: Form, fd: BorrowedFd<'_>, size: u64) -> Result<Form, Errno> {
    if sent_form == Form::Assumed { Ok(sent_form) } else { form_of(fd, size) }
}

fn unasked() -> CoreError {
    CoreError::protocol("The peer broke the protocol: it asks for blocks that a piece does not have.")
}

#[cfg(test)]
mod tests;
