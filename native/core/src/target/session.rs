//! The target's session: connections that the listener binds to it, the threads that serve them, and the end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::checkpoints;
use super::clearing::Terms;
use super::compare::{Claims, Comparison};
use super::directory::TargetDirectory;
use super::existing::Existing;
use super::extras::{Extras, MaxDelete, Remover};
use super::files::Files;
use super::index::OpenDirectories;
use super::index_place::IndexPlace;
use super::journal::{History, Pass, Record};
use super::links::Links;
use super::room::Room;
use super::volume::TargetVolume;
use crate::digest::leaf::{Leaf, volume_roots};
use crate::digest::tree::settle;
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::net::bind::Secret;
use crate::net::duplex::Duplex;
use crate::net::listener::{Channel as Bound, Listener, Registration, SessionSink};
use crate::scan::filter::Filter;
use crate::session::counters::{Counter, Counters};
use crate::session::events::{Event, Sink};
use crate::session::item::{Item, ItemClass, Side};
use crate::session::ledger::{Ledger, Outcome};
use crate::session::life::{Life, Living};
use crate::wire::channel::Channel;
use crate::wire::cursor::Put;
use crate::wire::frame::FrameType;
use crate::wire::items::put_item;

pub struct TargetConfig {
    pub volume: PathBuf,
    /// Recorded in the volume until the copy is finished.
    pub transfer: String,
    /// What may be in the volume already.
    pub terms: Terms,
    /// What is there is compared. None: nothing stays that is there.
    pub compare: Option<Comparison>,
    /// Between two checkpoints; zero: only at the end.
    pub checkpoint: Duration,
    pub secret: Secret,
    pub lanes: u16,
    pub existing: Existing,
    pub max_delete: MaxDelete,
    /// A source without any entry may be mirrored.
    pub allow_empty_source: bool,
    /// What it excludes stays as it is.
    pub filter: Option<Arc<Filter>>,
    pub idle_timeout: Duration,
    pub keep_alive: Duration,
}

/// Threads end within this, unless the volume itself hangs.
const GONE_POLL: Duration = Duration::from_millis(2);

/// A running session. Dropping it ends it.
pub struct TargetSession {
    shared: Arc<Shared>,
    registration: Mutex<Option<Registration>>,
}

pub(super) struct Shared {
    pub(super) config: TargetConfig,
    pub(super) volume: TargetVolume,
    pub(super) directories: OpenDirectories,
    pub(super) files: Files,
    pub(super) links: Links,
    pub(super) claims: Claims,
    pub(super) extras: Extras,
    pub(super) room: Room,
    pub(super) ledger: Ledger,
    pub(super) counters: Arc<Counters>,
    pub(super) life: Life,
    pub(super) root_attributes: OnceLock<Attributes>,
    pub(super) index: IndexPlace,
    lanes: Mutex<Vec<(u16, Arc<Channel>)>>,
}

/// What the listener holds: no claim on the session, so that dropping the session ends it.
struct Binder(Weak<Shared>);

