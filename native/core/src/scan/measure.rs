//! Counting a volume without reading it: for `--scan-first`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::attributes::Report;
use super::volume::{ScanPolicy, Volume};
use super::walk::{Body, Scanned, Visitor, walk};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::InodeKey;
use crate::session::item::{Item, Side};
use crate::session::stop::Stop;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub entries: u64,
    pub files: u64,
    pub directories: u64,
    /// Apparent sizes of regular files.
    pub bytes: u64,
    /// What they occupy, holes not counted, an inode once.
    pub allocated_bytes: u64,
}

#[derive(Default)]
struct Count {
    entries: AtomicU64,
    files: AtomicU64,
    directories: AtomicU64,
    bytes: AtomicU64,
    allocated: AtomicU64,
    linked: Mutex<HashSet<InodeKey>>,
}

/// Walks the volume. What cannot be read is not counted; the copy will say so. Ends with the error of `stop` once that is
/// set, which is asked before each batch of a directory's entries.
pub fn measure(path: &Path, policy: ScanPolicy, threads: usize, stop: &Stop) -> Result<Totals, CoreError> {
    let volume = Volume::open(path, policy)?;
    let count = Count::default();
    walk(&volume, &count, threads, stop)?;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Totals {
        entries: read(&count.entries),
        files: read(&count.files),
        directories: read(&count.directories),
        bytes: read(&count.bytes),
        allocated_bytes: read(&count.allocated),
    })
}

impl Count {
    /// Whether an inode with several names was met before.
    fn met(&self, key: InodeKey) -> bool {
        !self.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
    }
}

impl Visitor for Count {
    type Directory = ();

    fn directory(
        &self,
        _parent: Option<(&Arc<()>, u64)>,
        _node: &Arc<DirectoryNode>,
        _attributes: Attributes,
    ) -> Result<Arc<()>, CoreError> {
        self.directories.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(()))
    }

    fn entries(&self, _directory: &Arc<()>, _first: u64, batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        for scanned in batch {
            let Body::File(stat, _) = &scanned.body else {
                let counted = u64::from(!matches!(scanned.body, Body::Directory));
                self.entries.fetch_add(counted, Ordering::Relaxed);
                continue;
            };
            self.entries.fetch_add(1, Ordering::Relaxed);
            if stat.shared_key().is_some_and(|key| self.met(key)) {
                continue;
            }
            self.files.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(stat.size, Ordering::Relaxed);
            self.allocated.fetch_add((stat.blocks * 512).min(stat.size), Ordering::Relaxed);
        }
        Ok(())
    }

    fn end(&self, _directory: &Arc<()>, _entries: u64, _complete: bool) -> Result<(), CoreError> {
        Ok(())
    }

    fn failed(&self, _parent: &Arc<()>, _entry: u64) -> Result<(), CoreError> {
        Ok(())
    }
}

impl Report for Count {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, _item: Item) {}

    fn left_out(&self, _kind: &str) {}
}
