//! The walk over a volume: several threads, a stack of unfinished directories, a visitor.
//!
//! The stack is last-in first-out, so that the walk goes deep before it goes wide; a directory on it costs its names
//! alone. Errors of single entries are items; what the visitor returns as an error ends the walk.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::attributes::{of_descriptor, of_entry, of_stat};
use super::filter::Within;
use super::read::{note_attributes, note_flags};
use super::visitor::size_hint;
pub use super::visitor::{Body, Scanned, Visitor};
use super::volume::{RESERVED, Volume};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::{self, DirectoryNode, path_bytes};
use crate::fs::list::{ListBuffer, Listing};
use crate::fs::stat::{Kind, Stat, read_link, stat_at, stat_at_anew, stat_fd, stat_fd_anew};
use crate::fs::xattrs::Xattrs;
use crate::session::item::{Item, ItemClass};
use crate::session::stop::Stop;
use crate::wire::limits::{BATCH_BYTES, BATCH_ENTRIES, MAX_DEPTH};

struct Unfinished<D> {
    node: Arc<DirectoryNode>,
    directory: Arc<D>,
    listing: Listing,
    /// Entry number and place in the listing of each subdirectory not yet visited, last first.
    subdirectories: Vec<(u64, usize)>,
}

struct Stack<D> {
    unfinished: Vec<Unfinished<D>>,
    busy: usize,
    /// A thread has met an error: the others leave.
    failed: bool,
}

/// An entry as its directory's listing has it.
struct Found<'a> {
    node: &'a Arc<DirectoryNode>,
    descriptor: &'a OwnedFd,
    name: &'a [u8],
    hint: Option<Kind>,
}

struct Next<D> {
    node: Arc<DirectoryNode>,
    parent: Option<(Arc<D>, u64)>,
}

pub struct Walk<'a, V: Visitor> {
    volume: &'a Volume,
    visitor: &'a V,
    stop: &'a Stop,
    stack: Mutex<Stack<V::Directory>>,
    changed: Condvar,
}

/// Walks the whole volume with `threads` threads; returns when all is announced, or with the first error.
pub fn walk<V: Visitor>(volume: &Volume, visitor: &V, threads: usize, stop: &Stop) -> Result<(), CoreError> {
    let stack = Mutex::new(Stack { unfinished: Vec::new(), busy: 0, failed: false });
    let walk = Walk { volume, visitor, stop, stack, changed: Condvar::new() };
    walk.visit(Next { node: Arc::clone(&volume.root), parent: None }, &mut ListBuffer::new())?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| walk.work())).collect();
        let panicked = || Err(CoreError::bug("A scanning thread panicked."));
        let results: Vec<_> = workers.into_iter().map(|w| w.join().unwrap_or_else(|_| panicked())).collect();
        results.into_iter().collect()
    })
}

