//! Directories whose listing cannot be relied on: there, nothing is extra.
//!
//! On a file system that folds case, or normalises what names are made of, an announced name may be taken although the
//! listing spells no such name. What it does spell is then perhaps the same entry.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Remover;
use crate::fs::directory_path::{DirectoryNode, path_bytes};
use crate::fs::stat::InodeKey;
use crate::session::item::{Item, ItemClass, Side};

/// Directories remembered; with more of them, no listing is relied on.
const MOST: usize = 65_536;

#[derive(Default)]
pub(super) struct Distrusted(Mutex<Known>);

#[derive(Default)]
struct Known {
    directories: HashSet<InodeKey>,
    all: bool,
}

impl Distrusted {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, directory: &DirectoryNode) {
        let mut known = self.lock();
        match key(directory) {
            Some(key) if known.directories.len() < MOST => {
                known.directories.insert(key);
            }
            _ => known.all = true,
        }
    }

    pub(super) fn has(&self, directory: &DirectoryNode) -> bool {
        let known = self.lock();
        known.all || key(directory).is_some_and(|key| known.directories.contains(&key))
    }

    pub(super) fn report(&self, directory: &DirectoryNode, remover: &Remover<'_>) {
        let detail =
            "stay: a name that this directory does not list was taken in it, so that its listing proves nothing";
        let path = path_bytes(directory);
        (remover.report)(Item::said(Side::Target, ItemClass::Skipped, path, "extra entries", detail));
    }
}

/// The root is never opened by its name, so that nothing is recorded of it.
fn key(directory: &DirectoryNode) -> Option<InodeKey> {
    if directory.parent.is_none() { Some(InodeKey { device: 0, inode: 0 }) } else { directory.identity() }
}
