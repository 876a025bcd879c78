//! A connection that carries frames: one thread reads, several may send.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cursor::Malformed;
use super::frame::{FrameType, HEADER, Header};
use crate::error::CoreError;
use crate::net::duplex::Duplex;
use crate::net::socket::Socket;

/// How long a write may stand still. Longer than the silence that the reading thread tolerates on purpose: a peer whose
/// disk stalls still sends keep-alives, and they, not our full send buffer, say whether it lives.
const WRITE_PATIENCE: Duration = Duration::from_secs(600);

/// Frames that are held back go out when there are this many bytes of them.
const HELD_BYTES: usize = 16 << 10;

pub struct Channel {
    stream: Arc<dyn Duplex>,
    /// Held while sending: frames that wait for the next one, to go out with it.
    sending: Mutex<Vec<u8>>,
    idle_timeout: Duration,
    opened: Instant,
    last_sent_ms: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    broken: AtomicBool,
}

impl Channel {
    /// `idle_timeout`: silence after which the connection counts as dead.
    pub fn new(stream: Arc<dyn Duplex>, idle_timeout: Duration) -> Self {
        Self {
            stream,
            sending: Mutex::new(Vec::new()),
            idle_timeout,
            opened: Instant::now(),
            last_sent_ms: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Sends one frame whose payload is the concatenation of `parts`.
    pub fn send(&self, frame_type: FrameType, zstd: bool, parts: &[&[u8]]) -> Result<(), CoreError> {
        let header = header_of(frame_type, zstd, parts)?.encode();
        let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        all.push(&header);
        all.extend_from_slice(parts);
        self.write(&mut self.turn(), &all)
    }

    /// Takes a small frame along with the next one that is sent. Whoever holds frames back and then waits for something
    /// calls [`Channel::flush`] before.
    pub fn hold(&self, frame_type: FrameType, parts: &[&[u8]]) -> Result<(), CoreError> {
        let header = header_of(frame_type, false, parts)?;
        let mut held = self.turn();
        held.extend_from_slice(&header.encode());
        parts.iter().for_each(|part| held.extend_from_slice(part));
        if held.len() < HELD_BYTES { Ok(()) } else { self.write(&mut held, &[]) }
    }

    /// Sends what is held back.
    pub fn flush(&self) -> Result<(), CoreError> {
        let mut held = self.turn();
        if held.is_empty() { Ok(()) } else { self.write(&mut held, &[]) }
    }

    fn turn(&self) -> MutexGuard<'_, Vec<u8>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is held back and then `parts`.
    fn write(&self, held: &mut Vec<u8>, parts: &[&[u8]]) -> Result<(), CoreError> {
        let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
        all.extend((!held.is_empty()).then_some(&held[..]));
        all.extend_from_slice(parts);
        self.stream.write_all(&all, WRITE_PATIENCE).map_err(|error| self.failed(error))?;
        let bytes: usize = all.iter().map(|part| part.len()).sum();
        held.clear();
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_sent_ms.store(self.now_ms(), Ordering::Relaxed);
        Ok(())
    }

    /// Starts the thread that sends PINGs until the channel breaks or is dropped. Each channel has its own: a PING that
    /// finds the send buffer full waits, and no other connection may fall silent meanwhile.
    pub fn stay_alive(self: &Arc<Self>, interval: Duration) -> std::io::Result<()> {
        let weak = Arc::downgrade(self);
        thread::Builder::new().name("keep-alive".into()).spawn(move || {
            loop {
                thread::sleep(interval / 4);
                let Some(channel) = weak.upgrade().filter(|channel| !channel.is_broken()) else { return };
                channel.keep_alive(interval);
            }
        })?;
        Ok(())
    }

    /// Sends a PING when nothing was sent for `interval`. Never waits behind a write that is under way, which is itself
    /// a sign of life.
    pub fn keep_alive(&self, interval: Duration) {
        let idle = self.now_ms().saturating_sub(self.last_sent_ms.load(Ordering::Relaxed));
        if u128::from(idle) < interval.as_millis() || self.is_broken() {
            return;
        }
        let Ok(mut held) = self.sending.try_lock() else { return };
        let header = Header { frame_type: FrameType::Ping, zstd: false, length: 0 }.encode();
        // An error is kept in `broken`.
        let _ = self.write(&mut held, &[&header]);
    }

    /// Receives the next frame into `payload`, PINGs skipped. None at a clean end between two frames.
    pub fn receive(&self, payload: &mut Vec<u8>) -> Result<Option<Header>, CoreError> {
        self.receive_or(payload, || Ok(()))
    }

    /// As [`Channel::receive`]. `about_to_wait` is called whenever no other frame has come yet: the time to say what was
    /// put off.
    pub fn receive_or(
        &self,
        payload: &mut Vec<u8>,
        mut about_to_wait: impl FnMut() -> Result<(), CoreError>,
    ) -> Result<Option<Header>, CoreError> {
        loop {
            if !self.stream.has_more() {
                about_to_wait()?;
            }
            let mut bytes = [0; HEADER];
            if !self.fill(&mut bytes, true)? {
                return Ok(None);
            }
            let header = Header::decode(&bytes).map_err(malformed)?;
            payload.resize(header.length as usize, 0);
            self.fill(payload, false)?;
            self.received.fetch_add(u64::from(header.length) + HEADER as u64, Ordering::Relaxed);
            if header.frame_type != FrameType::Ping {
                return Ok(Some(header));
            }
        }
    }

    fn fill(&self, buffer: &mut [u8], may_end: bool) -> Result<bool, CoreError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            match self.stream.read(rest, self.idle_timeout).map_err(|error| self.failed(error))? {
                0 if filled == 0 && may_end => return Ok(false),
                0 => return Err(CoreError::network("The connection ended in the middle of a frame.")),
                read => filled += read,
            }
        }
        Ok(true)
    }

