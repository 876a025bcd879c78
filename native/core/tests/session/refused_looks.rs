//! What a target that only looks refuses from a source that holds a valid leaf and keeps to nothing else: whatever would
//! write, and whatever is longer than it may be. Its volume stays as it is in any case.

use std::fs;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pvferry_core::digest::blocks::Blocks;
use pvferry_core::digest::file::{Form, PIECE};
use pvferry_core::error::ErrorKind;
use pvferry_core::fs::apply::Attributes;
use pvferry_core::target::Comparison;
use pvferry_core::target::look::Judgement;
use pvferry_core::wire::blocks::{Patch, Sums, put_piece_sums};
use pvferry_core::wire::check::Check;
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Body, Outcome};
use pvferry_core::wire::lane::{Again, End, FileAttempt, Hole, PackedFile, Piece, put_gone};
use pvferry_core::wire::limits::MAX_PACK_FILES;

use super::alone::within_mebibytes;
use super::look_pair::listed;
use super::looks::state;
use super::pair::LONG;
use super::rogue::{Bench, checks, header, plain};
use super::volumes::{Place, noise};

const BY_DIGEST: Judgement = Judgement::AsCopy(Comparison { digests: true, racy_from: None });

/// What the volume has as "a" and "b", and the source announces: with file ids 0 and 1.
const SIZES: [usize; 2] = [10, 2 * PIECE as usize];

fn of(file: u64) -> FileAttempt {
    FileAttempt { file, attempt: 0 }
}

/// A volume with two files, announced with their sizes, which the target wants to be told the digests of.
fn announced(judgement: Judgement) -> Bench {
    let place = Place::new();
    for (name, size) in ["a", "b"].into_iter().zip(SIZES) {
        fs::write(place.root().join(name), noise(1, size)).unwrap();
        // The time that is announced: a copy by digests reads what has another one without being told a digest.
        let announced = UNIX_EPOCH + Duration::new(1_000, 5);
        fs::File::open(place.root().join(name)).unwrap().set_modified(announced).unwrap();
    }
    let bench = Bench::looking(place, judgement);
    let body = |size: usize| Body::File { size: size as u64, link: 0, attributes: Some(plain()) };
    bench.root().entries((0, 0, 0), &[(b"a", body(SIZES[0])), (b"b", body(SIZES[1]))]);
    // The root may be acknowledged by itself first.
    let answer = bench.index.answer().or_else(|| bench.index.answer());
    assert_eq!(answer, Some(Outcome::Check));
    bench
}

/// Listing a directory may move its access time: whoever looks comes second.
fn state_seen_before(bench: &Bench) -> Vec<String> {
    state(&bench.place.root());
    state(&bench.place.root())
}

/// The target ends with a protocol error that says `words`, and nothing of its volume is touched.
#[track_caller]
fn expect_refusal(judgement: Judgement, words: &str, act: impl FnOnce(&Bench)) {
    let mut bench = announced(judgement);
    let before = state_seen_before(&bench);
    act(&bench);
    let error = bench.witness.failure();
    assert!(error.message.contains(words), "expected {words:?}: {error:?}");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
    assert_eq!(state(&bench.place.root()), before, "something of the target was touched");
    bench.place.expect_canary();
}

#[track_caller]
fn expect_frame_refused(words: &str, frame: FrameType, payload: &[u8]) {
    for judgement in [Judgement::EveryByte, BY_DIGEST] {
        expect_refusal(judgement, words, |bench| {
            bench.lane.send(frame, payload);
        });
    }
}

