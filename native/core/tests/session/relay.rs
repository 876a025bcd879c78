//! A relay between source and target that speaks the real codec on both sides, so that a test may look at every frame,
//! change it, or break its lane at exactly that moment.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pvferry_core::error::CoreError;
use pvferry_core::net::{Channel as Bound, Duplex, Listener, Registration, SessionSink, TlsStream, connect_bound};
use pvferry_core::wire::channel::Channel;
use pvferry_core::wire::frame::FrameType;

use super::pair::{LONG, SECRET, listener};
use super::pki;

/// A frame on its way through.
pub(crate) struct Frame<'a> {
    /// None on the index.
    pub(crate) lane: Option<u16>,
    pub(crate) to_target: bool,
    pub(crate) kind: FrameType,
    pub(crate) payload: &'a mut Vec<u8>,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// The frame is lost with its connection.
    Kill,
}

pub(crate) type Hook = Arc<dyn Fn(&mut Frame<'_>) -> Verdict + Send + Sync>;

/// How often it breaks a lane: a session that settles first need not hear of that.
pub(crate) fn counting(hook: Hook) -> (Hook, Arc<AtomicU64>) {
    let kills = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&kills);
    let counting: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        let verdict = hook(frame);
        counted.fetch_add(u64::from(verdict == Verdict::Kill), Ordering::Relaxed);
        verdict
    });
    (counting, kills)
}

pub(crate) struct Relay {
    listener: Listener,
    _registration: Registration,
}

struct Sink {
    port: u16,
    hook: Hook,
}

impl Relay {
    pub(crate) fn open(port: u16, hook: Hook) -> Self {
        let listener = listener(pki::target());
        let registration = listener.register(SECRET, Arc::new(Sink { port, hook }));
        Self { listener, _registration: registration }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }
}

impl SessionSink for Sink {
    fn bind(&self, channel: Bound, stream: Arc<dyn Duplex>) -> Result<(), String> {
        let (port, hook) = (self.port, Arc::clone(&self.hook));
        thread::spawn(move || match dial(port, channel) {
            Ok(far) => join(channel, stream, Arc::new(far), &hook),
            Err(_) => stream.abort(),
        });
        Ok(())
    }
}

fn dial(port: u16, channel: Bound) -> Result<TlsStream, CoreError> {
    let fd = TcpStream::connect(("127.0.0.1", port))?;
    connect_bound(fd, channel, &pki::source(), None, &SECRET, LONG)
}

fn join(bound: Bound, near: Arc<dyn Duplex>, far: Arc<dyn Duplex>, hook: &Hook) {
    let lane = match bound {
        Bound::Index => None,
        Bound::Lane(lane) => Some(lane),
    };
    let (near, far) = (Channel::new(near, LONG), Channel::new(far, LONG));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The codec takes PINGs out, so that each side needs some of the relay's own.
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                [&near, &far].into_iter().for_each(|channel| channel.keep_alive(Duration::from_secs(1)));
                thread::sleep(Duration::from_millis(100));
            }
        });
        scope.spawn(|| pump(&near, &far, lane, true, hook));
        pump(&far, &near, lane, false, hook);
        over.store(true, Ordering::Release);
    });
}

fn pump(from: &Channel, to: &Channel, lane: Option<u16>, to_target: bool, hook: &Hook) {
    let mut payload = Vec::new();
    while let Ok(Some(header)) = from.receive(&mut payload) {
        let mut frame = Frame { lane, to_target, kind: header.frame_type, payload: &mut payload };
        if hook(&mut frame) == Verdict::Kill || to.send(header.frame_type, header.zstd, &[&payload]).is_err() {
            break;
        }
    }
    if lane.is_none() {
        from.finish(Duration::ZERO);
        to.finish(Duration::from_secs(1));
    }
    from.abort();
    to.abort();
}
