//! Files that wait for what the source reads of them, by file id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::links::Place;
use super::readers::Bytes;
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::aspects::Aspects;
use crate::fs::stat::Stat;
use crate::target::finished::Finished;
use crate::wire::index::Outcome;
use crate::wire::limits::{AHEAD_FILES, BATCH_ENTRIES};

/// What the source was answered: None when the file is the same.
pub(super) type Answer = Option<Outcome>;

/// A file that both sides have: to be read because it seems to be the same, or to be told how much of it is.
pub(super) struct ToCheck {
    pub(super) place: Place,
    /// 0 without other names.
    pub(super) link: u64,
    /// Of the target's.
    pub(super) stat: Stat,
    pub(super) attributes: Attributes,
    /// In what it differs, whatever its bytes are.
    pub(super) aspects: Aspects,
    /// Read ahead, or when the source says its digest.
    pub(super) bytes: OnceLock<Bytes>,
    /// Once it is known to differ, and was told: bytes from the start with which the source may compare, to know what a copy
    /// would send; 0 before, and where there is nothing to compare with.
    pub(super) base: AtomicU64,
    /// Held while it is judged, since a dead lane may still be at it when another brings it again.
    pub(super) answer: Mutex<Option<Answer>>,
}

impl ToCheck {
    pub(super) fn base(&self) -> u64 {
        self.base.load(Ordering::Acquire)
    }
}

/// What is known of a file id.
pub(super) enum Known {
    Waiting(Arc<ToCheck>),
    /// A dead lane may have brought it before.
    Answered(Answer),
}

#[derive(Default)]
struct State {
    /// Those that were answered lately are still here: the source may not know.
    waiting: HashMap<u64, Arc<ToCheck>>,
    answered: Finished<Answer>,
    unanswered: usize,
    next: u64,
}

#[derive(Default)]
pub(super) struct Files(Mutex<State>);

impl Files {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the files of one ENTRIES frame, numbered from `first`; None is one that is answered for.
    pub(super) fn announce(&self, first: u64, files: Vec<Option<Arc<ToCheck>>>) -> Result<(), CoreError> {
        let mut state = self.lock();
        if first != state.next {
            return Err(CoreError::protocol("The peer broke the protocol: it skips a file id."));
        }
        if state.unanswered + files.len() > 2 * AHEAD_FILES + BATCH_ENTRIES {
            return Err(CoreError::protocol("The peer broke the protocol: it announces too many files ahead."));
        }
        for file in files {
            let id = state.next;
            state.next += 1;
            if let Some(file) = file {
                state.unanswered += 1;
                state.waiting.insert(id, file);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, id: u64) -> Result<Known, CoreError> {
        let state = self.lock();
        let answered = || state.answered.get(id).map(Known::Answered);
        let known = state.waiting.get(&id).map(|file| Known::Waiting(Arc::clone(file)));
        known
            .or_else(answered)
            .ok_or_else(|| CoreError::protocol("The peer broke the protocol: it says what it was not asked for."))
    }

    /// A file was answered for the first time.
    pub(super) fn answered(&self) {
        self.lock().unanswered -= 1;
    }

    /// The source knows the answers.
    pub(super) fn forget(&self, ids: &[u64]) {
        let mut state = self.lock();
        ids.iter().for_each(|id| drop(state.waiting.remove(id)));
    }

    /// A lane has died, and the source may not know its last answers.
    pub(super) fn remember(&self, ids: impl Iterator<Item = u64>) {
        let mut state = self.lock();
        for id in ids {
            let Some(file) = state.waiting.get(&id) else { continue };
            // Another lane may be at it, for as long as it takes to read a file: then it stays.
            let answer = file.answer.try_lock().map_or(None, |answer| *answer);
            if let Some(answer) = answer {
                state.waiting.remove(&id);
                state.answered.insert(id, answer);
            }
        }
    }
}
