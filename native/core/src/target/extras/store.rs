//! Which names of which directories are extra: written down in memory and, beyond some of it, in a file.
//!
//! A record is, big-endian:
//!
//! | bytes | field |
//! |---:|---|
//! | 4 | length of what follows |
//! | 1 | 1 when the directory's identity follows, else 0 |
//! | 8, 8 | its device and inode, or 0 |
//! | 4 | how many names of the path are those of the record before |
//! | 4 | how many names follow to complete the path |
//! | 2, n | length and bytes of each of these, and then of each extra name |
//!
//! Paths are lists of names because they may be longer than any path that the kernel takes. Only what differs from the
//! record before is written: the file does not grow with the depth of the tree.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, Write};
use std::iter::Peekable;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::fs::Errno;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::list::Listing;
use crate::fs::make;
use crate::fs::open::Opener;
use crate::fs::stat::InodeKey;

/// In pvferry's own folder.
const FILE: &[u8] = b"extras";
/// What is held in memory, bytes; also where a directory's record is ended and another one begun.
const BUFFER: usize = 64 << 10;
/// The longest path of all, `MAX_DEPTH` names, and a buffer of names fit in.
const MAX_RECORD: usize = 16 << 20;

pub(super) struct Store {
    folder: Arc<OwnedFd>,
    opener: Opener,
    buffer: Vec<u8>,
    file: Option<File>,
    /// Of the last record.
    previous: Option<Arc<DirectoryNode>>,
}

pub(super) struct Record {
    pub(super) directory: Arc<DirectoryNode>,
    pub(super) names: Listing,
}

impl Store {
    pub(super) fn new(folder: Arc<OwnedFd>, opener: Opener) -> Self {
        Self { folder, opener, buffer: Vec::new(), file: None, previous: None }
    }

    /// All that was added so far; what is added from now on is another store's.
    pub(super) fn take(&mut self) -> Store {
        let next = Store::new(Arc::clone(&self.folder), self.opener.clone());
        std::mem::replace(self, next)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.file.is_none()
    }

    pub(super) fn add<'n>(
        &mut self,
        directory: &Arc<DirectoryNode>,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> std::io::Result<()> {
        let mut names = names.peekable();
        while names.peek().is_some() {
            self.record(directory, &mut names);
            if self.buffer.len() >= BUFFER {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// Of as many names as fit.
    fn record<'n>(&mut self, directory: &Arc<DirectoryNode>, names: &mut Peekable<impl Iterator<Item = &'n [u8]>>) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        put_identity(&mut self.buffer, directory.identity());
        put_path(&mut self.buffer, self.previous.as_ref(), directory);
        self.previous = Some(Arc::clone(directory));
        let path_ends = self.buffer.len();
        while let Some(name) = names.next_if(|_| self.buffer.len() < path_ends + BUFFER) {
            put_name(&mut self.buffer, name);
        }
        let length = u32::try_from(self.buffer.len() - start - 4).unwrap_or(u32::MAX);
        self.buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn spill(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(&self.opener, &self.folder)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.buffer.shrink_to(2 * BUFFER);
        Ok(())
    }

    /// Reads from the first record on. The file loses its name, so that nothing of it is left whatever happens now.
    pub(super) fn into_reader(mut self) -> std::io::Result<Reader> {
        let file = match self.file.take() {
            Some(_) => {
                let file = self.opener.file(self.folder.as_fd(), FILE);
                make::unlink(self.folder.as_fd(), FILE)?;
                Some(BufReader::new(File::from(file?)))
            }
            None => None,
        };
        let rest = Cursor::new(std::mem::take(&mut self.buffer));
        Ok(Reader { file, rest, path: vec![DirectoryNode::root()] })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = make::unlink(self.folder.as_fd(), FILE);
        }
    }
}

fn create(opener: &Opener, folder: &OwnedFd) -> Result<File, Errno> {
    // Left by a try that was killed.
    match make::unlink(folder.as_fd(), FILE) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    opener.create_file(folder.as_fd(), FILE, 0o600).map(File::from)
}

fn put_identity(buffer: &mut Vec<u8>, identity: Option<InodeKey>) {
    let key = identity.unwrap_or(InodeKey { device: 0, inode: 0 });
    buffer.push(u8::from(identity.is_some()));
    buffer.extend_from_slice(&key.device.to_be_bytes());
    buffer.extend_from_slice(&key.inode.to_be_bytes());
}

fn put_path(buffer: &mut Vec<u8>, previous: Option<&Arc<DirectoryNode>>, directory: &Arc<DirectoryNode>) {
    let common = previous.map_or(0, |previous| common_depth(previous, directory));
    let mut names = Vec::new();
    let mut at = directory;
    while let (Some(parent), true) = (&at.parent, at.depth > common) {
        names.push(&*at.name);
        at = parent;
    }
    buffer.extend_from_slice(&common.to_be_bytes());
    buffer.extend_from_slice(&(directory.depth - common).to_be_bytes());
    names.iter().rev().for_each(|name| put_name(buffer, name));
}

fn put_name(buffer: &mut Vec<u8>, name: &[u8]) {
    // No file system has names of 64 KiB.
    let name = &name[..name.len().min(usize::from(u16::MAX))];
    buffer.extend_from_slice(&(name.len() as u16).to_be_bytes());
    buffer.extend_from_slice(name);
}

/// How many names from the root on two paths have in common: as far as they share the very nodes.
fn common_depth<'n>(mut a: &'n Arc<DirectoryNode>, mut b: &'n Arc<DirectoryNode>) -> u32 {
    while !Arc::ptr_eq(a, b) {
        let deeper = if a.depth >= b.depth { &mut a } else { &mut b };
        let Some(parent) = &deeper.parent else { return 0 };
        *deeper = parent;
    }
    a.depth
}

