//! A connected stream socket, used without blocking: every wait is a poll with a deadline that `abort` ends at once.

use super::tcp::{self, TcpInfo};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The kernel's IOV_MAX.
const MAX_PARTS: usize = 1024;

pub struct Socket {
    fd: OwnedFd,
    aborted: AtomicBool,
    /// In place of the kernel's address.
    name: Option<String>,
}

/// How soon the kernel notices that the other machine is gone while nothing is sent: after 25 s. TCP_USER_TIMEOUT is left
/// alone on purpose: it would also break connections to a peer that lives but is too busy to read (a closed window), and
/// replaces the number of probes. Stalls while sending are for the caller's own timeouts to judge.
const KEEP_IDLE: Duration = Duration::from_secs(10);
const KEEP_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_PROBES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Read,
    Write,
}

impl Socket {
    /// The descriptor is made non-blocking, which also holds for every duplicate of it.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd, aborted: AtomicBool::new(false), name: None })
    }

    /// What the other end is called from now on.
    pub fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// No delay, keep-alives. Without effect on a socket pair (a bridged connection), hence the ignored results.
    pub fn tune(&self) {
        let _ = sockopt::set_tcp_nodelay(&self.fd, true);
        let _ = sockopt::set_socket_keepalive(&self.fd, true);
        let _ = sockopt::set_tcp_keepidle(&self.fd, KEEP_IDLE);
        let _ = sockopt::set_tcp_keepintvl(&self.fd, KEEP_INTERVAL);
        let _ = sockopt::set_tcp_keepcnt(&self.fd, KEEP_PROBES);
    }

    /// None for a bridged connection, of which only the bridge knows.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        tcp::read_info(self.fd())
    }

    /// What is sent from now on is paced by another algorithm. Whether there is one by that name is to be asked before
    /// ([`tcp::try_congestion`]); a bridged connection has none.
    pub fn set_congestion(&self, algorithm: &str) {
        let _ = sockopt::set_tcp_congestion(&self.fd, algorithm);
    }

    /// The kernel takes no more than it can send soon: so many bytes that it has not sent yet.
    pub fn limit_unsent(&self, bytes: u32) {
        let _ = tcp::limit_unsent(self.fd(), bytes);
    }

    /// Its name, or "address:port"; IPv4 addresses in their own form also on a dual-stack socket.
    pub fn peer_address(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let address = rustix::net::getpeername(&self.fd).ok().flatten();
        match address.and_then(|any| SocketAddr::try_from(any).ok()) {
            Some(address) => SocketAddr::new(address.ip().to_canonical(), address.port()).to_string(),
            None => "the other end of a local bridge".to_owned(),
        }
    }

    /// `Ok(None)` when nothing is there now; `Ok(Some(0))` at the end of the stream.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.check()?;
        loop {
            match rustix::net::recv(&self.fd, &mut *buf, RecvFlags::empty()) {
                Ok((count, _)) => {
                    self.check()?;
                    return Ok(Some(count));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `Ok(None)` when the kernel takes nothing now. Never raises SIGPIPE.
    pub fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        self.check()?;
        let parts = &parts[..parts.len().min(MAX_PARTS)];
        let mut control = SendAncillaryBuffer::default();
        loop {
            match rustix::net::sendmsg(&self.fd, parts, &mut control, SendFlags::NOSIGNAL) {
                Ok(count) => return Ok(Some(count)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the socket is ready, broken or aborted; `TimedOut` when `deadline` passes first.
    pub fn wait(&self, readiness: Readiness, deadline: Instant) -> io::Result<()> {
        let flags = match readiness {
            Readiness::Read => PollFlags::IN,
            Readiness::Write => PollFlags::OUT,
        };
        loop {
            self.check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut fds = [PollFd::new(&self.fd, flags)];
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.check(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Wakes everybody who waits (shutdown makes a socket readable and writable) and fails every later call.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::SeqCst);
        self.shut(Shutdown::Both);
    }

    pub fn shut(&self, how: Shutdown) {
        // Fails only when the peer has already broken the connection, which is as good.
        let _ = rustix::net::shutdown(&self.fd, how);
    }

    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::SeqCst)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_aborted() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed on this side"));
        }
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
}
