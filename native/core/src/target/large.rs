//! A large file arriving in pieces, in any order, over any lanes. It is written among the parts and gets its name when
//! it is whole, so that what bears a name is never torn.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::coverage::Coverage;
use super::files::{Announced, Found};
use super::lane::LaneState;
use super::part::PartFile;
use super::room::Beside;
use super::session::Shared;
use super::unfinished::Left;
use crate::digest::file::{BLOCK_FORM_HOLES, FileDigest, Form, PIECE, pieces};
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::make;
use crate::fs::stat::{Kind, stat_fd};
use crate::session::counters::Counter;
use crate::session::stop::Stop;
use crate::session::verify::Verify;
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;
use crate::wire::lane::{Again, FileAttempt, Hole};
use crate::wire::limits::PACK_FILE;

#[derive(Debug)]
pub(super) struct State {
    /// What all of it takes of the volume beside an older file, bytes; 0 without one, and where that is not known.
    beside: u64,
    pub(super) attempt: u16,
    pub(super) size: u64,
    /// Bytes from the start that the source may compare with, as it was told; 0: none.
    pub(super) base: u64,
    pub(super) digest: FileDigest,
    pub(super) claimed: Coverage,
    /// What the part holds from before.
    held: Coverage,
    /// How many pieces had been claimed when the journal was told.
    told: u64,
    /// Bytes of holes claimed, to bound what a plain digest has to hash.
    holes: u64,
    /// Threads that are writing a piece.
    pub(super) writing: u32,
    /// Bytes that the progress counts for this attempt.
    pub(super) counted: u64,
    /// Its end is being decided, or is.
    pub(super) over: bool,
    /// How it ended: the leaf of the finished file, or FAILED_LEAF.
    leaf: Option<Leaf>,
    /// Data of this attempt that came, bytes.
    pub(super) moved: u64,
    /// Data of this attempt that was there already, bytes.
    pub(super) matched: u64,
    /// Pieces of this attempt that are to be read back.
    pub(super) unread: u64,
    /// Some piece of this attempt is not on the medium as it was written.
    pub(super) corrupted: bool,
    /// Some piece of it was not read back, for want of permission or because the page cache kept it.
    pub(super) unknown: bool,
}

impl State {
    pub(super) fn is_ended(&self) -> bool {
        self.leaf.is_some()
    }
}

#[derive(Debug)]
pub(super) struct Large {
    pub(super) id: u64,
    pub(super) announced: Announced,
    pub(super) part: PartFile,
    state: Mutex<State>,
    changed: Condvar,
}

impl Large {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody writes a piece.
    pub(super) fn quiet(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.writing > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Waits for a change, at most this long.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Its size and the pieces that are in its part, for the journal: None when that has been told, or it is over.
    pub(super) fn coming(&self) -> Option<(u64, Vec<(u64, u64)>)> {
        let mut state = self.lock();
        let claimed = state.claimed.pieces();
        if state.over || std::mem::replace(&mut state.told, claimed) == claimed {
            return None;
        }
        Some((state.size, state.claimed.joined(&state.held)))
    }

    /// Bytes of the volume that it will still take beside the older file, whose room is free when it is whole; None: it
    /// frees nothing.
    pub(super) fn outstanding(&self) -> Option<u64> {
        let state = self.lock();
        (state.beside > 0).then(|| state.beside.saturating_sub(state.counted))
    }

    pub(super) fn conclude(&self, leaf: Leaf) {
        self.lock().leaf = Some(leaf);
        self.changed.notify_all();
    }

    /// The answer to a frame that comes after the end, on another lane than the end did: how it ended.
    pub(super) fn ending(&self, stop: &Stop) -> Result<Outcome, CoreError> {
        let mut state = self.lock();
        loop {
            match state.leaf {
                Some(FAILED_LEAF) => return Ok(Outcome::Failed),
                Some(leaf) => return Ok(Outcome::Duplicate(leaf.content, leaf.metadata)),
                None => stop.check()?,
            }
            state = self.wait(state, Duration::from_millis(200));
        }
    }

    pub(super) fn written(&self) {
        self.lock().writing -= 1;
        self.changed.notify_all();
    }
}

/// What became of a frame about a large file.
pub(super) enum Target {
    Live(Arc<Large>),
    /// The answer is known without looking further.
    Answered(Option<Outcome>),
}

impl Shared {
    /// The large file that a frame is about; made when this is its first frame.
    pub(super) fn large(&self, of: FileAttempt, lane: &mut LaneState) -> Result<Target, CoreError> {
        match self.files.take(of.file, self, lane)? {
            Found::Large(large) => Ok(Target::Live(large)),
            Found::Finished(FAILED_LEAF) => Ok(Target::Answered(Some(Outcome::Failed))),
            Found::Finished(leaf) => Ok(Target::Answered(Some(Outcome::Duplicate(leaf.content, leaf.metadata)))),
            Found::Announced(announced) => self.begin(of.file, announced, lane),
        }
    }

