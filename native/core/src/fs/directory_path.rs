//! Directories by their place in the tree, open or not: paths of any depth with a bounded number of descriptors.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::Errno;

use super::open::Opener;
use super::stat::{InodeKey, stat_fd};

/// A directory of a volume: its name and its parent. The root has neither.
#[derive(Debug)]
pub struct DirectoryNode {
    pub parent: Option<Arc<DirectoryNode>>,
    pub name: Box<[u8]>,
    /// Levels below the root.
    pub depth: u32,
    /// What it was when first opened; another directory under the same name later is not this one.
    identity: OnceLock<InodeKey>,
}

impl DirectoryNode {
    pub fn root() -> Arc<DirectoryNode> {
        Arc::new(DirectoryNode { parent: None, name: Box::default(), depth: 0, identity: OnceLock::new() })
    }

    pub fn child(parent: &Arc<DirectoryNode>, name: &[u8]) -> Arc<DirectoryNode> {
        Arc::new(DirectoryNode {
            parent: Some(Arc::clone(parent)),
            name: name.into(),
            depth: parent.depth.saturating_add(1),
            identity: OnceLock::new(),
        })
    }

    /// Records which directory is meant before it is opened, such as the one that a listing described. The first one
    /// recorded stays.
    pub fn expect_identity(&self, key: InodeKey) {
        let _ = self.identity.set(key);
    }

    pub fn identity(&self) -> Option<InodeKey> {
        self.identity.get().copied()
    }
}

impl Drop for DirectoryNode {
    /// Level by level: dropping a chain of thousands of parents by recursion would exhaust a thread's stack.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent {
            parent = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

/// The path from the root, without a slash at either end; empty for the root itself. For messages only.
pub fn path_bytes(node: &DirectoryNode) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = node;
    while let Some(parent) = &at.parent {
        names.push(&*at.name);
        at = parent;
    }
    names.reverse();
    names.join(&b'/')
}

/// As [`path_bytes`], of an entry in a directory.
pub fn entry_path(directory: &DirectoryNode, name: &[u8]) -> Vec<u8> {
    let mut path = path_bytes(directory);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Open directories of one volume, at most `capacity` of them besides those in use.
///
/// A directory that is not open is opened from its nearest open ancestor, one name at a time: no path is ever longer than
/// a name, and nothing on the way may be a symbolic link. Safe to share between threads; the lock is not held while the
/// kernel works.
pub struct Directories {
    root: Arc<OwnedFd>,
    opener: Opener,
    cache: Mutex<Cache>,
}

impl Directories {
    /// `capacity`: see `limits::directory_budget`; at least 1.
    pub fn new(root: OwnedFd, opener: Opener, capacity: usize) -> Directories {
        let cache = Cache { slots: Vec::new(), index: HashMap::new(), hand: 0, capacity: capacity.max(1) };
        Directories { root: Arc::new(root), opener, cache: Mutex::new(cache) }
    }

    pub fn opener(&self) -> &Opener {
        &self.opener
    }

    pub fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// An open descriptor; it stays open as long as the caller holds it.
    ///
    /// Errors of opening any directory on the way (`ENOTDIR`, `ENOENT`, `EACCES`, `EXDEV`, ...); `ESTALE` when a
    /// directory is not the one that bore its name before.
    pub fn descriptor(&self, node: &Arc<DirectoryNode>) -> Result<Arc<OwnedFd>, Errno> {
        let mut missing = Vec::new();
        let mut fd = self.nearest(node, &mut missing);
        while let Some(next) = missing.pop() {
            let opened = Arc::new(self.opener.directory(fd.as_fd(), &next.name)?);
            verify(next, &opened)?;
            self.keep(next, &opened);
            fd = opened;
        }
        Ok(fd)
    }

    /// Takes in a directory that was just made and opened, so that it need not be opened again.
    pub fn adopt(&self, node: &Arc<DirectoryNode>, fd: OwnedFd) -> Result<Arc<OwnedFd>, Errno> {
        let fd = Arc::new(fd);
        verify(node, &fd)?;
        self.keep(node, &fd);
        Ok(fd)
    }

    /// Closes a directory that is finished, unless somebody holds it.
    pub fn forget(&self, node: &Arc<DirectoryNode>) {
        let removed = self.lock().remove(node);
        drop(removed);
    }

    /// How many descriptors are kept open at this moment, the root aside.
    pub fn open_count(&self) -> usize {
        self.lock().slots.len()
    }

    /// The nearest open ancestor or the node itself; what lies between goes to `missing`, deepest first.
    fn nearest<'n>(&self, node: &'n Arc<DirectoryNode>, missing: &mut Vec<&'n Arc<DirectoryNode>>) -> Arc<OwnedFd> {
        let mut cache = self.lock();
        let mut at = node;
        loop {
            let Some(parent) = &at.parent else { return Arc::clone(&self.root) };
            if let Some(fd) = cache.get(at) {
                return fd;
            }
            missing.push(at);
            at = parent;
        }
    }

    fn keep(&self, node: &Arc<DirectoryNode>, fd: &Arc<OwnedFd>) {
        let evicted = self.lock().insert(node, fd);
        // Closing may take a while on a network file system, so not under the lock.
        drop(evicted);
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        // No code that can panic runs under the lock; if it did, the cache is still a cache.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verify(node: &DirectoryNode, fd: &OwnedFd) -> Result<(), Errno> {
    let stat = stat_fd(fd.as_fd())?;
    let found = stat.key();
    if *node.identity.get_or_init(|| found) == found { Ok(()) } else { Err(Errno::STALE) }
}

/// Second chance (CLOCK): constant time per eviction, and a tree's upper levels, used most, stay.
struct Cache {
    slots: Vec<Slot>,
    /// By address of the node, which the slot keeps alive.
    index: HashMap<usize, usize>,
    hand: usize,
    capacity: usize,
}

struct Slot {
    node: Arc<DirectoryNode>,
    fd: Arc<OwnedFd>,
    used: bool,
}

fn key(node: &Arc<DirectoryNode>) -> usize {
    Arc::as_ptr(node).addr()
}

impl Cache {
    fn get(&mut self, node: &Arc<DirectoryNode>) -> Option<Arc<OwnedFd>> {
        let slot = &mut self.slots[*self.index.get(&key(node))?];
        slot.used = true;
        Some(Arc::clone(&slot.fd))
    }

    /// Returns what had to go for it.
    fn insert(&mut self, node: &Arc<DirectoryNode>, fd: &Arc<OwnedFd>) -> Option<Slot> {
        let slot = Slot { node: Arc::clone(node), fd: Arc::clone(fd), used: true };
        // Two threads may have opened it at once.
        if let Some(&place) = self.index.get(&key(node)) {
            return Some(std::mem::replace(&mut self.slots[place], slot));
        }
        if self.slots.len() < self.capacity {
            self.index.insert(key(node), self.slots.len());
            self.slots.push(slot);
            return None;
        }
        let victim = self.victim();
        self.index.remove(&key(&self.slots[victim].node));
        self.index.insert(key(node), victim);
        Some(std::mem::replace(&mut self.slots[victim], slot))
    }

    fn victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[at].used) {
                return at;
            }
        }
    }

    fn remove(&mut self, node: &Arc<DirectoryNode>) -> Option<Slot> {
        let place = self.index.remove(&key(node))?;
        let removed = self.slots.swap_remove(place);
        if let Some(moved) = self.slots.get(place) {
            self.index.insert(key(&moved.node), place);
        }
        self.hand = if self.hand < self.slots.len() { self.hand } else { 0 };
        Some(removed)
    }
}
