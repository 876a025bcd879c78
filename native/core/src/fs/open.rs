//! Opening entries beneath a directory and nothing else.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, retry_on_intr};

use super::name::component;
use super::stat::{Kind, Stat, stat_fd};

/// Opens the root of a volume. Symbolic links are followed: the path is the user's own.
///
/// `ENOENT`, `ENOTDIR`, `EACCES` as open(2) says.
pub fn open_volume(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    without_noatime_if_refused(flags, |flags| rustix::fs::open(path, flags, Mode::empty()))
}

/// Opens single names relative to a directory descriptor; never through a symbolic link, never outside, and never into
/// another mount unless `cross_mounts` (`EXDEV`).
///
/// With openat2(2) (Linux 5.6) the kernel promises this. Where it is missing or an older seccomp filter refuses it, the
/// name's check, `O_NOFOLLOW` and a comparison of mounts afterwards say the same; before Linux 5.8 a bind mount of one
/// file from the same device is then not noticed.
#[derive(Clone, Debug)]
pub struct Opener {
    resolve: Option<ResolveFlags>,
    cross_mounts: bool,
}

impl Opener {
    /// Asks the kernel once whether openat2 may be used.
    pub fn new(cross_mounts: bool) -> Opener {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        if !cross_mounts {
            resolve |= ResolveFlags::NO_XDEV;
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let tried = rustix::fs::openat2(rustix::fs::CWD, c".", flags, Mode::empty(), resolve);
        // ENOSYS: Linux before 5.6 or a newer seccomp filter. EPERM: an older filter (Docker before 20.10.6).
        let missing = matches!(tried, Err(Errno::NOSYS | Errno::PERM));
        Opener { resolve: (!missing).then_some(resolve), cross_mounts }
    }

    /// As if openat2 did not exist.
    pub fn component_wise(cross_mounts: bool) -> Opener {
        Opener { resolve: None, cross_mounts }
    }

    /// Whether the kernel's own confinement is used.
    pub fn uses_openat2(&self) -> bool {
        self.resolve.is_some()
    }

    /// Whether mount points beneath may be entered.
    pub fn crosses_mounts(&self) -> bool {
        self.cross_mounts
    }

    /// A directory to be listed and searched. `ENOTDIR` for everything else, symbolic links included.
    pub fn directory(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = without_noatime_if_refused(flags, |flags| self.open(parent, name, flags, 0));
        // openat says ENOTDIR for a symbolic link, openat2 ELOOP.
        opened.map_err(|errno| if errno == Errno::LOOP { Errno::NOTDIR } else { errno })
    }

    /// A file to be read. Does not block on a FIFO or a device that was put in its place (`O_NONBLOCK`, `O_NOCTTY`): the
    /// caller checks with `stat_fd` what it got. `ELOOP` for a symbolic link, `ENXIO` for a socket.
    pub fn file(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        without_noatime_if_refused(flags, |flags| self.open(parent, name, flags, 0))
    }

    /// A file of ours to be written further. Same errors as [`Opener::file`].
    pub fn writable(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(parent, name, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
    }

    /// An `O_PATH` descriptor of anything, a symbolic link itself included.
    pub fn path(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(parent, name, OFlags::PATH, 0)
    }

    /// A new file to be written. Only permission bits of `mode` count, less the umask: setuid and setgid belong to a file
    /// only once its owner is right. `EEXIST` when the name is taken, by whatever.
    pub fn create_file(&self, parent: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
        self.open(parent, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode & 0o777)
    }

    /// A new file to be written and read again, 0600. `EEXIST` when the name is taken.
    pub fn create_part(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(parent, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, 0o600)
    }

    /// A file of ours to be written further and read again. `ELOOP` for a symbolic link.
    pub fn part(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        self.open(parent, name, OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
    }

    /// A new directory, 0700, opened. `EEXIST` when the name is taken.
    pub fn make_directory(&self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        rustix::fs::mkdirat(parent, component(name)?, Mode::RWXU)?;
        self.directory(parent, name)
    }

    fn open(&self, parent: BorrowedFd<'_>, name: &[u8], flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
        let name = component(name)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        if let Some(resolve) = self.resolve {
            return retry_on_intr(|| rustix::fs::openat2(parent, name, flags, mode, resolve));
        }
        let opened = retry_on_intr(|| rustix::fs::openat(parent, name, flags, mode))?;
        let fresh = flags.contains(OFlags::CREATE);
        if !self.cross_mounts && !fresh && !same_mount(&stat_fd(parent)?, &stat_fd(opened.as_fd())?) {
            return Err(Errno::XDEV);
        }
        Ok(opened)
    }
}

/// Mount ids where both are known. Otherwise the device: a directory always has an id (from /proc), and btrfs
/// subvolumes, whose devices differ within one mount, are directories.
fn same_mount(parent: &Stat, child: &Stat) -> bool {
    match (parent.mount_id, child.mount_id) {
        (Some(parent), Some(child)) => parent == child,
        _ => child.kind == Kind::Symlink || parent.device == child.device,
    }
}

/// `O_NOATIME` is refused with EPERM to those who neither own the file nor have CAP_FOWNER (open(2)).
fn without_noatime_if_refused(
    flags: OFlags,
    open: impl Fn(OFlags) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }
}