fn put(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

/// Each is one that a target of a copy would take.
#[test]
fn frames_that_write() {
    let other = noise(2, SIZES[1]);
    let digest = *blake3::hash(&other[..SIZES[0]]).as_bytes();
    let mut pack = 1_u32.to_be_bytes().to_vec();
    PackedFile { file: 0, size: 10, digest, attributes: plain() }.put(&mut pack);
    pack.extend_from_slice(&other[..SIZES[0]]);
    let piece = &other[..PIECE as usize];
    let length = piece.len() as u32;
    let digest = *blake3::hash(piece).as_bytes();
    let mut whole = put(|out| Piece { of: of(1), index: 0, length, digest, segments: vec![(0, length)] }.put(out));
    whole.extend_from_slice(piece);
    let blocks = Blocks::all(4_096);
    let mut patch = put(|out| Patch { of: of(1), index: 0, length, digest, blocks }.put(out));
    patch.extend_from_slice(&piece[..4_096]);
    let sums = put(|out| {
        Sums::put_head(out, of(1), 0, length);
        put_piece_sums(out, &digest, pvferry_core::digest::blocks::sums(piece));
    });
    let again = FileAttempt { file: 1, attempt: 1 };
    let frames = [
        (FrameType::Pack, pack),
        (FrameType::Piece, whole),
        (FrameType::Hole, put(|out| Hole { of: of(1), first: 0, count: 2 }.put(out))),
        (FrameType::Again, put(|out| Again { of: again, size: 7, form: Form::Block }.put(out))),
        (FrameType::End, put(|out| End { of: of(1), digest, attributes: plain() }.put(out))),
        (FrameType::Patch, patch),
    ];
    for (frame, payload) in frames {
        expect_frame_refused("it sends data to a session that only looks", frame, &payload);
    }
    // These do not write, but nobody has asked for them.
    expect_frame_refused("it compares where there is nothing to compare with", FrameType::Sums, &sums);
}

#[test]
fn data_on_the_index() {
    for frame in [FrameType::Pack, FrameType::Piece, FrameType::Check, FrameType::Gone, FrameType::Ack] {
        expect_refusal(Judgement::EveryByte, "the index brings data", |bench| {
            bench.index.send(frame, &[0; 8]);
        });
    }
}

fn check(file: u64, attributes: &Attributes) -> Vec<u8> {
    let digest = *blake3::hash(&noise(1, SIZES[0])).as_bytes();
    let attributes = attributes.clone();
    checks(&[Check { file, size: SIZES[0] as u64, form: Form::Plain, digest, attributes }])
}

#[test]
fn checks_that_are_malformed() {
    let send = |words: &str, payload: &[u8]| expect_frame_refused(words, FrameType::Check, payload);
    let good = check(0, &plain());
    send("ends too early", &good[..good.len() - 1]);
    send("holds more than it should", &[&good[..], &[0]].concat());
    let changed = |at: usize, byte: u8| {
        let mut payload = good.clone();
        payload[at] = byte;
        payload
    };
    // The form, after count, file id and size.
    send("unknown form", &changed(20, 9));
    send("no files or too many", &changed(3, 0));
    send("ends too early", &changed(3, 2));
    send("no files or too many", &[&(MAX_PACK_FILES + 1).to_be_bytes()[..], &good[4..]].concat());
    // The count of extended attributes, which are not there.
    send("ends too early", &changed(good.len() - 2, 0xff));
    send("what it was not asked for", &check(2, &plain()));
    send("what it was not asked for", &check(u64::MAX, &plain()));
    expect_frame_refused("holds more than it should", FrameType::Gone, &[0; 9]);
    expect_frame_refused("what it was not asked for", FrameType::Gone, &put(|out| put_gone(out, 2)));
}

fn sums_of(first: u64, pieces: u32) -> Vec<u8> {
    put(|out| {
        Sums::put_head(out, of(0), first, pieces * PIECE as u32);
        (0..pieces).for_each(|_| put_piece_sums(out, &[9; 32], 0..128_u64));
    })
}

/// Where a dry run has something to compare with, it answers sums, as far as that goes and until the file is over.
#[test]
fn sums_of_more_than_there_is() {
    let expect = |words: &str, act: &dyn Fn(&Bench)| {
        let place = Place::new();
        fs::write(place.root().join("a"), noise(1, SIZES[1])).unwrap();
        let by_time = Judgement::AsCopy(Comparison { digests: false, racy_from: None });
        let mut bench = Bench::looking(place, by_time);
        let size = 4 * PIECE;
        bench.root().entries((0, 0, 0), &[(b"a", Body::File { size, link: 0, attributes: Some(plain()) })]);
        let answer = bench.index.answer().or_else(|| bench.index.answer());
        assert_eq!(answer, Some(Outcome::Base(2 * PIECE)));
        let before = state_seen_before(&bench);
        bench.lane.send(FrameType::Sums, &sums_of(0, 2));
        assert_eq!(bench.lane.answer(), Some(Outcome::Lacks(Blocks::all(PIECE as usize))));
        act(&bench);
        let error = bench.witness.failure();
        assert!(error.message.contains(words), "expected {words:?}: {error:?}");
        assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
        assert_eq!(state(&bench.place.root()), before, "something of the target was touched");
    };
    let nothing = "it compares where there is nothing to compare with";
    expect(nothing, &|bench| {
        bench.lane.send(FrameType::Sums, &sums_of(1, 2));
    });
    expect("no pieces or of too many", &|bench| {
        bench.lane.send(FrameType::Sums, &sums_of(u64::MAX, 1));
    });
    expect("it sends data to a session that only looks", &|bench| {
        bench.lane.send(FrameType::Patch, &[0; 100]);
    });
}

#[test]
fn announcements_of_another_kind_of_session() {
    expect_refusal(Judgement::EveryByte, "another kind of session", |bench| {
        bench.entries((0, 2, 2), &[(b"c", Body::File { size: 10, link: 0, attributes: None })]);
    });
}

#[test]
fn lengths_beyond_their_limits_cost_no_memory() {
    within_mebibytes(48, "refused_looks::lengths_beyond_their_limits_cost_no_memory", || {
        let refused = |words: &str, act: &dyn Fn(&Bench)| expect_refusal(Judgement::EveryByte, words, act);
        refused("longer than 4 MiB", &|bench| bench.lane.raw(&header(FrameType::Check as u8, 0, u32::MAX)));
        refused("longer than 4 MiB", &|bench| bench.index.raw(&header(FrameType::Entries as u8, 0, u32::MAX)));
        let mut value = check(0, &plain());
        let at = value.len() - 1;
        value[at] = 1;
        value.push(6);
        value.extend_from_slice(b"user.k");
        value.put_u32(u32::MAX);
        refused("exceeds", &|bench| {
            bench.lane.send(FrameType::Check, &value);
        });
        let zeros = zstd::bulk::compress(&vec![0; 20 << 20], 1).unwrap();
        refused("it sends data to a session that only looks", &|bench| bench.lane.send_zstd(FrameType::Pack, &zeros));
    });
}

/// A wrong digest, size or form is no breach: it is a difference, told once however often it comes.
#[test]
fn digests_that_are_wrong_are_differences() {
    let mut bench = announced(Judgement::EveryByte);
    let before = state_seen_before(&bench);
    let mut wrong = check(0, &plain());
    wrong[30] ^= 1;
    for _ in 0..3 {
        bench.lane.send(FrameType::Check, &wrong);
        assert_eq!(bench.lane.answer(), Some(Outcome::Differs));
    }
    let huge = checks(&[Check { file: 1, size: u64::MAX, form: Form::Block, digest: [0; 32], attributes: plain() }]);
    bench.lane.send(FrameType::Check, &huge);
    assert_eq!(bench.lane.answer(), Some(Outcome::Differs));
    let late = Instant::now() + LONG;
    // That of the root's attributes is the third.
    while bench.witness.differences.len() < 3 && Instant::now() < late {
        bench.witness.look(Duration::from_millis(50));
    }
    bench.witness.look(Duration::from_millis(50));
    assert!(bench.witness.end.is_none(), "{:?}", bench.witness.end);
    let replaced = listed(&bench.witness.differences).into_iter().filter(|line| line.contains("replaced"));
    let lines: Vec<String> = replaced.collect();
    assert_eq!(lines, ["a: replaced File content,mode", "b: replaced File content,mode"]);
    assert_eq!(state(&bench.place.root()), before);
}
