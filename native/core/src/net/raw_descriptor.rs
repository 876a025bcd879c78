//! The one place where a descriptor comes in as a bare number, from JavaScript.

#![allow(unsafe_code)]

use crate::error::{CoreError, ErrorKind};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// A duplicate of our own; the number's owner keeps and closes the original.
pub fn duplicate(fd: RawFd) -> Result<OwnedFd, CoreError> {
    if fd < 0 {
        return Err(CoreError::bug(format!("{fd} is not a descriptor.")));
    }
    // SAFETY: only lent for the call below; a number that is not open makes fcntl fail with EBADF and nothing else.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3).map_err(|error| {
        CoreError::from_io(
            ErrorKind::Network,
            "The connection's descriptor cannot be duplicated",
            &io::Error::from(error),
        )
    })
}
