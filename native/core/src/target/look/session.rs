//! The session itself: what it holds, and its end.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::directory::Looked;
use super::extras::Extras;
use super::files::Files;
use super::links::{FirstLooked, Place};
use super::readers::Readers;
use crate::digest::leaf::{Leaf, volume_roots};
use crate::digest::tree::{TreeDirectory, settle};
use crate::error::CoreError;
use crate::fs::directory_path::{Directories, DirectoryNode};
use crate::fs::limits::directory_budget;
use crate::fs::open::{Opener, open_volume};
use crate::fs::space::space;
use crate::fs::stat::stat_fd;
use crate::fs::stored_time::StoredTime;
use crate::net::bind::Secret;
use crate::net::listener::{Listener, Registration};
use crate::scan::filter::Filter;
use crate::session::counters::{Counter, Counters};
use crate::session::difference::Difference;
use crate::session::events::{Event, Sink};
use crate::session::ledger::{Ledger, Outcome};
use crate::session::life::{Life, Living};
use crate::target::clearing::volume_error;
use crate::target::compare::{Claims, Comparison};
use crate::target::existing::Existing;
use crate::target::extras::MaxDelete;
use crate::target::journal::{Coming, coming};
use crate::target::links::Links;
use crate::target::open_directories::OpenDirectories;
use crate::target::served::{Binder, Connections, Exceptions, Served};
use crate::wire::channel::Channel;
use crate::wire::differences::put_differences;
use crate::wire::frame::{FrameType, Header};
use crate::wire::limits::{DIFFERENCES_BYTES, MAX_DIFFERENCES};

/// How files are judged.
#[derive(Clone, Copy, Debug)]
pub enum Judgement {
    /// As the copy would that is to come.
    AsCopy(Comparison),
    /// By all their bytes.
    EveryByte,
}

pub struct LookConfig {
    pub volume: PathBuf,
    pub judgement: Judgement,
    /// What the copy that is to come may do with what is there: with `Mirror`, what is extra is a difference.
    pub existing: Existing,
    pub max_delete: MaxDelete,
    pub allow_empty_source: bool,
    /// What the source leaves out, and a copy would leave alone.
    pub filter: Option<Arc<Filter>>,
    pub secret: Secret,
    pub lanes: u16,
    pub idle_timeout: Duration,
    pub keep_alive: Duration,
}

/// A running session. Dropping it ends it.
pub struct LookSession {
    looking: Arc<Looking>,
    registration: Mutex<Option<Registration>>,
}

pub(super) struct Looking {
    pub(super) config: LookConfig,
    pub(super) root: Arc<DirectoryNode>,
    pub(super) directories: Directories,
    pub(super) opener: Opener,
    pub(super) stored_time: StoredTime,
    /// Files that the copy to come would read or write again, whatever their times say.
    pub(super) coming: Coming,
    pub(super) open: OpenDirectories<Looked>,
    pub(super) files: Files,
    pub(super) readers: Readers,
    pub(super) links: Links<Place, FirstLooked>,
    pub(super) claims: Claims,
    pub(super) extras: Extras,
    pub(super) ledger: Ledger,
    pub(super) counters: Arc<Counters>,
    pub(super) life: Life,
    connections: Connections,
}

impl LookSession {
    /// Opens the volume for reading, and has the listener bind connections that bring the secret.
    pub fn open(config: LookConfig, listener: &Listener, sink: Sink) -> Result<Self, CoreError> {
        crate::fs::limits::raise_open_files();
        let path = &config.volume;
        let failed = |what: &'static str| move |errno| volume_error(path, what, errno);
        let root = open_volume(path).map_err(failed("cannot be opened"))?;
        let facts = space(root.as_fd()).map_err(failed("cannot be read"))?;
        let stat = stat_fd(root.as_fd()).map_err(failed("cannot be read"))?;
        let opener = Opener::new(false);
        let coming = match config.judgement {
            Judgement::AsCopy(_) => coming(&opener, root.as_fd()),
            Judgement::EveryByte => Coming::default(),
        };
        let secret = config.secret;
        let looking = Arc::new(Looking {
            root: DirectoryNode::root(),
            directories: Directories::new(root, opener.clone(), directory_budget()),
            opener,
            stored_time: StoredTime::of(&facts.filesystem, &stat),
            coming,
            open: OpenDirectories::default(),
            files: Files::default(),
            readers: Readers::default(),
            links: Links::default(),
            claims: Claims::default(),
            extras: Extras::default(),
            ledger: Ledger::default(),
            counters: Arc::new(Counters::default()),
            life: Life::new(sink)?,
            connections: Connections::new(config.lanes, config.idle_timeout, config.keep_alive),
            config,
        });
        Readers::begin(&looking, looking.config.lanes)?;
        let registration = listener.register(secret, Arc::new(Binder(Arc::downgrade(&looking))));
        Ok(Self { looking, registration: Mutex::new(Some(registration)) })
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.looking.counters)
    }

    /// Stops all work and closes all connections. No event follows.
    pub fn close(&self) {
        self.registration.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.looking.close();
    }
}

impl Drop for LookSession {
    fn drop(&mut self) {
        self.close();
    }
}

impl Living for Looking {
    fn life(&self) -> &Life {
        &self.life
    }

    fn shut(&self) {
        self.readers.close();
        self.connections.shut();
    }

    fn conclude(&self, roots: Leaf) -> Outcome {
        let wire = self.counters.get(Counter::WireBytes) + self.connections.index_bytes();
        self.ledger.outcome(roots, wire, self.counters.get(Counter::Resent))
    }
}

impl Served for Looking {
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
        self.look_at_announced(header, payload)
    }

    fn serve_lane(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>) {
        self.take_checks(channel)
    }
}

impl Looking {
    pub(super) fn settle(
        &self,
        directory: &Arc<TreeDirectory<Looked>>,
        leaves: &[(u64, Leaf)],
    ) -> Result<(), CoreError> {
        let root = settle(directory, leaves, self)?;
        self.volume_complete(root)
    }

    /// Everything is compared: the source hears of it, and its own word is waited for.
    pub(super) fn volume_complete(&self, root: Option<Leaf>) -> Result<(), CoreError> {
        let Some(root) = root else { return Ok(()) };
        self.extras.permit(&self.config)?;
        let roots = volume_roots(&root, &self.links.digest());
        if let Some(index) = self.connections.index.get() {
            index.send(FrameType::Settled, false, &[])?;
        }
        self.readers.close();
        self.settle_here(roots);
        Ok(())
    }

    /// Tells the source, in as few frames as fit, and this side's watchers.
    pub(super) fn tell_differences(&self, differences: Vec<Difference>) {
        let mut rest = differences;
        while !rest.is_empty() {
            let mut bytes = 0;
            let within = |difference: &Difference| {
                let fits = bytes == 0 || bytes + difference.weight() <= DIFFERENCES_BYTES;
                bytes += difference.weight();
                fits
            };
            let most = rest.len().min(MAX_DIFFERENCES as usize);
            let count = rest[..most].iter().map(within).take_while(|fits| *fits).count();
            let later = rest.split_off(count);
            let mut payload = Vec::new();
            put_differences(&mut payload, &rest);
            rest.iter().for_each(|difference| self.ledger.count_difference(difference.change));
            self.tell(FrameType::Differences, &payload);
            self.life.events.send(Event::Differences(rest));
            rest = later;
        }
    }
}
