//! What the target's file system can keep, found out by trying.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use super::extents::next_data;
use super::fresh::Creation;
use super::handle::Handle;
use super::make;
use super::open::Opener;
use super::process::{CAP_CHOWN, ProcessIds};
use super::stat::{Kind, Timestamp, stat_fd};
use super::xattrs::{ACL_ACCESS, write_fd};

/// What a file system lets this process keep. None: it can; otherwise why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub creation: Creation,
    /// Nanoseconds between two times it can tell apart: 1, or 100 (NTFS, SMB), 1,000,000,000 (ext3, NFSv2) ...
    pub time_granularity: u32,
    /// False when a modification time is ignored unless an access time comes with it (FUSE file systems of libfuse 2).
    pub mtime_alone: bool,
    /// False when chmod, chown or utimensat succeeds and changes nothing (some FUSE file systems and SMB mounts do that).
    pub honest: bool,
    pub user_xattrs: Option<Errno>,
    pub trusted_xattrs: Option<Errno>,
    pub security_xattrs: Option<Errno>,
    pub acls: Option<Errno>,
    pub hard_links: Option<Errno>,
    pub symlinks: Option<Errno>,
    pub fifos: Option<Errno>,
    pub devices: Option<Errno>,
    /// Giving a file to somebody else.
    pub owners: Option<Errno>,
    /// A hole takes no space and is reported as one.
    pub sparse: bool,
}

const FOLDER: &str = ".pvferry-probe";
const FILE: &[u8] = b"file";
const HOLES: &[u8] = b"holes";

/// Tries everything in a folder made for it inside `directory`, and removes that.
///
/// Errors are those of making the folder or the first file there: `EROFS`, `EACCES`, `ENOSPC`, `EDQUOT`. A folder left by
/// a killed process is used again.
pub fn probe(opener: &Opener, directory: BorrowedFd<'_>, ids: &ProcessIds) -> Result<Abilities, Errno> {
    let name = format!("{FOLDER}-{}", std::process::id());
    let folder = match opener.make_directory(directory, name.as_bytes()) {
        Err(Errno::EXIST) => opener.directory(directory, name.as_bytes())?,
        made => made?,
    };
    let abilities = probe_in(opener, folder.as_fd(), ids);
    clean(folder.as_fd());
    drop(folder);
    let removed = make::remove_directory(directory, name.as_bytes());
    let abilities = abilities?;
    removed.map(|()| abilities)
}

fn clean(folder: BorrowedFd<'_>) {
    for entry in [FILE, HOLES, b"link", b"symlink", b"fifo", b"device"] {
        let _ = make::unlink(folder, entry);
    }
}

fn probe_in(opener: &Opener, folder: BorrowedFd<'_>, ids: &ProcessIds) -> Result<Abilities, Errno> {
    clean(folder);
    let other_group = give_other_group(folder, ids);
    let file = opener.create_file(folder, FILE, 0o666)?;
    let fd = file.as_fd();
    let creation = creation(fd, other_group, ids)?;
    let (granularity, mtime_alone) = times(fd);
    // Attributes first: afterwards the file may belong to somebody else.
    let abilities = Abilities {
        creation,
        time_granularity: granularity.unwrap_or(1_000_000_000),
        mtime_alone,
        honest: granularity.is_some() && chmod_is_honest(fd),
        user_xattrs: write_fd(fd, b"user.pvferry", b"1").err(),
        trusted_xattrs: write_fd(fd, b"trusted.pvferry", b"1").err(),
        security_xattrs: write_fd(fd, b"security.capability", &CAPABILITY).err(),
        acls: write_fd(fd, ACL_ACCESS, &ACL).err(),
        hard_links: make::hard_link(folder, FILE, folder, b"link").err(),
        symlinks: make::symlink(folder, b"symlink", b"nowhere").err(),
        fifos: make::node(folder, b"fifo", Kind::Fifo, 0o600, (0, 0)).err(),
        // /dev/null's numbers: 0:0 would be a whiteout, which anybody may make since Linux 5.8.
        devices: make::node(folder, b"device", Kind::CharDevice, 0o600, (1, 3)).err(),
        owners: None,
        sparse: keeps_holes(opener, folder).unwrap_or(false),
    };
    Ok(with_owners(abilities, fd))
}

