//! Copies whose data is not hashed on its way (`Verify::None`).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use pvferry_core::digest::file::{FileDigest, Form, NO_DIGEST, PIECE, piece_digest};
use pvferry_core::error::ErrorKind;
use pvferry_core::session::verify::Verify;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Ack, Outcome};
use pvferry_core::wire::lane::{Again, End, FileAttempt, Hole, PackedFile, Piece, read_pack};

use super::pair::Pair;
use super::refused_data::expect_frame_refused;
use super::relay::{Frame, Hook, Verdict};
use super::rogue::{Bench, checks, plain};
use super::volumes::{Place, furnish, noise};

/// What of the frames of a copy has a digest, and how many have none.
#[derive(Default)]
struct Seen {
    hashed: AtomicU64,
    unhashed: AtomicU64,
}

impl Seen {
    fn count(&self, digest: &[u8; 32]) {
        let counter = if *digest == NO_DIGEST { &self.unhashed } else { &self.hashed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn hook(self: &Arc<Self>, flip: bool) -> Hook {
        let seen = Arc::clone(self);
        Arc::new(move |frame: &mut Frame<'_>| {
            match frame.kind {
                FrameType::Pack => read_pack(frame.payload).unwrap().0.iter().for_each(|file| seen.count(&file.digest)),
                FrameType::Piece => seen.count(&Piece::read(frame.payload).unwrap().0.digest),
                _ => return Verdict::Pass,
            }
            if flip && let Some(last) = frame.payload.last_mut() {
                *last ^= 1;
            }
            Verdict::Pass
        })
    }
}

#[test]
fn nothing_that_is_sent_is_hashed_and_everything_arrives() {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    let seen = Arc::new(Seen::default());
    let settled = Pair::unhashed(&from.root(), &to.root(), 2).through(seen.hook(false)).copy();
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.target.compared, 0);
    assert_eq!(settled.source.resent, 0);
    assert_eq!(seen.hashed.load(Ordering::Relaxed), 0);
    assert!(seen.unhashed.load(Ordering::Relaxed) > 10);
    assert_eq!(super::pair::roots(&from.root()), super::pair::roots(&to.root()));
    // These say what was sent, and nothing of its bytes.
    assert_ne!(settled.source.roots.content, super::pair::roots(&from.root()).content);
}

/// What TLS does not guard nobody sees: which is why the receipt says so.
#[test]
fn wrong_bytes_are_written_as_they_come() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("small"), b"small").unwrap();
    fs::write(from.root().join("large"), noise(1, 2_000_000)).unwrap();
    let seen = Arc::new(Seen::default());
    let settled = Pair::unhashed(&from.root(), &to.root(), 1).through(seen.hook(true)).copy();
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(fs::read(to.root().join("small")).unwrap(), b"smalm");
    assert_ne!(fs::read(to.root().join("large")).unwrap(), noise(1, 2_000_000));
}

/// The sums of blocks are guesses, so that digests decide there all the same.
#[test]
fn what_is_there_is_compared_by_digests_all_the_same() {
    let (from, to) = (Place::new(), Place::new());
    let data = noise(3, 8 * PIECE as usize);
    fs::write(from.root().join("large"), &data).unwrap();
    fs::write(to.root().join("large"), &data).unwrap();
    let older = File::options().write(true).open(to.root().join("large")).unwrap();
    older.write_all_at(b"other", 3 * PIECE).unwrap();
    older.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let (patched, patches) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (flipped, sent) = (Arc::clone(&patched), Arc::clone(&patches));
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind == FrameType::Patch && sent.fetch_add(1, Ordering::Relaxed) == 0 {
            *frame.payload.last_mut().unwrap() ^= 1;
            flipped.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Pass
    });
    let settled = Pair::unhashed(&from.root(), &to.root(), 1).through(hook).copy();
    assert_eq!(patched.load(Ordering::Relaxed), 1);
    assert_eq!(fs::read(to.root().join("large")).unwrap(), data);
    // The block with the wrong bit, and then the whole piece.
    assert!(settled.source.resent > 0);
    assert!(settled.source.matched_bytes >= 7 * PIECE, "{}", settled.source.matched_bytes);
}

/// A target that gets room between two pieces of a file puts it off and has some of it all the same: of what may be another
/// version than the one that is sent then.
#[test]
fn a_file_that_was_put_off_is_not_mixed_with_what_was_taken_of_it() {
    let (from, to) = (Place::new(), Place::new());
    let file = from.root().join("large");
    fs::write(&file, noise(1, 6 * PIECE as usize)).unwrap();
    let (answers, changing) = (AtomicU64::new(0), file.clone());
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if frame.to_target || frame.lane.is_none() || answers.fetch_add(1, Ordering::Relaxed) > 0 {
            return Verdict::Pass;
        }
        fs::write(&changing, noise(2, 6 * PIECE as usize)).unwrap();
        let mut ack = Ack::read(frame.payload).unwrap();
        ack.exceptions.push((ack.frames, 0, Outcome::Later));
        frame.payload.clear();
        ack.put(frame.payload);
        Verdict::Pass
    });
    let mut pair = Pair::unhashed(&from.root(), &to.root(), 1).through(hook);
    let settled = pair.copy();
    assert_eq!(pair.from.items, []);
    assert_eq!(settled.source.roots, settled.target.roots);
    assert!(fs::read(to.root().join("large")).unwrap() == fs::read(&file).unwrap(), "two versions in one file");
}

