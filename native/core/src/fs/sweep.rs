//! Removing entries with everything beneath them, or counting what that would remove.
//!
//! Depth first, without recursion and with a bounded number of descriptors, to any depth. Symbolic links are removed,
//! never followed; what is mounted beneath is not entered, and stays.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::apply::Applier;
use super::directory_path::{Directories, DirectoryNode, entry_path, path_bytes};
use super::handle::Handle;
use super::list::{ListBuffer, Listing};
use super::make;
use super::stat::{Kind, Stat, stat_at, stat_fd};

/// What could not be removed, and why: `EPERM` for immutable and append-only entries, `EBUSY` for mount points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearError {
    /// Relative to the directory that the sweep's [`Directories`] begin with.
    pub path: Vec<u8>,
    pub errno: Errno,
}

/// Whom a sweep tells, and who may end it: an error that is returned here becomes the sweep's.
pub trait Witness {
    /// Asked before each entry. True ends the sweep with `EINTR`; the rest stays.
    fn stopped(&self) -> bool;

    /// An entry stays, and with it every directory above. `EXDEV` for what something is mounted on.
    fn stays(&mut self, entry: ClearError) -> Result<(), ClearError>;

    /// Whether an entry is to be left alone, with everything beneath it. It is neither counted nor told by `stays`.
    fn spares(&mut self, _directory: &DirectoryNode, _name: &[u8], _kind: &dyn Fn() -> Option<Kind>) -> bool {
        false
    }

    /// A directory that the sweep was given by name, or found in the one it was given, stays because of what is spared
    /// in it.
    fn shelters(&mut self, _directory: &DirectoryNode) {}

    /// A directory stays, and has not got back what it had: its "times" or its "mode".
    fn lost(&mut self, what: &str, directory: ClearError) -> Result<(), ClearError>;
}

#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// Changes nothing that lasts: a directory that its owner may not list is opened up for the time of counting.
    Count,
    Remove,
    /// Directories that stay get the modification time back that they had.
    RemoveKeepingTimes {
        applier: &'a Applier,
        fsync: bool,
    },
}

pub struct Sweep<'a> {
    directories: &'a Directories,
    work: Work<'a>,
    witness: &'a mut dyn Witness,
    buffer: ListBuffer,
    done: u64,
}

/// What of the first directory is meant. All of any other is.
enum Names<'a> {
    AllBut(&'a [&'a [u8]]),
    These(&'a Listing),
}

/// A directory on the way: its subdirectories, and how many of them are done.
struct Level {
    node: Arc<DirectoryNode>,
    before: Stat,
    /// It was opened up for its owner; `before` says what it had.
    widened: bool,
    subdirectories: Listing,
    done: usize,
    /// Something was removed from it.
    changed: bool,
    /// Something in it stays.
    stays: bool,
    /// Something in it is spared, or beneath it.
    spares: bool,
}

enum Entered {
    Level(Level),
    Stays,
    Vanished,
}

enum Fate {
    Gone,
    Vanished,
    Directory,
}

impl<'a> Sweep<'a> {
    pub fn new(directories: &'a Directories, work: Work<'a>, witness: &'a mut dyn Witness) -> Self {
        Self { directories, work, witness, buffer: ListBuffer::new(), done: 0 }
    }

    /// How many entries were removed or counted so far, also by a sweep that ended with an error.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Everything below `base` but the names `kept` in it.
    pub fn contents(&mut self, base: &Arc<DirectoryNode>, kept: &[&[u8]]) -> Result<(), ClearError> {
        self.run(base, &Names::AllBut(kept))
    }

    /// These names of `base`, with everything beneath them. One that has vanished by itself is fine.
    pub fn names(&mut self, base: &Arc<DirectoryNode>, names: &Listing) -> Result<(), ClearError> {
        self.run(base, &Names::These(names))
    }

    fn counts(&self) -> bool {
        matches!(self.work, Work::Count)
    }

