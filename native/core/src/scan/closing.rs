//! The closing walk of a cutover pass: whether anything in the volume has changed since the scan began.
//!
//! Two witnesses, neither of which takes memory for an entry:
//!
//! The *clock* names what changed. A ctime is set by the kernel at every change and by nobody else, so that an entry whose
//! ctime is at or after the beginning of the scan has changed since. On a local file system it is the clock of this
//! machine that says so. On a network file system it is the server's, which may be ahead of ours or behind it.
//!
//! The *tally* knows no clock: the scan and the closing walk each add up a hash of every entry's name, kind, size, mtime
//! and ctime. If the sums differ, something has changed, though which entry it was they do not say.
//!
//! So a change by a server whose clock is behind is not missed, and a ctime that lay in the future when the scan met it
//! is no change by itself. What remains: a server's clock that is ahead may make entries look changed that were changed
//! shortly before the pass, and a change after the closing walk has passed by is seen by nobody.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::attributes::Report;
use super::volume::Volume;
use super::walk::{Scanned, Visitor, entry_path, walk};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::{Kind, Stat, Timestamp};
use crate::session::item::{Item, ItemClass, Side};
use crate::session::stop::Stop;

/// Entries remembered for each of two purposes, 8 bytes each; what goes beyond is reported once too often.
const REMEMBERED: usize = 65_536;

/// What the scan saw, for the closing walk to compare with.
pub struct Baseline {
    since: Timestamp,
    hasher: RandomState,
    scanned: Tally,
    /// Entries whose ctime lay ahead of our clock when the scan met them: path and ctime.
    ahead: Remembered,
    /// Paths that were reported as changed while they were copied.
    told: Remembered,
}

#[derive(Default)]
struct Tally {
    entries: AtomicU64,
    sum: AtomicU64,
}

impl Tally {
    fn add(&self, hash: u64) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(hash, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.entries.load(Ordering::Relaxed), self.sum.load(Ordering::Relaxed))
    }
}

#[derive(Default)]
struct Remembered(Mutex<HashSet<u64>>);

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, hash: u64) {
        let mut hashes = self.lock();
        if hashes.len() < REMEMBERED {
            hashes.insert(hash);
        }
    }

    fn has(&self, hash: u64) -> bool {
        self.lock().contains(&hash)
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl Baseline {
    /// Called right before the scan. Waits until the clock that stamps ctimes has moved on, so that nothing done before
    /// has the same ctime as something done after.
    pub fn begin(root: &Stat) -> Self {
        Self {
            since: next_stamp(root),
            hasher: RandomState::new(),
            scanned: Tally::default(),
            ahead: Remembered::default(),
            told: Remembered::default(),
        }
    }

    /// The scan has met an entry, or a directory itself.
    pub fn saw(&self, node: &DirectoryNode, name: Option<&[u8]>, stat: &Stat) {
        self.scanned.add(self.hash(node, name, stat));
        if stat.ctime > self.since && stat.ctime > now(ClockId::Realtime) {
            self.ahead.add(self.hasher.hash_one((entry_path(node, name), stat.ctime)));
        }
    }

    /// An item has said that this entry changed.
    pub fn tell(&self, path: &[u8]) {
        self.told.add(self.hasher.hash_one(path));
    }

    /// Names stand for paths: what moves elsewhere changes its directory.
    fn hash(&self, node: &DirectoryNode, name: Option<&[u8]>, stat: &Stat) -> u64 {
        let size = if stat.kind == Kind::File { stat.size } else { 0 };
        self.hasher.hash_one((name.unwrap_or(&node.name), stat.kind, size, stat.mtime, stat.ctime))
    }

    /// By the clock alone. A ctime of the future was not set by our clock, so that it says nothing.
    fn is_newer(&self, stat: &Stat, path: impl FnOnce() -> Vec<u8>) -> bool {
        stat.ctime >= self.since
            && stat.ctime <= now(ClockId::Realtime)
            && !self.ahead.has(self.hasher.hash_one((path(), stat.ctime)))
    }
}

/// Looks at every entry of the volume once more and reports what has changed since `baseline` began, each entry once:
/// also not again what was reported as changed before. `looked` is called for each entry.
pub fn closing_walk(
    volume: &Volume,
    baseline: &Baseline,
    report: &dyn Report,
    looked: &(dyn Fn() + Sync),
    threads: usize,
    stop: &Stop,
) -> Result<(), CoreError> {
    let closing = Closing { baseline, report, looked, tally: Tally::default(), named: AtomicBool::new(false) };
    walk(volume, &closing, threads, stop)?;
    let nothing_named = !closing.named.load(Ordering::Relaxed) && baseline.told.is_empty();
    if nothing_named && closing.tally.read() != baseline.scanned.read() {
        let detail = "something in it changed during the pass; which entry, no clock tells";
        report.item(Item::said(Side::Source, ItemClass::Changed, Vec::new(), "volume", detail));
    }
    Ok(())
}

struct Closing<'a> {
    baseline: &'a Baseline,
    report: &'a dyn Report,
    looked: &'a (dyn Fn() + Sync),
    tally: Tally,
    named: AtomicBool,
}

