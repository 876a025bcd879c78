//! What dead lanes had finished: a source that did not get the acknowledgement sends such files again.

use std::collections::{HashMap, VecDeque};

use crate::digest::leaf::Leaf;
use crate::wire::limits::WINDOW_FRAMES;

/// Files remembered after lanes have died; older ones go first.
const REMEMBERED: usize = 1 << 18;

/// `T` is what was made of a file.
pub(super) struct Finished<T = Leaf> {
    made: HashMap<u64, T>,
    order: VecDeque<u64>,
}

impl<T> Default for Finished<T> {
    fn default() -> Self {
        Self { made: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T: Copy> Finished<T> {
    pub(super) fn get(&self, id: u64) -> Option<T> {
        self.made.get(&id).copied()
    }

    pub(super) fn insert(&mut self, id: u64, made: T) {
        if self.made.insert(id, made).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.made.remove(&oldest);
        }
    }
}

/// What the last frames of a living lane finished: as many as may be unacknowledged.
pub(super) struct RecentFrames<T = (u64, Leaf)>(VecDeque<Vec<T>>);

impl<T> Default for RecentFrames<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> RecentFrames<T> {
    /// What is acknowledged by now comes back.
    pub(super) fn push(&mut self, finished: Vec<T>) -> Vec<T> {
        let known = if self.0.len() == WINDOW_FRAMES { self.0.pop_front() } else { None };
        self.0.push_back(finished);
        known.unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_files(self) -> impl Iterator<Item = T> {
        self.0.into_iter().flatten()
    }
}
