//! Extra entries go first where space is short: what is about to be written would not fit beside them.
//!
//! Nobody knows beforehand how much the source will send, nor what is extra: both come to light directory by directory.
//! So each frame that brings something asks how much is free. When that is little, whoever brings it removes what is
//! known to be extra, and waits for the index to find more, as long as it goes on. What does not fit even then fails as it
//! does on a full volume. With a limit on what may be removed, nothing is removed before all that is extra is known.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::existing::Existing;
use super::session::Shared;
use crate::error::CoreError;
use crate::fs::space::free;
use crate::session::life::Living;

/// Less than this beside what is to be written is little: frames of all lanes are on their way at once.
const LITTLE_BYTES: u64 = 64 << 20;
const LITTLE_INODES: u64 = 1_024;
/// An index that has brought nothing for so long waits for the lanes.
const INDEX_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
}

/// How far the index is, for those who wait for it to find something extra.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Directories that were announced, the root among them.
    announced: AtomicU64,
    /// Those of them whose entries are all announced, or that cannot be.
    listed: AtomicU64,
    frames: AtomicU64,
    /// One makes room at a time.
    turn: Mutex<()>,
}

impl Room {
    pub(super) fn announce(&self, directories: u64) {
        self.announced.fetch_add(directories, Ordering::AcqRel);
    }

    pub(super) fn list(&self) {
        self.listed.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn frame(&self) {
        self.frames.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits for whoever makes room.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more can turn out to be extra.
    fn is_known(&self) -> bool {
        let listed = self.listed.load(Ordering::Acquire);
        listed > 0 && listed == self.announced.load(Ordering::Acquire)
    }
}

impl Shared {
    /// For a lane: makes room, if need be, before something is written. Waits for the index.
    pub(super) fn make_room(&self, need: Need) -> Result<(), CoreError> {
        if !self.is_short(need) {
            return Ok(());
        }
        let _turn = self.room.turn();
        let (mut frames, mut moved) = (self.room.frames.load(Ordering::Acquire), Instant::now());
        while self.is_short(need) {
            self.life().stop.check()?;
            let known = self.room.is_known();
            self.remove_early(known)?;
            if known || moved.elapsed() > INDEX_PATIENCE {
                break;
            }
            thread::sleep(LOOK_EVERY);
            let now = self.room.frames.load(Ordering::Acquire);
            if std::mem::replace(&mut frames, now) != now {
                moved = Instant::now();
            }
        }
        Ok(())
    }

    /// For the index, which nobody else goes on for: with what is known by now.
    pub(super) fn make_room_at_once(&self, need: Need) -> Result<(), CoreError> {
        if self.is_short(need) { self.remove_early(self.room.is_known()) } else { Ok(()) }
    }

    fn remove_early(&self, known: bool) -> Result<(), CoreError> {
        if known || self.config.max_delete.is_unlimited() { self.remove_extras() } else { Ok(()) }
    }

    /// Only where anything may be removed at all. A volume that does not say has room.
    fn is_short(&self, need: Need) -> bool {
        if self.config.existing != Existing::Mirror || self.config.compare.is_none() {
            return false;
        }
        let Ok(room) = free(self.volume.directories.root().as_fd()) else { return false };
        room.bytes < need.bytes + LITTLE_BYTES || room.inodes.is_some_and(|free| free < need.inodes + LITTLE_INODES)
    }
}
