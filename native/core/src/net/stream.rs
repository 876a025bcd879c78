//! A TLS connection as [`Duplex`]: rustls does the records, this file the waiting.

use super::duplex::Duplex;
use super::explain;
use super::socket::{Readiness, Socket, SocketIo};
use crate::error::CoreError;
use rustix::net::Shutdown;
use rustls::Connection;
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One read from the socket.
const INBOX_BYTES: usize = 128 * 1024;

/// What is encrypted before it is handed to the kernel; small enough to stay in the cache in between.
const OUTBOX_BYTES: usize = 128 * 1024;

/// How often `finish` looks whether another thread's read has come to the end.
const FINISH_STEP: Duration = Duration::from_millis(5);

/// The lock on `tls` is never held while waiting; `reading` and `writing` are, and only keep other readers or other
/// writers out. Order: `reading` or `writing` first, then `tls`.
pub struct TlsStream {
    socket: Arc<Socket>,
    tls: Mutex<Connection>,
    reading: Mutex<Inbox>,
    writing: Mutex<Outbox>,
    peer: String,
}

/// Ciphertext that came from the socket and that rustls has not taken yet.
struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Ends every later read; kept because plaintext that came before it is delivered first.
    failure: Option<CoreError>,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

struct Outbox {
    /// Goes out ahead of whatever is written first.
    preface: Vec<u8>,
}

enum Sent {
    All,
    Some,
    Nothing,
}

impl TlsStream {
    /// `connection` has completed its handshake over `socket`.
    pub(super) fn new(socket: Arc<Socket>, mut connection: Connection) -> Self {
        connection.set_buffer_limit(Some(OUTBOX_BYTES));
        let peer = socket.peer_address();
        Self {
            socket,
            tls: Mutex::new(connection),
            reading: Mutex::new(Inbox {
                bytes: vec![0; INBOX_BYTES].into_boxed_slice(),
                start: 0,
                end: 0,
                failure: None,
            }),
            writing: Mutex::new(Outbox { preface: Vec::new() }),
            peer,
        }
    }

    /// "address:port" of the peer.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Bytes that precede the first write of whoever writes first, or replaces them as long as nobody has.
    pub(super) fn set_preface(&self, bytes: Vec<u8>) {
        lock(&self.writing).preface = bytes;
    }

    /// As much plaintext as is there now; `None` when more has to come from the socket first.
    fn decrypt(&self, inbox: &mut Inbox, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = lock(&self.tls);
        let mut filled = 0;
        loop {
            match tls.reader().read(&mut buf[filled..]) {
                Ok(0) if filled == 0 => return Ok(Some(0)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if filled > 0 => {}
                Err(error) => return Err(error),
            }
            if filled == buf.len() || (filled > 0 && inbox.is_empty()) {
                return Ok(Some(filled));
            }
            if let Some(failure) = inbox.failure.clone() {
                return Err(failure.into());
            }
            if inbox.is_empty() {
                return Ok(None);
            }
            self.feed(&mut tls, inbox)?;
        }
    }

    /// Gives rustls a piece of the inbox (it takes 4 KiB at a time).
    fn feed(&self, tls: &mut Connection, inbox: &mut Inbox) -> io::Result<()> {
        let taken = tls.read_tls(&mut &inbox.bytes[inbox.start..inbox.end])?;
        // After close_notify rustls takes nothing any more, and nothing that follows counts.
        inbox.start = if taken == 0 { inbox.end } else { inbox.start + taken };
        if let Err(error) = tls.process_new_packets() {
            // The alert that tells the peer why.
            let _ = tls.write_tls(&mut SocketIo(&self.socket));
            inbox.failure = Some(explain::tls_error(&error, &self.peer));
            inbox.start = inbox.end;
        }
        Ok(())
    }

    /// Refills the inbox; false when nothing is there now. Tells rustls about the end of the stream.
    fn receive(&self, inbox: &mut Inbox) -> io::Result<bool> {
        match self.socket.try_read(&mut inbox.bytes)? {
            None => Ok(false),
            Some(0) => {
                let mut tls = lock(&self.tls);
                tls.read_tls(&mut io::empty())?;
                let _ = tls.process_new_packets();
                Ok(true)
            }
            Some(count) => {
                inbox.start = 0;
                inbox.end = count;
                Ok(true)
            }
        }
    }

    fn read_until(&self, inbox: &mut Inbox, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            if let Some(count) = self.decrypt(inbox, buf)? {
                return Ok(count);
            }
            if !self.receive(inbox)? {
                self.socket.wait(Readiness::Read, deadline)?;
            }
        }
    }

