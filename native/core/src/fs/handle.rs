//! An entry that attributes are applied to: a descriptor, or a name that is not followed.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::name::{ProcPath, component};
use super::stat::{Kind, Stat, Timestamp, stat_at, stat_fd};
use super::xattrs::Place;

#[derive(Clone, Copy)]
pub(crate) enum Handle<'a> {
    Fd(BorrowedFd<'a>),
    Entry(BorrowedFd<'a>, &'a [u8]),
}

impl Handle<'_> {
    pub(crate) fn chown(self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        // u32::MAX is -1, "leave as it is", to the kernel; nobody can own anything under it.
        if uid == Some(u32::MAX) || gid == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Handle::Fd(fd) => rustix::fs::fchown(fd, uid, gid),
            Handle::Entry(directory, name) => {
                rustix::fs::chownat(directory, component(name)?, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    /// Never for symbolic links. An entry is held by an `O_PATH` descriptor first, since chmod by name would follow
    /// (fchmodat2 came with Linux 6.6); chmod on its /proc link changes exactly that inode.
    pub(crate) fn chmod(self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Handle::Fd(fd) => rustix::fs::fchmod(fd, mode),
            Handle::Entry(directory, name) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let held = rustix::fs::openat(directory, component(name)?, flags, Mode::empty())?;
                if stat_fd(held.as_fd())?.kind == Kind::Symlink {
                    return Err(Errno::LOOP);
                }
                rustix::fs::chmod(ProcPath::of(held.as_fd()).as_c_str(), mode)
            }
        }
    }

    /// Leaves the access time alone, or sets it to now where the file system ignores one time without the other.
    pub(crate) fn set_mtime(self, mtime: Timestamp, both: bool) -> Result<(), Errno> {
        let omitted = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let access = if both { clock_gettime(ClockId::Realtime) } else { omitted };
        let wanted = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
        if mtime.nanoseconds >= 1_000_000_000 {
            return Err(Errno::INVAL);
        }
        let times = Timestamps { last_access: access, last_modification: wanted };
        match self {
            Handle::Fd(fd) => rustix::fs::futimens(fd, &times),
            Handle::Entry(directory, name) => {
                rustix::fs::utimensat(directory, component(name)?, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    pub(crate) fn stat(self) -> Result<Stat, Errno> {
        match self {
            Handle::Fd(fd) => stat_fd(fd),
            Handle::Entry(directory, name) => stat_at(directory, name),
        }
    }
}

impl<'a> Handle<'a> {
    pub(crate) fn place(self) -> Result<Place<'a>, Errno> {
        match self {
            Handle::Fd(fd) => Ok(Place::Fd(fd)),
            Handle::Entry(directory, name) => Ok(Place::Entry(directory, component(name)?)),
        }
    }
}
