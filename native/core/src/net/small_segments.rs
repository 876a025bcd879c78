//! A connection whose packets are small in both directions: where full ones are lost on the way without a word, it works.

use super::socket::{Readiness, Socket};
use super::tcp;
use crate::error::CoreError;
use crate::error::describe_io;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What every IPv4 path carries (RFC 879, RFC 9293, 3.7.1); an IPv6 one carries more.
const SEGMENT: u32 = 536;

/// The segment size is said with the SYN, so that the other end keeps to it as well.
pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<OwnedFd, CoreError> {
    let ip: IpAddr = host.parse().map_err(|_| CoreError::bug(format!("{host:?} is not an address.")))?;
    let address = SocketAddr::new(ip, port);
    connect_to(address, timeout)
        .map_err(|error| CoreError::network(format!("No connection to {address} ({}).", describe_io(&error))))
}

fn connect_to(address: SocketAddr, timeout: Duration) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    tcp::limit_segments(fd.as_fd(), SEGMENT)?;
    match rustix::net::connect(&fd, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let socket = Socket::new(fd)?;
    socket.wait(Readiness::Write, Instant::now() + timeout)?;
    let fd = socket.into_fd();
    sockopt::socket_error(&fd)??;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ends_keep_to_small_segments() -> Result<(), CoreError> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let near = TcpStream::from(connect("127.0.0.1", port, Duration::from_secs(5))?);
        near.set_nonblocking(false)?;
        let (far, _) = listener.accept()?;
        for (mut from, mut to) in [(&near, &far), (&far, &near)] {
            from.write_all(&[1; 5_360])?;
            to.read_exact(&mut [0; 5_360])?;
            // Counted by the kernel: none was larger.
            let info = tcp::read_info(from.as_fd()).ok_or_else(|| CoreError::bug("no TCP connection"))?;
            assert!(info.sent_segments >= 10, "{info:?}");
        }
        Ok(())
    }

    #[test]
    fn nobody_there_is_said() {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map(|address| address.port());
        let error = port.map(|port| connect("127.0.0.1", port, Duration::from_secs(5)));
        assert!(matches!(error, Ok(Err(error)) if error.message.contains("ECONNREFUSED")));
    }
}
