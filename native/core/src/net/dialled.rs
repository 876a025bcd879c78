//! What a dialler hands over.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

/// A connected socket that nothing has been read from.
pub struct Dialled {
    pub fd: OwnedFd,
    /// What messages call the other end, which may be far behind a proxy; without it, the address that the kernel knows.
    pub peer: Option<String>,
}

impl From<OwnedFd> for Dialled {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, peer: None }
    }
}

impl From<TcpStream> for Dialled {
    fn from(stream: TcpStream) -> Self {
        OwnedFd::from(stream).into()
    }
}