    fn begin(&self, id: u64, announced: Announced, lane: &mut LaneState) -> Result<Target, CoreError> {
        let created = if announced.directory.data.failed {
            Err(Errno::NOENT)
        } else if let Some(file) = self.open_inplace(&announced)? {
            PartFile::itself(file, announced.size).map(|part| (part, Coverage::default()))
        } else {
            self.make_part(id, &announced)
        };
        let (part, held) = match created {
            Ok(made) => made,
            Err(errno) => {
                if !announced.directory.data.failed {
                    self.not_written(announced.path(), "data", errno)?;
                }
                self.first_failed(announced.link)?;
                self.settle(&announced.directory, &[(announced.leaf, FAILED_LEAF)])?;
                self.files.remember([(id, FAILED_LEAF)]);
                return Ok(Target::Answered(Some(Outcome::Failed)));
            }
        };
        let beside = part.beside(announced.size);
        let room = self.room_beside(&announced, beside);
        if !matches!(room, Ok(Beside::Room(_))) && announced.left.is_none() {
            self.remove_part(&part);
        }
        let _room = match room? {
            Beside::Room(held) => held,
            Beside::Later => {
                self.files.put_back(id, announced, lane);
                return Ok(Target::Answered(Some(Outcome::Later)));
            }
        };
        let state = State {
            beside,
            attempt: 0,
            size: announced.size,
            base: announced.base,
            digest: FileDigest::new(self.config.verify.form(), announced.size),
            claimed: Coverage::default(),
            held,
            told: 0,
            holes: 0,
            writing: 0,
            counted: 0,
            over: false,
            leaf: None,
            moved: 0,
            matched: 0,
            unread: 0,
            corrupted: false,
            unknown: false,
        };
        let large = Arc::new(Large { id, announced, part, state: Mutex::new(state), changed: Condvar::new() });
        self.files.keep_large(id, &large);
        Ok(Target::Live(large))
    }

    /// The part of a file, and what it holds already.
    fn make_part(&self, id: u64, announced: &Announced) -> Result<(PartFile, Coverage), Errno> {
        let (parts, opener) = (self.volume.parts(), &self.volume.opener);
        let older = if announced.base > 0 && announced.replaces { self.open_older(announced) } else { None };
        let total = pieces(announced.size);
        if let Some(Left { name, ranges }) = announced.left.as_deref()
            && let Ok(part) = opener.part(parts, name.as_bytes())
        {
            let part = PartFile::left(part, name.clone(), older, announced.size)?;
            return Ok((part, Coverage::of(ranges, total)));
        }
        // Parts of other sessions may lie beside it.
        let name = format!("{}-{id}", self.volume.history.epoch);
        let part = opener.create_part(parts, name.as_bytes())?;
        let made = PartFile::new(part, name.clone(), older, announced.size).inspect_err(|_| {
            let _ = make::unlink(parts, name.as_bytes());
        })?;
        let held = if made.is_clone() { pieces(announced.base) } else { 0 };
        Ok((made, Coverage::of(&[(0, held)], total)))
    }

    /// The file that bears the name. One that is gone or cannot be read is none.
    fn open_older(&self, announced: &Announced) -> Option<OwnedFd> {
        let directory = self.volume.directories.descriptor(&announced.directory.data.node).ok()?;
        let file = self.volume.opener.file(directory.as_fd(), &announced.name).ok()?;
        stat_fd(file.as_fd()).is_ok_and(|stat| stat.kind == Kind::File).then_some(file)
    }