/// Puts the folder into a group other than the process's own, so that a new file's group tells whom it follows.
fn give_other_group(folder: BorrowedFd<'_>, ids: &ProcessIds) -> Option<u32> {
    let own = ids.groups.iter().copied().find(|&group| group != ids.gid);
    let other = own.or_else(|| ids.can(CAP_CHOWN).then_some(ids.gid ^ 1))?;
    Handle::Fd(folder).chown(None, Some(other)).ok()?;
    // Below a setgid directory this one became setgid, and every group would follow it.
    Handle::Fd(folder).chmod(0o700).ok()?;
    let stat = stat_fd(folder).ok()?;
    (stat.gid == other && stat.mode & 0o2000 == 0).then_some(other)
}

fn creation(file: BorrowedFd<'_>, other_group: Option<u32>, ids: &ProcessIds) -> Result<Creation, Errno> {
    let stat = stat_fd(file)?;
    let group_of_directory = other_group == Some(stat.gid);
    let gid = if group_of_directory { ids.gid } else { stat.gid };
    Ok(Creation { uid: stat.uid, gid, group_of_directory, umask: ids.umask })
}

/// Sets a time with odd nanoseconds and looks what is left of them: the granularity (None: times cannot be set), and
/// whether mtime alone is enough.
fn times(file: BorrowedFd<'_>) -> (Option<u32>, bool) {
    let set = Timestamp { seconds: 1_000_000_001, nanoseconds: 123_456_789 };
    let handle = Handle::Fd(file);
    let try_times = |both| {
        handle.set_mtime(set, both).ok()?;
        // Some keep even seconds only (FAT).
        handle.stat().ok().map(|stat| stat.mtime).filter(|found| (0..=1).contains(&(set.seconds - found.seconds)))
    };
    let alone = try_times(false);
    let granularity = alone.or_else(|| try_times(true)).map(|found| {
        let fits = |granularity: &u32| found.nanoseconds == set.nanoseconds - set.nanoseconds % granularity;
        [1, 10, 100, 1_000, 1_000_000, 10_000_000].into_iter().find(fits).unwrap_or(1_000_000_000)
    });
    (granularity, alone.is_some())
}

fn chmod_is_honest(file: BorrowedFd<'_>) -> bool {
    let handle = Handle::Fd(file);
    [0o640, 0o604].into_iter().all(|mode| match handle.chmod(mode) {
        Ok(()) => handle.stat().is_ok_and(|stat| stat.mode == mode),
        Err(_) => true,
    })
}

fn with_owners(mut abilities: Abilities, file: BorrowedFd<'_>) -> Abilities {
    let handle = Handle::Fd(file);
    let other = abilities.creation.uid ^ 1;
    match handle.chown(Some(other), None) {
        Err(errno) => abilities.owners = Some(errno),
        Ok(()) if handle.stat().is_ok_and(|stat| stat.uid == other) => {}
        Ok(()) => {
            abilities.honest = false;
            abilities.owners = Some(Errno::OPNOTSUPP);
        }
    }
    abilities
}

/// One byte after a megabyte of nothing.
fn keeps_holes(opener: &Opener, folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    let size = (1 << 20) + 1;
    let file = opener.create_file(folder, HOLES, 0o600)?;
    rustix::io::pwrite(&file, b"x", size - 1)?;
    let first = next_data(file.as_fd(), 0, size)?;
    Ok(first.is_some_and(|(start, _)| start > 0))
}

/// The smallest valid ones: CAP_CHOWN permitted (VFS_CAP_REVISION_2), and u::rw-,u:1:r--,g::r--,m::r--,o::---.
const CAPABILITY: [u8; 20] = [0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
#[rustfmt::skip]
const ACL: [u8; 44] = [
    2, 0, 0, 0,
    1, 0, 6, 0, 255, 255, 255, 255,
    2, 0, 4, 0, 1, 0, 0, 0,
    4, 0, 4, 0, 255, 255, 255, 255,
    16, 0, 4, 0, 255, 255, 255, 255,
    32, 0, 0, 0, 255, 255, 255, 255,
];
