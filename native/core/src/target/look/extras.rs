//! What the target has and the source has not: listed with everything beneath, by reading alone.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::session::{LookConfig, Looking};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::directory_path::{DirectoryNode, entry_path, path_bytes};
use crate::fs::list::{ListBuffer, Listing};
use crate::fs::stat::{Kind, stat_at};
use crate::session::difference::Difference;
use crate::session::item::{Item, ItemClass, Side};
use crate::target::extras::check_deletions;
use crate::target::served::Served;
use crate::wire::limits::MAX_DIFFERENCES;

/// How many entries a copy would remove because the source does not have them, and of how many.
#[derive(Default)]
pub(super) struct Extras {
    removed: AtomicU64,
    /// Entries of the target in directories that both sides have.
    listed: AtomicU64,
    /// Entries found beneath extra directories.
    beneath: AtomicU64,
}

impl Extras {
    pub(super) fn listed(&self, entries: u64) {
        self.listed.fetch_add(entries, Ordering::Relaxed);
    }

    /// The refusal that the copy would end with, if it would remove more than it may.
    pub(super) fn permit(&self, config: &LookConfig) -> Result<(), CoreError> {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let before = get(&self.listed) + get(&self.beneath);
        check_deletions(&config.volume, config.max_delete, get(&self.removed), before, "nothing was removed")
    }
}

/// A directory on the way, and how many of its names are done.
struct Level {
    node: Arc<DirectoryNode>,
    listing: Listing,
    done: usize,
    /// Something is mounted beneath it, or excluded: neither would go.
    stays: bool,
}

enum Entered {
    Level(Level),
    /// It would go, or could not: what is beneath cannot be told, as an item says.
    Closed,
    /// Something is mounted there.
    Mount,
}

/// Differences on their way, and how many there were.
struct Found<'a> {
    looking: &'a Looking,
    differences: Vec<Difference>,
    count: u64,
}

impl Found<'_> {
    fn add(&mut self, kind: Kind, path: Vec<u8>) {
        self.count += 1;
        self.differences.push(Difference::extra(kind, path));
        if self.differences.len() >= MAX_DIFFERENCES as usize {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.looking.tell_differences(std::mem::take(&mut self.differences));
    }
}

impl Looking {
    /// Names of a directory that a mirror would remove.
    pub(super) fn tell_extras(&self, node: &Arc<DirectoryNode>, names: &[Box<[u8]>]) -> Result<(), CoreError> {
        let mut found = Found { looking: self, differences: Vec::new(), count: 0 };
        for name in names {
            self.life.stop.check()?;
            self.tell_extra(node, name, None, &mut found)?;
        }
        found.flush();
        self.extras.removed.fetch_add(found.count, Ordering::Relaxed);
        self.extras.beneath.fetch_add(found.count.saturating_sub(names.len() as u64), Ordering::Relaxed);
        Ok(())
    }

    /// What lies in a directory whose place another kind of entry is to take. No limit is asked about that.
    pub(super) fn tell_replaced(&self, parent: &Arc<DirectoryNode>, name: &[u8]) -> Result<(), CoreError> {
        let mut found = Found { looking: self, differences: Vec::new(), count: 0 };
        if let Entered::Level(level) = self.enter(DirectoryNode::child(parent, name))
            && !self.beneath(level, &mut found)?
        {
            let detail = "something in it stays: what the source has in its place would not be written";
            let path = entry_path(parent, name);
            self.tell_item(Item::said(Side::Target, ItemClass::Skipped, path, "directory", detail));
        }
        found.flush();
        Ok(())
    }

    /// One entry, after everything beneath it.
    fn tell_extra(
        &self,
        parent: &Arc<DirectoryNode>,
        name: &[u8],
        hint: Option<Kind>,
        found: &mut Found<'_>,
    ) -> Result<(), CoreError> {
        let path = || entry_path(parent, name);
        match self.kind_of(parent, name, hint) {
            Ok(Kind::Directory) => {
                let goes = match self.enter(DirectoryNode::child(parent, name)) {
                    Entered::Level(level) => self.beneath(level, found)?,
                    Entered::Closed => true,
                    Entered::Mount => false,
                };
                if goes {
                    found.add(Kind::Directory, path());
                }
            }
            Ok(kind) => found.add(kind, path()),
            Err(Errno::NOENT) => {}
            Err(errno) => self.unreadable(path(), "extra entry", errno),
        }
        Ok(())
    }

    /// Depth first and without recursion: trees may be deeper than the stack. Whether all of it would go.
    fn beneath(&self, first: Level, found: &mut Found<'_>) -> Result<bool, CoreError> {
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            self.life.stop.check()?;
            let Some((name, hint)) = level.listing.get(level.done) else {
                let Some(done) = levels.pop() else { break };
                self.directories.forget(&done.node);
                match levels.last_mut() {
                    None => return Ok(!done.stays),
                    Some(above) if done.stays => above.stays = true,
                    Some(_) => found.add(Kind::Directory, path_bytes(&done.node)),
                }
                continue;
            };
            level.done += 1;
            let kind = self.kind_of(&level.node, name, hint);
            if self.config.filter.as_ref().is_some_and(|rules| rules.within(&level.node).excludes(name, kind.ok())) {
                self.ledger.count_excluded(1);
                level.stays = true;
                continue;
            }
            match kind {
                Ok(Kind::Directory) => {
                    let node = DirectoryNode::child(&level.node, name);
                    match self.enter(Arc::clone(&node)) {
                        Entered::Level(next) => levels.push(next),
                        Entered::Closed => found.add(Kind::Directory, path_bytes(&node)),
                        Entered::Mount => level.stays = true,
                    }
                }
                Ok(kind) => found.add(kind, entry_path(&level.node, name)),
                Err(Errno::NOENT) => {}
                Err(errno) => self.unreadable(entry_path(&level.node, name), "extra entry", errno),
            }
        }
        Ok(true)
    }

    fn kind_of(&self, parent: &Arc<DirectoryNode>, name: &[u8], hint: Option<Kind>) -> Result<Kind, Errno> {
        match hint {
            Some(kind) => Ok(kind),
            None => Ok(stat_at(self.directories.descriptor(parent)?.as_fd(), name)?.kind),
        }
    }

    fn enter(&self, node: Arc<DirectoryNode>) -> Entered {
        let list = |fd: BorrowedFd<'_>| Listing::read(fd, &mut ListBuffer::new());
        match self.directories.descriptor(&node).and_then(|fd| list(fd.as_fd())) {
            Ok(listing) => Entered::Level(Level { node, listing, done: 0, stays: false }),
            Err(Errno::NOENT) => Entered::Closed,
            Err(Errno::XDEV) => {
                let detail = "a copy leaves it: what is mounted there is not the volume's";
                let path = path_bytes(&node);
                self.tell_item(Item::said(Side::Target, ItemClass::Skipped, path, "mount point", detail));
                Entered::Mount
            }
            Err(errno) => {
                self.unreadable(path_bytes(&node), "extra entry", errno);
                Entered::Closed
            }
        }
    }
}