    /// Size and form of the attempt that a frame is about; None when that is past, and answered.
    pub(super) fn current(
        &self,
        large: &Large,
        of: FileAttempt,
        lane: &mut LaneState,
    ) -> Result<Option<(u64, Form)>, CoreError> {
        let state = large.lock();
        if state.over {
            drop(state);
            lane.answer(Some(large.ending(&self.life.stop)?));
            return Ok(None);
        }
        if of.attempt > state.attempt {
            return Err(CoreError::protocol(
                "The peer broke the protocol: a piece of an attempt that was not announced.",
            ));
        }
        Ok((of.attempt == state.attempt).then(|| (state.size, state.digest.form())))
    }

    pub(super) fn make_hole(&self, payload: &[u8], lane: &mut LaneState) -> Result<(), CoreError> {
        let hole = Hole::read(payload).map_err(malformed)?;
        let large = match self.large(hole.of, lane)? {
            Target::Live(large) => large,
            Target::Answered(outcome) => {
                lane.answer(outcome);
                return Ok(());
            }
        };
        if self.current(&large, hole.of, lane)?.is_none() {
            return Ok(());
        }
        let mut state = large.lock();
        if state.attempt != hole.of.attempt {
            return Ok(());
        }
        let total = pieces(state.size);
        if hole.count == 0 || hole.first.checked_add(hole.count).is_none_or(|end| end > total) {
            return Err(CoreError::protocol(
                "The peer broke the protocol: a hole beyond the announced size of a file.",
            ));
        }
        if !state.claimed.claim(hole.first, hole.count).map_err(malformed)? {
            return Ok(());
        }
        state.holes = state.holes.saturating_add(hole.count.saturating_mul(PIECE));
        if state.digest.form() == Form::Plain && state.holes > BLOCK_FORM_HOLES + PIECE {
            return Err(CoreError::protocol("The peer broke the protocol: too many holes for a plain digest."));
        }
        state.digest.add_holes(hole.first, hole.count);
        state.writing += 1;
        drop(state);
        let cleared = large.part.clear_pieces(hole.first, hole.count);
        if matches!(cleared, Ok(false)) {
            self.not_read_back(&large, Errno::OPNOTSUPP);
        }
        large.written();
        cleared.map_or_else(|errno| self.large_failed(&large, errno, lane), |_| Ok(()))
    }

    /// The file changed on the source while it was read: what has arrived is void, and is there to be compared with.
    pub(super) fn begin_again(&self, payload: &[u8], lane: &mut LaneState) -> Result<(), CoreError> {
        let again = Again::read(payload).map_err(malformed)?;
        if (again.form == Form::Assumed) != (self.config.verify == Verify::None) {
            return Err(CoreError::protocol(
                "The peer broke the protocol: a file is sent in a form that was not agreed.",
            ));
        }
        let large = match self.large(again.of, lane)? {
            Target::Live(large) => large,
            Target::Answered(outcome) => {
                lane.answer(outcome);
                return Ok(());
            }
        };
        let mut state = large.quiet();
        if state.over {
            drop(state);
            lane.answer(Some(large.ending(&self.life.stop)?));
            return Ok(());
        }
        if again.of.attempt < state.attempt {
            return Ok(());
        }
        let begun = if again.of.attempt == state.attempt { Ok(()) } else { self.take_again(&large, &mut state, again) };
        let base = state.base;
        drop(state);
        match begun {
            Ok(()) => lane.answer((base > 0).then_some(Outcome::Base(base))),
            Err(errno) => self.large_failed(&large, errno, lane)?,
        }
        Ok(())
    }

    fn take_again(&self, large: &Large, state: &mut State, again: Again) -> Result<(), Errno> {
        self.counters.subtract(Counter::BytesDone, state.counted);
        self.ledger.count_moved(std::mem::take(&mut state.moved));
        let written = state.claimed.end();
        state.attempt = again.of.attempt;
        state.size = again.size;
        state.base = base_of(state.base.max(written.saturating_mul(PIECE)), again.size);
        state.digest = FileDigest::new(again.form, again.size);
        state.held = Coverage::of(&state.held.joined(&state.claimed), pieces(again.size));
        state.claimed.clear();
        state.told = 0;
        (state.holes, state.counted, state.matched) = (0, 0, 0);
        (state.unread, state.corrupted, state.unknown) = (0, false, false);
        large.part.begin_again(again.size, written > 0)
    }
}

/// Bytes of a base that are worth comparing with: what would travel in a pack costs no more than a frame anyhow.
pub(super) fn base_of(held: u64, size: u64) -> u64 {
    if held > PACK_FILE && size > PACK_FILE { held.min(size) } else { 0 }
}
