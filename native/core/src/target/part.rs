//! The part of a large file, or the file itself (torn.rs): a part is written among the parts and gets the file's name when
//! it is whole. It may hold something before the first piece comes: a clone of an older file, or what an earlier attempt
//! has left.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate};

use super::pack::write_at;
use crate::digest::blocks::Blocks;
use crate::digest::file::PIECE;
use crate::fs::Errno;
use crate::fs::extents::DataRanges;
use crate::fs::stat::{Stat, stat_fd};
use crate::scan::read::{read_at, segments, stood_still};
use crate::wire::lane::Piece;

#[derive(Debug)]
pub(super) struct PartFile {
    pub(super) fd: OwnedFd,
    /// Among the parts; None: it is the file itself.
    pub(super) name: Option<String>,
    /// None when there is none, or nothing is compared with it any more.
    older: Mutex<Option<Arc<Older>>>,
    /// Where the part holds data from before this attempt; None: nowhere, so that it has holes wherever nobody wrote.
    earlier: Mutex<Option<DataRanges>>,
    /// Held around each write: the kernel lets one thread at a time into a file and has the others spin meanwhile.
    write_turn: Mutex<()>,
}

/// The file that bears the name, to be compared with.
#[derive(Debug)]
struct Older {
    file: OwnedFd,
    /// What it was like before the part was made its clone; None: it was not.
    cloned: Option<Stat>,
}

impl Older {
    fn of(file: OwnedFd) -> Self {
        Self { file, cloned: None }
    }
}

/// What is there instead of a piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instead {
    /// Bytes of it, from the piece's start.
    pub(super) bytes: usize,
    /// It is in the part itself, all of it data: what does not differ need not be written.
    in_part: bool,
}

impl PartFile {
    /// A part of this size. Made the older file's clone where the file system can do that (ioctl_ficlone(2): xfs, btrfs,
    /// bcachefs and others), so that only what differs is ever written; elsewhere it is compared with from where it is.
    pub(super) fn new(fd: OwnedFd, name: String, older: Option<OwnedFd>, size: u64) -> Result<Self, Errno> {
        let older = older.map(|file| Older { cloned: clone_to(&fd, &file), file });
        let cloned = older.as_ref().is_some_and(|older| older.cloned.is_some());
        rustix::fs::ftruncate(&fd, size)?;
        Ok(Self {
            fd,
            name: Some(name),
            older: Mutex::new(older.map(Arc::new)),
            earlier: Mutex::new(cloned.then(|| DataRanges::new(size))),
            write_turn: Mutex::default(),
        })
    }

    /// What an earlier session has left, brought to this size.
    pub(super) fn left(fd: OwnedFd, name: String, older: Option<OwnedFd>, size: u64) -> Result<Self, Errno> {
        rustix::fs::ftruncate(&fd, size)?;
        Ok(Self::holding(fd, Some(name), older, size))
    }

    /// The file itself, brought to this size.
    pub(super) fn itself(fd: OwnedFd, size: u64) -> Result<Self, Errno> {
        rustix::fs::ftruncate(&fd, size)?;
        Ok(Self::holding(fd, None, None, size))
    }

    fn holding(fd: OwnedFd, name: Option<String>, older: Option<OwnedFd>, size: u64) -> Self {
        let older = Mutex::new(older.map(Older::of).map(Arc::new));
        let earlier = Mutex::new(Some(DataRanges::new(size)));
        Self { fd, name, older, earlier, write_turn: Mutex::default() }
    }

    /// Whether the new part is a clone of the older file.
    pub(super) fn is_clone(&self) -> bool {
        self.earlier().is_some()
    }

    /// Bytes of a volume that writing all of it will take beside the older file, about: as much as that has, as far as it
    /// is not here already, and what it grows. A clone and the file itself take what changes, which nobody knows.
    pub(super) fn beside(&self, size: u64) -> u64 {
        let older =
            self.older().as_ref().filter(|older| older.cloned.is_none()).map(|older| stat_fd(older.file.as_fd()));
        let Some(Ok(older)) = older else { return 0 };
        let held = stat_fd(self.fd.as_fd()).map_or(0, |part| part.blocks * 512);
        let data = (older.blocks * 512).min(size).saturating_add(size.saturating_sub(older.size));
        data.saturating_sub(held)
    }

    /// Nothing is compared any more: closes the older file. NFS and FUSE keep a replaced file that is open under another
    /// name until it is closed, which would change its directory's time after that was set.
    pub(super) fn close_older(&self) {
        self.older().take();
    }

    /// Whether the older file may have changed since the part was made its clone: then what was read of it need not be
    /// what the part holds.
    pub(super) fn older_changed(&self) -> bool {
        let Some(older) = self.older().clone() else { return false };
        let is_as_cloned = |cloned: &Stat| stat_fd(older.file.as_fd()).is_ok_and(|now| stood_still(cloned, &now));
        older.cloned.as_ref().is_some_and(|cloned| !is_as_cloned(cloned))
    }

    fn older(&self) -> MutexGuard<'_, Option<Arc<Older>>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn earlier(&self) -> MutexGuard<'_, Option<DataRanges>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.write_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another attempt begins, of another size. What was `written` stays, to be compared with, and so a clone is no longer
    /// what the older file is.
    pub(super) fn begin_again(&self, size: u64, written: bool) -> Result<(), Errno> {
        self.older().take_if(|older| older.cloned.is_some());
        let mut earlier = self.earlier();
        if written || earlier.is_some() {
            *earlier = Some(DataRanges::new(size));
        }
        rustix::fs::ftruncate(&self.fd, size)
    }