    /// Encrypts what fits and hands it to the kernel.
    fn send_some(&self, rest: &mut &mut [IoSlice<'_>]) -> io::Result<Sent> {
        let mut tls = lock(&self.tls);
        if !rest.is_empty() {
            let taken = tls.writer().write_vectored(rest)?;
            IoSlice::advance_slices(rest, taken);
        }
        let mut moved = 0;
        while tls.wants_write() {
            match tls.write_tls(&mut SocketIo(&self.socket)) {
                Ok(count) => moved += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(if moved == 0 { Sent::Nothing } else { Sent::Some });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(if rest.is_empty() { Sent::All } else { Sent::Some })
    }

    fn write_until(&self, rest: &mut &mut [IoSlice<'_>], timeout: Duration) -> io::Result<()> {
        let mut deadline = Instant::now() + timeout;
        loop {
            match self.send_some(rest)? {
                Sent::All => return Ok(()),
                Sent::Some => deadline = Instant::now() + timeout,
                Sent::Nothing => self.socket.wait(Readiness::Write, deadline)?,
            }
        }
    }

    /// A peer that rejects us says why in an alert and then closes, so that our write may fail before we have read
    /// the alert. It is still in the receive queue then, and says more than "reset".
    fn last_words(&self, error: io::Error) -> io::Error {
        let broken = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        if broken
            && let Ok(mut inbox) = self.reading.try_lock()
            && let Some(alert) = self.next_is_alert(&mut inbox)
        {
            return alert.into();
        }
        self.name(error)
    }

    /// The alert that comes next, if one does. Plaintext stays where it is: whoever reads has not had it yet.
    fn next_is_alert(&self, inbox: &mut Inbox) -> Option<CoreError> {
        loop {
            while !inbox.is_empty() {
                let mut tls = lock(&self.tls);
                self.feed(&mut tls, inbox).ok()?;
                if inbox.failure.is_some() {
                    return inbox.failure.clone();
                }
                if tls.process_new_packets().ok()?.plaintext_bytes_to_read() > 0 {
                    return None;
                }
            }
            if !self.receive(inbox).ok()? || inbox.is_empty() {
                return None;
            }
        }
    }

    fn name(&self, error: io::Error) -> io::Error {
        if error.get_ref().is_some_and(is_core_error) {
            return error;
        }
        explain::stream_io(&error, &self.peer)
    }

    /// Reads until the peer has finished too; when another thread is reading, that thread drains for us.
    fn drain(&self, deadline: Instant) {
        let mut sink = vec![0_u8; 64 * 1024];
        while Instant::now() < deadline && !self.socket.is_aborted() {
            match self.reading.try_lock() {
                Ok(mut inbox) => match self.read_until(&mut inbox, &mut sink, deadline) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                Err(_) => std::thread::sleep(FINISH_STEP),
            }
        }
    }
}

impl Duplex for TlsStream {
    fn read(&self, buf: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + timeout;
        let mut inbox = lock(&self.reading);
        self.read_until(&mut inbox, buf, deadline).map_err(|error| self.name(error))
    }

    fn write_all(&self, parts: &[&[u8]], timeout: Duration) -> io::Result<()> {
        let mut outbox = lock(&self.writing);
        let preface = mem::take(&mut outbox.preface);
        let mut slices = Vec::with_capacity(parts.len() + 1);
        slices.push(IoSlice::new(&preface));
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        self.write_until(&mut rest, timeout).map_err(|error| self.last_words(error))
    }

    fn abort(&self) {
        self.socket.abort();
    }

    fn finish(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        // A writer that is still busy here is stuck: nobody finishes a connection that is in use.
        if let Ok(_turn) = self.writing.try_lock() {
            lock(&self.tls).send_close_notify();
            let mut nothing: &mut [IoSlice<'_>] = &mut [];
            if self.write_until(&mut nothing, timeout).is_ok() {
                self.socket.shut(Shutdown::Write);
                self.drain(deadline);
            }
        }
        self.socket.abort();
    }
}

/// A panic elsewhere does not make the connection's own state wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_core_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<CoreError>()
}
