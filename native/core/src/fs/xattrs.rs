//! Extended attributes and ACLs, which the kernel shows as attributes.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::name::{ProcPath, component};
use super::sys;
use super::xattr_policy::{LeftOutSet, Verdict, classify};

/// Longest list of names and longest value (linux/limits.h: XATTR_LIST_MAX, XATTR_SIZE_MAX).
const KERNEL_MAX: usize = 64 << 10;
/// What one entry's attributes may take in all, bytes; `E2BIG` beyond. The kernel itself allows gigabytes on XFS.
pub const TOTAL_MAX: usize = 8 << 20;
/// How often a list or value that grows while it is read is tried again.
const ATTEMPTS: usize = 8;
/// First try, on the stack: enough for the list and the values of nearly every entry.
const SMALL: usize = 1 << 10;

/// The POSIX ACLs' names.
pub const ACL_ACCESS: &[u8] = b"system.posix_acl_access";
pub const ACL_DEFAULT: &[u8] = b"system.posix_acl_default";

/// File capabilities, which any write clears.
pub const CAPABILITY: &[u8] = b"security.capability";

/// A name and its value.
pub type Xattr = (Box<[u8]>, Box<[u8]>);

/// Attributes sorted by name. Empty ones own no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xattrs(Vec<Xattr>);

impl Xattrs {
    pub fn new() -> Xattrs {
        Xattrs(Vec::new())
    }

    /// Sorts; of several with the same name the last one stays.
    pub fn from_pairs(pairs: Vec<Xattr>) -> Xattrs {
        let mut xattrs = Xattrs(pairs);
        xattrs.0.reverse();
        xattrs.0.sort_by(|a, b| a.0.cmp(&b.0));
        xattrs.0.dedup_by(|later, kept| later.0 == kept.0);
        xattrs
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let index = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.0[index].1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Names and values together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What reading an entry's attributes gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Those the policy keeps.
    pub xattrs: Xattrs,
    /// Those it does not, once per row of its table.
    pub left_out: LeftOutSet,
    /// Listed, to be kept, and refused when read.
    pub unreadable: Vec<(Box<[u8]>, Errno)>,
}

/// Reads through a descriptor of a file or directory; one call when there are none.
///
/// A file system without attributes gives none. `E2BIG` beyond [`TOTAL_MAX`]. Attributes of `trusted.*` are listed only
/// for CAP_SYS_ADMIN (xattr(7)): without it they are invisible and cannot be reported.
pub fn read_fd(fd: BorrowedFd<'_>, keep_selinux: bool) -> Result<Reading, Errno> {
    read(&Place::Fd(fd), keep_selinux)
}

/// Reads an entry of any kind without opening or following it. Errors as [`read_fd`], and `ENOENT`.
pub fn read_at(directory: BorrowedFd<'_>, name: &[u8], keep_selinux: bool) -> Result<Reading, Errno> {
    read(&Place::Entry(directory, component(name)?), keep_selinux)
}

/// Sets one attribute through a descriptor. `EPERM` for user.* on other kinds than files and directories,
/// `EOPNOTSUPP` where there is none, `ENOSPC` where it does not fit (one block on ext4).
pub fn write_fd(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    Place::Fd(fd).set(name, value)
}

/// Sets one attribute of an entry without following it. Errors as [`write_fd`].
pub fn write_at(directory: BorrowedFd<'_>, entry: &[u8], name: &[u8], value: &[u8]) -> Result<(), Errno> {
    Place::Entry(directory, component(entry)?).set(name, value)
}

/// Removes one attribute; fine when it is not there or cannot be.
pub fn remove_fd(fd: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    Place::Fd(fd).remove(name)
}

/// As [`remove_fd`], of an entry, without following it.
pub fn remove_at(directory: BorrowedFd<'_>, entry: &[u8], name: &[u8]) -> Result<(), Errno> {
    Place::Entry(directory, component(entry)?).remove(name)
}

/// Whether an attribute exists. False where there are none.
pub fn exists_fd(fd: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    match rustix::fs::fgetxattr_query(fd, name) {
        Ok(_) => Ok(true),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Where attributes are read and written.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Fd(BorrowedFd<'a>),
    /// An entry of a directory, not followed.
    Entry(BorrowedFd<'a>, &'a [u8]),
}

/// The kernel has listxattrat. Without it, and for values, the way to an entry leads through /proc, which the kernel
/// walks anew each time: four times as long.
static LISTS_BY_NAME: AtomicBool = AtomicBool::new(true);

fn list_entry(directory: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
    if LISTS_BY_NAME.load(Ordering::Relaxed) {
        let listed = rustix::path::Arg::into_with_c_str(name, |name| sys::listxattrat(directory, name, buffer));
        match listed {
            Err(Errno::NOSYS | Errno::PERM) => LISTS_BY_NAME.store(false, Ordering::Relaxed),
            listed => return listed,
        }
    }
    rustix::fs::llistxattr(ProcPath::entry(directory, name)?.as_c_str(), buffer)
}

impl Place<'_> {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Place::Fd(fd) => rustix::fs::flistxattr(fd, buffer),
            Place::Entry(directory, name) => list_entry(*directory, name, buffer),
        }
    }

