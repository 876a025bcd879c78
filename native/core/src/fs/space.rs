//! A file system as a whole: what it is, what is free, whether it can promise that data is on disk.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags, fstatfs};
use rustix::io::Errno;

use super::process::{CAP_SYS_RESOURCE, ProcessIds};
use super::stat::stat_fd;

/// Facts of statfs(2) and /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// As in mountinfo: "ext4", "xfs", "nfs4", "fuse.sshfs"; by magic number where /proc does not say.
    pub filesystem: String,
    pub read_only: bool,
    pub total_bytes: u64,
    /// What this process may fill: on ext2 to ext4 with the reserve that is root's, if it is root.
    pub free_bytes: u64,
    /// What is filled; a reserve is not.
    pub used_bytes: u64,
    /// 0 when inodes are not limited (btrfs).
    pub total_inodes: u64,
    pub free_inodes: u64,
    pub block_size: u64,
}

/// How to be sure that everything written is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// One syncfs at the end writes everything and reports what could not be written since the descriptor was opened.
    Syncfs,
    /// Every file has to be synced by itself; why.
    FsyncEach(&'static str),
}

/// Reads the facts. Errors as fstatfs(2): `EIO`, `ESTALE`.
pub fn space(volume: BorrowedFd<'_>) -> Result<Space, Errno> {
    let raw = fstatfs(volume)?;
    let unit = positive(if raw.f_frsize == 0 { raw.f_bsize } else { raw.f_frsize });
    let filesystem = mounted_type(volume).unwrap_or_else(|| type_of_magic(raw.f_type).to_owned());
    let free = if has_reserve(&filesystem) && may_fill_reserve() { raw.f_bfree } else { raw.f_bavail };
    Ok(Space {
        filesystem,
        read_only: positive(raw.f_flags) & ST_RDONLY != 0,
        total_bytes: positive(raw.f_blocks).saturating_mul(unit),
        free_bytes: positive(free).saturating_mul(unit),
        used_bytes: positive(raw.f_blocks).saturating_sub(positive(raw.f_bfree)).saturating_mul(unit),
        total_inodes: positive(raw.f_files),
        free_inodes: positive(raw.f_ffree),
        block_size: unit,
    })
}

/// Whether f_bavail leaves out blocks that privileged processes may fill.
fn has_reserve(filesystem: &str) -> bool {
    matches!(filesystem, "ext2" | "ext3" | "ext4")
}

/// ext4_has_free_clusters() in the kernel's fs/ext4/balloc.c: the reserve is for CAP_SYS_RESOURCE, and for the uid that the
/// file system names, which is 0 unless somebody has chosen another. Both are those of the initial user namespace.
fn may_fill_reserve() -> bool {
    let initial = std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]));
    initial && ProcessIds::read().is_ok_and(|ids| ids.uid == 0 || ids.can(CAP_SYS_RESOURCE))
}

/// What is free now, a reserve aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub bytes: u64,
    /// None when inodes are not limited.
    pub inodes: Option<u64>,
}

/// As [`space`], of what changes, in one call.
pub fn free(volume: BorrowedFd<'_>) -> Result<Free, Errno> {
    let raw = fstatfs(volume)?;
    let unit = positive(if raw.f_frsize == 0 { raw.f_bsize } else { raw.f_frsize });
    let limited = positive(raw.f_files) > 0;
    Ok(Free { bytes: positive(raw.f_bavail).saturating_mul(unit), inodes: limited.then(|| positive(raw.f_ffree)) })
}

/// What syncfs is worth on a file system of this type (as [`Space::filesystem`] names it), on this kernel.
pub fn durability(filesystem: &str) -> Durability {
    if kernel_version() < (5, 8) {
        return Durability::FsyncEach("syncfs does not report write errors before Linux 5.8");
    }
    durability_by_type(filesystem)
}

fn durability_by_type(filesystem: &str) -> Durability {
    let family = filesystem.split('.').next().unwrap_or(filesystem);
    match family {
        "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "tmpfs" | "f2fs" | "bcachefs" | "ntfs3" | "vfat" | "exfat"
        | "zfs" => Durability::Syncfs,
        "fuse" | "fuseblk" | "virtiofs" => {
            Durability::FsyncEach("FUSE passes syncfs on to virtiofs only; its servers see fsync")
        }
        "nfs" | "nfs4" => {
            Durability::FsyncEach("an NFS client may learn of a server's write error only at fsync or close")
        }
        "overlay" => Durability::FsyncEach("overlayfs does not pass on the write errors of its upper layer's files"),
        _ => Durability::FsyncEach("it is not known what syncfs promises on this file system"),
    }
}