pub(super) struct Reader {
    file: Option<BufReader<File>>,
    /// What never went to the file comes after it.
    rest: Cursor<Vec<u8>>,
    /// Of the last record, from the root on.
    path: Vec<Arc<DirectoryNode>>,
}

impl Reader {
    pub(super) fn rewind(&mut self) -> std::io::Result<()> {
        self.rest.set_position(0);
        self.path.truncate(1);
        self.file.as_mut().map_or(Ok(()), BufReader::rewind)
    }

    pub(super) fn next(&mut self) -> std::io::Result<Option<Record>> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        self.decode(Fields(&bytes)).map(Some).ok_or_else(damaged)
    }

    /// One record. None goes over from the file to what was held in memory.
    fn bytes(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let left_in_file = match &mut self.file {
            Some(file) => !file.fill_buf()?.is_empty(),
            None => false,
        };
        let from: &mut dyn Read = match &mut self.file {
            Some(file) if left_in_file => file,
            _ if self.rest.fill_buf()?.is_empty() => return Ok(None),
            _ => &mut self.rest,
        };
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_RECORD {
            return Err(damaged());
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn decode(&mut self, mut fields: Fields<'_>) -> Option<Record> {
        let known = fields.take(1)? == [1];
        let identity = InodeKey { device: fields.number()?, inode: fields.number()? };
        let (common, more) = (fields.length()?, fields.length()?);
        if common >= self.path.len() {
            return None;
        }
        self.path.truncate(common + 1);
        for _ in 0..more {
            let child = DirectoryNode::child(self.path.last()?, fields.name()?);
            self.path.push(child);
        }
        let directory = self.directory(known.then_some(identity))?;
        let mut names = Listing::default();
        while !fields.0.is_empty() {
            names.push(fields.name()?, None).ok()?;
        }
        Some(Record { directory, names })
    }

    /// The last of the path, which has to be the directory that was noted.
    fn directory(&mut self, noted: Option<InodeKey>) -> Option<Arc<DirectoryNode>> {
        let directory = Arc::clone(self.path.last()?);
        let Some(noted) = noted else { return Some(directory) };
        directory.expect_identity(noted);
        match (&directory.parent, directory.identity()) {
            // It was opened on the way to another one, and is somebody else by now: opening it again has to fail.
            (Some(parent), Some(found)) if found != noted => {
                let meant = DirectoryNode::child(parent, &directory.name);
                meant.expect_identity(noted);
                Some(meant)
            }
            _ => Some(directory),
        }
    }
}

fn damaged() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "it is damaged")
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn length(&mut self) -> Option<usize> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }
}
