//! The target's session: connections that the listener binds to it, the threads that serve them, and the end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::checkpoints;
use super::clearing::Terms;
use super::compare::{Claims, Comparison};
use super::directory::{DirectoryData, TargetDirectory};
use super::existing::Existing;
use super::extras::{Extras, MaxDelete, Remover};
use super::files::Files;
use super::journal::{History, Pass, Record};
use super::links::Links;
use super::open_directories::OpenDirectories;
use super::read_back::{self, Queue};
use super::room::Room;
use super::served::{Binder, Connections, Exceptions, Served};
use super::torn::TornFiles;
use super::unfinished::Unfinished;
use super::volume::TargetVolume;
use crate::digest::leaf::{Leaf, volume_roots};
use crate::digest::tree::settle;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::medium::Medium;
use crate::net::bind::Secret;
use crate::net::listener::{Listener, Registration};
use crate::scan::filter::Filter;
use crate::session::counters::{Counter, Counters};
use crate::session::events::Sink;
use crate::session::item::{Item, ItemClass, Side};
use crate::session::ledger::{Ledger, Outcome, ReadBack};
use crate::session::life::{Life, Living};
use crate::session::verify::Verify;
use crate::wire::channel::Channel;
use crate::wire::frame::{FrameType, Header};

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
    /// How it is made sure that what was written is what was read.
    pub verify: Verify,
    /// Large files that have changed are written into themselves.
    pub inplace: bool,
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
    pub(super) directories: OpenDirectories<DirectoryData>,
    pub(super) files: Files,
    pub(super) links: Links,
    pub(super) claims: Claims,
    pub(super) unfinished: Unfinished,
    pub(super) torn: TornFiles,
    pub(super) extras: Extras,
    /// None: what is written is not read back.
    pub(super) read_back: Option<Arc<Queue>>,
    pub(super) room: Room,
    pub(super) ledger: Ledger,
    pub(super) counters: Arc<Counters>,
    pub(super) life: Life,
    pub(super) root_attributes: OnceLock<Attributes>,
    connections: Connections,
}

impl TargetSession {
    /// Opens the volume, makes it ours, and has the listener bind connections that bring the secret.
    pub fn open(config: TargetConfig, listener: &Listener, sink: Sink) -> Result<Self, CoreError> {
        crate::fs::limits::raise_open_files();
        let volume = TargetVolume::open(&config.volume, &config.transfer, config.terms)?;
        let life = Life::new(sink)?;
        let secret = config.secret;
        let connections = Connections::new(config.lanes, config.idle_timeout, config.keep_alive);
        let medium = if config.verify == Verify::Disk { volume.medium()? } else { Medium::None };
        let read_back = (medium != Medium::None).then(|| Arc::new(Queue::new(medium)));
        let extras = Extras::new(volume.own_folder()?, volume.opener.clone(), config.max_delete);
        let unfinished = Unfinished::new(&volume.history.parts);
        let torn = TornFiles::new(&volume.history.torn);
        let shared = Arc::new(Shared {
            config,
            volume,
            directories: OpenDirectories::default(),
            files: Files::default(),
            links: Links::default(),
            claims: Claims::default(),
            unfinished,
            torn,
            extras,
            read_back,
            room: Room::default(),
            ledger: Ledger::default(),
            counters: Arc::new(Counters::default()),
            life,
            root_attributes: OnceLock::new(),
            connections,
        });
        checkpoints::keep(&shared, shared.config.checkpoint)?;
        read_back::start(&shared)?;
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

    /// For a thread of the caller's: returns when everything is on disk.
    pub fn durable_later(&self) -> impl FnOnce() -> Result<(), CoreError> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.volume.make_durable()
    }

    /// For a thread of the caller's, when everything is on disk and the copy is finished: returns when pvferry's folder
    /// is gone, on disk as well. It stays while a file is torn.
    pub fn leave_later(&self) -> impl FnOnce() -> Result<(), CoreError> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.volume.leave(shared.root_attributes.get())
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

impl Living for Shared {
    fn life(&self) -> &Life {
        &self.life
    }

    fn shut(&self) {
        self.connections.shut();
    }

    fn conclude(&self, roots: Leaf) -> Outcome {
        let wire = self.counters.get(Counter::WireBytes) + self.connections.index_bytes();
        let outcome = self.ledger.outcome(roots, wire, self.counters.get(Counter::Resent));
        let (files, bytes) = self.ledger.read_back();
        let medium = self.read_back.as_ref().map_or(Medium::None, |queue| queue.medium());
        let filesystem = self.volume.filesystem.clone();
        let asked = self.config.verify == Verify::Disk;
        let read_back = asked.then_some(ReadBack { filesystem, medium, files, bytes });
        Outcome { read_back, ..outcome }
    }
}

impl Served for Shared {
    fn connections(&self) -> &Connections {
        &self.connections
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn index_frame(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError> {
        self.take_announcement(header, payload)
    }

    fn serve_lane(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>) {
        self.take_lane(channel)
    }
}

impl Shared {
    pub(super) fn settle(&self, directory: &Arc<TargetDirectory>, leaves: &[(u64, Leaf)]) -> Result<(), CoreError> {
        let root = settle(directory, leaves, self)?;
        self.volume_complete(root)
    }

    /// Everything is written: the source hears of it, and its own word is waited for.
    pub(super) fn volume_complete(&self, root: Option<Leaf>) -> Result<(), CoreError> {
        let Some(root) = root else { return Ok(()) };
        // A lane that died while it made room may still be at it.
        let _turn = self.room.turn();
        self.remove_extras()?;
        self.drop_left_parts()?;
        self.name_torn()?;
        let roots = volume_roots(&root, &self.links.digest());
        if let Some(index) = self.connections.index.get() {
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
        self.tell_item(item);
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
