//! Removing everything below a directory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::directory_path::{Directories, DirectoryNode, entry_path};
use super::handle::Handle;
use super::limits::directory_budget;
use super::list::{ListBuffer, Listing};
use super::make;
use super::open::Opener;
use super::stat::{Kind, stat_at};

/// What could not be removed, and why: `EPERM` for immutable and append-only entries, `EBUSY` for mount points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearError {
    /// Relative to the directory that was to be cleared.
    pub path: Vec<u8>,
    pub errno: Errno,
}

/// Removes everything below `root` except the names `kept` at its top, and returns how many entries that were.
///
/// Depth first, without recursion and with a bounded number of descriptors, to any depth. Symbolic links are removed,
/// never followed; what is mounted beneath is not entered. Stops at the first entry that cannot be removed; what has
/// vanished by itself is fine. `root` is duplicated.
pub fn clear(root: BorrowedFd<'_>, kept: &[&[u8]]) -> Result<u64, ClearError> {
    clear_until(root, kept, &|| false)
}

/// As [`clear`], asking `stop` before each entry: once it says true, the rest stays and the error is `EINTR`.
pub fn clear_until(root: BorrowedFd<'_>, kept: &[&[u8]], stop: &dyn Fn() -> bool) -> Result<u64, ClearError> {
    let duplicate = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(|errno| ClearError { path: Vec::new(), errno })?;
    let directories = Directories::new(duplicate, Opener::new(false), directory_budget());
    let mut sweep = Sweep { directories, buffer: ListBuffer::new(), stop, removed: 0 };
    sweep.all(kept)?;
    Ok(sweep.removed)
}

struct Sweep<'a> {
    directories: Directories,
    buffer: ListBuffer,
    stop: &'a dyn Fn() -> bool,
    removed: u64,
}

/// A directory being emptied: its subdirectories, and how many of them are done.
struct Level {
    node: Arc<DirectoryNode>,
    subdirectories: Listing,
    done: usize,
}

impl Sweep<'_> {
    fn all(&mut self, kept: &[&[u8]]) -> Result<(), ClearError> {
        let root = DirectoryNode::root();
        let mut levels = vec![self.enter(root, kept)?];
        while let Some(level) = levels.last_mut() {
            if let Some((name, _)) = level.subdirectories.get(level.done) {
                let node = DirectoryNode::child(&level.node, name);
                level.done += 1;
                levels.push(self.enter(node, &[])?);
                continue;
            }
            if let Some(done) = levels.pop() {
                self.leave(&done.node)?;
            }
        }
        Ok(())
    }

    /// Removes all that is not a directory and notes the directories.
    fn enter(&mut self, node: Arc<DirectoryNode>, kept: &[&[u8]]) -> Result<Level, ClearError> {
        let at = |errno, name: &[u8]| ClearError { path: entry_path(&node, name), errno };
        if (self.stop)() {
            return Err(self.described(&node, Errno::INTR));
        }
        let fd = match self.open(&node) {
            Err(Errno::NOENT) => return Ok(Level { node, subdirectories: Listing::default(), done: 0 }),
            opened => opened.map_err(|errno| self.described(&node, errno))?,
        };
        let listing = Listing::read(fd.as_fd(), &mut self.buffer).map_err(|errno| at(errno, b""))?;
        let mut subdirectories = Listing::default();
        for (name, hint) in listing.iter().filter(|(name, _)| !kept.contains(name)) {
            // One directory may hold millions.
            if (self.stop)() {
                return Err(at(Errno::INTR, name));
            }
            let kind = match hint {
                Some(kind) => kind,
                None => stat_at(fd.as_fd(), name).map_err(|errno| at(errno, name))?.kind,
            };
            if kind == Kind::Directory {
                subdirectories.push(name, Some(kind)).map_err(|errno| at(errno, name))?;
                continue;
            }
            match make::unlink(fd.as_fd(), name) {
                Ok(()) => self.removed += 1,
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(at(errno, name)),
            }
        }
        Ok(Level { node, subdirectories, done: 0 })
    }

    fn leave(&mut self, node: &Arc<DirectoryNode>) -> Result<(), ClearError> {
        let Some(parent) = &node.parent else { return Ok(()) };
        self.directories.forget(node);
        let removed = self.directories.descriptor(parent).and_then(|fd| make::remove_directory(fd.as_fd(), &node.name));
        match removed {
            Ok(()) => self.removed += 1,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(self.described(node, errno)),
        }
        Ok(())
    }

    /// Opens a directory such that it can be listed and emptied, which its owner is allowed to arrange.
    fn open(&self, node: &Arc<DirectoryNode>) -> Result<Arc<OwnedFd>, Errno> {
        let opened = self.directories.descriptor(node);
        let (Some(parent), false) = (&node.parent, rustix::process::geteuid().is_root()) else { return opened };
        let parent = self.directories.descriptor(parent)?;
        if let Err(Errno::ACCESS) = opened {
            Handle::Entry(parent.as_fd(), &node.name).chmod(0o700)?;
            return self.directories.descriptor(node);
        }
        let opened = opened?;
        // Somebody else's directory may still be writable for us.
        let _ = Handle::Fd(opened.as_fd()).chmod(0o700);
        Ok(opened)
    }

    /// A mount point is busy, not "on another device".
    fn described(&self, node: &DirectoryNode, errno: Errno) -> ClearError {
        let errno = if errno == Errno::XDEV { Errno::BUSY } else { errno };
        let path = super::directory_path::path_bytes(node);
        ClearError { path, errno }
    }
}