    fn run(&mut self, base: &Arc<DirectoryNode>, names: &Names<'_>) -> Result<(), ClearError> {
        let Entered::Level(base) = self.enter(Arc::clone(base), names)? else { return Ok(()) };
        let mut levels = vec![base];
        let mut result = self.beneath(&mut levels);
        // The first one, and after an error whatever was under way.
        for level in levels.iter().rev() {
            let restored = self.restore(level);
            result = result.and(restored);
        }
        result
    }

    /// Goes through the subdirectories until only the first level is left.
    fn beneath(&mut self, levels: &mut Vec<Level>) -> Result<(), ClearError> {
        while let Some(level) = levels.last_mut() {
            if let Some((name, _)) = level.subdirectories.get(level.done) {
                let node = DirectoryNode::child(&level.node, name);
                level.done += 1;
                match self.enter(node, &Names::AllBut(&[]))? {
                    Entered::Level(next) => levels.push(next),
                    Entered::Stays => level.stays = true,
                    Entered::Vanished => {}
                }
                continue;
            }
            if levels.len() == 1 {
                break;
            }
            let Some(done) = levels.pop() else { break };
            if done.spares && levels.len() == 1 {
                self.witness.shelters(&done.node);
            }
            if let Some(parent) = levels.last_mut() {
                parent.spares |= done.spares;
                self.leave(&done, parent)?;
            }
        }
        Ok(())
    }

