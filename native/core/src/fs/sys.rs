//! The system calls rustix lacks. The only unsafe code of this layer.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

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

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_the_one_in_linux_fs_h() {
        assert_eq!(super::FS_IOC_FSGETXATTR, 0x801c_581f);
    }
}
