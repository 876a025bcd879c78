//! The source's session: attached connections, the threads that serve them, and the end.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::closing::Completion;
use super::index::Index;
use super::lane::Lane;
use super::line::Line;
use super::links::Links;
use super::path::{Path, PathReading};
use super::queue::Queue;
use crate::digest::file::Form;
use crate::digest::leaf::Leaf;
use crate::error::{CoreError, ErrorKind};
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::Stat;
use crate::net::bind::Secret;
use crate::net::dial::{Answer, Unbound};
use crate::net::dialled::Dialled;
use crate::net::identity::Credentials;
use crate::net::pace::Pace;
use crate::scan::attributes::Report;
use crate::scan::closing::Baseline;
use crate::scan::volume::{ScanPolicy, Volume};
use crate::scan::walk::walk;
use crate::session::compress::Mode;
use crate::session::counters::{Counter, Counters};
use crate::session::events::{Event, Sink};
use crate::session::item::{Item, ItemClass, Side};
use crate::session::ledger::{Ledger, Outcome};
use crate::session::life::{Life, Living};
use crate::session::verify::Verify;
use crate::wire::channel::malformed;
use crate::wire::differences::read_differences;
use crate::wire::frame::FrameType;
use crate::wire::index::Ack;
use crate::wire::items::read_items;

/// What the copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The volume is in use; what changes is told, and a later pass brings it up to date.
    Stage,
    /// Nothing may change: once everything is acknowledged, every entry is looked at again.
    Cutover,
}

pub struct SourceConfig {
    pub volume: PathBuf,
    pub pass: Pass,
    /// Nothing is sent: the target says what differs.
    pub looks: bool,
    pub policy: ScanPolicy,
    pub scan_threads: usize,
    pub compress: Mode,
    pub rereads: u32,
    /// How the target makes sure of what it gets: whether what is sent is hashed.
    pub verify: Verify,
    pub secret: Secret,
    pub credentials: Credentials,
    pub server_name: Option<String>,
    /// Of all lanes together.
    pub pace: Option<Arc<Pace>>,
    pub handshake_timeout: Duration,
    pub idle_timeout: Duration,
    pub keep_alive: Duration,
}

impl SourceConfig {
    /// The form of files that are sent, as long as nothing speaks for another one.
    pub(super) fn sent_form(&self) -> Form {
        if self.looks { Form::Plain } else { self.verify.form() }
    }
}

/// A running session. Dropping it ends it.
pub struct SourceSession(Arc<Shared>);

pub(super) struct Shared {
    pub(super) config: SourceConfig,
    pub(super) volume: Volume,
    pub(super) queue: Queue,
    pub(super) links: Links,
    pub(super) ledger: Ledger,
    pub(super) counters: Arc<Counters>,
    pub(super) life: Life,
    pub(super) directories: AtomicU64,
    pub(super) index: OnceLock<Index>,
    pub(super) lanes: Mutex<Vec<Arc<Lane>>>,
    pub(super) path: Path,
    /// What a cutover pass saw; set before its scan begins.
    baseline: OnceLock<Baseline>,
    pub(super) completion: Completion,
}

impl SourceSession {
    /// Opens the volume; nothing is read before the index is attached.
    pub fn open(config: SourceConfig, sink: Sink) -> Result<Self, CoreError> {
        crate::fs::limits::raise_open_files();
        let volume = Volume::open(&config.volume, config.policy.clone())?;
        let life = Life::new(sink)?;
        let shared = Arc::new(Shared {
            config,
            volume,
            queue: Queue::default(),
            links: Links::default(),
            ledger: Ledger::default(),
            counters: Arc::new(Counters::default()),
            life,
            directories: AtomicU64::new(0),
            index: OnceLock::new(),
            lanes: Mutex::new(Vec::new()),
            path: Path::default(),
            baseline: OnceLock::new(),
            completion: Completion::default(),
        });
        Ok(Self(shared))
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    /// What the kernel says of the lanes at this moment.
    pub fn path(&self) -> PathReading {
        self.0.read_path()
    }

    /// The algorithm by which lanes and index are paced from now on, those that come later too; or what the kernel says to
    /// that.
    pub fn set_congestion(&self, algorithm: &str) -> io::Result<()> {
        self.0.set_congestion(algorithm)
    }

    /// Lanes and index take no more than so many bytes that wait to be sent: what one cannot send, another may.
    pub fn limit_unsent(&self, bytes: u32) {
        self.0.limit_unsent(bytes);
    }

    /// Takes the connected socket of the index; the scan begins when it is bound.
    pub fn attach_index(&self, dialled: Dialled) {
        self.begin_index(Line::Dialled(dialled));
    }

    /// Takes the connection of the index; the scan begins at once. Should the target not take it, the session is as over as
    /// if it had been lost later.
    pub fn bind_index(&self, unbound: Unbound) {
        self.begin_index(Line::Unbound(Box::new(unbound)));
    }

    /// Takes the connected socket of a lane.
    pub fn attach_lane(&self, dialled: Dialled, number: u16) {
        self.begin_lane(Line::Dialled(dialled), number);
    }

    pub fn bind_lane(&self, unbound: Unbound, number: u16) {
        self.begin_lane(Line::Unbound(Box::new(unbound)), number);
    }

    fn begin_index(&self, line: Line) {
        self.spawn("index", move |shared| match shared.bind_index(line) {
            Ok(answer) => shared.serve_index(answer),
            Err(error) if error.kind == ErrorKind::Network => shared.life.events.send(Event::IndexLost(error)),
            Err(error) => shared.fail(error),
        });
    }

    fn begin_lane(&self, line: Line, number: u16) {
        self.spawn("lane", move |shared| {
            shared.counters.add(Counter::LanesAlive, 1);
            match shared.bind_lane(line, number) {
                Ok((lane, answer)) => shared.serve_lane(&lane, &answer),
                // A refused lane is as good as a dead one: why the target refuses, its control channel says.
                Err(error) if matches!(error.kind, ErrorKind::Network | ErrorKind::Untrusted) => {
                    shared.lane_lost(number, error.message, false);
                }
                Err(error) => shared.fail(error),
            }
        });
    }

    /// Stops all work and closes all connections. No event follows.
    pub fn close(&self) {
        self.0.close();
    }

    fn spawn(&self, name: &str, work: impl FnOnce(&Arc<Shared>) + Send + 'static) {
        let shared = Arc::clone(&self.0);
        let spawned = thread::Builder::new().name(name.into()).spawn(move || work(&shared));
        if let Err(error) = spawned {
            self.0.fail(error.into());
        }
    }
}

impl Drop for SourceSession {
    fn drop(&mut self) {
        self.close();
    }
}

impl Living for Shared {
    fn life(&self) -> &Life {
        &self.life
    }