fn unhashed() -> Bench {
    Bench::onto(Place::new(), |config| config.verify = Verify::None)
}

fn packed(digest: [u8; 32]) -> Vec<u8> {
    let mut out = 1_u32.to_be_bytes().to_vec();
    PackedFile { file: 0, size: 3, digest, attributes: plain() }.put(&mut out);
    out.extend_from_slice(b"abc");
    out
}

fn piece(index: u64, digest: [u8; 32]) -> Vec<u8> {
    let (of, whole) = (FileAttempt { file: 1, attempt: 0 }, PIECE as u32);
    let mut out = Vec::new();
    Piece { of, index, length: whole, digest, segments: vec![(0, whole)] }.put(&mut out);
    out.resize(out.len() + PIECE as usize, 7);
    out
}

fn end(digest: [u8; 32]) -> Vec<u8> {
    let mut out = Vec::new();
    End { of: FileAttempt { file: 1, attempt: 0 }, digest, attributes: plain() }.put(&mut out);
    out
}

#[test]
fn digests_that_were_not_agreed_are_asked_for_again() {
    let bench = unhashed();
    let answer = |frame, payload: Vec<u8>| {
        bench.lane.send(frame, &payload);
        bench.lane.answer()
    };
    bench.files(&[3, 2 * PIECE]);
    assert_eq!(answer(FrameType::Pack, packed(*blake3::hash(b"abc").as_bytes())), Some(Outcome::Again));
    assert_eq!(answer(FrameType::Pack, packed(NO_DIGEST)), None);
    let hashed = piece_digest(Form::Plain, 2 * PIECE, 0, &vec![7; PIECE as usize]);
    assert_eq!(answer(FrameType::Piece, piece(0, hashed)), Some(Outcome::Again));
    assert_eq!(answer(FrameType::Piece, piece(0, NO_DIGEST)), None);
    let mut all = FileDigest::new(Form::Assumed, 2 * PIECE);
    all.add_piece(0, NO_DIGEST);
    assert_eq!(all.finish(), None);
    all.add_piece(1, NO_DIGEST);
    let whole = all.finish().unwrap();
    assert_eq!(answer(FrameType::End, end(whole)), Some(Outcome::Again), "a piece is missing");
    assert_eq!(answer(FrameType::Piece, piece(1, NO_DIGEST)), None);
    assert_eq!(answer(FrameType::End, end(NO_DIGEST)), Some(Outcome::Again));
    assert_eq!(answer(FrameType::End, end(whole)), None);
    assert_eq!(fs::read(bench.place.root().join("a")).unwrap(), b"abc");
    assert_eq!(fs::read(bench.place.root().join("b")).unwrap(), vec![7; 2 * PIECE as usize]);
}

#[test]
fn forms_that_were_not_agreed_break_the_protocol() {
    let again = |form| {
        let mut out = Vec::new();
        Again { of: FileAttempt { file: 1, attempt: 1 }, size: PIECE, form }.put(&mut out);
        out
    };
    expect_frame_refused("a form that was not agreed", FrameType::Again, &again(Form::Assumed));
    for form in [Form::Plain, Form::Block] {
        let mut bench = unhashed();
        bench.files(&[3, 2 * PIECE]).lane.send(FrameType::Again, &again(form));
        let error = bench.witness.failure();
        assert!(error.message.contains("a form that was not agreed"), "{error:?}");
        assert_eq!(error.kind, ErrorKind::Protocol);
    }
    let check = pvferry_core::wire::check::Check {
        file: 0,
        size: 10,
        form: Form::Assumed,
        digest: NO_DIGEST,
        attributes: plain(),
    };
    expect_frame_refused("a digest is of an unknown form", FrameType::Check, &checks(&[check]));
}

/// No form can spare what is not hashed anyway.
#[test]
fn a_tebibyte_of_holes_cost_nothing() {
    let bench = unhashed();
    let size = 1 << 40;
    let mut hole = Vec::new();
    Hole { of: FileAttempt { file: 0, attempt: 0 }, first: 0, count: size / PIECE }.put(&mut hole);
    bench.files(&[size]).lane.send(FrameType::Hole, &hole);
    assert_eq!(bench.lane.answer(), None);
    let mut zeros = FileDigest::new(Form::Assumed, size);
    zeros.add_holes(0, size / PIECE);
    let mut end = Vec::new();
    let digest = zeros.finish().unwrap();
    End { of: FileAttempt { file: 0, attempt: 0 }, digest, attributes: plain() }.put(&mut end);
    bench.lane.send(FrameType::End, &end);
    assert_eq!(bench.lane.answer(), None);
    assert_eq!(fs::metadata(bench.place.root().join("a")).unwrap().len(), size);
}
