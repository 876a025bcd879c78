//! The root digests of any directory, computed as a session would: for `pvferry digest`.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use super::attributes::{Report, of_descriptor};
use super::read::{Place, Unreadable, fill_piece, form_of, open_regular, segments};
use super::volume::{ScanPolicy, Volume};
use super::walk::{Body, Scanned, Visitor, entry_path, walk};
use crate::digest::Digest;
use crate::digest::file::{FileDigest, Form, PIECE, piece_digest, piece_length, pieces};
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf, volume_roots};
use crate::digest::links::{group_digest, links_digest, path_hash};
use crate::digest::tree::{Complete, TreeDirectory, expect, settle};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::extents::DataRanges;
use crate::fs::stat::{InodeKey, Kind, Stat};
use crate::session::events::{Event, Events};
use crate::session::item::{Item, ItemClass, Side};
use crate::session::stop::Stop;
use crate::wire::limits::MAX_SEGMENTS;

/// A file's digest, as the caller gets it: path relative to the root.
#[derive(Clone, Debug)]
pub struct FileLine {
    pub path: Vec<u8>,
    pub digest: Digest,
    pub form: Form,
}

/// Takes batches of file digests, from several threads.
pub type FileSink = Box<dyn Fn(Vec<FileLine>) + Send + Sync>;

/// Files waiting for a thread to read them.
const QUEUE: usize = 4_096;
/// File digests handed over at a time.
const BATCH: usize = 1_024;

#[derive(Debug)]
struct Data {
    node: Arc<DirectoryNode>,
    attributes: Attributes,
    path_hash: Digest,
}

type Directory = TreeDirectory<Data>;

struct Task {
    directory: Arc<Directory>,
    leaf: u64,
    name: Box<[u8]>,
    /// Identity of an inode with several names.
    key: Option<InodeKey>,
}

/// What reading a file gave.
type Read = Result<(Attributes, Form, Digest), Unreadable>;

/// The reading of an inode with several names, done by whoever comes first.
type OnceRead = Arc<OnceLock<Read>>;

struct Hashing<'a> {
    volume: &'a Volume,
    events: Events,
    files: Option<&'a FileSink>,
    stop: &'a Stop,
    queue: SyncSender<Task>,
    inodes: Mutex<HashMap<InodeKey, OnceRead>>,
    names: Mutex<HashMap<InodeKey, Vec<Digest>>>,
    root: OnceLock<Leaf>,
}

/// Computes the roots. Items (what cannot be read) are events; `files` gets every file's digest. Ends with the error of
/// `stop` once that is set: within a batch of a directory's entries, or a piece of a file.
pub fn digest_volume(
    path: &Path,
    policy: ScanPolicy,
    threads: usize,
    events: Events,
    files: Option<&FileSink>,
    stop: &Stop,
) -> Result<Leaf, CoreError> {
    crate::fs::limits::raise_open_files();
    let volume = Volume::open(path, policy)?;
    let (queue, tasks) = sync_channel(QUEUE);
    let hashing = Hashing {
        volume: &volume,
        events,
        files,
        stop,
        queue,
        inodes: Mutex::default(),
        names: Mutex::default(),
        root: OnceLock::new(),
    };
    let tasks = Mutex::new(tasks);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(|| hashing.work(&tasks))).collect();
        let walked = walk(&volume, &hashing, 1, stop);
        // A worker ends at the end of the queue: one mark for each.
        for _ in &workers {
            let mark = Task { directory: hashing.mark(), leaf: 0, name: Box::default(), key: None };
            let _ = hashing.queue.send(mark);
        }
        let panicked = || Err(CoreError::bug("A hashing thread panicked."));
        let worked: Vec<_> = workers.into_iter().map(|w| w.join().unwrap_or_else(|_| panicked())).collect();
        walked.and(worked.into_iter().collect::<Result<(), CoreError>>())
    })?;
    stop.check()?;
    let root = hashing.root.get().ok_or_else(|| CoreError::bug("The root was not reached."))?;
    let names = hashing.names.lock().unwrap_or_else(PoisonError::into_inner);
    let groups = names.values().filter_map(|names| group_digest(names)).collect();
    Ok(volume_roots(root, &links_digest(groups)))
}

