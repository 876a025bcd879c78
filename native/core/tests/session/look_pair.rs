//! A source and a target that only looks, and what they tell of the differences.

use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pvferry_core::error::CoreError;
use pvferry_core::fs::aspects::Aspects;
use pvferry_core::net::Listener;
use pvferry_core::session::compress::Mode;
use pvferry_core::session::difference::{Change, Difference};
use pvferry_core::source::SourceSession;
use pvferry_core::target::Existing;
use pvferry_core::target::extras::MaxDelete;
use pvferry_core::target::look::{Judgement, LookConfig, LookSession};

use super::pair::{DEADLINE, LONG, SECRET, Settled, Witness, listener, source_config};
use super::pki;
use super::relay::{Hook, Relay};

pub(crate) struct LookPair {
    pub(crate) source: SourceSession,
    _target: LookSession,
    pub(crate) from: Witness,
    pub(crate) to: Witness,
    port: u16,
    lanes: u16,
    _listener: Listener,
    _relay: Option<Relay>,
}

pub(crate) fn look_config(volume: &Path, judgement: Judgement) -> LookConfig {
    LookConfig {
        volume: volume.to_owned(),
        judgement,
        existing: Existing::Mirror,
        max_delete: MaxDelete::Unlimited,
        allow_empty_source: true,
        filter: None,
        secret: SECRET,
        lanes: 2,
        idle_timeout: LONG,
        keep_alive: Duration::from_secs(1),
    }
}

impl LookPair {
    pub(crate) fn open(from: &Path, config: LookConfig) -> Self {
        Self::relayed(from, config, None)
    }

    pub(crate) fn relayed(from: &Path, config: LookConfig, hook: Option<Hook>) -> Self {
        let listener = listener(pki::target());
        let lanes = config.lanes;
        let (to, sink) = Witness::new();
        let target = LookSession::open(config, &listener, sink).unwrap();
        let (witness, sink) = Witness::new();
        let mut config = source_config(from, Mode::None);
        config.looks = true;
        // Two would meet the names of one inode in an order of chance.
        config.scan_threads = 1;
        config.policy.file_attributes = true;
        let source = SourceSession::open(config, sink).unwrap();
        let relay = hook.map(|hook| Relay::open(listener.port(), hook));
        let port = relay.as_ref().map_or(listener.port(), Relay::port);
        Self { source, _target: target, from: witness, to, port, lanes, _listener: listener, _relay: relay }
    }

    fn attach_lane(&self, lane: u16) {
        self.source.attach_lane(TcpStream::connect(("127.0.0.1", self.port)).unwrap().into(), lane);
    }

    /// Until both sides have ended, in whatever way; lost lanes are dialled again.
    fn run(&mut self) {
        self.source.attach_index(TcpStream::connect(("127.0.0.1", self.port)).unwrap().into());
        (0..self.lanes).for_each(|lane| self.attach_lane(lane));
        let deadline = Instant::now() + DEADLINE;
        let mut redialled = 0;
        let failed = |witness: &Witness| matches!(witness.end, Some(Err(_)));
        while (self.from.end.is_none() || self.to.end.is_none()) && !failed(&self.from) && !failed(&self.to) {
            self.from.look(Duration::from_millis(10));
            self.to.look(Duration::ZERO);
            self.from.lost[redialled..].iter().for_each(|lane| self.attach_lane(*lane));
            redialled = self.from.lost.len();
            assert!(Instant::now() < deadline, "the look hangs");
        }
        self.from.look(Duration::from_millis(60));
        self.to.look(Duration::from_millis(60));
    }

    /// The end of both sides, which have heard of the same differences.
    #[track_caller]
    pub(crate) fn look(&mut self) -> Settled {
        self.run();
        let end = |witness: &mut Witness| witness.end.take().unwrap().unwrap();
        let settled = Settled { source: end(&mut self.from), target: end(&mut self.to) };
        assert_eq!(listed(&self.from.differences), listed(&self.to.differences));
        let count = |change| self.to.differences.iter().filter(|difference| difference.change == change).count() as u64;
        let counted = [Change::Extra, Change::Missing, Change::Replaced, Change::Attributes].map(count);
        assert_eq!(settled.target.differences, counted);
        settled
    }

    /// The target's error.
    pub(crate) fn failure(&mut self) -> CoreError {
        self.run();
        thread::sleep(Duration::from_millis(50));
        self.to.failure()
    }
}

/// One line each, sorted: what a copy would do, in which aspects, to what.
pub(crate) fn listed(differences: &[Difference]) -> Vec<String> {
    let mut lines: Vec<String> = differences.iter().map(line).collect();
    lines.sort();
    lines
}

const ASPECTS: [(Aspects, &str); 9] = [
    (Aspects::CONTENT, "content"),
    (Aspects::SIZE, "size"),
    (Aspects::TIME, "time"),
    (Aspects::MODE, "mode"),
    (Aspects::OWNER, "owner"),
    (Aspects::GROUP, "group"),
    (Aspects::ACL, "acl"),
    (Aspects::XATTRS, "xattrs"),
    (Aspects::LINK, "link"),
];

fn line(difference: &Difference) -> String {
    let change = match difference.change {
        Change::Extra => "extra",
        Change::Missing => "missing",
        Change::Replaced => "replaced",
        Change::Attributes => "attributes",
    };
    let aspects = ASPECTS.iter().filter(|(aspect, _)| difference.aspects.has(*aspect)).map(|(_, name)| *name);
    let aspects: Vec<&str> = aspects.collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let to = if difference.to.is_empty() { String::new() } else { format!(" > {}", text(&difference.to)) };
    let name = format!("{}{to}", text(&difference.path));
    format!("{name}: {change} {:?} {}", difference.kind, aspects.join(",")).trim_end().to_owned()
}
