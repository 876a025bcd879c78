//! What may be a name, and names seen through /proc.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Longest name, bytes (NAME_MAX, linux/limits.h).
pub const NAME_MAX: usize = 255;

/// `/proc/self/fdinfo/`, ten digits, `/`, a name, NUL.
const PROC_PATH_MAX: usize = 18 + 10 + 1 + NAME_MAX + 1;

/// Accepts one path component: not empty, `.` or `..`, without `/` and NUL, at most [`NAME_MAX`] bytes.
///
/// The peer's names pass here as well as the wire's own checks, so that no mistake elsewhere can reach outside a
/// directory. `EINVAL` for anything else, `ENAMETOOLONG` for length.
pub fn component(name: &[u8]) -> Result<&[u8], Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|&byte| byte == b'/' || byte == 0) {
        return Err(Errno::INVAL);
    }
    Ok(name)
}

/// `/proc/self/fd/N` or `/proc/self/fd/N/NAME`, on the stack: the way to calls that exist only for paths.
///
/// The first component is a magic link to exactly the inode that the descriptor holds (proc(5)), so that the rest is
/// resolved from there and nothing can be swapped above it. Needs /proc, which every container has.
pub(crate) struct ProcPath {
    bytes: [u8; PROC_PATH_MAX],
    length: usize,
}

impl ProcPath {
    /// The inode a descriptor holds, `O_PATH` ones included. Calls must follow links (`chmod`, `setxattr`).
    pub(crate) fn of(fd: BorrowedFd<'_>) -> ProcPath {
        let mut path = ProcPath { bytes: [0; PROC_PATH_MAX], length: 0 };
        path.push(b"/proc/self/fd/");
        path.push_number(fd.as_raw_fd().unsigned_abs());
        path
    }

    /// An entry of a directory. Calls must not follow links (`lsetxattr`).
    pub(crate) fn entry(directory: BorrowedFd<'_>, name: &[u8]) -> Result<ProcPath, Errno> {
        let mut path = ProcPath::of(directory);
        path.push(b"/");
        path.push(component(name)?);
        Ok(path)
    }

    /// `/proc/self/fdinfo/N`.
    pub(crate) fn fdinfo(fd: BorrowedFd<'_>) -> ProcPath {
        let mut path = ProcPath { bytes: [0; PROC_PATH_MAX], length: 0 };
        path.push(b"/proc/self/fdinfo/");
        path.push_number(fd.as_raw_fd().unsigned_abs());
        path
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }

    fn push_number(&mut self, number: u32) {
        let mut digits = [0_u8; 10];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.length]).unwrap_or(c"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_everything_that_is_not_one_component() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", &[b'x'; 256]] {
            assert!(component(bad).is_err(), "{bad:?}");
        }
        for good in [&b"..."[..], b".a", b"\xff\n", &[b'x'; 255]] {
            assert_eq!(component(good), Ok(good));
        }
    }

    #[test]
    fn a_proc_path_holds_the_longest_name() {
        let directory = std::fs::File::open("/").expect("the root opens");
        use std::os::fd::AsFd;
        let name = [b'n'; 255];
        let path = ProcPath::entry(directory.as_fd(), &name).expect("a name of 255 bytes is allowed");
        let expected = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), "n".repeat(255));
        assert_eq!(path.as_c_str().to_bytes(), expected.as_bytes());
    }
}
