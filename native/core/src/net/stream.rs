//! A TLS connection as [`Duplex`]: `record` does the records, this file the waiting. Reading and writing share nothing but
//! the key schedule, which is asked once in some hundred gigabytes.

use super::duplex::Duplex;
use super::explain;
use super::handshake::Established;
use super::identity::Protocol;
use super::record::{self, Arrival, Inbox, KeySchedule, Outbox, RecordKey};
use super::socket::{Readiness, Socket};
use crate::error::CoreError;
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown};
use std::io::{self, IoSlice};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often `finish` looks whether another thread's read has come to the end.
const FINISH_STEP: Duration = Duration::from_millis(5);

/// `reading` and `writing` are held while waiting and only keep other readers or other writers out. Order: `reading`, then
/// `writing` (only tried), then `schedule`.
pub struct TlsStream {
    socket: Arc<Socket>,
    reading: Mutex<Reading>,
    writing: Mutex<Writing>,
    schedule: Mutex<Box<dyn KeySchedule>>,
    /// The peer has asked for a KeyUpdate; whoever writes next sends it.
    key_update_wanted: AtomicBool,
    peer: String,
    protocol: Option<Protocol>,
}

struct Reading {
    inbox: Inbox,
    /// The peer has said close_notify.
    ended: bool,
    /// Ends every later read; kept because content that came before it is delivered first.
    failure: Option<CoreError>,
}

struct Writing {
    outbox: Outbox,
    /// Goes out ahead of whatever is written first.
    preface: Vec<u8>,
}

impl TlsStream {
    /// Goes on where the handshake over `socket` has ended.
    pub(super) fn new(socket: Arc<Socket>, established: Established) -> Result<Self, CoreError> {
        let peer = socket.peer_address();
        let protocol = established.protocol();
        let unusable = |error| explain::tls_error(&error, &peer);
        let receiving = RecordKey::new(established.secrets.rx).map_err(unusable)?;
        let sending = RecordKey::new(established.secrets.tx).map_err(unusable)?;
        Ok(Self {
            socket,
            reading: Mutex::new(Reading {
                inbox: Inbox::new(receiving, established.content, &established.ciphertext),
                ended: false,
                failure: None,
            }),
            writing: Mutex::new(Writing { outbox: Outbox::new(sending), preface: Vec::new() }),
            schedule: Mutex::new(established.schedule),
            key_update_wanted: AtomicBool::new(false),
            peer,
            protocol,
        })
    }

