//! Directories that were announced and are not complete, by id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::tree::TreeDirectory;
use crate::error::CoreError;
use crate::wire::channel::malformed;
use crate::wire::cursor::Malformed;
use crate::wire::limits::{MAX_OPEN_DIRECTORIES, MAX_OPEN_XATTR_BYTES};

/// What of a directory counts here.
pub(super) trait Numbered {
    /// As the source chose it; 0 is the root.
    fn id(&self) -> u64;

    /// Extended attributes that are kept until it is complete, bytes.
    fn xattr_bytes(&self) -> usize;
}

pub(super) struct OpenDirectories<D>(Mutex<Open<D>>);

struct Open<D> {
    map: HashMap<u64, Arc<TreeDirectory<D>>>,
    xattr_bytes: usize,
    root_came: bool,
}

impl<D> Default for OpenDirectories<D> {
    fn default() -> Self {
        Self(Mutex::new(Open { map: HashMap::new(), xattr_bytes: 0, root_came: false }))
    }
}

impl<D: Numbered> OpenDirectories<D> {
    fn lock(&self) -> MutexGuard<'_, Open<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: u64) -> Result<Arc<TreeDirectory<D>>, CoreError> {
        let unknown = || malformed(Malformed("entries of an unknown directory"));
        self.lock().map.get(&id).map(Arc::clone).ok_or_else(unknown)
    }

    pub(super) fn insert(&self, directory: Arc<TreeDirectory<D>>) -> Result<(), Malformed> {
        let mut open = self.lock();
        let id = directory.data.id();
        open.xattr_bytes += directory.data.xattr_bytes();
        let root_again = id == 0 && std::mem::replace(&mut open.root_came, true);
        if open.map.insert(id, directory).is_some() || root_again {
            return Err(Malformed("a directory is announced twice"));
        }
        if open.map.len() > MAX_OPEN_DIRECTORIES || open.xattr_bytes > MAX_OPEN_XATTR_BYTES {
            return Err(Malformed("too many directories are unfinished"));
        }
        Ok(())
    }

    pub(super) fn remove(&self, data: &D) {
        let mut open = self.lock();
        if open.map.remove(&data.id()).is_some() {
            open.xattr_bytes = open.xattr_bytes.saturating_sub(data.xattr_bytes());
        }
    }
}
