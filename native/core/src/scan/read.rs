//! Reading regular files: small ones whole, with a check that they stood still meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::SeekFrom;

use super::attributes::{Report, of_descriptor};
use super::volume::Volume;
use crate::digest::file::{BLOCK_FORM_HOLES, Form, PIECE};
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::extents::{DataRanges, Extents};
use crate::fs::flags::Flags;
use crate::fs::stat::{Kind, Stat, stat_fd};
use crate::wire::limits::PACK_FILE;

/// Why a file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The name is gone, or names something else by now.
    Vanished,
    Failed(Errno),
}

impl From<Errno> for Unreadable {
    fn from(errno: Errno) -> Self {
        match errno {
            // ELOOP, ENXIO, ENOTDIR: a symlink, a socket, or another kind of entry has taken the file's place.
            Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NOTDIR | Errno::STALE => Self::Vanished,
            other => Self::Failed(other),
        }
    }
}

/// A small file that was read to the end of `buffer`.
#[derive(Debug)]
pub struct Small {
    pub size: usize,
    pub attributes: Attributes,
    /// It changed during every try; the last one is what was read.
    pub changed: bool,
}

pub enum SmallOutcome {
    Read(Small),
    /// Too large for a pack by now, or it has holes: to be read in pieces.
    Large,
}

/// Where a file is, and how items call it.
pub struct Place<'a> {
    pub directory: BorrowedFd<'a>,
    pub name: &'a [u8],
    pub path: &'a dyn Fn() -> Vec<u8>,
}

/// Opens a regular file for reading. A FIFO or device that took its place does not block and is refused.
pub fn open_regular(volume: &Volume, place: &Place<'_>) -> Result<(OwnedFd, Stat), Unreadable> {
    let fd = volume.opener.file(place.directory, place.name)?;
    let stat = stat_fd(fd.as_fd())?;
    if stat.kind == Kind::File { Ok((fd, stat)) } else { Err(Unreadable::Vanished) }
}

/// Appends a small file to `buffer`; on anything but `Read` the buffer is as before.
pub fn read_small(
    volume: &Volume,
    place: &Place<'_>,
    rereads: u32,
    buffer: &mut Vec<u8>,
    report: &dyn Report,
) -> Result<SmallOutcome, Unreadable> {
    let start = buffer.len();
    let (fd, mut before) = open_regular(volume, place)?;
    let mut tries = 0;
    loop {
        if before.size > PACK_FILE || has_hole(fd.as_fd(), &before)? {
            return Ok(SmallOutcome::Large);
        }
        if let Err(errno) = read_to_end(fd.as_fd(), before.size, buffer) {
            buffer.truncate(start);
            return Err(Unreadable::Failed(errno));
        }
        let size = buffer.len() - start;
        let keep_selinux = volume.policy.keep_selinux;
        let attributes = of_descriptor(fd.as_fd(), &before, keep_selinux, report, place.path);
        let after = stat_fd(fd.as_fd());
        let (Ok(attributes), Ok(after)) = (attributes.as_ref(), after.as_ref()) else {
            buffer.truncate(start);
            return Err(Unreadable::Failed(attributes.err().or(after.err()).unwrap_or(Errno::IO)));
        };
        let still = stood_still(&before, after) && size as u64 == before.size;
        if still || tries == rereads {
            note_flags(volume, fd.as_fd(), &before, report);
            let attributes = attributes.clone();
            return Ok(SmallOutcome::Read(Small { size, attributes, changed: !still }));
        }
        buffer.truncate(start);
        tries += 1;
        before = after.clone();
    }
}

/// Whether nothing that a write, truncation or chmod would touch has changed.
pub fn stood_still(before: &Stat, after: &Stat) -> bool {
    (before.size, before.mtime, before.ctime) == (after.size, after.mtime, after.ctime)
}

/// Counts what statx tells of what is not carried: birth time, and the chattr flags that it knows.
pub(super) fn note_attributes(stat: &Stat, report: &dyn Report) {
    if stat.has_birth_time {
        report.left_out("birth time");
    }
    Flags::from_attributes(stat.attributes).labels().for_each(|label| report.left_out(label));
}