impl Closing<'_> {
    fn name(&self, path: Vec<u8>, what: &str, detail: &str) {
        self.named.store(true, Ordering::Relaxed);
        if !self.baseline.told.has(self.baseline.hasher.hash_one(&path[..])) {
            self.report.item(Item::said(Side::Source, ItemClass::Changed, path, what, detail));
        }
    }
}

impl Report for Closing<'_> {
    fn side(&self) -> Side {
        Side::Source
    }

    /// What cannot be read was an item of the scan already, or else the tallies differ. What vanishes before our eyes is
    /// named.
    fn item(&self, item: Item) {
        if item.class == ItemClass::Changed {
            self.name(item.path, &item.what, &item.detail);
        }
    }

    fn left_out(&self, _kind: &str) {}

    fn saw(&self, node: &DirectoryNode, name: Option<&[u8]>, stat: &Stat) {
        (self.looked)();
        self.tally.add(self.baseline.hash(node, name, stat));
        if !self.baseline.is_newer(stat, || entry_path(node, name)) {
            return;
        }
        let path = entry_path(node, name);
        if stat.kind == Kind::Directory {
            let detail = "names were added, removed or changed in it, or its attributes, after the pass had begun";
            self.name(path, "directory", detail);
        } else {
            self.name(path, "entry", "made or changed after the pass had begun, perhaps after it was read");
        }
    }
}

impl Visitor for Closing<'_> {
    type Directory = ();

    const ONLY_STATS: bool = true;

    fn directory(
        &self,
        _parent: Option<(&Arc<()>, u64)>,
        _node: &Arc<DirectoryNode>,
        _attributes: Attributes,
    ) -> Result<Arc<()>, CoreError> {
        Ok(Arc::new(()))
    }

    fn entries(&self, _directory: &Arc<()>, _first: u64, _batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        Ok(())
    }

    fn end(&self, _directory: &Arc<()>, _entries: u64, _complete: bool) -> Result<(), CoreError> {
        Ok(())
    }

    fn failed(&self, _parent: &Arc<()>, _entry: u64) -> Result<(), CoreError> {
        Ok(())
    }
}

/// Twice as long as the longest wait below; a clock that is set back meanwhile does not hold us longer.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The first ctime that nothing can have had before this call, once the clock has reached it.
///
/// Linux stamps with its coarse clock, which moves with the timer's tick (up to 10 ms), or with finer times that never
/// are ahead of the exact clock. So the wait ends when the coarse clock has passed the exact time of the call. A root
/// whose ctime has no nanoseconds belongs to a file system that keeps seconds, or as FAT every other second: there it
/// ends with the next even one.
fn next_stamp(root: &Stat) -> Timestamp {
    let called = now(ClockId::Realtime);
    let whole = root.ctime.nanoseconds == 0;
    let even = Timestamp { seconds: (called.seconds | 1) + 1, nanoseconds: 0 };
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        let stamp = now(ClockId::RealtimeCoarse);
        if whole && stamp >= even {
            return even;
        }
        if (!whole && stamp > called) || Instant::now() > deadline {
            return stamp;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn now(clock: ClockId) -> Timestamp {
    let time = clock_gettime(clock);
    Timestamp { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}

#[cfg(test)]
mod tests;