    fn failed(&self, error: std::io::Error) -> CoreError {
        self.broken.store(true, Ordering::Relaxed);
        if error.kind() == std::io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
            let seconds = self.idle_timeout.as_secs();
            return CoreError::network(format!("The peer was silent for {seconds} s."));
        }
        error.into()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The connection has failed, or was aborted.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Breaks the connection; threads blocked in it return.
    pub fn abort(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.stream.abort();
    }

    /// Ends the connection cleanly, waiting at most `timeout` for the peer's last bytes.
    pub fn finish(&self, timeout: Duration) {
        self.stream.finish(timeout);
    }

    /// For what the kernel says of the connection.
    pub fn socket(&self) -> &Socket {
        self.stream.socket()
    }

    /// Bytes of frames sent and received so far.
    pub fn transferred(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }
}

fn header_of(frame_type: FrameType, zstd: bool, parts: &[&[u8]]) -> Result<Header, CoreError> {
    let payload: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(payload).map_err(|_| CoreError::bug("A frame is too long to send."))?;
    if length > super::limits::MAX_FRAME {
        return Err(CoreError::bug(format!("A frame of {length} bytes is too long to send.")));
    }
    Ok(Header { frame_type, zstd, length })
}

/// The error that a malformed frame ends the session with.
pub fn malformed(error: Malformed) -> CoreError {
    CoreError::protocol(format!("The peer broke the protocol: {}.", error.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PlainStream;

    /// Seen as 20 s of silence on an index whose lanes were stuck: one thread kept all connections alive.
    #[test]
    fn a_connection_whose_peer_does_not_read_silences_no_other() -> std::io::Result<()> {
        let (interval, patience) = (Duration::from_millis(20), Duration::from_millis(100));
        let channel = || -> std::io::Result<_> {
            let (near, far) = PlainStream::pair()?;
            Ok((Arc::new(Channel::new(Arc::new(near), Duration::from_secs(20))), far))
        };
        let ((stuck, _unread), (other, heard)) = (channel()?, channel()?);
        while stuck.stream.write_all(&[&[0; 4_096]], patience).is_ok() {}
        [&stuck, &other].into_iter().try_for_each(|channel| channel.stay_alive(interval))?;
        let mut ping = [0; HEADER];
        for _ in 0..10 {
            assert_eq!(heard.read(&mut ping, Duration::from_secs(5))?, HEADER);
        }
        [&stuck, &other].into_iter().for_each(|channel| channel.abort());
        Ok(())
    }
}
