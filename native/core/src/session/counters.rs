//! Counters that change often: one array of 64-bit words that the other language reads at will.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places in the array, in the order of COUNTERS in src/native/types.ts.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Counter {
    EntriesScanned,
    /// Data that is to cross, as far as stat(2) tells: the whole of `BytesDone`.
    BytesScanned,
    /// What the files found occupy: for the watch over the target's space.
    AllocatedScanned,
    ScanDone,
    EntriesDone,
    FilesDone,
    /// Data that is on the target, holes not counted on either side: a hole takes no time, so that a rate must not see it.
    BytesDone,
    WireBytes,
    Resent,
    LanesAlive,
    LanesLost,
    /// Entries that the closing walk has looked at.
    EntriesRechecked,
}

pub const COUNT: usize = 12;

#[derive(Debug, Default)]
pub struct Counters([AtomicU64; COUNT]);

impl Counters {
    pub fn add(&self, counter: Counter, amount: u64) {
        self.0[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    pub fn subtract(&self, counter: Counter, amount: u64) {
        self.0[counter as usize].fetch_sub(amount, Ordering::Relaxed);
    }

    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }

    /// Where the words lie; valid as long as `self`.
    pub fn as_words(&self) -> &[AtomicU64; COUNT] {
        &self.0
    }
}
