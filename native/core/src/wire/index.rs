//! Messages of the index: directories and their entries, announced in the order of the scan.

use super::attributes::{put_attributes, read_attributes};
use super::blocks::read_blocks;
use super::cursor::{Cursor, Malformed, Put, check_name};
use super::kind::{from_wire, to_wire};
use super::limits::{BATCH_ENTRIES, MAX_EXCEPTIONS, MAX_SYMLINK};
use crate::digest::blocks::Blocks;
use crate::fs::apply::Attributes;
use crate::fs::stat::Kind;

/// DIRECTORY: a directory is about to be listed. The root has id 0, parent 0 and an empty name.
#[derive(Debug)]
pub struct Directory<'a> {
    pub id: u64,
    pub parent: u64,
    /// Place of this directory among the entries of its parent.
    pub leaf: u64,
    pub name: &'a [u8],
    pub attributes: Attributes,
}

impl<'a> Directory<'a> {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.id);
        out.put_u64(self.parent);
        out.put_u64(self.leaf);
        out.put_short_bytes(self.name);
        put_attributes(out, &self.attributes);
    }

    pub fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let (id, parent, leaf) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let name = cursor.short_bytes()?;
        if id == 0 {
            if !name.is_empty() || parent != 0 || leaf != 0 {
                return Err(Malformed("the root directory is not announced as one"));
            }
        } else {
            check_name(name)?;
        }
        let attributes = read_attributes(&mut cursor)?;
        cursor.end()?;
        Ok(Self { id, parent, leaf, name, attributes })
    }
}

/// One entry of an ENTRIES frame. Its place in the directory is that of the frame's first leaf plus its position.
#[derive(Debug)]
pub struct Entry<'a> {
    pub name: &'a [u8],
    pub body: Body<'a>,
}

#[derive(Debug)]
pub enum Body<'a> {
    /// Its data and attributes follow on a lane under the next file id. `link` is not 0 when it has other names. In a
    /// session that compares, the attributes are there already, so that the target can say whether it needs the data.
    File {
        size: u64,
        link: u64,
        attributes: Option<Attributes>,
    },
    /// A DIRECTORY or DIRECTORY_FAILED follows.
    Directory,
    Symlink {
        target: &'a [u8],
        attributes: Attributes,
        link: u64,
    },
    /// FIFO, socket, character or block device.
    Special {
        kind: Kind,
        major: u32,
        minor: u32,
        attributes: Attributes,
        link: u64,
    },
    /// Another name of the entry with this `link`.
    Link {
        link: u64,
    },
    /// Could not be read; it holds its place.
    Failed,
}

const WIRE_LINK: u8 = 8;
const WIRE_FAILED: u8 = 9;
const WIRE_COMPARED_FILE: u8 = 10;

impl Entry<'_> {
    pub fn put(&self, out: &mut Vec<u8>) {
        let tag = match &self.body {
            Body::File { attributes: None, .. } => to_wire(Kind::File),
            Body::File { .. } => WIRE_COMPARED_FILE,
            Body::Directory => to_wire(Kind::Directory),
            Body::Symlink { .. } => to_wire(Kind::Symlink),
            Body::Special { kind, .. } => to_wire(*kind),
            Body::Link { .. } => WIRE_LINK,
            Body::Failed => WIRE_FAILED,
        };
        out.put_u8(tag);
        out.put_short_bytes(self.name);
        match &self.body {
            Body::File { size, link, attributes } => {
                out.put_u64(*size);
                out.put_u64(*link);
                if let Some(attributes) = attributes {
                    put_attributes(out, attributes);
                }
            }
            Body::Symlink { target, attributes, link } => {
                out.put_u64(*link);
                out.put_long_bytes(target);
                put_attributes(out, attributes);
            }
            Body::Special { major, minor, attributes, link, .. } => {
                out.put_u64(*link);
                out.put_u32(*major);
                out.put_u32(*minor);
                put_attributes(out, attributes);
            }
            Body::Link { link } => out.put_u64(*link),
            Body::Directory | Body::Failed => {}
        }
    }
}

impl<'a> Entry<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let tag = cursor.u8()?;
        let name = cursor.short_bytes()?;
        check_name(name)?;
        Ok(Self { name, body: Body::read(tag, cursor)? })
    }
}

impl<'a> Body<'a> {
    fn read(tag: u8, cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        match tag {
            WIRE_LINK => match cursor.u64()? {
                0 => Err(Malformed("a hard link has no number")),
                link => Ok(Self::Link { link }),
            },
            WIRE_FAILED => Ok(Self::Failed),
            WIRE_COMPARED_FILE => {
                let (size, link) = read_file(cursor)?;
                Ok(Self::File { size, link, attributes: Some(read_attributes(cursor)?) })
            }
            _ => Self::read_kind(from_wire(tag).ok_or(Malformed("an entry is of no known type"))?, cursor),
        }
    }

    fn read_kind(kind: Kind, cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        Ok(match kind {
            Kind::File => {
                let (size, link) = read_file(cursor)?;
                Self::File { size, link, attributes: None }
            }
            Kind::Directory => Self::Directory,
            Kind::Symlink => {
                let link = cursor.u64()?;
                let target = cursor.long_bytes(MAX_SYMLINK)?;
                if target.is_empty() || target.contains(&0) {
                    return Err(Malformed("a symlink's target is empty or holds NUL"));
                }
                Self::Symlink { target, attributes: read_attributes(cursor)?, link }
            }
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                let link = cursor.u64()?;
                let (major, minor) = (cursor.u32()?, cursor.u32()?);
                Self::Special { kind, major, minor, attributes: read_attributes(cursor)?, link }
            }
        })
    }
}

