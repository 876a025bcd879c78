//! What the scan finds goes out on the index, and regular files into the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::directory::{DirectoryData, SourceDirectory};
use super::index::{Announced, AnnouncedKind, Compared, IndexRecord};
use super::links::{Name, WaitingName};
use super::queue::FileTask;
use super::session::Shared;
use crate::digest::Digest;
use crate::digest::leaf::{Payload, leaf};
use crate::digest::links::path_hash;
use crate::digest::tree::TreeDirectory;
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::{InodeKey, Stat};
use crate::scan::walk::{Body as Found, Scanned, Visitor};
use crate::session::counters::Counter;
use crate::wire::index::{Body, Directory, DirectoryEnd, DirectoryMark, EntriesHead, Entry};
use crate::wire::limits::PACK_FILE;

/// One ENTRIES frame in the making.
struct Batch<'a> {
    shared: &'a Shared,
    directory: &'a Arc<SourceDirectory>,
    first: u64,
    payload: Vec<u8>,
    announced: Vec<Announced>,
    /// Regular files among them.
    files: u64,
    /// Those that are sent without being asked for.
    tasks: Vec<FileTask>,
}

impl Visitor for Shared {
    type Directory = SourceDirectory;

    fn directory(
        &self,
        parent: Option<(&Arc<SourceDirectory>, u64)>,
        node: &Arc<DirectoryNode>,
        attributes: Attributes,
    ) -> Result<Arc<SourceDirectory>, CoreError> {
        let id = self.directories.fetch_add(1, Ordering::Relaxed);
        let name = &node.name;
        let hash = parent.map_or([0; 32], |(parent, _)| path_hash(&parent.data.path_hash, name));
        let mut payload = Vec::with_capacity(128);
        let message = Directory {
            id,
            parent: parent.map_or(0, |(parent, _)| parent.data.id),
            leaf: parent.map_or(0, |(_, entry)| entry),
            name,
            attributes: attributes.clone(),
        };
        message.put(&mut payload);
        let data =
            DirectoryData { id, node: Arc::clone(node), attributes, path_hash: hash, failed: AtomicBool::new(false) };
        let above = parent.map(|(parent, entry)| (Arc::clone(parent), entry));
        let directory = TreeDirectory::new(above, data);
        self.index()?.announce_directory(&payload, IndexRecord::Directory(Arc::clone(&directory)))?;
        // The others were counted as entries of theirs.
        if parent.is_none() {
            self.counters.add(Counter::EntriesScanned, 1);
        }
        Ok(directory)
    }

    fn entries(&self, directory: &Arc<SourceDirectory>, first: u64, batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        let mut frame = Batch {
            shared: self,
            directory,
            first,
            payload: Vec::with_capacity(batch.len() * 48),
            announced: Vec::new(),
            files: 0,
            tasks: Vec::new(),
        };
        for (position, scanned) in batch.iter().enumerate() {
            frame.add(position, scanned);
        }
        frame.send(batch.len())
    }

    fn end(&self, directory: &Arc<SourceDirectory>, entries: u64, complete: bool) -> Result<(), CoreError> {
        let end = DirectoryEnd { directory: directory.data.id, entries, complete };
        self.index()?.announce_end(end, IndexRecord::End { directory: Arc::clone(directory), entries })
    }

    fn failed(&self, parent: &Arc<SourceDirectory>, entry: u64) -> Result<(), CoreError> {
        let mark = DirectoryMark { directory: parent.data.id, count: entry };
        let record = IndexRecord::Failed { directory: Arc::clone(parent), entry };
        self.index()?.announce_failed(mark, record)
    }

    fn idle(&self) -> Result<(), CoreError> {
        self.index()?.flush()
    }
}

