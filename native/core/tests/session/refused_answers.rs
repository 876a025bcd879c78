//! What a source refuses to hear from a target that holds a valid leaf and keeps to nothing else.

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use pvferry_core::digest::file::PIECE;
use pvferry_core::error::ErrorKind;
use pvferry_core::net::{Channel as Bound, Duplex, SessionSink};
use pvferry_core::session::compress::Mode;
use pvferry_core::source::SourceSession;
use pvferry_core::wire::channel::Channel;
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Ack, Outcome};

use super::alone::within_mebibytes;
use super::pair::{LONG, SECRET, Witness, listener, source_config};
use super::pki;
use super::rogue::header;
use super::volumes::{Place, noise};

/// What the target does with each frame that it gets: sends whatever it likes.
type Habit = Arc<dyn Fn(&Line, FrameType, u64) + Send + Sync>;

pub(crate) struct Line {
    pub(crate) on_index: bool,
    stream: Arc<dyn Duplex>,
    channel: Channel,
}

impl Line {
    pub(crate) fn ack(&self, frames: u64, exceptions: Vec<(u64, u32, Outcome)>) {
        let mut out = Vec::new();
        Ack { frames, exceptions }.put(&mut out);
        let _ = self.channel.send(FrameType::Ack, false, &[&out]);
    }
}

struct Sink(Habit);

impl SessionSink for Sink {
    fn bind(&self, channel: Bound, stream: Arc<dyn Duplex>) -> Result<(), String> {
        let habit = Arc::clone(&self.0);
        let line = Line { on_index: channel == Bound::Index, channel: Channel::new(Arc::clone(&stream), LONG), stream };
        thread::spawn(move || {
            let (mut payload, mut frames) = (Vec::new(), 0);
            while let Ok(Some(header)) = line.channel.receive(&mut payload) {
                frames += 1;
                habit(&line, header.frame_type, frames);
            }
            line.channel.abort();
        });
        Ok(())
    }
}

/// A source with a few files, served by such a target, ends with a protocol error that says `words`.
#[track_caller]
pub(crate) fn expect_refusal(words: &str, habit: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static) {
    expect_refusal_by(words, false, habit);
}

/// The same, of a source that asks what the target needs if it compares.
#[track_caller]
pub(crate) fn expect_refusal_by(
    words: &str,
    compares: bool,
    habit: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static,
) {
    expect_refusal_of(words, compares, 3_000_000, habit);
}

/// The same, of a source whose large file has so many bytes.
#[track_caller]
fn expect_refusal_of(
    words: &str,
    compares: bool,
    large: usize,
    habit: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static,
) {
    let place = Place::new();
    fs::write(place.root().join("small"), noise(1, 3_000)).unwrap();
    fs::write(place.root().join("large"), noise(2, large)).unwrap();
    std::os::unix::fs::symlink("../outside", place.root().join("way-out")).unwrap();
    let listener = listener(pki::target());
    let _registration = listener.register(SECRET, Arc::new(Sink(Arc::new(habit))));
    let (mut witness, sink) = Witness::new();
    let mut config = source_config(&place.root(), Mode::None);
    config.policy.file_attributes = compares;
    let session = SourceSession::open(config, sink).unwrap();
    let tcp = || TcpStream::connect(("127.0.0.1", listener.port())).unwrap().into();
    session.attach_index(tcp());
    session.attach_lane(tcp(), 0);
    let error = witness.failure();
    assert!(error.message.contains(words), "expected {words:?}: {error:?}");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
    drop(session);
    place.expect_canary();
}

/// Does `habit` on the index alone: a lane refuses the same in other words, and may be the quicker one.
fn on_index(
    habit: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static,
) -> impl Fn(&Line, FrameType, u64) + Send + Sync {
    move |line, frame, frames| {
        if line.on_index {
            habit(line, frame, frames);
        }
    }
}

/// Acknowledges the index as it should; on the lane it does `habit`.
fn on_lane(
    habit: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static,
) -> impl Fn(&Line, FrameType, u64) + Send + Sync {
    move |line, frame, frames| {
        if line.on_index { line.ack(frames, vec![]) } else { habit(line, frame, frames) }
    }
}

