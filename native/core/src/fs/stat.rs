//! What statx tells about an entry.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, StatxTimestamp, makedev, statx};
use rustix::io::Errno;

use super::name::{ProcPath, component};

/// The seven kinds of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

impl Kind {
    /// From `d_type` or `S_IFMT`; None for `DT_UNKNOWN` and whiteouts of other systems.
    pub(crate) fn of(file_type: FileType) -> Option<Kind> {
        match file_type {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Directory),
            FileType::Symlink => Some(Kind::Symlink),
            FileType::Fifo => Some(Kind::Fifo),
            FileType::Socket => Some(Kind::Socket),
            FileType::CharacterDevice => Some(Kind::CharDevice),
            FileType::BlockDevice => Some(Kind::BlockDevice),
            FileType::Unknown => None,
        }
    }
}

/// A point in time; nanoseconds count forward from the second also before 1970, as in `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanoseconds: u32,
}

/// Identity of an inode. btrfs numbers the inodes of every subvolume anew, under a device of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InodeKey {
    pub device: u64,
    pub inode: u64,
}

/// An entry as statx(2) describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// Permission bits, setuid, setgid, sticky: 07777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
    pub inode: u64,
    pub device: u64,
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub links: u32,
    /// Units of 512 bytes, whatever the block size (stat(2)).
    pub blocks: u64,
    /// None when the kernel does not say (before 5.8, entries other than directories).
    pub mount_id: Option<u64>,
    /// `STATX_ATTR_*` bits that the file system supports and that are set.
    pub attributes: u64,
    pub has_birth_time: bool,
}

impl Stat {
    pub fn key(&self) -> InodeKey {
        InodeKey { device: self.device, inode: self.inode }
    }

    /// The key of an inode that has several names.
    pub fn shared_key(&self) -> Option<InodeKey> {
        (self.links > 1).then(|| self.key())
    }
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME).union(StatxFlags::MNT_ID);

/// Describes an entry without following it and without triggering an automount.
///
/// On kernels before 5.8 a directory's mount id costs three more calls; `mount_id` is None for other kinds there.
pub fn stat_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    stat_at_with(directory, name, AtFlags::empty())
}

/// As [`stat_at`], but a network file system asks its server, whatever this machine remembers.
pub fn stat_at_anew(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    stat_at_with(directory, name, AtFlags::STATX_FORCE_SYNC)
}

fn stat_at_with(directory: BorrowedFd<'_>, name: &[u8], sync: AtFlags) -> Result<Stat, Errno> {
    let name = component(name)?;
    let raw = statx(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | sync, WANTED)?;
    let mut stat = decode(&raw)?;
    if stat.mount_id.is_none() && stat.kind == Kind::Directory {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        stat.mount_id = fdinfo_mount_id(std::os::fd::AsFd::as_fd(&opened));
    }
    Ok(stat)
}

/// Describes what a descriptor holds, `O_PATH` ones included.
pub fn stat_fd(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    stat_fd_with(fd, AtFlags::empty())
}

/// As [`stat_fd`], but a network file system asks its server, whatever this machine remembers.
pub fn stat_fd_anew(fd: BorrowedFd<'_>) -> Result<Stat, Errno> {
    stat_fd_with(fd, AtFlags::STATX_FORCE_SYNC)
}

fn stat_fd_with(fd: BorrowedFd<'_>, sync: AtFlags) -> Result<Stat, Errno> {
    let raw = statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT | sync, WANTED)?;
    let mut stat = decode(&raw)?;
    if stat.mount_id.is_none() && stat.kind == Kind::Directory {
        stat.mount_id = fdinfo_mount_id(fd);
    }
    Ok(stat)
}

/// The text of a symbolic link, verbatim. `EINVAL` when it is not one, `ENAMETOOLONG` beyond 4096 bytes.
pub fn read_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Box<[u8]>, Errno> {
    let mut buffer = [0_u8; 4097];
    let length = rustix::fs::readlinkat_raw(directory, component(name)?, &mut buffer[..])?;
    if length == buffer.len() {
        return Err(Errno::NAMETOOLONG);
    }
    Ok(buffer[..length].into())
}

/// `mnt_id` of /proc/self/fdinfo (proc_pid_fdinfo(5), since 3.15). None without /proc.
pub(crate) fn fdinfo_mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    let path = ProcPath::fdinfo(fd);
    let text = std::fs::read(std::ffi::OsStr::new(path.as_c_str().to_str().ok()?)).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

fn decode(raw: &Statx) -> Result<Stat, Errno> {
    let mode = u32::from(raw.stx_mode);
    let mask = StatxFlags::from_bits_retain(raw.stx_mask);
    Ok(Stat {
        kind: Kind::of(FileType::from_raw_mode(mode)).ok_or(Errno::IO)?,
        mode: mode & 0o7777,
        uid: raw.stx_uid,
        gid: raw.stx_gid,
        size: raw.stx_size,
        mtime: timestamp(&raw.stx_mtime),
        ctime: timestamp(&raw.stx_ctime),
        inode: raw.stx_ino,
        device: makedev(raw.stx_dev_major, raw.stx_dev_minor),
        rdev_major: raw.stx_rdev_major,
        rdev_minor: raw.stx_rdev_minor,
        links: raw.stx_nlink,
        blocks: raw.stx_blocks,
        mount_id: mask.contains(StatxFlags::MNT_ID).then_some(raw.stx_mnt_id),
        attributes: (raw.stx_attributes & raw.stx_attributes_mask).bits(),
        has_birth_time: mask.contains(StatxFlags::BTIME),
    })
}

fn timestamp(raw: &StatxTimestamp) -> Timestamp {
    Timestamp { seconds: raw.tv_sec, nanoseconds: raw.tv_nsec }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    /// What kernels before 5.8 have instead of STATX_MNT_ID.
    #[test]
    fn fdinfo_and_statx_know_the_same_mount() {
        for path in ["/", "/proc", "/dev"] {
            let directory = std::fs::File::open(path).unwrap();
            let stat = stat_fd(directory.as_fd()).unwrap();
            assert_eq!(fdinfo_mount_id(directory.as_fd()), stat.mount_id, "{path}");
        }
    }
}
