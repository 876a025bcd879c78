//! Making, renaming and removing entries other than files and directories that are opened.
//!
//! All take a directory descriptor and one name, so that nothing is followed and nothing lies outside.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Mode, RenameFlags, makedev};
use rustix::io::Errno;

use super::name::component;
use super::stat::{Kind, stat_at};

/// A symbolic link with exactly this text. `EINVAL` for a text with NUL, `ENAMETOOLONG` over 4095 bytes.
pub fn symlink(directory: BorrowedFd<'_>, name: &[u8], text: &[u8]) -> Result<(), Errno> {
    rustix::fs::symlinkat(text, directory, component(name)?)
}

/// Another name for an entry of any kind but a directory; a symbolic link itself is linked, not what it points to.
///
/// `EMLINK` at the file system's limit, `EXDEV` across mounts, `EPERM` where there are no hard links (linkat(2)).
pub fn hard_link(
    old_directory: BorrowedFd<'_>,
    old_name: &[u8],
    directory: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(), Errno> {
    rustix::fs::linkat(old_directory, component(old_name)?, directory, component(name)?, AtFlags::empty())
}

/// A FIFO, socket or device; the permission bits of `mode` less the umask. `EINVAL` for other kinds, `EPERM` for
/// devices without CAP_MKNOD or inside a user namespace.
pub fn node(directory: BorrowedFd<'_>, name: &[u8], kind: Kind, mode: u32, device: (u32, u32)) -> Result<(), Errno> {
    let (file_type, device) = match kind {
        Kind::Fifo => (FileType::Fifo, 0),
        Kind::Socket => (FileType::Socket, 0),
        Kind::CharDevice => (FileType::CharacterDevice, makedev(device.0, device.1)),
        Kind::BlockDevice => (FileType::BlockDevice, makedev(device.0, device.1)),
        Kind::File | Kind::Directory | Kind::Symlink => return Err(Errno::INVAL),
    };
    rustix::fs::mknodat(directory, component(name)?, file_type, Mode::from_raw_mode(mode & 0o777), device)
}

/// Renames atomically, replacing what bears the new name (a non-directory by a non-directory).
pub fn rename(
    old_directory: BorrowedFd<'_>,
    old_name: &[u8],
    directory: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(), Errno> {
    rustix::fs::renameat(old_directory, component(old_name)?, directory, component(name)?)
}

/// Renames unless the new name is taken (`EEXIST`).
///
/// Atomic with renameat2's RENAME_NOREPLACE; NFS and some FUSE file systems refuse the flag with EINVAL, and there the
/// name is looked at first.
pub fn rename_no_replace(
    old_directory: BorrowedFd<'_>,
    old_name: &[u8],
    directory: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(), Errno> {
    let (old, new) = (component(old_name)?, component(name)?);
    match rustix::fs::renameat_with(old_directory, old, directory, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match stat_at(directory, name) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rename(old_directory, old_name, directory, name),
            Err(errno) => Err(errno),
        },
        other => other,
    }
}

/// Removes a name of anything but a directory (`EISDIR`).
pub fn unlink(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::unlinkat(directory, component(name)?, AtFlags::empty())
}

/// Removes an empty directory. `EBUSY` for a mount point.
pub fn remove_directory(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::unlinkat(directory, component(name)?, AtFlags::REMOVEDIR)
}
