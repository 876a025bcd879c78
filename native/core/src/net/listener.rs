//! The listening port: accepts, proves, and hands each connection to whom it is for. Whatever strangers do on the port
//! costs a bounded amount, is counted, and never ends the listener.

mod address;
mod registry;
mod waiting_room;
mod welcome;

pub use registry::{Channel, ChannelKind, Registration, SessionSink};

use super::bind::Secret;
use super::dialled::Dialled;
use super::identity::Credentials;
use super::socket::Socket;
use super::stream::TlsStream;
use crate::error::CoreError;
use registry::Registry;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use waiting_room::WaitingRoom;

/// A handshake needs little; thousands of these must not need much.
const PEER_STACK_BYTES: usize = 512 * 1024;

/// Pause after the kernel ran out of descriptors or memory: trying at once would only burn the processor.
const EXHAUSTED_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

pub struct ListenerOptions {
    pub host: String,
    /// 0 lets the kernel choose. None listens nowhere: there are only connections that this side has dialled.
    pub port: Option<u16>,
    /// From accept to the end of the handshake, and again to the BIND frame.
    pub handshake_timeout: Duration,
    /// Before the end of the handshake.
    pub max_unauthenticated: usize,
    /// Index and lanes between that and the BIND frame.
    pub max_unbound: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    pub accepted: u64,
    pub authenticated: u64,
    pub handshakes_failed: u64,
    pub refused: u64,
    pub displaced: u64,
}

/// Gets each proven control connection, and each of a doctor's, on a thread of that connection's own.
pub type ControlSink = Box<dyn Fn(TlsStream) + Send + Sync>;

pub struct Listener {
    port: u16,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    credentials: Arc<Credentials>,
    handshake_timeout: Duration,
    on_control: ControlSink,
    registry: Arc<Registry>,
    /// Who has not proven who it is.
    room: Arc<WaitingRoom>,
    /// Who has, and has not said for which session it is: no stranger takes the place of these.
    unbound: Arc<WaitingRoom>,
    counters: Counters,
    closing: AtomicBool,
    wake: OwnedFd,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    authenticated: AtomicU64,
    handshakes_failed: AtomicU64,
    refused: AtomicU64,
    displaced: AtomicU64,
}

impl Listener {
    pub fn open(
        options: &ListenerOptions,
        credentials: Arc<Credentials>,
        on_control: ControlSink,
    ) -> Result<Self, CoreError> {
        let bound = options.port.map(|port| address::open(&options.host, port)).transpose()?;
        let port = bound.as_ref().map_or(0, |(_, port)| *port);
        let shared = Arc::new(Shared {
            credentials,
            handshake_timeout: options.handshake_timeout,
            on_control,
            registry: Arc::new(Registry::default()),
            room: Arc::new(WaitingRoom::new(options.max_unauthenticated)),
            unbound: Arc::new(WaitingRoom::new(options.max_unbound)),
            counters: Counters::default(),
            closing: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let accepting = bound.map(|(fd, _)| accept_on_thread(fd, Arc::clone(&shared))).transpose()?;
        Ok(Self { port, shared, accepting: Mutex::new(accepting) })
    }

    /// Waits until the other end of a connection that this side has dialled speaks, and then takes it for one that was
    /// accepted. False when it ends before, or the listener is closed.
    pub fn admit(&self, dialled: Dialled) -> Result<bool, CoreError> {
        let socket = Socket::new(dialled.fd)?.named(dialled.peer);
        socket.tune();
        let spoken = self.await_first_byte(&socket);
        if spoken {
            take(socket, &self.shared);
        }
        Ok(spoken)
    }

    /// Keep-alives of the kernel's see to it that an end which is gone is noticed.
    fn await_first_byte(&self, socket: &Socket) -> bool {
        let mut byte = [0_u8; 1];
        while !self.shared.closing.load(Ordering::SeqCst) {
            let mut fds =
                [PollFd::from_borrowed_fd(socket.fd(), PollFlags::IN), PollFd::new(&self.shared.wake, PollFlags::IN)];
            let _ = poll(&mut fds, None);
            match rustix::net::recv(socket.fd(), &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Ok((_, count)) => return count > 0,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// 0 when it listens nowhere.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn counts(&self) -> ListenerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        ListenerCounts {
            accepted: read(&counters.accepted),
            authenticated: read(&counters.authenticated),
            handshakes_failed: read(&counters.handshakes_failed),
            refused: read(&counters.refused),
            displaced: read(&counters.displaced),
        }
    }

    /// From now on index and lanes that present `secret` go to `sink`, until the registration is dropped.
    pub fn register(&self, secret: Secret, sink: Arc<dyn SessionSink>) -> Registration {
        Registry::register(&self.shared.registry, secret, sink)
    }

    /// The port is free when this returns; who waits in `admit` returns soon. Proven connections live on; the others are closed. May be called twice.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
        let thread = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.room.close();
        self.shared.unbound.close();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

fn accept_on_thread(fd: OwnedFd, shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("pvferry-accept".to_owned());
    thread.spawn(move || accept_until_closed(&fd, &shared))
}

fn accept_until_closed(listening: &OwnedFd, shared: &Arc<Shared>) {
    while !shared.closing.load(Ordering::SeqCst) {
        let mut fds = [PollFd::new(listening, PollFlags::IN), PollFd::new(&shared.wake, PollFlags::IN)];
        let _ = poll(&mut fds, None);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(listening, flags) {
            Ok(fd) => admit(fd, shared),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                make_room(shared);
            }
            // Broken off before we took it, or nothing there after all: the next one may be fine.
            Err(_) => {}
        }
    }
}

fn make_room(shared: &Shared) {
    if shared.room.displace_oldest() {
        count(&shared.counters.displaced);
    }
    pause(shared);
}

fn pause(shared: &Shared) {
    let mut wake = [PollFd::new(&shared.wake, PollFlags::IN)];
    let _ = poll(&mut wake, Some(&EXHAUSTED_PAUSE));
}

fn admit(fd: OwnedFd, shared: &Arc<Shared>) {
    match Socket::new(fd) {
        Ok(socket) => {
            socket.tune();
            take(socket, shared);
        }
        Err(_) => {
            count(&shared.counters.accepted);
            count(&shared.counters.handshakes_failed);
        }
    }
}

fn take(socket: Socket, shared: &Arc<Shared>) {
    count(&shared.counters.accepted);
    let socket = Arc::new(socket);
    let (ticket, displaced) = shared.room.enter(&socket);
    if displaced {
        count(&shared.counters.displaced);
    }
    let own = Arc::clone(shared);
    let spawned = std::thread::Builder::new()
        .name("pvferry-peer".to_owned())
        .stack_size(PEER_STACK_BYTES)
        .spawn(move || welcome::welcome(&own, &socket, &ticket));
    if spawned.is_err() {
        // The closure, and with it socket and ticket, is gone.
        count(&shared.counters.handshakes_failed);
        pause(shared);
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
