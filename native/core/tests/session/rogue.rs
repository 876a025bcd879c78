//! A peer that holds a valid leaf and the secret, and says what it likes: the real codec, no session behind it.

use std::any::Any;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pvferry_core::fs::apply::Attributes;
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::net::{Channel as Bound, Duplex, Listener, TlsStream, connect_bound};
use pvferry_core::session::verify::Verify;
use pvferry_core::target::extras::MaxDelete;
use pvferry_core::target::look::{Judgement, LookConfig, LookSession};
use pvferry_core::target::{Existing, TargetConfig, TargetSession, Terms};
use pvferry_core::wire::channel::Channel;
use pvferry_core::wire::check::Check;
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Ack, Body, Directory, DirectoryMark, EntriesHead, Entry, Outcome};

use super::look_pair::look_config;
use super::pair::{LONG, SECRET, Witness, listener};
use super::pki;
use super::volumes::Place;

/// A target with a volume, and one connection of each kind to it.
pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) witness: Witness,
    pub(crate) index: Line,
    pub(crate) lane: Line,
    pub(crate) port: u16,
    _session: Box<dyn Any>,
    _listener: Listener,
}

/// A connection whose acknowledgements are read by a thread of its own.
pub(crate) struct Line {
    pub(crate) stream: Arc<TlsStream>,
    channel: Arc<Channel>,
    over: Arc<AtomicBool>,
    acks: std::sync::Mutex<std::sync::mpsc::Receiver<Ack>>,
}

/// Silence that the target bears with.
const IDLE: Duration = Duration::from_secs(2);
/// A lane waits so long for an announcement.
pub(crate) const LANE_PATIENCE: Duration = Duration::from_secs(8);

impl Bench {
    pub(crate) fn open() -> Self {
        Self::onto(Place::new(), |_| ())
    }

    /// With a volume that may hold something, on other terms.
    pub(crate) fn onto(place: Place, change: impl FnOnce(&mut TargetConfig)) -> Self {
        let listener = listener(pki::target());
        let (witness, sink) = Witness::new();
        let mut config = TargetConfig {
            volume: place.root(),
            transfer: "t1".to_owned(),
            terms: Terms::default(),
            compare: None,
            checkpoint: Duration::from_secs(10),
            secret: SECRET,
            lanes: 2,
            existing: Existing::Refuse,
            max_delete: MaxDelete::Unlimited,
            allow_empty_source: false,
            inplace: false,
            filter: None,
            verify: Verify::Stream,
            idle_timeout: IDLE,
            keep_alive: IDLE / 2,
        };
        change(&mut config);
        let session = Box::new(TargetSession::open(config, &listener, sink).unwrap());
        Self::connected(place, witness, session, listener)
    }

    /// With a volume that is only looked at.
    pub(crate) fn looking(place: Place, judgement: Judgement) -> Self {
        let listener = listener(pki::target());
        let (witness, sink) = Witness::new();
        let config = LookConfig { idle_timeout: IDLE, keep_alive: IDLE / 2, ..look_config(&place.root(), judgement) };
        let session = Box::new(LookSession::open(config, &listener, sink).unwrap());
        Self::connected(place, witness, session, listener)
    }

    fn connected(place: Place, witness: Witness, session: Box<dyn Any>, listener: Listener) -> Self {
        let port = listener.port();
        let index = Line::new(connect_bound(tcp(port), Bound::Index, &pki::source(), None, &SECRET, LONG).unwrap());
        let lane = Line::new(connect_bound(tcp(port), Bound::Lane(0), &pki::source(), None, &SECRET, LONG).unwrap());
        Self { place, witness, index, lane, port, _session: session, _listener: listener }
    }

    /// Announces the root, so that entries may follow.
    pub(crate) fn root(&self) -> &Self {
        self.directory(0, 0, 0, b"")
    }

    pub(crate) fn directory(&self, id: u64, parent: u64, leaf: u64, name: &[u8]) -> &Self {
        let mut out = Vec::new();
        Directory { id, parent, leaf, name, attributes: plain() }.put(&mut out);
        self.index.send(FrameType::Directory, &out);
        self
    }

