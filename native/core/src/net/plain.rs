//! A connection without TLS over a socket pair: for tests of whatever speaks over a [`Duplex`].

use super::duplex::Duplex;
use super::socket::{Readiness, Socket};
use rustix::net::Shutdown;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub struct PlainStream {
    socket: Socket,
    /// Held over a whole `write_all`, so that two writers do not mix their parts.
    writing: Mutex<()>,
}

impl PlainStream {
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: Socket::new(fd)?, writing: Mutex::new(()) })
    }

    /// Two ends of one connection.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (left, right) = UnixStream::pair()?;
        Ok((Self::new(left.into())?, Self::new(right.into())?))
    }
}

impl Duplex for PlainStream {
    fn read(&self, buf: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(count) = self.socket.try_read(buf)? {
                return Ok(count);
            }
            self.socket.wait(Readiness::Read, deadline)?;
        }
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn write_all(&self, parts: &[&[u8]], timeout: Duration) -> io::Result<()> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        let mut deadline = Instant::now() + timeout;
        while !rest.is_empty() {
            match self.socket.try_write(rest)? {
                Some(count) => {
                    IoSlice::advance_slices(&mut rest, count);
                    deadline = Instant::now() + timeout;
                }
                None => self.socket.wait(Readiness::Write, deadline)?,
            }
        }
        Ok(())
    }

    fn abort(&self) {
        self.socket.abort();
    }

    fn finish(&self, timeout: Duration) {
        self.socket.shut(Shutdown::Write);
        let deadline = Instant::now() + timeout;
        let mut sink = [0_u8; 4096];
        while let Ok(count) = self.read(&mut sink, deadline.saturating_duration_since(Instant::now()))
            && count > 0
        {}
        self.socket.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn carries_parts_in_order_and_ends_cleanly() -> io::Result<()> {
        let (left, right) = PlainStream::pair()?;
        let big = vec![7_u8; 3 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = left.write_all(&[b"ab", b"", &big, b"c"], LONG);
                left.finish(LONG);
            });
            let mut all = Vec::new();
            let mut buf = vec![0_u8; 1 << 16];
            loop {
                let count = right.read(&mut buf, LONG)?;
                if count == 0 {
                    break;
                }
                all.extend_from_slice(&buf[..count]);
            }
            right.abort();
            assert_eq!(all.len(), big.len() + 3);
            assert_eq!(&all[..3], b"ab\x07");
            assert_eq!(all.last(), Some(&b'c'));
            Ok(())
        })
    }

    #[test]
    fn times_out_and_wakes_on_abort() -> io::Result<()> {
        let (left, _right) = PlainStream::pair()?;
        let mut buf = [0_u8; 8];
        let quiet = left.read(&mut buf, Duration::from_millis(20));
        assert_eq!(quiet.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| left.read(&mut [0_u8; 8], LONG));
            std::thread::sleep(Duration::from_millis(30));
            left.abort();
            let woken = reader.join().map_err(|_| io::ErrorKind::Other)?;
            assert_eq!(woken.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionAborted));
            Ok(())
        })
    }
}
