//! A source and a target session joined over 127.0.0.1, and what they say in the end.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use pvferry_core::digest::leaf::Leaf;
use pvferry_core::error::CoreError;
use pvferry_core::net::{ChannelKind, Listener, ListenerOptions, Unbound};
use pvferry_core::scan::digest::digest_volume;
use pvferry_core::scan::filter::Filter;
use pvferry_core::scan::volume::ScanPolicy;
use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;
use pvferry_core::session::difference::Difference;
use pvferry_core::session::events::{Event, Events, Sink};
use pvferry_core::session::item::{Item, ItemClass};
use pvferry_core::session::ledger::Outcome;
use pvferry_core::session::stop::Stop;
use pvferry_core::session::verify::Verify;
use pvferry_core::source::{Pass, SourceConfig, SourceSession};
use pvferry_core::target::extras::MaxDelete;
use pvferry_core::target::{Comparison, Existing, TargetConfig, TargetSession, Terms};

use super::pki;
use super::relay::{Hook, Relay};

pub(crate) const SECRET: [u8; 32] = [0x5a; 32];
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// A session that has not ended after this long hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const POLICY: ScanPolicy =
    ScanPolicy { one_file_system: true, keep_selinux: false, file_attributes: false, filter: None };

/// What one side has told.
pub(crate) struct Witness {
    receiver: Receiver<Event>,
    pub(crate) items: Vec<Item>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) lost: Vec<u16>,
    pub(crate) closings: usize,
    pub(crate) end: Option<Result<Outcome, CoreError>>,
}

impl Witness {
    pub(crate) fn new() -> (Self, Sink) {
        let (sender, receiver) = channel();
        let sink: Sink = Box::new(move |events| events.into_iter().for_each(|event| drop(sender.send(event))));
        (Self { receiver, items: Vec::new(), differences: Vec::new(), lost: Vec::new(), closings: 0, end: None }, sink)
    }