impl Batch<'_> {
    fn add(&mut self, position: usize, scanned: &Scanned<'_>) {
        let name = scanned.name;
        match &scanned.body {
            Found::File(stat, attributes) => self.file(position, name, stat, attributes.as_ref()),
            Found::Directory => self.put(name, Body::Directory),
            Found::Symlink { stat, target, attributes } => {
                let wire = |link| Body::Symlink { target, attributes: attributes.clone(), link };
                self.made(position, name, stat, attributes, &Payload::Symlink { target }, wire);
            }
            Found::Special { stat, attributes } => {
                let (kind, major, minor) = (stat.kind, stat.rdev_major, stat.rdev_minor);
                let payload = match kind {
                    crate::fs::stat::Kind::CharDevice | crate::fs::stat::Kind::BlockDevice => {
                        Payload::Device { major, minor }
                    }
                    _ => Payload::Empty,
                };
                let wire = |link| Body::Special { kind, major, minor, attributes: attributes.clone(), link };
                self.made(position, name, stat, attributes, &payload, wire);
            }
            Found::Failed => {
                self.put(name, Body::Failed);
                self.announce(position, AnnouncedKind::Failed);
            }
        }
    }

    fn file(&mut self, position: usize, name: &[u8], stat: &Stat, attributes: Option<&Attributes>) {
        let key = stat.shared_key();
        let link = match key.map(|key| (key, self.shared.links.meet(key, stat.links))) {
            None => 0,
            Some((_, Name::First(id))) => id,
            Some((key, Name::Other(id))) => {
                self.put(name, Body::Link { link: id });
                let name = self.waiting(position, name);
                self.announce(position, AnnouncedKind::FileName { key, name });
                return;
            }
        };
        self.put(name, Body::File { size: stat.size, link, attributes: attributes.cloned() });
        self.shared.counters.add(Counter::BytesScanned, expected_data(stat));
        self.shared.counters.add(Counter::AllocatedScanned, allocated(stat));
        let task = FileTask {
            directory: Arc::clone(self.directory),
            name: name.into(),
            leaf: self.first + position as u64,
            file: self.files,
            size: stat.size,
            data: expected_data(stat),
            link: key,
            base: 0,
            sent_before: false,
            accounted: false,
            refused: 0,
        };
        self.files += 1;
        match attributes {
            None => self.tasks.push(task),
            Some(attributes) => {
                let compared = Compared { task, attributes: attributes.clone() };
                self.announce(position, AnnouncedKind::File(Box::new(compared)));
            }
        }
    }

    fn made<'w>(
        &mut self,
        position: usize,
        name: &[u8],
        stat: &Stat,
        attributes: &Attributes,
        payload: &Payload<'_>,
        wire: impl FnOnce(u64) -> Body<'w>,
    ) {
        let leaf = leaf(name, stat.kind, attributes, payload);
        let met = stat.shared_key().map(|key| (key, self.shared.links.meet(key, stat.links)));
        let link: Option<(InodeKey, Digest)> =
            met.as_ref().map(|(key, _)| (*key, path_hash(&self.directory.data.path_hash, name)));
        let first = !matches!(met, Some((_, Name::Other(_))));
        let body = match met {
            None => wire(0),
            Some((_, Name::First(id))) => wire(id),
            Some((_, Name::Other(id))) => Body::Link { link: id },
        };
        self.put(name, body);
        self.announce(position, AnnouncedKind::Made { kind: stat.kind, leaf, link, first });
    }

    fn waiting(&self, position: usize, name: &[u8]) -> WaitingName {
        let leaf = self.first + position as u64;
        WaitingName { directory: Arc::clone(self.directory), leaf, name: name.into() }
    }

    fn put(&mut self, name: &[u8], body: Body<'_>) {
        Entry { name, body }.put(&mut self.payload);
    }

    fn announce(&mut self, position: usize, what: AnnouncedKind) {
        let leaf_index = self.first + position as u64;
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.announced.push(Announced { position, leaf_index, what });
    }

    fn send(self, count: usize) -> Result<(), CoreError> {
        let Batch { shared, directory, first, payload, announced, files, mut tasks } = self;
        let head = EntriesHead {
            directory: directory.data.id,
            first_leaf: first,
            first_file: 0,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        };
        shared.queue.reserve(usize::try_from(files).unwrap_or(usize::MAX));
        let record = |first_file| IndexRecord::Entries { directory: Arc::clone(directory), first_file, announced };
        let first_file = shared.index()?.send_entries(head, &payload, files, record)?;
        tasks.iter_mut().for_each(|task| task.file += first_file);
        shared.counters.add(Counter::EntriesScanned, count as u64);
        shared.queue.add(tasks);
        shared.life.stop.check()
    }
}

/// File data that is to cross, bytes. Small files go whole, wherever a file system keeps them (in the inode, compressed);
/// of a larger one what it occupies, since nobody looks for its holes before it is read.
fn expected_data(stat: &Stat) -> u64 {
    if stat.size <= PACK_FILE { stat.size } else { allocated(stat) }
}

fn allocated(stat: &Stat) -> u64 {
    (stat.blocks * 512).min(stat.size)
}
