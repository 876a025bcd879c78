//! A limit of bytes per second that several connections keep together.

use super::duplex::Duplex;
use super::socket::Socket;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What was left unused may be caught up with, so much of it: timers are not exact, and neither are disks.
const CREDIT: Duration = Duration::from_millis(50);

/// The longest wait without a look whether the connection still is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A twentieth of a second's bytes at once keeps the flow even, within what a write is worth and what a frame holds.
const SLICES_PER_SECOND: u64 = 20;
const SLICE_LEAST: u64 = 4 << 10;
const SLICE_MOST: u64 = 64 << 10;

/// Leaky bucket: each piece is given the moment from which it may go.
pub struct Pace {
    per_second: AtomicU64,
    /// From when on the next piece may go.
    free_from: Mutex<Instant>,
}

impl Pace {
    /// At least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { per_second: AtomicU64::new(bytes_per_second.max(1)), free_from: Mutex::new(Instant::now()) }
    }

    fn slice(&self) -> usize {
        let rate = self.per_second.load(Ordering::Relaxed);
        let slice = (rate / SLICES_PER_SECOND).clamp(SLICE_LEAST, SLICE_MOST);
        usize::try_from(slice).unwrap_or(usize::MAX)
    }

    fn reserve(&self, bytes: usize) -> Instant {
        let rate = self.per_second.load(Ordering::Relaxed);
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let now = Instant::now();
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let from = (*free_from).max(now.checked_sub(CREDIT).unwrap_or(now));
        *free_from = from + takes;
        from
    }
}

/// A stream whose writing keeps a pace.
pub struct PacedStream {
    inner: Arc<dyn Duplex>,
    pace: Arc<Pace>,
    aborted: AtomicBool,
}

impl PacedStream {
    pub fn new(inner: Arc<dyn Duplex>, pace: Arc<Pace>) -> Self {
        Self { inner, pace, aborted: AtomicBool::new(false) }
    }

    fn wait_until(&self, moment: Instant) -> io::Result<()> {
        loop {
            if self.aborted.load(Ordering::Acquire) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

impl Duplex for PacedStream {
    fn read(&self, buf: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.inner.read(buf, timeout)
    }

    fn has_more(&self) -> bool {
        self.inner.has_more()
    }

    fn socket(&self) -> &Socket {
        self.inner.socket()
    }

    fn write_all(&self, parts: &[&[u8]], timeout: Duration) -> io::Result<()> {
        let mut rest = parts.to_vec();
        while !rest.is_empty() {
            let slice = self.pace.slice();
            let (now, bytes) = split(&mut rest, slice);
            self.wait_until(self.pace.reserve(bytes))?;
            self.inner.write_all(&now, timeout)?;
        }
        Ok(())
    }

    fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.inner.abort();
    }

    fn finish(&self, timeout: Duration) {
        self.inner.finish(timeout);
    }
}

/// Takes at most `most` bytes from the front of `rest`; the second value is how many.
fn split<'a>(rest: &mut Vec<&'a [u8]>, most: usize) -> (Vec<&'a [u8]>, usize) {
    let mut taken = Vec::new();
    let mut left = most;
    let mut whole = 0;
    for part in rest.iter_mut() {
        let (now, later) = part.split_at(part.len().min(left));
        taken.push(now);
        left -= now.len();
        *part = later;
        if !later.is_empty() {
            break;
        }
        whole += 1;
    }
    rest.drain(..whole);
    (taken, most - left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PlainStream;

    const LONG: Duration = Duration::from_secs(30);

    fn drain(stream: PlainStream) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let (mut all, mut buf) = (Vec::new(), [0_u8; 65_536]);
            while let Ok(count @ 1..) = stream.read(&mut buf, LONG) {
                all.extend_from_slice(&buf[..count]);
            }
            all
        })
    }

    #[test]
    fn two_streams_keep_one_pace_and_lose_nothing() -> io::Result<()> {
        let pace = Arc::new(Pace::new(4_000_000));
        let started = Instant::now();
        let content: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut writers = Vec::new();
        let mut readers = Vec::new();
        for _ in 0..2 {
            let (near, far) = PlainStream::pair()?;
            readers.push(drain(far));
            let (pace, content) = (Arc::clone(&pace), content.clone());
            writers.push(thread::spawn(move || {
                let paced = PacedStream::new(Arc::new(near), pace);
                let written = paced.write_all(&[&content[..10], &[], &content[10..]], LONG);
                paced.abort();
                written
            }));
        }
        for writer in writers {
            writer.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        }
        // 2 MB at 4 MB/s, less the credit and the last slice.
        assert!(started.elapsed() >= Duration::from_millis(420), "{:?}", started.elapsed());
        for reader in readers {
            assert_eq!(reader.join().unwrap_or_default(), content);
        }
        Ok(())
    }

    #[test]
    fn abort_ends_a_long_wait() -> io::Result<()> {
        let (near, _far) = PlainStream::pair()?;
        let paced = Arc::new(PacedStream::new(Arc::new(near), Arc::new(Pace::new(1_000))));
        let writer = Arc::clone(&paced);
        let writing = thread::spawn(move || writer.write_all(&[&[0; 60_000]], LONG));
        thread::sleep(Duration::from_millis(50));
        let began = Instant::now();
        paced.abort();
        assert!(writing.join().is_ok_and(|written| written.is_err()));
        assert!(began.elapsed() < Duration::from_secs(5));
        Ok(())
    }
}
