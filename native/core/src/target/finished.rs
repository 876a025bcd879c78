//! What dead lanes had finished: a source that did not get the acknowledgement sends such files again.

use std::collections::{HashMap, VecDeque};

use crate::digest::leaf::Leaf;
use crate::wire::limits::WINDOW_FRAMES;

/// Files remembered after lanes have died; older ones go first.
const REMEMBERED: usize = 1 << 18;

#[derive(Default)]
pub(super) struct Finished {
    leaves: HashMap<u64, Leaf>,
    order: VecDeque<u64>,
}

impl Finished {
    pub(super) fn get(&self, id: u64) -> Option<Leaf> {
        self.leaves.get(&id).copied()
    }

    pub(super) fn insert(&mut self, id: u64, leaf: Leaf) {
        if self.leaves.insert(id, leaf).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.leaves.remove(&oldest);
        }
    }
}

/// What the last frames of a living lane finished: as many as may be unacknowledged.
#[derive(Default)]
pub(super) struct RecentFrames(VecDeque<Vec<(u64, Leaf)>>);

impl RecentFrames {
    pub(super) fn push(&mut self, finished: Vec<(u64, Leaf)>) {
        if self.0.len() == WINDOW_FRAMES {
            self.0.pop_front();
        }
        self.0.push_back(finished);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_files(self) -> impl Iterator<Item = (u64, Leaf)> {
        self.0.into_iter().flatten()
    }
}