impl Hashing<'_> {
    fn mark(&self) -> Arc<Directory> {
        let node = Arc::clone(&self.volume.root);
        TreeDirectory::new(None, Data { node, attributes: Attributes::default(), path_hash: [0; 32] })
    }

    fn work(&self, tasks: &Mutex<Receiver<Task>>) -> Result<(), CoreError> {
        let mut lines = Vec::new();
        let mut buffer = Vec::new();
        loop {
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Some(task) = task.ok().filter(|task| !task.name.is_empty()) else { break };
            if self.stop.is_stopped() {
                continue;
            }
            let leaf = self.read(&task, &mut buffer, &mut lines);
            if lines.len() >= BATCH {
                self.flush(&mut lines);
            }
            self.settle(&task.directory, &[(task.leaf, leaf)])?;
        }
        self.flush(&mut lines);
        Ok(())
    }

    fn flush(&self, lines: &mut Vec<FileLine>) {
        if let Some(files) = self.files
            && !lines.is_empty()
        {
            files(std::mem::take(lines));
        }
    }

    fn read(&self, task: &Task, buffer: &mut Vec<u8>, lines: &mut Vec<FileLine>) -> Leaf {
        let read = match task.key {
            None => self.read_file(task, buffer),
            Some(key) => self.read_inode(key, task, buffer),
        };
        let path = || entry_path(&task.directory.data.node, Some(&task.name));
        match read {
            Ok((attributes, form, digest)) => {
                if self.files.is_some() {
                    lines.push(FileLine { path: path(), digest, form });
                }
                if let Some(key) = task.key {
                    let hash = path_hash(&task.directory.data.path_hash, &task.name);
                    self.names.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().push(hash);
                }
                leaf(&task.name, Kind::File, &attributes, &Payload::File { form, digest })
            }
            Err(Unreadable::Vanished) => {
                self.item(Item::said(Side::Source, ItemClass::Changed, path(), "vanished", "while it was to be read"));
                FAILED_LEAF
            }
            // Not the file's fault, and there will be no root that an item would explain.
            Err(Unreadable::Failed(_)) if self.stop.is_stopped() => FAILED_LEAF,
            Err(Unreadable::Failed(errno)) => {
                self.item(Item::failed(Side::Source, ItemClass::Unreadable, path(), "data", errno));
                FAILED_LEAF
            }
        }
    }

    /// One reading serves all names of an inode.
    fn read_inode(&self, key: InodeKey, task: &Task, buffer: &mut Vec<u8>) -> Read {
        let cell = {
            let mut inodes = self.inodes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(inodes.entry(key).or_default())
        };
        cell.get_or_init(|| self.read_file(task, buffer)).clone()
    }

    fn read_file(&self, task: &Task, buffer: &mut Vec<u8>) -> Read {
        let directory = self.volume.directories.descriptor(&task.directory.data.node)?;
        let path = || entry_path(&task.directory.data.node, Some(&task.name));
        let place = Place { directory: directory.as_fd(), name: &task.name, path: &path };
        let (fd, stat) = open_regular(self.volume, &place)?;
        let attributes = of_descriptor(fd.as_fd(), &stat, self.volume.policy.keep_selinux, self, &path)?;
        let form = form_of(fd.as_fd(), stat.size)?;
        let digest = digest_file(fd.as_fd(), form, stat.size, buffer, self.stop)?;
        Ok((attributes, form, digest))
    }

    fn settle(&self, directory: &Arc<Directory>, leaves: &[(u64, Leaf)]) -> Result<(), CoreError> {
        let root = settle(directory, leaves, &AsRead)?;
        self.complete(root);
        Ok(())
    }

    fn complete(&self, root: Option<Leaf>) {
        if let Some(root) = root {
            let _ = self.root.set(root);
        }
    }

    /// Entries other than files and directories settle as they are scanned.
    fn entry(&self, directory: &Arc<Directory>, scanned: &Scanned<'_>) -> Option<Leaf> {
        let (stat, attributes, payload): (&Stat, _, _) = match &scanned.body {
            Body::File(..) | Body::Directory => return None,
            Body::Failed => return Some(FAILED_LEAF),
            Body::Symlink { stat, target, attributes } => (stat, attributes, Payload::Symlink { target }),
            Body::Special { stat, attributes } => match stat.kind {
                Kind::CharDevice | Kind::BlockDevice => {
                    (stat, attributes, Payload::Device { major: stat.rdev_major, minor: stat.rdev_minor })
                }
                _ => (stat, attributes, Payload::Empty),
            },
        };
        if let Some(key) = stat.shared_key() {
            let hash = path_hash(&directory.data.path_hash, scanned.name);
            self.names.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().push(hash);
        }
        Some(leaf(scanned.name, stat.kind, attributes, &payload))
    }
}

