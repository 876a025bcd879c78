//! Regular files that are announced and not finished, by file id.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::directory::TargetDirectory;
use super::finished::Finished;
use super::lane::LaneState;
use super::large::Large;
use super::session::Shared;
use super::unfinished::Left;
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::scan::walk::entry_path;
use crate::wire::limits::{AHEAD_FILES, BATCH_ENTRIES, WINDOW_FRAMES};

#[derive(Debug)]
pub(super) struct Announced {
    pub(super) directory: Arc<TargetDirectory>,
    pub(super) name: Box<[u8]>,
    pub(super) leaf: u64,
    pub(super) size: u64,
    /// 0 without other names.
    pub(super) link: u64,
    /// Something bears its name already.
    pub(super) replaces: bool,
    /// Bytes from the start with which the source may compare, as it is told; 0: none.
    pub(super) base: u64,
    /// What an earlier session has left of it.
    pub(super) left: Option<Box<Left>>,
    /// The source is to say its digest first.
    pub(super) to_check: bool,
}

impl Announced {
    pub(super) fn path(&self) -> Vec<u8> {
        entry_path(&self.directory.data.node, Some(&self.name))
    }
}

/// What is known of a file id.
pub(super) enum Found {
    Announced(Announced),
    Large(Arc<Large>),
    /// Finished before, on a lane that has died since.
    Finished(Leaf),
}

#[derive(Default)]
struct State {
    announced: HashMap<u64, Announced>,
    large: HashMap<u64, Arc<Large>>,
    finished: Finished,
    /// Taken out by a lane that is not done with the frame that brought them.
    busy: HashSet<u64>,
    next: u64,
}

#[derive(Default)]
pub(super) struct Files {
    state: Mutex<State>,
    changed: Condvar,
}

/// A lane waits for the index to announce what it brings, or for a dying lane to say that it has finished it, this many
/// times as long as a silent connection is believed in.
const PATIENCE: u32 = 4;

/// File ids that a lane may be ahead of the index: frames of the index that are on their way.
const LANES_AHEAD: u64 = ((WINDOW_FRAMES + 1) * BATCH_ENTRIES) as u64;

impl Files {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the files of one ENTRIES frame, numbered from `first`; None is one that need not be sent.
    pub(super) fn announce(&self, first: u64, files: Vec<Option<Announced>>) -> Result<(), CoreError> {
        let mut state = self.lock();
        if first != state.next {
            return Err(CoreError::protocol("The peer broke the protocol: it skips a file id."));
        }
        if state.announced.len() + state.large.len() + files.len() > 2 * AHEAD_FILES + BATCH_ENTRIES {
            return Err(CoreError::protocol("The peer broke the protocol: it announces too many files ahead."));
        }
        for file in files {
            let id = state.next;
            if let Some(file) = file {
                state.announced.insert(id, file);
            }
            state.next += 1;
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes a file out, for a lane that brings it whole or opens it; waits until the index has announced it, or until
    /// a dying lane that has it ends: as long as that one works on it, which a full or slow disk may draw out. A lane that
    /// is dead itself does not wait: two of them would wait for each other.
    pub(super) fn take(&self, id: u64, shared: &Shared, lane: &mut LaneState) -> Result<Found, CoreError> {
        let patience = shared.config.idle_timeout * PATIENCE;
        let mut deadline = Instant::now() + patience;
        let mut state = self.lock();
        let mut next = state.next;
        loop {
            if let Some(file) = state.announced.remove(&id) {
                state.busy.insert(id);
                lane.taken.push(id);
                return Ok(Found::Announced(file));
            }
            if let Some(large) = state.large.get(&id) {
                return Ok(Found::Large(Arc::clone(large)));
            }
            if let Some(leaf) = state.finished.get(id) {
                return Ok(Found::Finished(leaf));
            }
            shared.life.stop.check()?;
            if lane.channel.is_broken() {
                return Err(CoreError::network("The lane broke while it waited for a file."));
            }
            // As long as the index goes on, what is waited for may still be in it.
            let goes_on = std::mem::replace(&mut next, state.next) != state.next && id >= state.next;
            if goes_on || state.busy.contains(&id) {
                deadline = Instant::now() + patience;
            }
            if Instant::now() > deadline || id > state.next + LANES_AHEAD {
                let what = if id < state.next { "sends a file twice" } else { "sends a file it never announced" };
                return Err(CoreError::protocol(format!("The peer broke the protocol: it {what}.")));
            }
            let tick = Duration::from_millis(200);
            state = self.changed.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A file that was taken is to be sent after all.
    pub(super) fn put_back(&self, id: u64, file: Announced, lane: &mut LaneState) {
        lane.taken.retain(|taken| *taken != id);
        let mut state = self.lock();
        state.busy.remove(&id);
        state.announced.insert(id, file);
        drop(state);
        self.changed.notify_all();
    }

    /// A lane is done with a frame, and with the files that it took for it.
    pub(super) fn release(&self, lane: &mut LaneState) {
        if lane.taken.is_empty() {
            return;
        }
        let mut state = self.lock();
        for id in lane.taken.drain(..) {
            state.busy.remove(&id);
        }
    }

    /// Keeps a file that arrives in pieces.
    pub(super) fn keep_large(&self, id: u64, large: &Arc<Large>) {
        self.lock().large.insert(id, Arc::clone(large));
        self.changed.notify_all();
    }

    /// Large files that have begun to come.
    pub(super) fn large(&self) -> Vec<Arc<Large>> {
        self.lock().large.values().map(Arc::clone).collect()
    }

    pub(super) fn drop_large(&self, id: u64) -> Option<Arc<Large>> {
        self.lock().large.remove(&id)
    }

    /// Remembers what a dead lane had finished and perhaps not acknowledged.
    pub(super) fn remember(&self, finished: impl IntoIterator<Item = (u64, Leaf)>) {
        let mut state = self.lock();
        finished.into_iter().for_each(|(id, leaf)| state.finished.insert(id, leaf));
        drop(state);
        self.changed.notify_all();
    }
}