    fn shut(&self) {
        self.queue.close();
        if let Some(index) = self.index.get() {
            index.in_flight.close();
            index.channel.abort();
        }
        for lane in self.lanes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            lane.in_flight.close();
            lane.channel.abort();
        }
    }

    fn conclude(&self, roots: Leaf) -> Outcome {
        self.queue.close();
        let wire = self.counters.get(Counter::WireBytes) + self.index.get().map_or(0, |i| i.channel.transferred());
        self.ledger.outcome(roots, wire, self.counters.get(Counter::Resent))
    }
}

impl Shared {
    pub(super) fn index(&self) -> Result<&Index, CoreError> {
        self.index.get().ok_or_else(|| CoreError::bug("The index is not attached."))
    }

    /// Scans on threads of its own while this one takes acknowledgements.
    fn serve_index(self: &Arc<Self>, answer: Option<Answer>) {
        let scanning = Arc::clone(self);
        let spawned = thread::Builder::new().name("scan".into()).spawn(move || scanning.scan());
        let served = spawned.map_err(CoreError::from).and_then(|_| {
            answer.map_or(Ok(()), |answer| answer.wait())?;
            self.settle_index_frames()
        });
        if let Err(error) = served {
            self.fail(error);
        }
    }

    fn scan(&self) {
        let scanned = match self.config.pass {
            Pass::Stage => self.announce_all(),
            Pass::Cutover => {
                let baseline = self.baseline.get_or_init(|| Baseline::begin(&self.volume.root_stat));
                self.announce_all().and_then(|()| self.close_pass(baseline))
            }
        };
        if let Err(error) = scanned {
            self.fail(error);
        }
    }

    fn announce_all(&self) -> Result<(), CoreError> {
        walk(&self.volume, self, self.config.scan_threads, &self.life.stop)?;
        self.counters.add(Counter::ScanDone, 1);
        Ok(())
    }

    fn settle_index_frames(&self) -> Result<(), CoreError> {
        let index = self.index()?;
        let mut payload = Vec::new();
        while let Some(header) = index.channel.receive(&mut payload)? {
            match header.frame_type {
                FrameType::Ack => {
                    let ack = Ack::read(&payload).map_err(malformed)?;
                    for acknowledged in index.in_flight.acknowledge(&ack)? {
                        self.settle_index(acknowledged)?;
                    }
                }
                FrameType::Items => {
                    let items = read_items(&payload, Side::Target).map_err(malformed)?;
                    self.life.events.send(Event::Items(items));
                }
                FrameType::Differences if self.config.looks => {
                    let differences = read_differences(&payload).map_err(malformed)?;
                    self.life.events.send(Event::Differences(differences));
                }
                FrameType::Settled => self.settle_there()?,
                _ => return Err(CoreError::protocol("The peer broke the protocol: the index brings data.")),
            }
        }
        if self.life.is_over() {
            return Ok(());
        }
        Err(CoreError::network("The target closed the index connection."))
    }

    fn serve_lane(self: &Arc<Self>, lane: &Arc<Lane>, answer: &Answer) {
        let (sender, sending) = (Arc::clone(self), Arc::clone(lane));
        let spawned = thread::Builder::new().name("lane-send".into()).spawn(move || sender.feed_lane(&sending));
        match spawned {
            Ok(_) => self.settle_lane(lane, answer),
            Err(error) => self.fail(error.into()),
        }
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|other| !Arc::ptr_eq(other, lane));
        self.path.depart(&lane.channel);
    }

    /// An item goes to this side's account and to the peer.
    pub(super) fn report(&self, item: Item) {
        self.ledger.count_item(item.class);
        if item.class == ItemClass::Changed
            && let Some(baseline) = self.baseline.get()
        {
            baseline.tell(&item.path);
        }
        if let Some(index) = self.index.get() {
            // A broken index ends the session where it is read.
            let _ = index.send_item(&item);
        }
        self.life.events.send(Event::Items(vec![item]));
    }
}

impl Report for Shared {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, item: Item) {
        self.report(item);
    }

    fn left_out(&self, kind: &str) {
        self.ledger.leave_out(kind);
    }

    fn excluded(&self) {
        self.ledger.count_excluded(1);
    }

    fn saw(&self, directory: &DirectoryNode, name: Option<&[u8]>, stat: &Stat) {
        if let Some(baseline) = self.baseline.get() {
            baseline.saw(directory, name, stat);
        }
    }
}