/// Size and link of a regular file.
fn read_file(cursor: &mut Cursor<'_>) -> Result<(u64, u64), Malformed> {
    let (size, link) = (cursor.u64()?, cursor.u64()?);
    if i64::try_from(size).is_err() {
        return Err(Malformed("a file is larger than a file can be"));
    }
    Ok((size, link))
}

/// Head of an ENTRIES frame; the entries follow it.
#[derive(Clone, Copy, Debug)]
pub struct EntriesHead {
    pub directory: u64,
    pub first_leaf: u64,
    /// File id of the first regular file among the entries; the others follow by one each.
    pub first_file: u64,
    pub count: u32,
}

impl EntriesHead {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.directory);
        out.put_u64(self.first_leaf);
        out.put_u64(self.first_file);
        out.put_u32(self.count);
    }
}

pub fn read_entries(payload: &[u8]) -> Result<(EntriesHead, Vec<Entry<'_>>), Malformed> {
    let mut cursor = Cursor::new(payload);
    let head = EntriesHead {
        directory: cursor.u64()?,
        first_leaf: cursor.u64()?,
        first_file: cursor.u64()?,
        count: cursor.u32()?,
    };
    if head.count as usize > BATCH_ENTRIES || head.first_leaf > u64::MAX / 2 {
        return Err(Malformed("a batch holds too many entries"));
    }
    let mut entries = Vec::with_capacity(head.count as usize);
    for _ in 0..head.count {
        entries.push(Entry::read(&mut cursor)?);
    }
    cursor.end()?;
    Ok((head, entries))
}

/// DIRECTORY_END: so many entries in all.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEnd {
    pub directory: u64,
    pub entries: u64,
    /// False when the directory could not be listed to its end: what it does not name may be there all the same.
    pub complete: bool,
}

impl DirectoryEnd {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.directory);
        out.put_u64(self.entries);
        out.put_u8(u8::from(self.complete));
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let (directory, entries) = (cursor.u64()?, cursor.u64()?);
        let complete = match cursor.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("a directory ends in no known way")),
        };
        cursor.end()?;
        Ok(Self { directory, entries, complete })
    }
}

/// DIRECTORY_FAILED (`count` is the entry's place in the directory).
#[derive(Clone, Copy, Debug)]
pub struct DirectoryMark {
    pub directory: u64,
    pub count: u64,
}

impl DirectoryMark {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.directory);
        out.put_u64(self.count);
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let mark = Self { directory: cursor.u64()?, count: cursor.u64()? };
        cursor.end()?;
        Ok(mark)
    }
}

/// What became of a frame, in an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry at this position could not be written on the target (an item says why).
    Failed,
    /// The bytes arrived wrong: send them again.
    Again,
    /// The file was finished before, by a lane that has died since; these are its leaf's digests.
    Duplicate([u8; 32], [u8; 32]),
    /// The target has this file, as far as size, time and links tell; its attributes are what was announced.
    Same,
    /// It seems to have it, but the time is no proof: the source says the digest before it sends the data.
    Check,
    /// It has this many bytes, counted from the start, with which pieces of the file may be compared: an older file, or an
    /// unfinished part of this one.
    Base(u64),
    /// Of SUMS: it lacks these blocks of the piece at this position.
    Lacks(Blocks),
    /// In a session that only looks: the target has another file, or none, and nothing more is wanted to know.
    Differs,
    /// Of the first frames of a large file: there is no room for it beside the older one until another large file that is
    /// on its way is whole. It is to be sent from its start then.
    Later,
}

/// ACK: all frames up to `frames` (counted from 1 on this connection) are done, all well but for the exceptions.
#[derive(Debug, Default)]
pub struct Ack {
    pub frames: u64,
    /// Frame, position in the frame, outcome.
    pub exceptions: Vec<(u64, u32, Outcome)>,
}

impl Ack {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.frames);
        out.put_u32(u32::try_from(self.exceptions.len()).unwrap_or(u32::MAX));
        for (frame, position, outcome) in &self.exceptions {
            out.put_u64(*frame);
            out.put_u32(*position);
            match outcome {
                Outcome::Failed => out.put_u8(1),
                Outcome::Again => out.put_u8(2),
                Outcome::Duplicate(content, metadata) => {
                    out.put_u8(3);
                    out.extend_from_slice(content);
                    out.extend_from_slice(metadata);
                }
                Outcome::Same => out.put_u8(4),
                Outcome::Check => out.put_u8(5),
                Outcome::Base(bytes) => {
                    out.put_u8(6);
                    out.put_u64(*bytes);
                }
                Outcome::Lacks(blocks) => {
                    out.put_u8(7);
                    out.extend_from_slice(&blocks.to_wire());
                }
                Outcome::Differs => out.put_u8(8),
                Outcome::Later => out.put_u8(9),
            }
        }
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let frames = cursor.u64()?;
        let count = cursor.u32()? as usize;
        if count > MAX_EXCEPTIONS {
            return Err(Malformed("an acknowledgement names too many entries"));
        }
        let mut exceptions = Vec::new();
        for _ in 0..count {
            let (frame, position) = (cursor.u64()?, cursor.u32()?);
            let outcome = match cursor.u8()? {
                1 => Outcome::Failed,
                2 => Outcome::Again,
                3 => Outcome::Duplicate(cursor.digest()?, cursor.digest()?),
                4 => Outcome::Same,
                5 => Outcome::Check,
                6 => Outcome::Base(cursor.u64()?),
                7 => Outcome::Lacks(read_blocks(&mut cursor)?),
                8 => Outcome::Differs,
                9 => Outcome::Later,
                _ => return Err(Malformed("an acknowledgement holds an unknown outcome")),
            };
            exceptions.push((frame, position, outcome));
        }
        cursor.end()?;
        Ok(Self { frames, exceptions })
    }
}
