//! The one place where descriptors come in, or go out, as bare numbers: JavaScript knows them as nothing else.

#![allow(unsafe_code)]

use crate::error::{CoreError, ErrorKind};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};

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

/// Two connected local stream sockets, for a stream that has no descriptor of its own. Whoever gets the numbers closes them.
pub fn socket_pair() -> Result<[RawFd; 2], CoreError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, far) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(|error| {
            CoreError::from_io(ErrorKind::Network, "No local socket pair can be made", &io::Error::from(error))
        })?;
    Ok([near.into_raw_fd(), far.into_raw_fd()])
}