impl TargetSession {
    /// Opens the volume, makes it ours, and has the listener bind connections that bring the secret.
    pub fn open(config: TargetConfig, listener: &Listener, sink: Sink) -> Result<Self, CoreError> {
        crate::fs::limits::raise_open_files();
        let volume = TargetVolume::open(&config.volume, &config.transfer, config.terms)?;
        let life = Life::new(sink)?;
        let secret = config.secret;
        let extras = Extras::new(volume.own_folder()?, volume.opener.clone(), config.max_delete);
        let shared = Arc::new(Shared {
            config,
            volume,
            directories: OpenDirectories::default(),
            files: Files::default(),
            links: Links::default(),
            claims: Claims::default(),
            extras,
            room: Room::default(),
            ledger: Ledger::default(),
            counters: Arc::new(Counters::default()),
            life,
            root_attributes: OnceLock::new(),
            index: IndexPlace::default(),
            lanes: Mutex::new(Vec::new()),
        });
        checkpoints::keep(&shared, shared.config.checkpoint)?;
        let registration = listener.register(secret, Arc::new(Binder(Arc::downgrade(&shared))));
        Ok(Self { shared, registration: Mutex::new(Some(registration)) })
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// What earlier sessions of this transfer left word of.
    pub fn history(&self) -> &History {
        &self.shared.volume.history
    }

    /// Records that a pass over the whole volume ended, for a thread of the caller's.
    pub fn record_pass_later(&self, pass: Pass) -> impl FnOnce() -> Result<(), CoreError> + Send + use<> {
        let journal = Arc::clone(self.shared.volume.journal());
        move || journal.append(&[Record::Pass(pass)])
    }

    /// Waits until everything is on disk; then removes the record of the unfinished copy if `finished`. Blocks.
    pub fn durable(&self, finished: bool) -> Result<(), CoreError> {
        self.shared.volume.make_durable(finished, self.shared.root_attributes.get())
    }

    /// The same, for a thread of the caller's.
    pub fn durable_later(&self, finished: bool) -> impl FnOnce() -> Result<(), CoreError> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.volume.make_durable(finished, shared.root_attributes.get())
    }

    /// Stops all work and closes all connections. No event follows. Threads in the middle of a write still finish it.
    pub fn close(&self) {
        self.registration.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.close();
    }

    /// Ends the session, for a thread of the caller's: returns when no thread of it works any more, and all that it held
    /// of the volume is given back. Only then another session may open the same volume.
    pub fn gone_later(self) -> impl FnOnce() -> Result<(), CoreError> + Send + use<> {
        let mut shared = Arc::clone(&self.shared);
        drop(self);
        move || {
            // Every thread holds a claim of its own, and so does work that a caller has taken for later.
            while let Err(claimed) = Arc::try_unwrap(shared) {
                shared = claimed;
                thread::sleep(GONE_POLL);
            }
            Ok(())
        }
    }
}

impl Drop for TargetSession {
    fn drop(&mut self) {
        self.close();
    }
}

impl SessionSink for Binder {
    fn bind(&self, channel: Bound, stream: Arc<dyn Duplex>) -> Result<(), String> {
        let over = || "The session is over.".to_owned();
        let shared = self.0.upgrade().ok_or_else(over)?;
        if shared.life.stop.is_stopped() {
            return Err(over());
        }
        let frames = Arc::new(Channel::new(stream, shared.config.idle_timeout));
        frames.stay_alive(shared.config.keep_alive).map_err(|error| error.to_string())?;
        let bound = match channel {
            Bound::Index => bind_index(Arc::clone(&shared), Arc::clone(&frames)),
            Bound::Lane(number) => bind_lane(Arc::clone(&shared), number, Arc::clone(&frames)),
        };
        // Closed meanwhile, perhaps too early to break this one too.
        if shared.life.stop.is_stopped() {
            frames.abort();
        }
        bound
    }
}

fn bind_index(shared: Arc<Shared>, channel: Arc<Channel>) -> Result<(), String> {
    shared.index.offer(&channel)?;
    let served = move || {
        if let Err(error) = shared.serve_index(&channel) {
            shared.fail(error);
        }
    };
    thread::Builder::new().name("index".into()).spawn(served).map(drop).map_err(|error| error.to_string())
}

fn bind_lane(shared: Arc<Shared>, number: u16, channel: Arc<Channel>) -> Result<(), String> {
    if number >= shared.config.lanes {
        return Err(format!("The session has {} lanes; there is no lane {number}.", shared.config.lanes));
    }
    {
        let mut lanes = shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // The source dials a lane again only when its connection is dead, whatever ours still looks like.
        for (_, old) in lanes.iter().filter(|(known, _)| *known == number) {
            old.abort();
        }
        lanes.retain(|(known, _)| *known != number);
        lanes.push((number, Arc::clone(&channel)));
    }
    shared.counters.add(Counter::LanesAlive, 1);
    let served = move || {
        let (worked, result) = shared.serve_lane(&channel);
        shared.lane_ended(number, &channel, worked, result);
    };
    thread::Builder::new().name("lane".into()).spawn(served).map(drop).map_err(|error| error.to_string())
}