    /// Takes what has come within `patience`.
    pub(crate) fn look(&mut self, patience: Duration) {
        let mut patience = patience;
        loop {
            match self.receiver.recv_timeout(patience) {
                Ok(Event::Items(items)) => self.items.extend(items),
                Ok(Event::Differences(differences)) => self.differences.extend(differences),
                Ok(Event::LaneLost { lane, .. }) => self.lost.push(lane),
                Ok(Event::Settled(outcome)) => self.end = Some(Ok(*outcome)),
                Ok(Event::Closing) => self.closings += 1,
                Ok(Event::IndexLost(error) | Event::Failed(error)) => self.end = Some(Err(error)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
            patience = Duration::ZERO;
        }
    }

    /// The error that the session ends with.
    #[track_caller]
    pub(crate) fn failure(&mut self) -> CoreError {
        let deadline = Instant::now() + DEADLINE;
        while self.end.is_none() && Instant::now() < deadline {
            self.look(Duration::from_millis(20));
        }
        match self.end.take() {
            Some(Err(error)) => error,
            Some(Ok(_)) => panic!("the session settled"),
            None => panic!("the session goes on and on"),
        }
    }

    pub(crate) fn count(&self, class: ItemClass) -> usize {
        self.items.iter().filter(|item| item.class == class).count()
    }
}

pub(crate) fn listener(credentials: pvferry_core::net::Credentials) -> Listener {
    let (host, port, handshake_timeout) = ("127.0.0.1".to_owned(), Some(0), LONG);
    let options = ListenerOptions { host, port, handshake_timeout, max_unauthenticated: 64, max_unbound: 64 };
    Listener::open(&options, Arc::new(credentials), Box::new(drop)).unwrap()
}

pub(crate) fn target(volume: &Path, lanes: u16, listener: &Listener) -> (TargetSession, Witness) {
    target_on(volume, lanes, listener, (Terms::default(), Duration::from_secs(10)), None).unwrap()
}

pub(crate) fn reading_target(volume: &Path, lanes: u16, listener: &Listener) -> (TargetSession, Witness) {
    let (witness, sink) = Witness::new();
    let config = target_config(volume, lanes, (Terms::default(), Duration::from_secs(10)), None);
    let config = TargetConfig { verify: Verify::Disk, ..config };
    (TargetSession::open(config, listener, sink).unwrap(), witness)
}

pub(crate) fn comparing_target(
    volume: &Path,
    lanes: u16,
    listener: &Listener,
    compare: Comparison,
) -> (TargetSession, Witness) {
    let terms = Terms { accept_contents: true, discard_journal: false };
    target_on(volume, lanes, listener, (terms, Duration::from_secs(10)), Some(compare)).unwrap()
}

pub(crate) fn try_target(
    volume: &Path,
    listener: &Listener,
    terms: Terms,
) -> Result<(TargetSession, Witness), CoreError> {
    target_on(volume, 1, listener, (terms, Duration::ZERO), None)
}

fn target_on(
    volume: &Path,
    lanes: u16,
    listener: &Listener,
    (terms, checkpoint): (Terms, Duration),
    compare: Option<Comparison>,
) -> Result<(TargetSession, Witness), CoreError> {
    let (witness, sink) = Witness::new();
    let config = target_config(volume, lanes, (terms, checkpoint), compare);
    Ok((TargetSession::open(config, listener, sink)?, witness))
}

fn target_config(
    volume: &Path,
    lanes: u16,
    (terms, checkpoint): (Terms, Duration),
    compare: Option<Comparison>,
) -> TargetConfig {
    TargetConfig {
        volume: volume.to_owned(),
        transfer: "t1".to_owned(),
        terms,
        compare,
        checkpoint,
        secret: SECRET,
        lanes,
        existing: if compare.is_some() { Existing::Mirror } else { Existing::Refuse },
        max_delete: MaxDelete::Unlimited,
        allow_empty_source: false,
        inplace: false,
        filter: None,
        verify: Verify::Stream,
        idle_timeout: LONG,
        keep_alive: Duration::from_secs(1),
    }
}

pub(crate) fn source_config(volume: &Path, compress: Mode) -> SourceConfig {
    SourceConfig {
        volume: volume.to_owned(),
        pass: Pass::Stage,
        looks: false,
        policy: POLICY,
        scan_threads: 2,
        compress,
        rereads: 3,
        verify: Verify::Stream,
        secret: SECRET,
        credentials: pki::source(),
        server_name: None,
        pace: None,
        handshake_timeout: LONG,
        idle_timeout: LONG,
        keep_alive: Duration::from_secs(1),
    }
}

/// Both sessions, and the port that the source dials: the target's own or a relay's.
pub(crate) struct Pair {
    pub(crate) source: SourceSession,
    pub(crate) target: TargetSession,
    pub(crate) from: Witness,
    pub(crate) to: Witness,
    port: u16,
    lanes: u16,
    _listener: Listener,
    _relay: Option<Relay>,
}

/// How a copy ended on both sides.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) source: Outcome,
    pub(crate) target: Outcome,
}

impl Pair {
    pub(crate) fn open(from: &Path, to: &Path, lanes: u16) -> Self {
        Self::compressed(from, to, lanes, Mode::Auto)
    }

    pub(crate) fn compressed(from: &Path, to: &Path, lanes: u16, mode: Mode) -> Self {
        Self::passing(from, to, (lanes, mode), Pass::Stage)
    }

    pub(crate) fn passing(from: &Path, to: &Path, (lanes, mode): (u16, Mode), pass: Pass) -> Self {
        let listener = listener(pki::target());
        let (target, to) = target(to, lanes, &listener);
        let (witness, sink) = Witness::new();
        let config = SourceConfig { pass, ..source_config(from, mode) };
        let (source, from) = (SourceSession::open(config, sink).unwrap(), witness);
        let port = listener.port();
        Self { source, target, from, to, port, lanes, _listener: listener, _relay: None }
    }