impl<V: Visitor> Walk<'_, V> {
    fn lock(&self) -> MutexGuard<'_, Stack<V::Directory>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> Result<(), CoreError> {
        let mut buffer = ListBuffer::new();
        while let Some(next) = self.next()? {
            let visited = self.visit(next, &mut buffer);
            self.lock().busy -= 1;
            self.changed.notify_all();
            if let Err(error) = visited {
                self.lock().failed = true;
                self.changed.notify_all();
                return Err(error);
            }
        }
        Ok(())
    }

    /// The next directory, deepest first; None when nothing is left and nobody is adding any more.
    fn next(&self) -> Result<Option<Next<V::Directory>>, CoreError> {
        let mut stack = self.lock();
        let mut idle = false;
        loop {
            self.stop.check()?;
            if stack.failed {
                return Ok(None);
            }
            while stack.unfinished.last().is_some_and(|top| top.subdirectories.is_empty()) {
                stack.unfinished.pop();
            }
            if let Some(top) = stack.unfinished.last_mut()
                && let Some((entry, place)) = top.subdirectories.pop()
                && let Some((name, _)) = top.listing.get(place)
            {
                let next = Next {
                    node: DirectoryNode::child(&top.node, name),
                    parent: Some((Arc::clone(&top.directory), entry)),
                };
                stack.busy += 1;
                return Ok(Some(next));
            }
            if !std::mem::replace(&mut idle, true) {
                drop(stack);
                self.visitor.idle()?;
                stack = self.lock();
                continue;
            }
            if stack.busy == 0 {
                return Ok(None);
            }
            let patience = std::time::Duration::from_millis(200);
            stack = self.changed.wait_timeout(stack, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn visit(&self, next: Next<V::Directory>, buffer: &mut ListBuffer) -> Result<(), CoreError> {
        let Next { node, parent } = next;
        let parent = parent.as_ref().map(|(directory, entry)| (directory, *entry));
        if node.depth > MAX_DEPTH {
            // A target would refuse it and with it the session.
            return self.unreachable(&node, parent, Errno::NAMETOOLONG);
        }
        let descriptor = match self.volume.directories.descriptor(&node) {
            Ok(descriptor) => descriptor,
            Err(Errno::XDEV) => return self.mount_point(&node, parent),
            Err(errno) => return self.unreachable(&node, parent, errno),
        };
        let attributes = match self.describe_directory(&node, &descriptor) {
            Ok(attributes) => attributes,
            Err(errno) => return self.unreachable(&node, parent, errno),
        };
        let directory = self.visitor.directory(parent, &node, attributes)?;
        let listing = match Listing::read(descriptor.as_fd(), buffer) {
            Ok(listing) => listing,
            Err(errno) => {
                self.report_directory(&node, errno);
                return self.visitor.end(&directory, 0, false);
            }
        };
        let subdirectories = self.announce(&node, &directory, &descriptor, &listing)?;
        if !subdirectories.is_empty() {
            self.lock().unfinished.push(Unfinished { node, directory, listing, subdirectories });
            self.changed.notify_all();
        }
        Ok(())
    }

    fn describe_directory(&self, node: &Arc<DirectoryNode>, descriptor: &OwnedFd) -> Result<Attributes, Errno> {
        let fd = descriptor.as_fd();
        let stat = if V::ONLY_STATS { stat_fd_anew(fd)? } else { stat_fd(fd)? };
        self.visitor.saw(node, None, &stat);
        if V::ONLY_STATS {
            return Ok(of_stat(&stat, Xattrs::default()));
        }
        note_flags(self.volume, fd, &stat, self.visitor);
        of_descriptor(fd, &stat, self.volume.policy.keep_selinux, self.visitor, &|| entry_path(node, None))
    }

    /// Announces the entries of one directory; returns its subdirectories, last first.
    fn announce(
        &self,
        node: &Arc<DirectoryNode>,
        directory: &Arc<V::Directory>,
        descriptor: &OwnedFd,
        listing: &Listing,
    ) -> Result<Vec<(u64, usize)>, CoreError> {
        let is_root = Arc::ptr_eq(node, &self.volume.root);
        let mut subdirectories = Vec::new();
        let mut batch = Vec::with_capacity(listing.len().min(BATCH_ENTRIES));
        let (mut entries, mut bytes) = (0_u64, 0);
        let mut rules = self.volume.rules_within(node);
        for (place, (name, hint)) in listing.iter().enumerate() {
            if is_root && RESERVED.contains(&name) {
                continue;
            }
            let found = Found { node, descriptor, name, hint };
            let Some(body) = self.describe(&found, rules.as_mut()) else { continue };
            if matches!(body, Body::Directory) {
                subdirectories.push((entries, place));
            }
            bytes += size_hint(name, &body);
            batch.push(Scanned { name, body });
            entries += 1;
            if batch.len() == BATCH_ENTRIES || bytes >= BATCH_BYTES {
                self.stop.check()?;
                self.visitor.entries(directory, entries - batch.len() as u64, &batch)?;
                batch.clear();
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.visitor.entries(directory, entries - batch.len() as u64, &batch)?;
        }
        self.visitor.end(directory, entries, true)?;
        subdirectories.reverse();
        Ok(subdirectories)
    }

    /// None for what is not part of the copy: excluded, or another mount.
    fn describe(&self, found: &Found<'_>, rules: Option<&mut Within<'_>>) -> Option<Body> {
        let Found { node, descriptor, name, hint } = *found;
        let mut rules = rules;
        let mut is_excluded = |kind| rules.as_mut().is_some_and(|rules| rules.excludes(name, Some(kind)));
        if hint.is_some_and(&mut is_excluded) {
            self.visitor.excluded();
            return None;
        }
        if hint == Some(Kind::Directory) {
            return Some(Body::Directory);
        }
        let look = if V::ONLY_STATS { stat_at_anew } else { stat_at };
        let described = look(descriptor.as_fd(), name).and_then(|stat| {
            // The listing did not say what it is, or it is something else by now.
            if hint != Some(stat.kind) && is_excluded(stat.kind) {
                self.visitor.excluded();
                return Ok(None);
            }
            if stat.kind == Kind::Directory {
                return Ok(Some(Body::Directory));
            }
            if self.volume.is_foreign(&stat) {
                self.not_crossed(node, name);
                return Ok(None);
            }
            self.visitor.saw(node, Some(name), &stat);
            self.body(node, descriptor, name, stat).map(Some)
        });
        described.unwrap_or_else(|errno| {
            self.report_entry(node, name, errno);
            Some(Body::Failed)
        })
    }

    fn not_crossed(&self, node: &DirectoryNode, name: &[u8]) {
        let path = entry_path(node, Some(name));
        let detail = "not crossed (--no-one-file-system would)";
        self.visitor.item(Item::said(self.visitor.side(), ItemClass::Skipped, path, "mount point", detail));
    }

    fn body(&self, node: &Arc<DirectoryNode>, descriptor: &OwnedFd, name: &[u8], stat: Stat) -> Result<Body, Errno> {
        if stat.kind == Kind::File && !self.volume.policy.file_attributes {
            return Ok(Body::File(stat, None));
        }
        if V::ONLY_STATS {
            let attributes = of_stat(&stat, Xattrs::default());
            return Ok(Body::Special { stat, attributes });
        }
        if stat.has_birth_time && stat.kind != Kind::File {
            self.visitor.left_out("birth time");
        }
        let directory = descriptor.as_fd();
        let keep_selinux = self.volume.policy.keep_selinux;
        let path = || entry_path(node, Some(name));
        let attributes = of_entry(directory, name, &stat, keep_selinux, self.visitor, &path)?;
        if stat.kind == Kind::File {
            note_attributes(&stat, self.visitor);
            return Ok(Body::File(stat, Some(attributes)));
        }
        if stat.kind == Kind::Symlink {
            // EINVAL: it is no symlink any more.
            let target =
                read_link(directory, name).map_err(|errno| if errno == Errno::INVAL { Errno::NOENT } else { errno })?;
            return Ok(Body::Symlink { target, stat, attributes });
        }
        Ok(Body::Special { stat, attributes })
    }

    /// A directory on another mount: present, empty, with what its root shows.
    fn mount_point(
        &self,
        node: &Arc<DirectoryNode>,
        parent: Option<(&Arc<V::Directory>, u64)>,
    ) -> Result<(), CoreError> {
        let above = node.parent.as_ref().map(|above| self.volume.directories.descriptor(above));
        let stat = match above {
            Some(Ok(above)) => stat_at(above.as_fd(), &node.name),
            Some(Err(errno)) => Err(errno),
            None => Err(Errno::XDEV),
        };
        let stat = match stat {
            Ok(stat) => stat,
            Err(errno) => return self.unreachable(node, parent, errno),
        };
        let detail = "made empty, not crossed (--no-one-file-system would)";
        let path = entry_path(node, None);
        self.visitor.item(Item::said(self.visitor.side(), ItemClass::Skipped, path, "mount point", detail));
        let directory = self.visitor.directory(parent, node, of_stat(&stat, Xattrs::default()))?;
        // What the target has below it belongs to another volume as little as what the source has.
        self.visitor.end(&directory, 0, false)
    }

    fn unreachable(
        &self,
        node: &Arc<DirectoryNode>,
        parent: Option<(&Arc<V::Directory>, u64)>,
        errno: Errno,
    ) -> Result<(), CoreError> {
        let Some((directory, entry)) = parent else {
            let error = std::io::Error::from(errno);
            return Err(CoreError::from_io(
                crate::error::ErrorKind::Volume,
                "The root of the volume cannot be read",
                &error,
            ));
        };
        self.report_directory(node, errno);
        self.visitor.failed(directory, entry)
    }

    fn report_directory(&self, node: &Arc<DirectoryNode>, errno: Errno) {
        match errno {
            _ if is_gone(errno) => self.report(node, None, ItemClass::Changed, "vanished", errno),
            _ => self.report(node, None, ItemClass::Unreadable, "directory", errno),
        }
    }

    fn report_entry(&self, node: &Arc<DirectoryNode>, name: &[u8], errno: Errno) {
        match errno {
            _ if is_gone(errno) => self.report(node, Some(name), ItemClass::Changed, "vanished", errno),
            _ => self.report(node, Some(name), ItemClass::Unreadable, "attributes", errno),
        }
    }

    fn report(&self, node: &Arc<DirectoryNode>, name: Option<&[u8]>, class: ItemClass, what: &str, errno: Errno) {
        self.visitor.item(Item::failed(self.visitor.side(), class, entry_path(node, name), what, errno));
    }
}

/// It is gone, or something else bears its name by now.
fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE)
}

/// Path of a directory, or of an entry in it, relative to the root.
pub fn entry_path(node: &DirectoryNode, name: Option<&[u8]>) -> Vec<u8> {
    name.map_or_else(|| path_bytes(node), |name| directory_path::entry_path(node, name))
}

#[cfg(test)]
mod tests;
