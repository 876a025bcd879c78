//! Where a file holds data and where holes.

use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::stat::Stat;

/// Whether a file can have holes at all: fewer blocks than its size needs. Compression looks the same from here; then
/// the extents say that there is none.
pub fn is_sparse(stat: &Stat) -> bool {
    stat.blocks.saturating_mul(512) < stat.size
}

/// The next range of data at or after `offset`, as (start, end), cut at `size`; None when only a hole follows.
///
/// lseek(2) with SEEK_DATA and SEEK_HOLE; it moves the descriptor's offset, which pread does not use. Preallocated space
/// without data reads as a hole on ext4, xfs and btrfs. Where the file system does not know holes the rest is one range.
pub fn next_data(fd: BorrowedFd<'_>, offset: u64, size: u64) -> Result<Option<(u64, u64)>, Errno> {
    if offset >= size {
        return Ok(None);
    }
    let start = match seek(fd, SeekFrom::Data(offset)) {
        Ok(start) => start,
        // Nothing but a hole up to the end, or the file has become shorter.
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((offset, size))),
        Err(errno) => return Err(errno),
    };
    if start >= size {
        return Ok(None);
    }
    match seek(fd, SeekFrom::Hole(start)) {
        // A hole at `start` itself: it was punched between the two calls. Taken as data; it is read as zeros.
        Ok(end) if end > start => Ok(Some((start, end.min(size)))),
        Ok(_) | Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((start, size))),
        Err(errno) => Err(errno),
    }
}

/// Ranges of data of one file, asked for piece by piece. Remembers the last answer: tmpfs looks at every page up to the
/// next hole, so that asking the kernel for each piece of a file without holes costs the square of its size.
#[derive(Debug)]
pub struct DataRanges {
    size: u64,
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    asked: u64,
    range: Option<(u64, u64)>,
}

impl DataRanges {
    /// `size` is the size the caller took note of; data beyond it is not reported.
    pub fn new(size: u64) -> Self {
        Self { size, answer: None }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// As `next_data`. May be told from memory: whoever relies on it looks at the file's times afterwards.
    pub fn next(&mut self, fd: BorrowedFd<'_>, offset: u64) -> Result<Option<(u64, u64)>, Errno> {
        match self.answer {
            Some(Answer { asked, range: None }) if asked <= offset => return Ok(None),
            Some(Answer { asked, range: Some((start, end)) }) if asked <= offset && offset < end => {
                return Ok(Some((start.max(offset), end)));
            }
            _ => {}
        }
        let range = next_data(fd, offset, self.size)?;
        self.answer = Some(Answer { asked: offset, range });
        Ok(range)
    }
}

/// All ranges of data of a file, in order. Ends after the first error.
pub struct Extents<'fd> {
    fd: BorrowedFd<'fd>,
    offset: u64,
    size: u64,
}

impl<'fd> Extents<'fd> {
    /// `size` is the size the caller took note of; data beyond it is not reported.
    pub fn new(fd: BorrowedFd<'fd>, size: u64) -> Extents<'fd> {
        Extents { fd, offset: 0, size }
    }
}

impl Iterator for Extents<'_> {
    type Item = Result<(u64, u64), Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = next_data(self.fd, self.offset, self.size);
        self.offset = match found {
            Ok(Some((_, end))) => end,
            _ => self.size,
        };
        found.transpose()
    }
}
