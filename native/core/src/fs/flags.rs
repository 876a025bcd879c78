//! chattr flags, project ids and other properties that belong to a file system and do not travel.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{StatxAttributes, ioctl_getflags};
use rustix::io::Errno;

use super::sys::fsgetxattr;

/// Properties found, as bits of a table of labels, and the project id (0: none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    bits: u32,
    pub project: u32,
}

/// What lsattr shows and a copy does not have. Bits of FS_IOC_GETFLAGS (linux/fs.h); internal ones, such as "uses
/// extents", are no loss and missing here.
const LABELS: [(u32, &str); 18] = [
    (0x0000_0001, "flag secure deletion"),
    (0x0000_0002, "flag undelete"),
    (0x0000_0004, "flag compressed"),
    (0x0000_0008, "flag synchronous"),
    (0x0000_0010, "flag immutable"),
    (0x0000_0020, "flag append-only"),
    (0x0000_0040, "flag no dump"),
    (0x0000_0080, "flag no atime"),
    (0x0000_0400, "flag no compression"),
    (0x0000_0800, "flag encrypted"),
    (0x0000_4000, "flag journal data"),
    (0x0000_8000, "flag no tail-merging"),
    (0x0001_0000, "flag synchronous directory"),
    (0x0002_0000, "flag top of hierarchy"),
    (0x0010_0000, "flag verity"),
    (0x0080_0000, "flag no copy-on-write"),
    (0x0200_0000, "flag dax"),
    (0x4000_0000, "flag case-insensitive"),
];

const FS_PROJINHERIT: u32 = 0x2000_0000;
const PROJECT_ID: &str = "project id";

/// XFS tells these only by FS_IOC_FSGETXATTR: (FS_XFLAG bit, label).
const EXTENDED_LABELS: [(u32, &str); 4] = [
    (0x0000_0001, "flag realtime"),
    (0x0000_0400, "flag no symlinks"),
    (0x0000_0800, "extent size hint"),
    (0x0001_0000, "copy-on-write extent size hint"),
];

/// Bits of EXTENDED_LABELS within `Flags::bits`, chosen among the kernel's internal ones.
const EXTENDED_BITS: [u32; 4] = [1 << 8, 1 << 9, 1 << 12, 1 << 18];

impl Flags {
    /// From what statx has already said, without another call: compressed, immutable, append-only, no dump, encrypted,
    /// verity, dax. STATX_ATTR_* bits equal those of FS_IOC_GETFLAGS as far as they go (statx(2)).
    pub fn from_attributes(attributes: u64) -> Flags {
        let common = StatxAttributes::COMPRESSED
            | StatxAttributes::IMMUTABLE
            | StatxAttributes::APPEND
            | StatxAttributes::NODUMP
            | StatxAttributes::ENCRYPTED
            | StatxAttributes::VERITY;
        let mut bits = (attributes & common.bits()) as u32;
        if attributes & StatxAttributes::DAX.bits() != 0 {
            bits |= 0x0200_0000;
        }
        Flags { bits, project: 0 }
    }

    pub fn is_empty(self) -> bool {
        self.bits == 0 && self.project == 0
    }

    /// What `told` does not have.
    pub fn beyond(self, told: Flags) -> Flags {
        Flags { bits: self.bits & !told.bits, project: if self.project == told.project { 0 } else { self.project } }
    }

    /// Immutable or append-only: such an entry can be read, but nothing made like it could be replaced.
    pub fn is_locked(self) -> bool {
        self.bits & 0x30 != 0
    }

    /// What a receipt counts: "flag immutable", "project id" ...
    pub fn labels(self) -> impl Iterator<Item = &'static str> {
        let plain = LABELS.iter().filter(move |(bit, _)| self.bits & bit != 0).map(|&(_, label)| label);
        let extended = EXTENDED_BITS.iter().zip(EXTENDED_LABELS);
        let extended = extended.filter(move |(bit, _)| self.bits & **bit != 0).map(|(_, (_, label))| label);
        plain.chain(extended).chain((self.project != 0).then_some(PROJECT_ID))
    }
}

/// Asks for flags, and remembers the file system that knew none, so that it is not asked for each of its files: with
/// FUSE, a question is a journey to another process.
#[derive(Debug, Default)]
pub struct FlagReader {
    /// `st_dev` of that file system; 0, which no file bears, at first.
    knows_none: AtomicU64,
}

impl FlagReader {
    /// As [`read`], from a descriptor whose `st_dev` is `device`.
    pub fn read(&self, fd: BorrowedFd<'_>, device: u64) -> Result<Flags, Errno> {
        if self.knows_none.load(Ordering::Relaxed) == device {
            return Ok(Flags::default());
        }
        let found = ask(fd)?;
        if found.is_none() {
            self.knows_none.store(device, Ordering::Relaxed);
        }
        Ok(found.unwrap_or_default())
    }
}

/// Reads everything, in two calls, from a regular file or directory (never from a device: its driver would answer).
///
/// A file system that knows no such thing has none of it (`ENOTTY`, `EOPNOTSUPP`, `EINVAL`, `ENOSYS`).
pub fn read(fd: BorrowedFd<'_>) -> Result<Flags, Errno> {
    Ok(ask(fd)?.unwrap_or_default())
}

/// None when the file system knows neither call.
fn ask(fd: BorrowedFd<'_>) -> Result<Option<Flags>, Errno> {
    let (plain, extended) = (known(ioctl_getflags(fd).map(|found| found.bits()))?, known(fsgetxattr(fd))?);
    if plain.is_none() && extended.is_none() {
        return Ok(None);
    }
    let mut flags = Flags::default();
    if let Some(found) = plain {
        let shown = LABELS.iter().fold(FS_PROJINHERIT, |all, (bit, _)| all | bit);
        flags.bits = found & shown;
    }
    if let Some(found) = extended {
        flags.project = found.projid;
        for (bit, (xflag, _)) in EXTENDED_BITS.iter().zip(EXTENDED_LABELS) {
            if found.xflags & xflag != 0 {
                flags.bits |= bit;
            }
        }
    }
    // The flag alone, with project 0, says nothing: new entries get project 0 anyway.
    flags.bits &= !FS_PROJINHERIT;
    Ok(Some(flags))
}

fn known<T>(answer: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_labels_share_a_bit() {
        let mut all = FS_PROJINHERIT;
        for bit in LABELS.iter().map(|(bit, _)| *bit).chain(EXTENDED_BITS) {
            assert_eq!(all & bit, 0, "{bit:#x}");
            all |= bit;
        }
    }

    #[test]
    fn attributes_of_statx_have_the_same_labels() {
        let flags = Flags::from_attributes(0x10 | 0x20_0000);
        assert_eq!(flags.labels().collect::<Vec<_>>(), ["flag immutable", "flag dax"]);
        assert!(flags.is_locked());
    }

    #[test]
    fn what_statx_has_told_is_not_told_again() {
        let told = Flags::from_attributes(0x10);
        let found = Flags { bits: 0x10 | 0x80, project: 7 };
        assert_eq!(found.beyond(told).labels().collect::<Vec<_>>(), ["flag no atime", "project id"]);
    }
}