/// Counts what of an open file or directory is not carried: birth time, every chattr flag, project id.
pub fn note_flags(volume: &Volume, fd: BorrowedFd<'_>, stat: &Stat, report: &dyn Report) {
    note_attributes(stat, report);
    if let Ok(found) = volume.flags.read(fd, stat.device) {
        let told = Flags::from_attributes(stat.attributes);
        found.beyond(told).labels().for_each(|label| report.left_out_within(label));
    }
}

/// Whether a small file has a hole that a copy should have too. Below a block's size only a file without any block can.
fn has_hole(fd: BorrowedFd<'_>, stat: &Stat) -> Result<bool, Errno> {
    if stat.size == 0 || (stat.size < 1_024 && stat.blocks > 0) {
        return Ok(false);
    }
    match rustix::fs::seek(fd, SeekFrom::Hole(0)) {
        Ok(hole) => Ok(hole < stat.size),
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NXIO) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Reads from the start, one byte more than expected, so that growth shows; never more than a pack takes.
fn read_to_end(fd: BorrowedFd<'_>, expected: u64, buffer: &mut Vec<u8>) -> Result<(), Errno> {
    let limit = usize::try_from(expected.min(PACK_FILE)).unwrap_or(0);
    let start = buffer.len();
    let mut offset = 0_u64;
    loop {
        let read = buffer.len() - start;
        if read > limit {
            buffer.truncate(start + limit);
            return Ok(());
        }
        buffer.reserve(limit + 1 - read);
        let got = rustix::io::pread(fd, spare_capacity(buffer), offset)?;
        offset += got as u64;
        // A regular file reads short only at its end.
        if got == 0 || buffer.len() - start <= limit {
            return Ok(());
        }
    }
}

/// Data within one piece, as offset and length from its start. With more than `limit` of them the rest counts as data.
pub fn segments(
    ranges: &mut DataRanges,
    fd: BorrowedFd<'_>,
    start: u64,
    length: u32,
    limit: usize,
) -> Result<Vec<(u32, u32)>, Errno> {
    let end = start + u64::from(length);
    let mut found = Vec::new();
    let mut offset = start;
    while let Some((from, to)) = ranges.next(fd, offset)?.filter(|(from, _)| *from < end) {
        let to = to.min(end);
        let within = |at: u64| u32::try_from(at - start).unwrap_or(length);
        if found.len() + 1 == limit {
            found.push((within(from), length - within(from)));
            break;
        }
        found.push((within(from), within(to) - within(from)));
        if to == end {
            break;
        }
        offset = to;
    }
    Ok(found)
}

/// Fills `buffer` from `offset`; the number of bytes that were there.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            got => filled += got,
        }
    }
    Ok(filled)
}

/// Reads a piece into `data`, holes as zeros. A file that has become shorter reads as zeros there; that it changed shows
/// when it is looked at again.
pub fn fill_piece(
    fd: BorrowedFd<'_>,
    (index, length): (u64, u32),
    segments: &[(u32, u32)],
    data: &mut Vec<u8>,
) -> Result<(), Errno> {
    let dense = segments == [(0, length)];
    if !dense {
        data.clear();
    }
    data.resize(length as usize, 0);
    for (offset, size) in segments {
        let range = *offset as usize..(*offset + *size) as usize;
        let got = read_at(fd, &mut data[range.clone()], index * PIECE + u64::from(*offset))?;
        data[range][got..].fill(0);
    }
    Ok(())
}

/// Block form for files with more than 1 GiB of holes.
pub fn form_of(fd: BorrowedFd<'_>, size: u64) -> Result<Form, Errno> {
    if size <= BLOCK_FORM_HOLES {
        return Ok(Form::Plain);
    }
    let mut end_of_data = 0;
    let mut holes = 0;
    for extent in Extents::new(fd, size) {
        let (start, end) = extent?;
        holes += start - end_of_data;
        end_of_data = end;
        if holes > BLOCK_FORM_HOLES {
            return Ok(Form::Block);
        }
    }
    holes += size - end_of_data;
    Ok(if holes > BLOCK_FORM_HOLES { Form::Block } else { Form::Plain })
}