impl Living for Shared {
    fn life(&self) -> &Life {
        &self.life
    }

    fn shut(&self) {
        if let Some(index) = self.index.get() {
            index.abort();
        }
        for (_, lane) in self.lanes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            lane.abort();
        }
    }

    fn conclude(&self, roots: Leaf) -> Outcome {
        let wire = self.counters.get(Counter::WireBytes) + self.index.get().map_or(0, |index| index.transferred());
        self.ledger.outcome(roots, wire, self.counters.get(Counter::Resent))
    }
}

impl Shared {
    fn lane_ended(&self, number: u16, channel: &Arc<Channel>, worked: bool, result: Result<(), CoreError>) {
        channel.abort();
        self.counters.subtract(Counter::LanesAlive, 1);
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).retain(|(_, lane)| !Arc::ptr_eq(lane, channel));
        if self.life.is_over() {
            return;
        }
        let reason = match result {
            Ok(()) => "The source closed the lane.".to_owned(),
            Err(error) if error.kind == ErrorKind::Network => error.message,
            Err(error) => return self.fail(error),
        };
        self.counters.add(Counter::LanesLost, 1);
        self.life.events.send(Event::LaneLost { lane: number, reason, worked });
    }

    pub(super) fn settle(&self, directory: &Arc<TargetDirectory>, leaves: &[(u64, Leaf)]) -> Result<(), CoreError> {
        let root = settle(directory, leaves, self)?;
        self.volume_complete(root)
    }

    /// Everything is written: the source hears of it, and its own word is waited for.
    pub(super) fn volume_complete(&self, root: Option<Leaf>) -> Result<(), CoreError> {
        let Some(root) = root else { return Ok(()) };
        self.remove_extras()?;
        let roots = volume_roots(&root, &self.links.digest());
        if let Some(index) = self.index.get() {
            index.send(FrameType::Settled, false, &[])?;
        }
        self.settle_here(roots);
        Ok(())
    }

    /// Last of all, unless space is short (room.rs): until here, whatever failed has cost the target nothing that the
    /// source does not have.
    pub(super) fn remove_extras(&self) -> Result<(), CoreError> {
        let remover = Remover {
            volume: &self.volume.path,
            directories: &self.volume.directories,
            applier: &self.volume.applier,
            fsync_each: self.volume.fsync_each,
            stop: &self.life.stop,
            filter: self.config.filter.as_deref(),
            ledger: &self.ledger,
            report: &|item| self.report(item),
        };
        self.extras.remove_all(&remover).map(drop)
    }

    /// An item goes to this side's account and to the peer.
    pub(super) fn report(&self, item: Item) {
        self.ledger.count_item(item.class);
        if let Some(index) = self.index.get() {
            let mut payload = Vec::with_capacity(64 + item.path.len());
            payload.put_u32(1);
            put_item(&mut payload, &item);
            // A broken index ends the session where it is read.
            let _ = index.send(FrameType::Items, false, &[&payload]);
        }
        self.life.events.send(Event::Items(vec![item]));
    }

    /// An attribute that an entry should have and has not.
    pub(super) fn not_kept(
        &self,
        path: Vec<u8>,
        what: &str,
        errno: Option<Errno>,
        detail: &str,
    ) -> Result<(), CoreError> {
        if let Some(errno) = errno.filter(|errno| matches!(*errno, Errno::IO | Errno::ROFS)) {
            return Err(self.volume.fatal(errno, &path));
        }
        let mut item = match errno {
            Some(errno) => Item::failed(Side::Target, ItemClass::NotKept, path, what, errno),
            None => Item::said(Side::Target, ItemClass::NotKept, path, what, detail),
        };
        if errno.is_some() && !detail.is_empty() {
            item.detail = format!("{}; {detail}", item.detail);
        }
        self.report(item);
        Ok(())
    }
}