struct AsRead;

impl Complete<Data> for AsRead {
    type Error = CoreError;

    fn complete(&self, directory: &Arc<Directory>, roots: Option<Leaf>) -> Result<Leaf, CoreError> {
        let roots = roots.ok_or_else(|| CoreError::bug("A directory's entries were settled twice."))?;
        let data = &directory.data;
        Ok(leaf(&data.node.name, Kind::Directory, &data.attributes, &Payload::Directory { roots }))
    }
}

impl Visitor for Hashing<'_> {
    type Directory = Directory;

    fn directory(
        &self,
        parent: Option<(&Arc<Directory>, u64)>,
        node: &Arc<DirectoryNode>,
        attributes: Attributes,
    ) -> Result<Arc<Directory>, CoreError> {
        let path_hash = parent.map_or([0; 32], |(parent, _)| path_hash(&parent.data.path_hash, &node.name));
        let above = parent.map(|(parent, entry)| (Arc::clone(parent), entry));
        Ok(TreeDirectory::new(above, Data { node: Arc::clone(node), attributes, path_hash }))
    }

    fn entries(&self, directory: &Arc<Directory>, first: u64, batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        let mut leaves = Vec::new();
        for (index, scanned) in (first..).zip(batch) {
            if let Body::File(stat, _) = &scanned.body {
                let key = stat.shared_key();
                let task = Task { directory: Arc::clone(directory), leaf: index, name: scanned.name.into(), key };
                self.queue.send(task).map_err(|_| CoreError::bug("The hashing threads are gone."))?;
            }
            leaves.extend(self.entry(directory, scanned).map(|leaf| (index, leaf)));
        }
        self.settle(directory, &leaves)
    }

    fn end(&self, directory: &Arc<Directory>, entries: u64, _complete: bool) -> Result<(), CoreError> {
        let root = expect(directory, entries, &AsRead)?;
        self.complete(root);
        Ok(())
    }

    fn failed(&self, parent: &Arc<Directory>, entry: u64) -> Result<(), CoreError> {
        self.settle(parent, &[(entry, FAILED_LEAF)])
    }
}

impl Report for Hashing<'_> {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, item: Item) {
        self.events.send(Event::Items(vec![item]));
    }

    fn left_out(&self, _kind: &str) {}
}

/// A file's digest, read through a descriptor. `EINTR` once `stop` says so, which is asked before each piece.
pub(crate) fn digest_file(
    fd: BorrowedFd<'_>,
    form: Form,
    size: u64,
    buffer: &mut Vec<u8>,
    stop: &Stop,
) -> Result<Digest, Errno> {
    digest_pieces(fd, form, size, stop, |index, length, found| {
        fill_piece(fd, (index, length), found, buffer)?;
        Ok(piece_digest(form, size, index, buffer))
    })
}

/// As `digest_file`; `read` gives the digest of a piece of this number and length, with data in these places.
pub(crate) fn digest_pieces(
    fd: BorrowedFd<'_>,
    form: Form,
    size: u64,
    stop: &Stop,
    mut read: impl FnMut(u64, u32, &[(u32, u32)]) -> Result<Digest, Errno>,
) -> Result<Digest, Errno> {
    let mut digest = FileDigest::new(form, size);
    let mut ranges = DataRanges::new(size);
    let total = pieces(size);
    let mut index = 0;
    while index < total {
        if stop.is_stopped() {
            return Err(Errno::INTR);
        }
        let length = piece_length(size, index).and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
        // Of a single piece, holes cost less to hash than to ask for.
        let found = match total {
            1 => vec![(0, length)],
            _ => segments(&mut ranges, fd, index * PIECE, length, MAX_SEGMENTS as usize)?,
        };
        if found.is_empty() {
            let data = ranges.next(fd, index * PIECE)?;
            let end = data.map_or(total, |(start, _)| (start / PIECE).max(index + 1));
            digest.add_holes(index, end - index);
            index = end;
            continue;
        }
        digest.add_piece(index, read(index, length, &found)?);
        index += 1;
    }
    digest.finish().ok_or(Errno::IO)
}
