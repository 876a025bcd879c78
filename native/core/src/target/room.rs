//! Extra entries go first where space is short: what is about to be written would not fit beside them.
//!
//! Nobody knows beforehand how much the source will send, nor what is extra: both come to light directory by directory.
//! So each frame that brings something asks how much is free. When that is little, whoever brings it removes what is
//! known to be extra, and waits for the index to find more, as long as it goes on. What does not fit even then fails as it
//! does on a full volume. With a limit on what may be removed, nothing is removed before all that is extra is known.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::existing::Existing;
use super::files::Announced;
use super::session::Shared;
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::space::free;
use crate::scan::shown::shown;
use crate::session::life::Living;

/// Less than this beside what is to be written is little: frames of all lanes are on their way at once.
const LITTLE_BYTES: u64 = 64 << 20;
const LITTLE_INODES: u64 = 1_024;
/// An index that has brought nothing for so long waits for the lanes.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
}

/// Whether a large file can be begun beside an older one.
pub(super) enum Beside<'a> {
    /// Whoever holds this has the room until the file is among those under way.
    Room(Option<MutexGuard<'a, ()>>),
    /// When another one that is under way is whole.
    Later,
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
    /// One file at a time is begun beside an older one.
    beginning: Mutex<()>,
}

/// Whether something that only grows, such as a count of frames, stands still.
struct Pace {
    seen: u64,
    moved: Instant,
}

impl Pace {
    fn new(seen: u64) -> Self {
        Self { seen, moved: Instant::now() }
    }

    /// Whether it has, for longer than anybody waits.
    fn is_over(&self) -> bool {
        self.moved.elapsed() > PATIENCE
    }

    fn see(&mut self, now: u64) {
        if std::mem::replace(&mut self.seen, now) != now {
            self.moved = Instant::now();
        }
    }
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

    fn begin(&self) -> MutexGuard<'_, ()> {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner)
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
        let frames = || self.room.frames.load(Ordering::Acquire);
        let mut pace = Pace::new(frames());
        while self.is_short(need) {
            self.life().stop.check()?;
            let known = self.room.is_known();
            self.remove_early(known)?;
            if known || pace.is_over() {
                break;
            }
            thread::sleep(LOOK_EVERY);
            pace.see(frames());
        }
        Ok(())
    }

    /// For the index, which nobody else goes on for: with what is known by now.
    pub(super) fn make_room_at_once(&self, need: Need) -> Result<(), CoreError> {
        if self.is_short(need) { self.remove_early(self.room.is_known()) } else { Ok(()) }
    }

    /// For a lane that begins a large file beside an older one: until it is whole both are there, so that two at once may
    /// not fit where one after the other do. An error when it is alone and does not fit.
    pub(super) fn room_beside(&self, file: &Announced, bytes: u64) -> Result<Beside<'_>, CoreError> {
        if bytes == 0 {
            return Ok(Beside::Room(None));
        }
        self.make_room(Need { bytes, inodes: 1 })?;
        let turn = self.room.begin();
        let under_way: Vec<u64> = self.files.large().iter().filter_map(|large| large.outstanding()).collect();
        let Ok(room) = free(self.volume.directories.root().as_fd()) else { return Ok(Beside::Room(Some(turn))) };
        if bytes.saturating_add(under_way.iter().sum()) <= room.bytes {
            return Ok(Beside::Room(Some(turn)));
        }
        if under_way.is_empty() {
            return Err(no_room_beside(&self.volume.path, &file.path(), bytes, room.bytes));
        }
        Ok(Beside::Later)
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

fn no_room_beside(volume: &Path, path: &[u8], bytes: u64, free: u64) -> CoreError {
    let text = format!(
        "The target volume {} has {} MB free, and {} would need some {} MB beside the file that it replaces: nothing of it \
         was written. With --inplace the target writes into that file.",
        volume.display(),
        free / 1_000_000,
        shown(path),
        bytes.div_ceil(1_000_000),
    );
    CoreError::new(ErrorKind::Space, text).with_errno(Some(Errno::NOSPC.raw_os_error()))
}