#[test]
fn acknowledgements_of_what_was_not_sent() {
    expect_refusal("what was not sent", |line, _, frames| line.ack(frames + 40, vec![]));
    expect_refusal("what was not sent", |line, _, _| line.ack(u64::MAX, vec![]));
    expect_refusal("what was not sent", on_lane(|line, _, frames| line.ack(frames + 33, vec![])));
    expect_refusal(
        "what was not sent",
        on_lane(|line, _, frames| (0..2).for_each(|back| line.ack(frames - back, vec![]))),
    );
    expect_refusal("exception to no frame", |line, _, frames| line.ack(frames, vec![(frames + 1, 0, Outcome::Failed)]));
    expect_refusal("exception to no frame", on_lane(|line, _, frames| line.ack(frames, vec![(0, 0, Outcome::Again)])));
}

#[test]
fn files_that_it_cannot_have() {
    let duplicate = Outcome::Duplicate([1; 32], [2; 32]);
    expect_refusal("that was not sent", on_lane(move |line, _, frames| line.ack(frames, vec![(frames, 0, duplicate)])));
}

#[test]
fn the_same_bytes_again_and_again() {
    let again = |line: &Line, _, frames| line.ack(frames, vec![(frames, 0, Outcome::Again)]);
    expect_refusal("again and again", on_lane(again));
    // Packs go well, pieces never.
    let pieces = |line: &Line, frame, frames| {
        let wrong = (frames, 0, Outcome::Again);
        line.ack(frames, if frame == FrameType::Piece { vec![wrong] } else { vec![] });
    };
    expect_refusal("again and again", on_lane(pieces));
}

/// A file that is written while it is compared may be wrong in every one of its pieces.
#[test]
fn each_piece_once_is_no_breach() {
    const PIECES: u64 = 24;
    let asked = AtomicU64::new(0);
    let once = move |line: &Line, frame, frames| {
        if frame != FrameType::Piece {
            return line.ack(frames, vec![]);
        }
        match asked.fetch_add(1, Ordering::Relaxed) {
            early if early < PIECES => line.ack(frames, vec![(frames, 0, Outcome::Again)]),
            // It has come this far: each piece comes a second time.
            _ => drop(line.stream.write_all(&[b"GET / HTTP/1.1\r\n\r\n"], LONG)),
        }
    };
    let bytes = usize::try_from(PIECES * PIECE).unwrap();
    expect_refusal_of("unknown type", false, bytes, on_lane(once));
}

#[test]
fn garbage() {
    expect_refusal("unknown type", |line, _, _| drop(line.stream.write_all(&[b"GET / HTTP/1.1\r\n\r\n"], LONG)));
    expect_refusal("longer than 4 MiB", |line, _, _| drop(line.stream.write_all(&[&header(7, 0, u32::MAX)], LONG)));
    let short = |line: &Line, _: FrameType, _: u64| drop(line.channel.send(FrameType::Ack, false, &[&[0; 3]]));
    expect_refusal("ends too early", short);
    let count = |line: &Line, _: FrameType, _: u64| {
        let mut out = Vec::new();
        out.put_u64(0);
        out.put_u32(u32::MAX);
        let _ = line.channel.send(FrameType::Ack, false, &[&out]);
    };
    expect_refusal("too many entries", count);
    let pack = |line: &Line, _: FrameType, _: u64| drop(line.channel.send(FrameType::Pack, false, &[&[0; 64]]));
    expect_refusal("the index brings data", on_index(pack));
    expect_refusal("something else than ACKs", on_lane(pack));
    let settled = |line: &Line, _: FrameType, _: u64| {
        (0..2).for_each(|_| drop(line.channel.send(FrameType::Settled, false, &[])));
    };
    expect_refusal("is settled twice", on_index(settled));
}

#[test]
fn a_flood_of_items_waits_to_be_taken() {
    within_mebibytes(64, "refused_answers::a_flood_of_items_waits_to_be_taken", || {
        let place = Place::new();
        let flood: Habit = Arc::new(|line: &Line, _, _| {
            let mut out = Vec::new();
            out.put_u32(1);
            out.put_u8(1);
            out.put_u32(5);
            out.put_long_bytes(&vec![b'x'; 1 << 20]);
            out.put_long_bytes(b"data");
            out.put_long_bytes(b"");
            while line.channel.send(FrameType::Items, false, &[&out]).is_ok() {}
        });
        let listener = listener(pki::target());
        let _registration = listener.register(SECRET, Arc::new(Sink(flood)));
        // Somebody who takes no events for a while.
        let (release, held) = channel::<()>();
        let config = source_config(&place.root(), Mode::None);
        let sink = Box::new(move |_events| held.recv().unwrap_or(()));
        let session = SourceSession::open(config, sink).unwrap();
        session.attach_index(TcpStream::connect(("127.0.0.1", listener.port())).unwrap().into());
        thread::sleep(std::time::Duration::from_secs(2));
        session.close();
        drop(release);
    });
}