    /// Removes all that is not a directory and notes the directories.
    fn enter(&mut self, node: Arc<DirectoryNode>, names: &Names<'_>) -> Result<Entered, ClearError> {
        if self.witness.stopped() {
            return Err(described(&node, Errno::INTR));
        }
        let (fd, before, widened) = match self.open(&node) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(Entered::Vanished),
            Err(errno) => return self.witness.stays(described(&node, errno)).map(|()| Entered::Stays),
        };
        let (subdirectories, done) = (Listing::default(), 0);
        let (changed, stays, spares) = (false, false, false);
        let mut level = Level { node, before, widened, subdirectories, done, changed, stays, spares };
        let swept = self.entries(&mut level, fd.as_fd(), names);
        if let Err(error) = swept {
            let _ = self.restore(&level);
            return Err(error);
        }
        Ok(Entered::Level(level))
    }

    fn entries(&mut self, level: &mut Level, fd: BorrowedFd<'_>, names: &Names<'_>) -> Result<(), ClearError> {
        let listed;
        let (listing, kept) = match names {
            Names::These(listing) => (*listing, [].as_slice()),
            Names::AllBut(kept) => {
                listed = match Listing::read(fd, &mut self.buffer) {
                    Ok(listing) => listing,
                    Err(errno) => {
                        level.stays = true;
                        return self.witness.stays(described(&level.node, errno));
                    }
                };
                (&listed, *kept)
            }
        };
        for (name, hint) in listing.iter().filter(|(name, _)| !kept.contains(name)) {
            let at = |errno| ClearError { path: entry_path(&level.node, name), errno };
            // One directory may hold millions.
            if self.witness.stopped() {
                return Err(at(Errno::INTR));
            }
            let kind = || hint.or_else(|| stat_at(fd, name).ok().map(|stat| stat.kind));
            if self.witness.spares(&level.node, name, &kind) {
                (level.stays, level.spares) = (true, true);
                continue;
            }
            match self.entry(fd, name, hint, &level.before) {
                Ok(Fate::Gone) => {
                    self.done += 1;
                    level.changed = true;
                }
                Ok(Fate::Vanished) => {}
                Ok(Fate::Directory) => level.subdirectories.push(name, hint).map_err(at)?,
                Err(errno) => {
                    level.stays = true;
                    self.witness.stays(at(errno))?;
                }
            }
        }
        Ok(())
    }

    /// Removes what is no directory. The kernel knows best what is one; the listing's hint saves asking it.
    fn entry(&self, fd: BorrowedFd<'_>, name: &[u8], hint: Option<Kind>, directory: &Stat) -> Result<Fate, Errno> {
        let foreign = |stat: &Stat| stat.mount_id.is_some() && stat.mount_id != directory.mount_id;
        match hint {
            Some(Kind::Directory) => return Ok(Fate::Directory),
            Some(_) if self.counts() => return Ok(Fate::Gone),
            None if self.counts() => {
                return match stat_at(fd, name) {
                    Ok(stat) if stat.kind == Kind::Directory => Ok(Fate::Directory),
                    Ok(stat) if foreign(&stat) => Err(Errno::XDEV),
                    Ok(_) => Ok(Fate::Gone),
                    Err(Errno::NOENT) => Ok(Fate::Vanished),
                    Err(errno) => Err(errno),
                };
            }
            _ => {}
        }
        match make::unlink(fd, name) {
            Ok(()) => Ok(Fate::Gone),
            Err(Errno::NOENT) => Ok(Fate::Vanished),
            Err(Errno::ISDIR) => Ok(Fate::Directory),
            // Something is mounted on a file.
            Err(Errno::BUSY) if stat_at(fd, name).is_ok_and(|stat| foreign(&stat)) => Err(Errno::XDEV),
            Err(errno) => Err(errno),
        }
    }

    fn leave(&mut self, level: &Level, parent: &mut Level) -> Result<(), ClearError> {
        self.directories.forget(&level.node);
        if !level.stays {
            match self.remove_directory(level, parent) {
                Ok(()) => {
                    self.done += 1;
                    parent.changed = true;
                    return if self.counts() { self.restore(level) } else { Ok(()) };
                }
                Err(Errno::NOENT) => return Ok(()),
                Err(errno) => self.witness.stays(described(&level.node, errno))?,
            }
        }
        parent.stays = true;
        self.restore(level)
    }

    fn remove_directory(&self, level: &Level, parent: &Level) -> Result<(), Errno> {
        if self.counts() {
            return Ok(());
        }
        let fd = self.directories.descriptor(&parent.node)?;
        make::remove_directory(fd.as_fd(), &level.node.name)
    }

    /// Gives a directory that stays what it had before.
    fn restore(&mut self, level: &Level) -> Result<(), ClearError> {
        let Work::RemoveKeepingTimes { applier, fsync } = self.work else { return self.narrow(level) };
        self.narrow(level)?;
        if !level.changed {
            return Ok(());
        }
        let at = |errno| described(&level.node, errno);
        let fd = self.directories.descriptor(&level.node).map_err(at)?;
        if let Err(errno) = applier.restore_mtime(fd.as_fd(), level.before.mtime) {
            self.witness.lost("times", at(errno))?;
        }
        if fsync { rustix::fs::fsync(&fd).map_err(at) } else { Ok(()) }
    }

    fn narrow(&mut self, level: &Level) -> Result<(), ClearError> {
        if !level.widened {
            return Ok(());
        }
        let descriptor = self.directories.descriptor(&level.node);
        let narrowed = descriptor.and_then(|fd| Handle::Fd(fd.as_fd()).chmod(level.before.mode));
        narrowed.or_else(|errno| self.witness.lost("mode", described(&level.node, errno)))
    }

    /// Opens a directory such that it can be listed and emptied, which its owner is allowed to arrange; what it was
    /// before, and whether that was arranged.
    fn open(&self, node: &Arc<DirectoryNode>) -> Result<(Arc<OwnedFd>, Stat, bool), Errno> {
        let opened = self.directories.descriptor(node);
        if let (Err(Errno::ACCESS), Some(parent)) = (&opened, &node.parent) {
            let parent = self.directories.descriptor(parent)?;
            let before = stat_at(parent.as_fd(), &node.name)?;
            Handle::Entry(parent.as_fd(), &node.name).chmod(before.mode | 0o700)?;
            return Ok((self.directories.descriptor(node)?, before, true));
        }
        let fd = opened?;
        let before = stat_fd(fd.as_fd())?;
        let closed = before.mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root();
        // Somebody else's directory may still be writable for us.
        let widened = closed && Handle::Fd(fd.as_fd()).chmod(before.mode | 0o700).is_ok();
        Ok((fd, before, widened))
    }
}

fn described(node: &DirectoryNode, errno: Errno) -> ClearError {
    ClearError { path: path_bytes(node), errno }
}