/// Writes everything of the file system to disk (syncfs(2)).
///
/// Write errors since `volume` was opened are reported once per descriptor, as `EIO`, `ENOSPC` or `EDQUOT`: it has to be
/// open from before the first write.
pub fn sync_volume(volume: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::syncfs(volume)
}

/// Whether a path is where a file system is mounted, rather than a directory of one. A directory that is mounted by
/// itself (a bind mount: hostPath and local volumes in a container) is still a directory: what statfs says of its file
/// system says nothing about it.
pub fn is_mount_point(path: &Path) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(is_root_of_mount(&here)? && !is_bind_mount(here.as_fd()))
}

fn is_root_of_mount(here: &OwnedFd) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let raw = rustix::fs::statx(here, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())?;
    // Since Linux 5.8.
    if raw.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Ok(raw.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    let above = rustix::fs::openat(here, c"..", flags, Mode::empty())?;
    let (here, above) = (stat_fd(here.as_fd())?, stat_fd(above.as_fd())?);
    let is_root = here.inode == above.inode && here.device == above.device;
    Ok(is_root || here.mount_id != above.mount_id)
}

/// ST_RDONLY of sys/statvfs.h; statfs(2) has the same bits since Linux 2.6.36.
const ST_RDONLY: u64 = 1;

/// The fields of struct statfs have other types on other architectures and none of them is ever negative.
fn positive<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(0)
}

/// The type in /proc/self/mountinfo (proc_pid_mountinfo(5)): "36 35 98:0 /root /point options tags - type source ...".
/// False where /proc does not say.
fn is_bind_mount(here: BorrowedFd<'_>) -> bool {
    let root = mount_line(here).and_then(|line| line.split(' ').nth(3).map(str::to_owned));
    root.is_some_and(|root| root != "/")
}

fn mounted_type(volume: BorrowedFd<'_>) -> Option<String> {
    line_type(&mount_line(volume)?)
}

fn line_type(line: &str) -> Option<String> {
    line.split(" - ").nth(1)?.split(' ').next().map(str::to_owned)
}

/// What mountinfo says of the mount that holds this.
pub(super) fn mount_line(volume: BorrowedFd<'_>) -> Option<String> {
    let mount_id = stat_fd(volume).ok()?.mount_id?;
    let mountinfo = std::fs::read("/proc/self/mountinfo").ok()?;
    line_of(&String::from_utf8_lossy(&mountinfo), mount_id)
}

fn line_of(mountinfo: &str, mount_id: u64) -> Option<String> {
    let is_it = |line: &&str| line.split(' ').next().and_then(|id| id.parse().ok()) == Some(mount_id);
    mountinfo.lines().find(is_it).map(str::to_owned)
}

/// linux/magic.h and statfs(2).
pub(super) fn type_of_magic<T: TryInto<i64>>(magic: T) -> &'static str {
    match magic.try_into().unwrap_or(0) & 0xffff_ffff {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x6969 => "nfs",
        0x794c_7630 => "overlay",
        0x6573_5546 => "fuse",
        0x00c3_6400 => "ceph",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x0102_1997 => "9p",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x0bd0_0bd0 => "lustre",
        0x4750_4653 => "gpfs",
        0x0116_1970 => "gfs2",
        0xca45_1a4e => "bcachefs",
        0x8584_58f6 => "ramfs",
        _ => "unknown",
    }
}

/// Major and minor of the running kernel.
pub fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    parse_release(&release)
}

fn parse_release(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(parse_release("4.18.0-553.el8_10.x86_64"), (4, 18));
        assert_eq!(parse_release("5.8-rc1"), (5, 8));
        assert_eq!(parse_release("odd"), (0, 0));
    }

    #[test]
    fn the_type_is_the_word_after_the_dash() {
        let text = "21 1 8:1 / / rw - ext4 /dev/a rw\n36 21 0:40 / /a rw,nosuid shared:5 - fuse.sshfs host: rw\n";
        assert_eq!(line_of(text, 36).as_deref().and_then(line_type).as_deref(), Some("fuse.sshfs"));
        assert_eq!(line_of(text, 3), None);
    }

    #[test]
    fn network_file_systems_are_not_trusted_with_syncfs() {
        for each in ["nfs4", "fuse.sshfs", "overlay", "ceph", "9p"] {
            assert!(matches!(durability_by_type(each), Durability::FsyncEach(_)), "{each}");
        }
        assert_eq!(durability_by_type("xfs"), Durability::Syncfs);
    }
}
