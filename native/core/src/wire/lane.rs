//! Messages of a lane: packs of small files, pieces of large ones, holes, and the ends of large files.

use super::attributes::{put_attributes, read_attributes};
use super::cursor::{Cursor, Malformed, Put};
use super::limits::{MAX_ATTEMPTS, MAX_PACK_FILES, MAX_SEGMENTS, PACK_BYTES, PACK_FILE};
use crate::digest::Digest;
use crate::digest::file::{Form, PIECE};
use crate::fs::apply::Attributes;

/// One file of a PACK, as it was when it was read.
#[derive(Debug)]
pub struct PackedFile {
    pub file: u64,
    pub size: u32,
    /// BLAKE3 of its data.
    pub digest: Digest,
    pub attributes: Attributes,
}

impl PackedFile {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.file);
        out.put_u32(self.size);
        out.extend_from_slice(&self.digest);
        put_attributes(out, &self.attributes);
    }
}

/// The table of a PACK, and its data as sent: the files' bytes one after another.
pub fn read_pack(payload: &[u8]) -> Result<(Vec<PackedFile>, u64, &[u8]), Malformed> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.u32()?;
    if count == 0 || count > MAX_PACK_FILES {
        return Err(Malformed("a pack holds no files or too many"));
    }
    let mut files = Vec::with_capacity(count as usize);
    let mut total = 0_u64;
    for _ in 0..count {
        let (file, size, digest) = (cursor.u64()?, cursor.u32()?, cursor.digest()?);
        total += u64::from(size);
        if u64::from(size) > PACK_FILE || total > PACK_BYTES + PACK_FILE {
            return Err(Malformed("a pack holds more data than it may"));
        }
        files.push(PackedFile { file, size, digest, attributes: read_attributes(&mut cursor)? });
    }
    Ok((files, total, cursor.remainder()))
}

/// Which file, and which of its versions: a file that changed while it was read is sent again as the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAttempt {
    pub file: u64,
    pub attempt: u16,
}

impl FileAttempt {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.put_u64(self.file);
        out.put_u16(self.attempt);
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let this = Self { file: cursor.u64()?, attempt: cursor.u16()? };
        if this.attempt > MAX_ATTEMPTS {
            return Err(Malformed("a file is sent too often"));
        }
        Ok(this)
    }
}

/// PIECE: one piece of a large file, its holes left out.
#[derive(Clone, Debug)]
pub struct Piece {
    pub of: FileAttempt,
    pub index: u64,
    /// Length of the whole piece, holes included.
    pub length: u32,
    pub digest: Digest,
    /// Data within the piece: offset and length, ascending, apart from one another.
    pub segments: Vec<(u32, u32)>,
}

impl Piece {
    pub fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        out.put_u64(self.index);
        out.put_u32(self.length);
        out.extend_from_slice(&self.digest);
        out.put_u32(u32::try_from(self.segments.len()).unwrap_or(u32::MAX));
        for (offset, length) in &self.segments {
            out.put_u32(*offset);
            out.put_u32(*length);
        }
    }

    /// The piece and its data as sent: the segments' bytes one after another.
    pub fn read(payload: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let mut cursor = Cursor::new(payload);
        let of = FileAttempt::read(&mut cursor)?;
        let (index, length, digest) = (cursor.u64()?, cursor.u32()?, cursor.digest()?);
        if u64::from(length) > PIECE || length == 0 {
            return Err(Malformed("a piece is empty or too long"));
        }
        let segments = read_segments(&mut cursor, length)?;
        Ok((Self { of, index, length, digest, segments }, cursor.remainder()))
    }

    /// Bytes of data that the segments hold.
    pub fn data_length(&self) -> usize {
        self.segments.iter().map(|(_, length)| *length as usize).sum()
    }

    /// Whether the whole piece is data.
    pub fn is_dense(&self) -> bool {
        self.segments == [(0, self.length)]
    }
}

fn read_segments(cursor: &mut Cursor<'_>, length: u32) -> Result<Vec<(u32, u32)>, Malformed> {
    let count = cursor.u32()?;
    if count > MAX_SEGMENTS {
        return Err(Malformed("a piece holds too many segments"));
    }
    let mut segments = Vec::with_capacity(count as usize);
    let mut end = 0;
    for _ in 0..count {
        let (offset, size) = (cursor.u32()?, cursor.u32()?);
        let next = offset.checked_add(size).filter(|next| size > 0 && offset >= end && *next <= length);
        end = next.ok_or(Malformed("a piece's segments overlap or leave it"))?;
        segments.push((offset, size));
    }
    Ok(segments)
}

/// HOLE: pieces that are wholly hole.
#[derive(Clone, Copy, Debug)]
pub struct Hole {
    pub of: FileAttempt,
    pub first: u64,
    pub count: u64,
}

impl Hole {
    pub fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        out.put_u64(self.first);
        out.put_u64(self.count);
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let of = FileAttempt::read(&mut cursor)?;
        let hole = Self { of, first: cursor.u64()?, count: cursor.u64()? };
        cursor.end()?;
        Ok(hole)
    }
}

/// AGAIN: what was sent of the file is void; the next attempt has this size and form. It is acknowledged before any
/// piece of that attempt is sent.
#[derive(Clone, Copy, Debug)]
pub struct Again {
    pub of: FileAttempt,
    pub size: u64,
    pub form: Form,
}

impl Again {
    pub fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        out.put_u64(self.size);
        out.put_u8(self.form as u8);
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let of = FileAttempt::read(&mut cursor)?;
        let size = cursor.u64()?;
        let form = Form::from_wire(cursor.u8()?).ok_or(Malformed("a digest is of an unknown form"))?;
        cursor.end()?;
        if i64::try_from(size).is_err() {
            return Err(Malformed("a file is larger than a file can be"));
        }
        Ok(Self { of, size, form })
    }
}

/// END: all pieces of the attempt are acknowledged; this is what the file is.
#[derive(Debug)]
pub struct End {
    pub of: FileAttempt,
    pub digest: Digest,
    pub attributes: Attributes,
}

impl End {
    pub fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        out.extend_from_slice(&self.digest);
        put_attributes(out, &self.attributes);
    }

    pub fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let of = FileAttempt::read(&mut cursor)?;
        let end = Self { of, digest: cursor.digest()?, attributes: read_attributes(&mut cursor)? };
        cursor.end()?;
        Ok(end)
    }
}

/// GONE: the file can no longer be read; what arrived of it is to be removed.
pub fn put_gone(out: &mut Vec<u8>, file: u64) {
    out.put_u64(file);
}

pub fn read_gone(payload: &[u8]) -> Result<u64, Malformed> {
    let mut cursor = Cursor::new(payload);
    let file = cursor.u64()?;
    cursor.end()?;
    Ok(file)
}