    /// Reads what there is instead of a piece. What cannot be read is not there. A clone is read where it comes from: the
    /// page cache knows files, not blocks, and may hold the older file; of its clone it has nothing.
    pub(super) fn read_instead(&self, index: u64, length: u32, buffer: &mut Vec<u8>) -> Instead {
        let older = self.older().clone();
        let (in_part, source) = match (self.in_part(index, length), &older) {
            (Some(true), Some(older)) if older.cloned.is_some() => (true, older.file.as_fd()),
            (Some(true), _) => (true, self.fd.as_fd()),
            (_, Some(older)) if older.cloned.is_none() => (false, older.file.as_fd()),
            (Some(false), _) => (false, self.fd.as_fd()),
            (None, _) => return Instead { bytes: 0, in_part: false },
        };
        buffer.resize(length as usize, 0);
        let bytes = read_at(source, buffer, index.saturating_mul(PIECE)).unwrap_or(0);
        Instead { bytes, in_part: in_part && bytes == length as usize }
    }

    /// Whether the part holds all of a piece from before as data (true), or reads as zeros in some places or all, which may
    /// be what the piece has there; None: it was empty.
    fn in_part(&self, index: u64, length: u32) -> Option<bool> {
        let mut earlier = self.earlier();
        let found = segments(earlier.as_mut()?, self.fd.as_fd(), index.saturating_mul(PIECE), length, 2).ok()?;
        Some(found == [(0, length)])
    }

    /// Writes a piece as it came. What no segment covers is a hole afterwards: made one after the writing, because xfs
    /// takes what lies in the same folio of the page cache as a write for data.
    pub(super) fn write_piece(&self, piece: &Piece, data: &[u8]) -> Result<(), Errno> {
        let start = piece.index * PIECE;
        let mut rest = data;
        for (offset, length) in &piece.segments {
            let (segment, tail) = rest.split_at(*length as usize);
            let _turn = self.turn();
            write_at(self.fd.as_fd(), segment, start + u64::from(*offset))?;
            rest = tail;
        }
        let mut free = 0;
        for (offset, length) in piece.segments.iter().chain(&[(piece.length, 0)]) {
            self.clear(start + u64::from(free), u64::from(*offset - free))?;
            free = *offset + *length;
        }
        Ok(())
    }

    /// Writes those `blocks` of a piece that differ from what was read instead of it; all of it when that is elsewhere.
    pub(super) fn write_blocks(&self, index: u64, piece: &[u8], blocks: Blocks, instead: Instead) -> Result<(), Errno> {
        let blocks = if instead.in_part { blocks } else { Blocks::all(piece.len()) };
        let _turn = self.turn();
        blocks.runs(piece.len()).try_for_each(|(offset, bytes)| {
            write_at(self.fd.as_fd(), &piece[offset..offset + bytes], index * PIECE + offset as u64)
        })
    }

    /// Lets go of the blocks of a piece of a file of this size, before it is written once more: a block that is written in
    /// part only, at the file's end, would be read for that, which a file system refuses that knows it is damaged (btrfs).
    pub(super) fn discard_piece(&self, index: u64, length: u32, size: u64) {
        let start = index * PIECE;
        let _turn = self.turn();
        // Where that is not known, writing is all that can be done.
        let _ = punch(self.fd.as_fd(), start, start + u64::from(length), size);
    }

    /// Makes whole pieces holes. False where the file system knows none and data was there: then it is zeros.
    pub(super) fn clear_pieces(&self, first: u64, count: u64) -> Result<bool, Errno> {
        self.clear(first.saturating_mul(PIECE), count.saturating_mul(PIECE))
    }

    /// Makes a hole of a range of a part that had data before; zeros (false), where the file system knows no holes.
    fn clear(&self, start: u64, length: u64) -> Result<bool, Errno> {
        let mut earlier = self.earlier();
        let Some(ranges) = earlier.as_mut().filter(|_| length > 0) else { return Ok(true) };
        let size = ranges.size();
        let end = start.saturating_add(length).min(size);
        let _turn = self.turn();
        match punch(self.fd.as_fd(), start, end, size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            other => return other.map(|()| true),
        }
        let mut is_hole = true;
        let mut offset = start;
        while let Some((from, to)) = ranges.next(self.fd.as_fd(), offset)?.filter(|(from, _)| *from < end) {
            write_zeros(self.fd.as_fd(), from, to.min(end))?;
            is_hole = false;
            offset = to;
        }
        Ok(is_hole)
    }
}

/// Makes a clone of a file; what that was like just before, or None when it is none.
fn clone_to(part: &OwnedFd, older: &OwnedFd) -> Option<Stat> {
    let before = stat_fd(older.as_fd()).ok()?;
    rustix::fs::ioctl_ficlone(part, older).ok().map(|()| before)
}

/// A hole at the file's end takes its last block along, which would only be zeroed otherwise.
fn punch(fd: BorrowedFd<'_>, from: u64, to: u64, size: u64) -> Result<(), Errno> {
    let whole = if to == size { to.next_multiple_of(PIECE) } else { to };
    fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, whole.saturating_sub(from))
}

fn write_zeros(fd: BorrowedFd<'_>, from: u64, to: u64) -> Result<(), Errno> {
    let zeros = vec![0; PIECE as usize];
    let mut at = from;
    while at < to {
        let bytes = usize::try_from((to - at).min(PIECE)).unwrap_or(0);
        write_at(fd, &zeros[..bytes], at)?;
        at += bytes as u64;
    }
    Ok(())
}
