//! Reading what lies on the medium, and not what the page cache remembers of it.

use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::fs::{Advice, Mode, OFlags, fadvise, fcntl_getfl, fcntl_setfl, statfs};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, retry_on_intr};

use super::space::{mount_line, type_of_magic};

/// How far the medium beneath a file system can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Past the page cache (`O_DIRECT`, open(2)). What a file system keeps inline, among its metadata, or compressed is
    /// read through the page cache all the same, from which the file's pages are dropped before.
    Direct,
    /// The file's pages are dropped from the page cache (`POSIX_FADV_DONTNEED`, posix_fadvise(2)) and read again.
    Dropped,
    /// Files are kept in memory: there is none.
    None,
}

impl Medium {
    /// Of a file system that statfs(2) calls `filesystem`; `file` is an empty one there, and the caller's alone.
    pub fn of(filesystem: &str, file: BorrowedFd<'_>) -> Self {
        if lies_in_memory(filesystem, file) {
            Self::None
        } else if set_direct(file, true).is_ok() {
            Self::Direct
        } else {
            Self::Dropped
        }
    }
}

fn lies_in_memory(filesystem: &str, file: BorrowedFd<'_>) -> bool {
    match filesystem {
        "tmpfs" | "ramfs" | "rootfs" => true,
        "overlay" => upper_layer(file).is_some_and(|kind| matches!(kind, "tmpfs" | "ramfs")),
        _ => false,
    }
}

/// The type of the file system that holds an overlay's upper layer, where its path in mountinfo can be reached from here.
/// (In a container it mostly cannot; the overlay is then taken for one with a medium.)
fn upper_layer(file: BorrowedFd<'_>) -> Option<&'static str> {
    let line = mount_line(file)?;
    let upper = line.rsplit(' ').next()?.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    Some(type_of_magic(statfs(upper).ok()?.f_type))
}

fn set_direct(file: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, on);
    fcntl_setfl(file, flags)
}

/// Forgets what the page cache holds of a file, as far as it is on disk.
pub fn drop_cache(file: BorrowedFd<'_>) -> Result<(), Errno> {
    fadvise(file, 0, None, Advice::DontNeed)
}

/// Another descriptor of an open file, for reading, with flags of its own. `EACCES` where its mode does not permit that.
pub fn open_again(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    retry_on_intr(|| rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
}

/// Memory, offsets and lengths of direct reads are multiples of this: of every logical block size up to a page.
pub const ALIGNMENT: usize = 4_096;

/// How often, and how long after one another, the page cache is asked to let go of what is about to be read.
const FORGET_TRIES: u32 = 20;
const FORGET_PAUSE: Duration = Duration::from_millis(10);

/// Reads files of one file system from its medium. Not for [`Medium::None`].
#[derive(Debug)]
pub struct MediumReader {
    medium: Medium,
    memory: Vec<u8>,
    start: usize,
    most: usize,
}

impl MediumReader {
    /// For reads of at most `most` bytes.
    pub fn new(medium: Medium, most: usize) -> Self {
        let most = most.next_multiple_of(ALIGNMENT);
        let memory = vec![0; most + ALIGNMENT];
        // What cannot be told (by the standard's leave) is not aligned: direct reads then fail, and others are made.
        let start = Some(memory.as_ptr().align_offset(ALIGNMENT)).filter(|start| *start < ALIGNMENT).unwrap_or(0);
        Self { medium, memory, start, most }
    }

    /// `length` bytes from `offset`, which is a multiple of [`ALIGNMENT`]; fewer at the end of the file. The file is on
    /// disk, nobody writes to this part of it, and the descriptor is the caller's alone. `EBUSY` when the page cache does
    /// not let go of it.
    pub fn read(&mut self, file: BorrowedFd<'_>, offset: u64, length: usize) -> Result<&[u8], Errno> {
        drop_cache(file)?;
        let length = length.min(self.most);
        let mut got = if self.medium == Medium::Direct && set_direct(file, true).is_ok() {
            match self.fill(file, offset, length.next_multiple_of(ALIGNMENT)) {
                // Blocks that are larger than a page.
                Err(Errno::INVAL) => set_direct(file, false).map(|()| None)?,
                got => Some(got?),
            }
        } else {
            None
        };
        if got.is_none() {
            self.forget(file, offset)?;
            got = Some(self.fill(file, offset, length)?);
        }
        let got = got.unwrap_or(0).min(length);
        Ok(&self.memory[self.start..self.start + got])
    }

    fn fill(&mut self, file: BorrowedFd<'_>, offset: u64, length: usize) -> Result<usize, Errno> {
        let memory = &mut self.memory[self.start..self.start + length];
        let mut got = 0;
        while got < length {
            match retry_on_intr(|| pread(file, &mut memory[got..], offset + got as u64))? {
                0 => break,
                count => got += count,
            }
            // A direct read that ends within a block has met the end of the file.
            if !got.is_multiple_of(ALIGNMENT) {
                break;
            }
        }
        Ok(got)
    }

    /// Waits until the page cache lets go: pages that are being read ahead stay until they are there.
    fn forget(&self, file: BorrowedFd<'_>, offset: u64) -> Result<(), Errno> {
        let mut tries = 0;
        while let Err(errno) = self.refuse_cached(file, offset) {
            tries += 1;
            if errno != Errno::BUSY || tries > FORGET_TRIES {
                return Err(errno);
            }
            thread::sleep(FORGET_PAUSE);
            drop_cache(file)?;
        }
        Ok(())
    }

    /// Whether the page cache still holds the first byte: a read that may not wait gets what is cached, and nothing else
    /// (`RWF_NOWAIT`, preadv2(2)). Where that is not known, the advice is trusted.
    fn refuse_cached(&self, file: BorrowedFd<'_>, offset: u64) -> Result<(), Errno> {
        let mut byte = [0];
        match preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) {
            Ok(1..) => Err(Errno::BUSY),
            Ok(0) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn every_length_is_read_to_its_end_and_no_further() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        for length in [0, 1, 4_095, 4_096, 4_097, 10_000, 524_288] {
            let mut file = tempfile::tempfile_in(&folder).unwrap();
            let bytes: Vec<u8> = (0..length).map(|at: usize| (at % 251) as u8).collect();
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            for medium in [Medium::Direct, Medium::Dropped] {
                let own = open_again(file.as_fd()).unwrap();
                let mut reader = MediumReader::new(medium, 524_288);
                assert_eq!(reader.read(own.as_fd(), 0, 524_288).unwrap(), bytes, "{length} {medium:?}");
                let some = length.min(100);
                assert_eq!(reader.read(own.as_fd(), 0, some).unwrap(), &bytes[..some], "{length} {medium:?}");
            }
        }
    }

    #[test]
    fn what_is_kept_in_memory_has_no_medium() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        assert_eq!(Medium::of("tmpfs", file.as_fd()), Medium::None);
    }

    #[test]
    fn what_is_in_the_page_cache_is_not_taken_for_the_medium() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let mut file = tempfile::tempfile_in(&folder).unwrap();
        file.write_all(&[1; 8_192]).unwrap();
        let own = open_again(file.as_fd()).unwrap();
        let mut reader = MediumReader::new(Medium::Dropped, 8_192);
        assert_eq!(reader.refuse_cached(own.as_fd(), 0), Err(Errno::BUSY));
        file.sync_data().unwrap();
        assert!(reader.read(own.as_fd(), 0, 8_192).is_ok_and(|bytes| bytes == [1; 8_192]));
    }
}
