//! Directories whose entries are not all settled yet, and the two hash trees that grow in them.
//!
//! Both sides keep one `TreeDirectory` per unfinished directory. Entries settle in any order; the entry that settles
//! last completes the directory, whose own leaf then settles in its parent, up to the root. A finished directory is
//! dropped with its last child, so that memory follows the unfinished ones alone.

use std::sync::{Arc, Mutex, PoisonError};

use super::Digest;
use super::leaf::{self, Leaf};
use super::subtrees::{Join, Subtrees};

#[derive(Debug)]
struct DirectoryJoin;

impl Join for DirectoryJoin {
    fn join(&self, left: &Digest, right: &Digest) -> Digest {
        leaf::join(left, right)
    }
}

#[derive(Debug)]
struct Progress {
    content: Subtrees<DirectoryJoin>,
    metadata: Subtrees<DirectoryJoin>,
    settled: u64,
    expected: Option<u64>,
}

/// How many of a directory's entries are settled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Partial,
    Complete,
    /// More than there are.
    Over,
}

impl Progress {
    fn fill(&self) -> Fill {
        match self.expected {
            Some(expected) if self.settled == expected => Fill::Complete,
            Some(expected) if self.settled > expected => Fill::Over,
            _ => Fill::Partial,
        }
    }
}

#[derive(Debug)]
pub struct TreeDirectory<T> {
    parent: Option<(Arc<TreeDirectory<T>>, u64)>,
    pub data: T,
    progress: Mutex<Progress>,
}

impl<T> TreeDirectory<T> {
    /// `parent` is the directory above and the index of this entry in it; None for the volume's root.
    pub fn new(parent: Option<(Arc<Self>, u64)>, data: T) -> Arc<Self> {
        let progress = Progress {
            content: Subtrees::new(DirectoryJoin),
            metadata: Subtrees::new(DirectoryJoin),
            settled: 0,
            expected: None,
        };
        Arc::new(Self { parent, data, progress: Mutex::new(progress) })
    }

    pub fn parent(&self) -> Option<&(Arc<Self>, u64)> {
        self.parent.as_ref()
    }

    /// Settles entries; `Complete` is told to exactly one caller.
    fn settle(&self, leaves: &[(u64, Leaf)]) -> Fill {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, leaf) in leaves {
            progress.content.add(*index, leaf.content);
            progress.metadata.add(*index, leaf.metadata);
        }
        progress.settled += leaves.len() as u64;
        if leaves.is_empty() { Fill::Partial } else { progress.fill() }
    }

    /// Says how many entries the directory has.
    fn expect(&self, entries: u64) -> Fill {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.expected = Some(entries);
        progress.fill()
    }

    fn roots(&self) -> Option<Leaf> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match progress.expected? {
            0 => Some(Leaf { content: leaf::empty_root(), metadata: leaf::empty_root() }),
            entries => {
                Some(Leaf { content: progress.content.finish(entries)?, metadata: progress.metadata.finish(entries)? })
            }
        }
    }
}

/// Deep trees are taken apart in a loop: the chain of parents may be longer than the stack is deep.
impl<T> Drop for TreeDirectory<T> {
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some((directory, _)) = above {
            above = Arc::into_inner(directory).and_then(|mut directory| directory.parent.take());
        }
    }
}

/// What has to happen when a directory is complete, told its roots: its own leaf comes back. None when the trees do not
/// tile, which only a peer that settles an entry twice can cause.
pub trait Complete<T> {
    type Error;
    fn complete(&self, directory: &Arc<TreeDirectory<T>>, roots: Option<Leaf>) -> Result<Leaf, Self::Error>;
}

/// Settles entries of a directory and completes what that completes, upwards. Ok(Some) with the root's own leaf when
/// the volume is complete.
pub fn settle<T, C: Complete<T>>(
    directory: &Arc<TreeDirectory<T>>,
    leaves: &[(u64, Leaf)],
    hook: &C,
) -> Result<Option<Leaf>, C::Error> {
    rise(directory, directory.settle(leaves), hook)
}

/// Says how many entries a directory has, and completes what that completes.
pub fn expect<T, C: Complete<T>>(
    directory: &Arc<TreeDirectory<T>>,
    entries: u64,
    hook: &C,
) -> Result<Option<Leaf>, C::Error> {
    rise(directory, directory.expect(entries), hook)
}

fn rise<T, C: Complete<T>>(
    directory: &Arc<TreeDirectory<T>>,
    mut fill: Fill,
    hook: &C,
) -> Result<Option<Leaf>, C::Error> {
    let mut directory = Arc::clone(directory);
    loop {
        match fill {
            Fill::Partial => return Ok(None),
            Fill::Over => return hook.complete(&directory, None).map(|_| None),
            Fill::Complete => {}
        }
        let leaf = hook.complete(&directory, directory.roots())?;
        let Some((parent, index)) = directory.parent() else { return Ok(Some(leaf)) };
        let parent = Arc::clone(parent);
        fill = parent.settle(&[(*index, leaf)]);
        directory = parent;
    }
}