    /// With a target that reads back what it has written.
    pub(crate) fn reading_back(from: &Path, to: &Path, lanes: u16) -> Self {
        let listener = listener(pki::target());
        let (target, to) = reading_target(to, lanes, &listener);
        let (witness, sink) = Witness::new();
        let (source, from) = (SourceSession::open(source_config(from, Mode::None), sink).unwrap(), witness);
        let port = listener.port();
        Self { source, target, from, to, port, lanes, _listener: listener, _relay: None }
    }

    /// Without digests of what is sent, onto a target that may hold data.
    pub(crate) fn unhashed(from: &Path, to: &Path, lanes: u16) -> Self {
        let listener = listener(pki::target());
        let terms = Terms { accept_contents: true, discard_journal: false };
        let config = target_config(to, lanes, (terms, Duration::ZERO), Some(Comparison::default()));
        let (to, sink) = Witness::new();
        let config = TargetConfig { verify: Verify::None, ..config };
        let target = TargetSession::open(config, &listener, sink).unwrap();
        let (from_witness, sink) = Witness::new();
        let mut config = SourceConfig { verify: Verify::None, ..source_config(from, Mode::None) };
        config.policy.file_attributes = true;
        let source = SourceSession::open(config, sink).unwrap();
        let port = listener.port();
        Self { source, target, from: from_witness, to, port, lanes, _listener: listener, _relay: None }
    }

    /// Onto a target that may hold data.
    pub(crate) fn comparing(from: &Path, to: &Path, lanes: u16, comparison: Comparison) -> Self {
        let listener = listener(pki::target());
        let (target, to) = comparing_target(to, lanes, &listener, comparison);
        let (witness, sink) = Witness::new();
        let mut config = source_config(from, Mode::None);
        config.policy.file_attributes = true;
        let source = SourceSession::open(config, sink).unwrap();
        let port = listener.port();
        Self { source, target, from: witness, to, port, lanes, _listener: listener, _relay: None }
    }

    /// Onto a target that may hold data, with rules on both sides.
    pub(crate) fn filtered(from: &Path, to: &Path, rules: &[&str], change: impl FnOnce(&mut TargetConfig)) -> Self {
        let listener = listener(pki::target());
        let terms = Terms { accept_contents: true, discard_journal: false };
        let mut config = target_config(to, 2, (terms, Duration::ZERO), Some(Comparison::default()));
        config.filter = filter(rules);
        change(&mut config);
        let (to, sink) = Witness::new();
        let target = TargetSession::open(config, &listener, sink).unwrap();
        let (from_witness, sink) = Witness::new();
        let mut config = source_config(from, Mode::None);
        config.policy = ScanPolicy { file_attributes: true, filter: filter(rules), ..POLICY };
        let source = SourceSession::open(config, sink).unwrap();
        let port = listener.port();
        Self { source, target, from: from_witness, to, port, lanes: 2, _listener: listener, _relay: None }
    }

    /// The same with a relay in between that shows every frame to `hook`.
    pub(crate) fn through(self, hook: Hook) -> Self {
        let relay = Relay::open(self.port, hook);
        Self { port: relay.port(), _relay: Some(relay), ..self }
    }

    /// With a target that may find something, and has checkpoints this often.
    pub(crate) fn on_terms(from: &Path, to: &Path, terms: Terms, checkpoint: Duration) -> Self {
        let listener = listener(pki::target());
        // What an earlier session left is compared.
        let compare = to.join(".pvferry/journal").exists().then(Comparison::default);
        let (target, to) = target_on(to, 1, &listener, (terms, checkpoint), compare).unwrap();
        let (witness, sink) = Witness::new();
        let mut config = source_config(from, Mode::None);
        config.policy.file_attributes = compare.is_some();
        let source = SourceSession::open(config, sink).unwrap();
        let port = listener.port();
        Self { source, target, from: witness, to, port, lanes: 1, _listener: listener, _relay: None }
    }

    /// With a relay in between that shows every frame to `hook`.
    pub(crate) fn relayed(from: &Path, to: &Path, lanes: u16, mode: Mode, hook: Hook) -> Self {
        Self::relayed_pass(from, to, (lanes, mode), Pass::Stage, hook)
    }

