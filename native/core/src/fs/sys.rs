//! The system calls rustix lacks. The only unsafe code of this layer.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl, opcode};

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FsXattr {
    pub(super) xflags: u32,
    pub(super) extsize: u32,
    pub(super) nextents: u32,
    pub(super) projid: u32,
    pub(super) cowextsize: u32,
    pub(super) pad: [u8; 8],
}

const FS_IOC_FSGETXATTR: rustix::ioctl::Opcode = opcode::read::<FsXattr>(b'X', 31);

/// FS_IOC_FSGETXATTR. Only for files and directories: a device's driver would get the number as its own.
pub(super) fn fsgetxattr(fd: BorrowedFd<'_>) -> Result<FsXattr, Errno> {
    // SAFETY: the kernel writes exactly one struct fsxattr, all of whose bit patterns are valid, to the address it gets
    // (ioctl_fsgetxattr in fs/file_attr.c); a file system without the call writes nothing and returns an error.
    unsafe { ioctl(fd, Getter::<FS_IOC_FSGETXATTR, FsXattr>::new()) }
}

/// `__NR_listxattrat` of asm-generic/unistd.h, the same on every architecture that is supported.
const LISTXATTRAT: libc::c_long = 465;

/// listxattrat(2), since Linux 6.13: the names of the attributes of a directory's entry, which is not followed.
/// `ENOSYS` where there is none, `EPERM` from seccomp filters that are older than the call.
pub(super) fn listxattrat(directory: BorrowedFd<'_>, name: &CStr, list: &mut [u8]) -> Result<usize, Errno> {
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the kernel reads `name` up to its NUL and writes at most `list.len()` bytes to `list`, both of which live
    // until it returns (path_listxattrat in fs/xattr.c).
    let listed = unsafe {
        libc::syscall(LISTXATTRAT, directory.as_raw_fd(), name.as_ptr(), flags, list.as_mut_ptr(), list.len())
    };
    usize::try_from(listed).map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_the_one_in_linux_fs_h() {
        assert_eq!(super::FS_IOC_FSGETXATTR, 0x801c_581f);
    }
}
