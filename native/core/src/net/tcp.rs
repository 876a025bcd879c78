//! What the kernel knows of a TCP connection, and what it can be told of one (tcp(7)), as far as rustix has no words for it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct tcp_info` of linux/tcp.h, as of Linux 4.18; later ones only add to its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Info {
    bytes: [u8; 8],
    rto_to_advmss: [u32; 15],
    rtt: u32,
    rttvar_to_rcv_space: [u32; 7],
    total_retrans: u32,
    pacing: [u64; 2],
    bytes_acked: u64,
    bytes_received: u64,
    segs_out_to_notsent: [u32; 3],
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed, and the least of the last minutes, microseconds.
    pub round_trip_us: u32,
    pub least_round_trip_us: u32,
    /// Since the connection began; what was sent again counts as sent once more.
    pub acknowledged_bytes: u64,
    pub sent_segments: u32,
    pub repeated_segments: u32,
}

/// None for what is no TCP connection, or a kernel that tells less.
pub fn read_info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    let mut info = Info::default();
    let size = size_of::<Info>();
    let mut length = libc::socklen_t::try_from(size).ok()?;
    let (level, pointer) = (libc::IPPROTO_TCP, (&raw mut info).cast());
    // SAFETY: the kernel writes at most `length` bytes to `info`, all of whose bit patterns are valid, and the number of
    // them to `length` (do_tcp_getsockopt in net/ipv4/tcp.c); both live until it returns.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), level, libc::TCP_INFO, pointer, &raw mut length) };
    if result != 0 || usize::try_from(length).is_ok_and(|length| length < size) {
        return None;
    }
    Some(TcpInfo {
        round_trip_us: info.rtt,
        least_round_trip_us: info.min_rtt,
        acknowledged_bytes: info.bytes_acked,
        sent_segments: info.data_segs_out,
        repeated_segments: info.total_retrans,
    })
}

/// TCP_NOTSENT_LOWAT: the connection takes more only while fewer bytes than this wait to be sent for the first time.
pub(super) fn limit_unsent(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::TCP_NOTSENT_LOWAT, bytes)
}

/// TCP_MAXSEG, before the connection is made: no packet in either direction has more content than this.
pub(super) fn limit_segments(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(fd, libc::TCP_MAXSEG, bytes)
}

fn set(fd: BorrowedFd<'_>, option: libc::c_int, number: u32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<u32>()).map_err(io::Error::other)?;
    let (level, value) = (libc::IPPROTO_TCP, (&raw const number).cast());
    // SAFETY: the kernel reads one int from `number`, which lives until it returns (do_tcp_setsockopt in net/ipv4/tcp.c).
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, value, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel says to this algorithm, asked with a socket of its own.
pub fn try_congestion(algorithm: &str) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
    let socket = |family| socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let fd = socket(AddressFamily::INET).or_else(|_| socket(AddressFamily::INET6))?;
    Ok(sockopt::set_tcp_congestion(&fd, algorithm)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::mem::offset_of;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_fields_lie_where_linux_tcp_h_has_them() {
        let offsets =
            [offset_of!(Info, rtt), offset_of!(Info, total_retrans), offset_of!(Info, bytes_acked), size_of::<Info>()];
        assert_eq!(offsets, [68, 100, 120, 160]);
        assert_eq!([offset_of!(Info, min_rtt), offset_of!(Info, data_segs_out)], [148, 156]);
    }

    #[test]
    fn a_connection_tells_what_it_has_sent() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut near = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        near.write_all(&[1; 1000])?;
        far.read_exact(&mut [0; 1000])?;
        // The answer cannot come before what it acknowledges.
        far.write_all(&[2])?;
        near.read_exact(&mut [0])?;
        let info = read_info(near.as_fd()).ok_or(io::ErrorKind::Other)?;
        // The SYN counts as a byte.
        assert_eq!((info.acknowledged_bytes, info.sent_segments, info.repeated_segments), (1001, 1, 0));
        assert!(info.round_trip_us > 0 && info.least_round_trip_us <= info.round_trip_us, "{info:?}");
        Ok(())
    }

    #[test]
    fn a_socket_pair_tells_nothing() -> io::Result<()> {
        let (near, _far) = UnixStream::pair()?;
        assert_eq!(read_info(near.as_fd()), None);
        Ok(())
    }

    #[test]
    fn a_connection_takes_little_that_it_cannot_send() -> io::Result<()> {
        let taken = |limit: Option<u32>| -> io::Result<usize> {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let mut near = TcpStream::connect(listener.local_addr()?)?;
            let (_far, _) = listener.accept()?;
            limit.map_or(Ok(()), |bytes| limit_unsent(near.as_fd(), bytes))?;
            near.set_nonblocking(true)?;
            let (mut taken, mut refused) = (0, 0);
            // Nobody reads: what the other end has no room for waits here.
            while refused < 20 {
                match near.write(&[0; 16_384]) {
                    Ok(count) => taken += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        refused += 1;
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(taken)
        };
        let (free, limited) = (taken(None)?, taken(Some(65_536))?);
        assert!(limited + 1_000_000 < free, "{limited} of {free}");
        Ok(())
    }

    #[test]
    fn an_algorithm_that_there_is_not_is_refused() {
        let refused = try_congestion("pvferry-none").map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::NotFound));
        assert!(try_congestion("reno").is_ok());
    }
}