    /// "address:port" of the peer, or the name that its dialler gave it.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What the handshake agreed on.
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// The peer has sent nothing that is still to be read, and has not ended the connection.
    pub(super) fn is_silent(&self) -> bool {
        let mut byte = [0_u8; 1];
        let arrived = rustix::net::recv(self.socket.fd(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(arrived, Err(Errno::AGAIN)) && !self.has_more() && !self.socket.is_aborted()
    }

    /// Bytes that precede the first write of whoever writes first, or replaces them as long as nobody has.
    pub(super) fn set_preface(&self, bytes: Vec<u8>) {
        lock(&self.writing).preface = bytes;
    }

    /// As much content as is there now; `None` when more has to come from the socket first.
    fn decrypt(&self, reading: &mut Reading, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let mut filled = reading.inbox.take(buf);
        while filled < buf.len() {
            if reading.ended {
                return Ok(Some(filled));
            }
            if let Some(failure) = &reading.failure {
                return if filled > 0 { Ok(Some(filled)) } else { Err(failure.clone().into()) };
            }
            let arrival = reading.inbox.open_into(&mut **lock(&self.schedule), &mut buf[filled..]);
            match self.note(reading, arrival) {
                Some(Arrival::Content(count)) => filled += count,
                Some(Arrival::Incomplete) => return Ok((filled > 0).then_some(filled)),
                _ => {}
            }
        }
        Ok(Some(filled))
    }

    /// Keeps what an arrival means for later; None after a failure.
    fn note(&self, reading: &mut Reading, arrival: Result<Arrival, rustls::Error>) -> Option<Arrival> {
        match &arrival {
            Ok(Arrival::End) => reading.ended = true,
            Ok(Arrival::KeyUpdateWanted) => self.key_update_wanted.store(true, Ordering::Release),
            Ok(_) => {}
            Err(error) => {
                self.send_alert(error);
                reading.failure = Some(explain::tls_error(error, &self.peer));
            }
        }
        arrival.ok()
    }

    /// Tells the peer why, unless somebody is writing: then the connection's end has to say it.
    fn send_alert(&self, error: &rustls::Error) {
        let (Some(description), Ok(mut writing)) = (record::alert_for(error), self.writing.try_lock()) else { return };
        if writing.outbox.pending().is_empty() && writing.outbox.alert(description).is_ok() {
            let _ = self.socket.try_write(&[IoSlice::new(writing.outbox.pending())]);
        }
    }

    /// Refills the inbox; false when nothing is there now. Only while it has no content.
    fn receive(&self, reading: &mut Reading) -> io::Result<bool> {
        match self.socket.try_read(reading.inbox.room())? {
            None => Ok(false),
            Some(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(count) => {
                reading.inbox.received(count);
                Ok(true)
            }
        }
    }

    fn read_until(&self, reading: &mut Reading, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            if let Some(count) = self.decrypt(reading, buf)? {
                return Ok(count);
            }
            // A peer that sends records without content does not get past the deadline either.
            if !self.receive(reading)? || Instant::now() >= deadline {
                self.socket.wait(Readiness::Read, deadline)?;
            }
        }
    }

    /// Seals and sends until nothing is left; `timeout` begins anew with each byte that the kernel takes.
    fn write_until(&self, outbox: &mut Outbox, rest: &mut &mut [IoSlice<'_>], timeout: Duration) -> io::Result<()> {
        let mut deadline = Instant::now() + timeout;
        loop {
            if outbox.pending().is_empty() {
                self.seal(outbox, rest).map_err(|error| io::Error::from(explain::tls_error(&error, &self.peer)))?;
            }
            if outbox.pending().is_empty() {
                return Ok(());
            }
            match self.socket.try_write(&[IoSlice::new(outbox.pending())])? {
                Some(count) => {
                    outbox.taken(count);
                    deadline = Instant::now() + timeout;
                }
                None => self.socket.wait(Readiness::Write, deadline)?,
            }
        }
    }

    fn seal(&self, outbox: &mut Outbox, rest: &mut &mut [IoSlice<'_>]) -> Result<(), rustls::Error> {
        if outbox.wants_new_key() || self.key_update_wanted.swap(false, Ordering::AcqRel) {
            outbox.change_key(&mut **lock(&self.schedule))?;
        }
        outbox.fill(rest)
    }

    /// A peer that rejects us says why in an alert and then closes, so that our write may fail before we have read
    /// the alert. It is still in the receive queue then, and says more than "reset".
    fn last_words(&self, error: io::Error) -> io::Error {
        let broken = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        if broken
            && let Ok(mut reading) = self.reading.try_lock()
            && let Some(alert) = self.next_is_alert(&mut reading)
        {
            return alert.into();
        }
        self.name(error)
    }

    /// The alert that comes next, if one does. Content stays where it is: whoever reads has not had it yet.
    fn next_is_alert(&self, reading: &mut Reading) -> Option<CoreError> {
        loop {
            if reading.failure.is_some() || reading.ended || reading.inbox.has_content() {
                return reading.failure.clone();
            }
            let arrival = reading.inbox.open(&mut **lock(&self.schedule));
            let incomplete = self.note(reading, arrival) == Some(Arrival::Incomplete);
            if incomplete && !self.receive(reading).ok()? {
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
                Ok(mut reading) => match self.read_until(&mut reading, &mut sink, deadline) {
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
        let mut reading = lock(&self.reading);
        self.read_until(&mut reading, buf, deadline).map_err(|error| self.name(error))
    }

    fn has_more(&self) -> bool {
        self.reading.try_lock().is_ok_and(|reading| !reading.inbox.is_empty())
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn write_all(&self, parts: &[&[u8]], timeout: Duration) -> io::Result<()> {
        let mut writing = lock(&self.writing);
        let preface = mem::take(&mut writing.preface);
        let mut slices = Vec::with_capacity(parts.len() + 1);
        slices.push(IoSlice::new(&preface));
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        self.write_until(&mut writing.outbox, &mut rest, timeout).map_err(|error| self.last_words(error))
    }

    fn abort(&self) {
        self.socket.abort();
    }

    fn finish(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        // A writer that is still busy here is stuck: nobody finishes a connection that is in use.
        if let Ok(mut writing) = self.writing.try_lock() {
            let mut nothing: &mut [IoSlice<'_>] = &mut [];
            let said = self.write_until(&mut writing.outbox, &mut nothing, timeout).is_ok()
                && writing.outbox.alert(record::FAREWELL).is_ok()
                && self.write_until(&mut writing.outbox, &mut nothing, timeout).is_ok();
            drop(writing);
            if said {
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