    pub(crate) fn entries(&self, head: (u64, u64, u64), entries: &[(&[u8], Body<'_>)]) -> &Self {
        self.index.send(FrameType::Entries, &entries_frame(head, entries));
        self
    }

    pub(crate) fn mark(&self, frame: FrameType, directory: u64, count: u64) -> &Self {
        let mut out = Vec::new();
        DirectoryMark { directory, count }.put(&mut out);
        if frame == FrameType::DirectoryEnd {
            out.push(1);
        }
        self.index.send(frame, &out);
        self
    }

    /// A root with files of these sizes, called a, b, c ... with ids from 0.
    pub(crate) fn files(&self, sizes: &[u64]) -> &Self {
        let names: Vec<[u8; 1]> = (b'a'..).take(sizes.len()).map(|byte| [byte]).collect();
        let body = |size: &u64| Body::File { size: *size, link: 0, attributes: None };
        let entries: Vec<(&[u8], Body<'_>)> = names.iter().map(|n| &n[..]).zip(sizes.iter().map(body)).collect();
        self.root().entries((0, 0, 0), &entries)
    }
}

impl Line {
    pub(crate) fn new(stream: TlsStream) -> Self {
        let stream = Arc::new(stream);
        let duplex: Arc<dyn Duplex> = Arc::<TlsStream>::clone(&stream);
        let channel = Arc::new(Channel::new(duplex, LONG));
        let over = Arc::new(AtomicBool::new(false));
        let (reading, ended) = (Arc::clone(&channel), Arc::clone(&over));
        let (sender, acks) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut payload = Vec::new();
            while let Ok(Some(header)) = reading.receive(&mut payload) {
                if header.frame_type == FrameType::Ack {
                    let _ = sender.send(Ack::read(&payload).unwrap());
                }
            }
            ended.store(true, Ordering::Release);
            // A writer that waits for room would wait on: the target reads no more.
            reading.abort();
        });
        let (alive, ended) = (Arc::clone(&channel), Arc::clone(&over));
        thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                alive.keep_alive(IDLE / 4);
                thread::sleep(IDLE / 8);
            }
        });
        Self { stream, channel, over, acks: std::sync::Mutex::new(acks) }
    }

    /// False when the target has hung up.
    pub(crate) fn send(&self, frame: FrameType, payload: &[u8]) -> bool {
        !self.over.load(Ordering::Acquire) && self.channel.send(frame, false, &[payload]).is_ok()
    }

    pub(crate) fn send_zstd(&self, frame: FrameType, payload: &[u8]) {
        let _ = self.channel.send(frame, true, &[payload]);
    }

    /// Bytes that are no frame.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let _ = self.stream.write_all(&[bytes], LONG);
    }

    /// What the next acknowledgement says of its frame.
    #[track_caller]
    pub(crate) fn answer(&self) -> Option<Outcome> {
        let ack = self.acks.lock().unwrap().recv_timeout(LONG).expect("an acknowledgement comes");
        ack.exceptions.first().map(|(_, _, outcome)| *outcome)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.channel.abort();
    }
}

/// The payload of a CHECK.
pub(crate) fn checks(checks: &[Check]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(checks.len() as u32);
    checks.iter().for_each(|check| check.put(&mut out));
    out
}

pub(crate) fn tcp(port: u16) -> std::os::fd::OwnedFd {
    TcpStream::connect(("127.0.0.1", port)).unwrap().into()
}

pub(crate) fn plain() -> Attributes {
    let mtime = Timestamp { seconds: 1_000, nanoseconds: 5 };
    Attributes { mode: 0o755, uid: 0, gid: 0, mtime, ..Attributes::default() }
}

pub(crate) fn entries_frame(
    (directory, first_leaf, first_file): (u64, u64, u64),
    entries: &[(&[u8], Body<'_>)],
) -> Vec<u8> {
    let mut out = Vec::new();
    let count = u32::try_from(entries.len()).unwrap();
    EntriesHead { directory, first_leaf, first_file, count }.put(&mut out);
    for (name, body) in entries {
        put_entry(&mut out, name, body);
    }
    out
}

fn put_entry(out: &mut Vec<u8>, name: &[u8], body: &Body<'_>) {
    let body = match body {
        Body::File { size, link, attributes } => {
            Body::File { size: *size, link: *link, attributes: attributes.clone() }
        }
        Body::Directory => Body::Directory,
        Body::Symlink { target, attributes, link } => {
            Body::Symlink { target, attributes: attributes.clone(), link: *link }
        }
        Body::Special { kind, major, minor, attributes, link } => {
            Body::Special { kind: *kind, major: *major, minor: *minor, attributes: attributes.clone(), link: *link }
        }
        Body::Link { link } => Body::Link { link: *link },
        Body::Failed => Body::Failed,
    };
    Entry { name, body }.put(out);
}

pub(crate) fn symlink(target: &[u8]) -> Body<'_> {
    Body::Symlink { target, attributes: plain(), link: 0 }
}

/// A frame's header with this length, whatever follows.
pub(crate) fn header(frame: u8, flags: u8, length: u32) -> Vec<u8> {
    let mut out = vec![frame, flags, 0, 0];
    out.put_u32(length);
    out
}
