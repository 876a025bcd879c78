//! What is written and waits to be synced, and what is synced and waits to be read back. Both hold the data, to write it
//! once more if need be, so that their size is bounded: lanes wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::large::{WholeFile, WrittenPiece};
use super::small::WrittenFile;
use crate::error::CoreError;
use crate::fs::medium::Medium;
use crate::session::stop::Stop;

pub(crate) enum Job {
    /// Files under their names, with the data of all of them.
    Files {
        files: Vec<WrittenFile>,
        data: Vec<u8>,
    },
    Piece(WrittenPiece),
    /// A large file all of whose pieces were put here before.
    Whole(WholeFile),
}

/// Data that is held for reading back, bytes: lanes wait while there is more.
const HELD: usize = 64 << 20;
/// What a file's place in memory weighs besides its data, bytes.
const FILE_WEIGHT: usize = 1_024;
/// A part that is open: descriptors are few.
const WHOLE_WEIGHT: usize = 256 << 10;

impl Job {
    fn weight(&self) -> usize {
        match self {
            Self::Files { files, data } => {
                data.len() + files.iter().map(|file| FILE_WEIGHT + file.xattr_bytes()).sum::<usize>()
            }
            Self::Piece(piece) => FILE_WEIGHT + piece.data.len(),
            Self::Whole(_) => WHOLE_WEIGHT,
        }
    }
}

#[derive(Default)]
struct State {
    written: Vec<Job>,
    synced: VecDeque<Job>,
    /// Of all jobs, those at work included.
    weight: usize,
}

pub(crate) struct Queue {
    medium: Medium,
    state: Mutex<State>,
    changed: Condvar,
}

/// Whoever waits looks this often whether the session has ended.
const TICK: Duration = Duration::from_millis(200);

impl Queue {
    pub(crate) fn new(medium: Medium) -> Self {
        Self { medium, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(crate) fn medium(&self) -> Medium {
        self.medium
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Waits while there is more than enough already. Errors when the session has ended.
    pub(crate) fn put(&self, job: Job, stop: &Stop) -> Result<(), CoreError> {
        let mut state = self.lock();
        while state.weight >= HELD {
            stop.check()?;
            state = self.wait(state);
        }
        state.weight += job.weight();
        state.written.push(job);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// All that is written, in its order; None when the session has ended.
    pub(super) fn take_written(&self, stop: &Stop) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if stop.is_stopped() {
                return None;
            }
            if !state.written.is_empty() {
                return Some(std::mem::take(&mut state.written));
            }
            state = self.wait(state);
        }
    }

    pub(super) fn put_synced(&self, jobs: Vec<Job>) {
        self.lock().synced.extend(jobs);
        self.changed.notify_all();
    }

    /// The next one with its weight, to be released when it is done; None when the session has ended.
    pub(super) fn take_synced(&self, stop: &Stop) -> Option<(Job, usize)> {
        let mut state = self.lock();
        loop {
            if stop.is_stopped() {
                return None;
            }
            if let Some(job) = state.synced.pop_front() {
                let weight = job.weight();
                return Some((job, weight));
            }
            state = self.wait(state);
        }
    }

    pub(super) fn release(&self, weight: usize) {
        self.lock().weight -= weight;
        self.changed.notify_all();
    }
}