    fn get(&self, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Place::Fd(fd) => rustix::fs::fgetxattr(fd, name, buffer),
            Place::Entry(directory, entry) => {
                rustix::fs::lgetxattr(ProcPath::entry(*directory, entry)?.as_c_str(), name, buffer)
            }
        }
    }

    pub(crate) fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Place::Fd(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Place::Entry(directory, entry) => {
                let path = ProcPath::entry(*directory, entry)?;
                rustix::fs::lsetxattr(path.as_c_str(), name, value, XattrFlags::empty())
            }
        }
    }

    pub(crate) fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        let removed = match self {
            Place::Fd(fd) => rustix::fs::fremovexattr(fd, name),
            Place::Entry(directory, entry) => {
                rustix::fs::lremovexattr(ProcPath::entry(*directory, entry)?.as_c_str(), name)
            }
        };
        match removed {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            other => other,
        }
    }
}

pub(crate) fn read(place: &Place<'_>, keep_selinux: bool) -> Result<Reading, Errno> {
    let mut small = [0_u8; SMALL];
    let mut large = Vec::new();
    let names = match sized(&mut small, &mut large, |buffer| place.list(buffer)) {
        Err(Errno::OPNOTSUPP) => return Ok(Reading::default()),
        listed => listed?,
    };
    if names.is_empty() {
        return Ok(Reading::default());
    }
    collect(place, names, keep_selinux)
}

fn collect(place: &Place<'_>, names: &[u8], keep_selinux: bool) -> Result<Reading, Errno> {
    let mut reading = Reading::default();
    let mut pairs = Vec::new();
    let mut total = 0;
    let mut small = [0_u8; SMALL];
    let mut large = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        match classify(name, keep_selinux) {
            Verdict::Keep => {}
            Verdict::LeaveOut(row) => {
                reading.left_out.insert(row);
                continue;
            }
            Verdict::Duplicate => continue,
        }
        match sized(&mut small, &mut large, |buffer| place.get(name, buffer)) {
            Ok(value) => {
                total += name.len() + value.len();
                pairs.push((name.into(), value.into()));
            }
            // Removed between the list and now; or listed for all files of a file system, held by few (NFSv4 ACLs).
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(errno) => reading.unreadable.push((name.into(), errno)),
        }
        if total > TOTAL_MAX {
            return Err(Errno::TOOBIG);
        }
    }
    reading.xattrs = Xattrs::from_pairs(pairs);
    Ok(reading)
}

/// Calls with the small buffer, and with one of the kernel's largest size when that is too small.
fn sized<'buffer>(
    small: &'buffer mut [u8],
    large: &'buffer mut Vec<u8>,
    call: impl Fn(&mut [u8]) -> Result<usize, Errno>,
) -> Result<&'buffer [u8], Errno> {
    match call(small) {
        Ok(length) => return Ok(&small[..length]),
        Err(Errno::RANGE) => {}
        Err(errno) => return Err(errno),
    }
    large.resize(KERNEL_MAX, 0);
    for _ in 0..ATTEMPTS {
        match call(large) {
            Ok(length) => return Ok(&large[..length]),
            // Larger than the kernel's own limit: a file system that does not use the VFS's buffer (lustre).
            Err(Errno::RANGE) if large.len() < TOTAL_MAX => large.resize(large.len() * 2, 0),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::TOOBIG)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn both_ways_to_an_entry_list_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        let file = std::fs::File::open(folder.path().join("file")).unwrap();
        write_fd(file.as_fd(), b"user.first", b"1").unwrap();
        write_fd(file.as_fd(), b"user.second", b"2").unwrap();
        let mut lists = [true, false].into_iter().flat_map(|by_name| {
            [&b"file"[..], b"link", b"missing"].map(|name| {
                LISTS_BY_NAME.store(by_name, Ordering::Relaxed);
                let mut buffer = [0; SMALL];
                list_entry(directory.as_fd(), name, &mut buffer).map(|length| buffer[..length].to_vec())
            })
        });
        let by_name: Vec<_> = lists.by_ref().take(3).collect();
        assert_eq!(by_name, lists.collect::<Vec<_>>());
        let names = by_name[0].as_ref().unwrap();
        assert!(names.windows(11).any(|name| name == b"user.first\0"));
        assert_eq!(by_name[2], Err(Errno::NOENT));
        LISTS_BY_NAME.store(true, Ordering::Relaxed);
    }

    #[test]
    fn attributes_are_sorted_and_unique() {
        let pair = |name: &[u8], value: &[u8]| -> Xattr { (name.into(), value.into()) };
        let xattrs = Xattrs::from_pairs(vec![pair(b"user.b", b"1"), pair(b"user.a", b"2"), pair(b"user.b", b"3")]);
        let all: Vec<_> = xattrs.iter().collect();
        assert_eq!(all, [(&b"user.a"[..], &b"2"[..]), (b"user.b", b"3")]);
        assert_eq!(xattrs.get(b"user.b"), Some(&b"3"[..]));
        assert_eq!(xattrs.get(b"user.c"), None);
    }
}