    pub(crate) fn relayed_pass(from: &Path, to: &Path, lanes: (u16, Mode), pass: Pass, hook: Hook) -> Self {
        Self::passing(from, to, lanes, pass).through(hook)
    }

    pub(crate) fn attach_index(&self) {
        self.source.attach_index(TcpStream::connect(("127.0.0.1", self.port)).unwrap().into());
    }

    pub(crate) fn attach_lanes(&self) {
        (0..self.lanes).for_each(|lane| self.attach_lane(lane));
    }

    /// Entries that the source has announced, the root among them.
    pub(crate) fn scanned(&self) -> u64 {
        self.source.counters().get(Counter::EntriesScanned)
    }

    fn attach_lane(&self, lane: u16) {
        self.source.attach_lane(TcpStream::connect(("127.0.0.1", self.port)).unwrap().into(), lane);
    }

    pub(crate) fn bind_index(&self) {
        self.source.bind_index(self.unbound(ChannelKind::Index));
    }

    pub(crate) fn bind_lane(&self, lane: u16) {
        self.source.bind_lane(self.unbound(ChannelKind::Lane), lane);
    }

    fn unbound(&self, kind: ChannelKind) -> Unbound {
        Unbound::dial(TcpStream::connect(("127.0.0.1", self.port)).unwrap(), kind, &pki::source(), None, LONG).unwrap()
    }

    /// Waits for both ends, dialling lost lanes again.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Settled {
        let deadline = Instant::now() + DEADLINE;
        let mut redialled = 0;
        while self.from.end.is_none() || self.to.end.is_none() {
            self.from.look(Duration::from_millis(10));
            self.to.look(Duration::ZERO);
            for lane in &self.from.lost[redialled..] {
                self.attach_lane(*lane);
            }
            redialled = self.from.lost.len();
            let failed = |witness: &Witness| witness.end.as_ref().and_then(|end| end.as_ref().err().cloned());
            if let Some(error) = failed(&self.from).or(failed(&self.to)) {
                thread::sleep(Duration::from_millis(100));
                self.to.look(Duration::ZERO);
                panic!("source or target failed: {error:?}; target {:?}", failed(&self.to));
            }
            assert!(Instant::now() < deadline, "the copy hangs: {:?} {:?}", self.from.end, self.to.end);
        }
        self.from.look(Duration::from_millis(60));
        self.to.look(Duration::from_millis(60));
        let end = |witness: &mut Witness| witness.end.take().unwrap().unwrap();
        Settled { source: end(&mut self.from), target: end(&mut self.to) }
    }

    /// Attaches, waits, makes the copy durable, and leaves it.
    #[track_caller]
    pub(crate) fn copy(&mut self) -> Settled {
        self.attach_index();
        self.attach_lanes();
        let settled = self.wait();
        self.target.durable_later()().unwrap();
        self.target.leave_later()().unwrap();
        settled
    }
}

pub(crate) fn filter(rules: &[&str]) -> Option<Arc<Filter>> {
    let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
    Filter::compile(&rules).unwrap()
}

pub(crate) fn roots(volume: &Path) -> Leaf {
    filtered_roots(volume, &[])
}

pub(crate) fn filtered_roots(volume: &Path, rules: &[&str]) -> Leaf {
    let (_witness, sink) = Witness::new();
    let events = Events::new(sink).unwrap();
    let policy = ScanPolicy { filter: filter(rules), ..POLICY };
    digest_volume(volume, policy, 2, events, None, &Stop::default()).unwrap()
}

/// Both sides say the same, and it is true of both volumes.
#[track_caller]
pub(crate) fn expect_equal(settled: &Settled, from: &Path, to: &Path) {
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.source.roots, roots(from), "the source's volume");
    assert_eq!(settled.target.roots, roots(to), "the target's volume");
    assert_eq!(settled.source.entries, settled.target.entries);
    assert_eq!(settled.source.bytes, settled.target.bytes);
}
