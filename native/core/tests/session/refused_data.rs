//! What a target refuses on a lane, and connections that it does not take at all.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use pvferry_core::digest::file::{Form, PIECE, piece_digest, pieces};
use pvferry_core::error::{CoreError, ErrorKind};
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::net::{Channel, connect_bound};
use pvferry_core::target::{Comparison, Existing};
use pvferry_core::wire::check::Check;
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Body, Outcome};
use pvferry_core::wire::lane::{Again, End, FileAttempt, Hole, PackedFile, Piece, put_gone};

use super::alone::within_mebibytes;
use super::pair::{LONG, SECRET};
use super::pki;
use super::rogue::{Bench, LANE_PATIENCE, Line, checks, header, plain, tcp};
use super::volumes::{Place, names};

/// The target ends with a protocol error that says `words`.
#[track_caller]
pub(crate) fn expect_refusal(words: &str, act: impl FnOnce(&Bench)) {
    let mut bench = Bench::open();
    act(&bench);
    let error = bench.witness.failure();
    assert!(error.message.contains(words), "expected {words:?}: {error:?}");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
    bench.place.expect_canary();
}

/// The frame is refused after files of 10 bytes, 2 MiB and the most there can be have been announced.
#[track_caller]
pub(crate) fn expect_frame_refused(words: &str, frame: FrameType, payload: &[u8]) {
    expect_refusal(words, |bench| {
        bench.files(&[10, 4 * PIECE, i64::MAX as u64]).lane.send(frame, payload);
    });
}

fn packed(file: u64, size: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(1);
    PackedFile { file, size, digest: *blake3::hash(data).as_bytes(), attributes: plain() }.put(&mut out);
    out.extend_from_slice(data);
    out
}

fn attempt(file: u64, attempt: u16) -> FileAttempt {
    FileAttempt { file, attempt }
}

fn piece(of: FileAttempt, index: u64, length: u32, segments: Vec<(u32, u32)>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Piece { of, index, length, digest: [9; 32], segments }.put(&mut out);
    out.extend_from_slice(data);
    out
}

fn hole(file: u64, first: u64, count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Hole { of: attempt(file, 0), first, count }.put(&mut out);
    out
}

#[test]
fn frames_that_do_not_belong_on_a_lane() {
    for frame in [FrameType::Ack, FrameType::Settled, FrameType::Directory, FrameType::Entries, FrameType::Items] {
        expect_frame_refused("a lane brings announcements", frame, &[0; 16]);
    }
    expect_refusal("longer than 4 MiB", |bench| bench.lane.raw(&header(16, 0, u32::MAX)));
    expect_refusal("unknown type", |bench| bench.lane.raw(&header(0, 0, 1)));
}

#[test]
fn packs_whose_data_is_not_what_they_say() {
    let pack = FrameType::Pack;
    expect_frame_refused("no files or too many", pack, &0_u32.to_be_bytes());
    expect_frame_refused("no files or too many", pack, &u32::MAX.to_be_bytes());
    expect_frame_refused("another length", pack, &packed(0, 9, b"0123456789"));
    expect_frame_refused("another length", pack, &packed(0, 11, b"0123456789"));
    expect_frame_refused("more data than it may", pack, &packed(0, 512 * 1_024 + 1, b""));
    expect_frame_refused("more data than it may", pack, &packed(0, u32::MAX, b""));
    let mut three = packed(0, 400_000, b"");
    three[..4].copy_from_slice(&3_u32.to_be_bytes());
    let one = three[4..].to_vec();
    expect_frame_refused("more data than it may", pack, &[three, one.clone(), one].concat());
}

#[test]
fn a_bomb_is_not_unpacked() {
    within_mebibytes(64, "refused_data::a_bomb_is_not_unpacked", || {
        let bomb = zstd::bulk::compress(&vec![0; 20 << 20], 1).unwrap();
        let table = packed(0, 10, b"");
        for payload in [[table.clone(), bomb].concat(), [table, b"no zstd at all".to_vec()].concat()] {
            expect_refusal("cannot be decompressed", |bench| {
                bench.files(&[10]).lane.send_zstd(FrameType::Pack, &payload);
            });
        }
    });
}

#[test]
fn pieces_beyond_their_file() {
    let whole = 512 * 1_024;
    let send = |words: &str, payload: Vec<u8>| expect_frame_refused(words, FrameType::Piece, &payload);
    send("beyond the announced size", piece(attempt(1, 0), 4, whole, vec![], b""));
    send("beyond the announced size", piece(attempt(1, 0), u64::MAX, whole, vec![], b""));
    send("beyond the announced size", piece(attempt(1, 0), 3, 100, vec![], b""));
    send("beyond the announced size", piece(attempt(0, 0), 0, 11, vec![], b""));
    send("empty or too long", piece(attempt(1, 0), 0, 0, vec![], b""));
    send("empty or too long", piece(attempt(1, 0), 0, whole + 1, vec![], b""));
    send("overlap or leave it", piece(attempt(1, 0), 0, whole, vec![(0, 8), (7, 8)], b""));
    send("overlap or leave it", piece(attempt(1, 0), 0, whole, vec![(u32::MAX, 8)], b""));
    send("overlap or leave it", piece(attempt(1, 0), 0, whole, vec![(8, 0)], b""));
    send("too many segments", piece(attempt(1, 0), 0, whole, vec![(0, 1); 513], b""));
    send("another length", piece(attempt(1, 0), 0, whole, vec![(0, 8)], b"1234567"));
    send("another length", piece(attempt(1, 0), 0, whole, vec![(0, 8)], b"123456789"));
    send("sent too often", piece(attempt(1, 65), 0, whole, vec![], b""));
    send("not announced", piece(attempt(1, 3), 0, whole, vec![], b""));
}

#[test]
fn holes_of_exabytes_are_not_hashed() {
    let send = |words: &str, payload: &[u8]| expect_frame_refused(words, FrameType::Hole, payload);
    send("beyond the announced size", &hole(1, 0, 5));
    send("beyond the announced size", &hole(1, 4, u64::MAX - 3));
    send("beyond the announced size", &hole(1, 0, 0));
    // Where the file system takes a file of that size at all; otherwise it is an item.
    let mut bench = Bench::open();
    bench.files(&[1 << 40]).lane.send(FrameType::Hole, &hole(0, 0, pieces(1 << 40)));
    assert!(bench.witness.failure().message.contains("too many holes for a plain digest"));
}

#[test]
fn attempts_and_ends_that_are_malformed() {
    let mut again = Vec::new();
    Again { of: attempt(1, 1), size: u64::MAX, form: Form::Block }.put(&mut again);
    expect_frame_refused("larger than a file can be", FrameType::Again, &again);
    let last = again.len() - 1;
    again[last] = 9;
    expect_frame_refused("unknown form", FrameType::Again, &again);
    let mut end = Vec::new();
    End { of: attempt(1, 0), digest: [0; 32], attributes: plain() }.put(&mut end);
    end.push(0);
    expect_frame_refused("holds more than it should", FrameType::End, &end);
    expect_frame_refused("holds more than it should", FrameType::Gone, &[0; 9]);
}

#[test]
fn scattered_pieces_are_bounded() {
    within_mebibytes(64, "refused_data::scattered_pieces_are_bounded", || {
        expect_refusal("too scattered", |bench| {
            bench.files(&[1 << 40]);
            let mut again = Vec::new();
            Again { of: attempt(0, 1), size: 1 << 40, form: Form::Block }.put(&mut again);
            bench.lane.send(FrameType::Again, &again);
            for at in 0..20_000 {
                let mut out = Vec::new();
                Hole { of: attempt(0, 1), first: 2 * at, count: 1 }.put(&mut out);
                bench.lane.send(FrameType::Hole, &out);
            }
        });
    });
}

#[test]
fn files_that_were_never_announced_or_came_before() {
    let never = "a file it never announced";
    // Too far ahead of the index to be on its way.
    expect_frame_refused(never, FrameType::Pack, &packed(1 << 40, 1, b"x"));
    std::thread::scope(|scope| {
        // It might still come: the target waits first.
        scope.spawn(|| expect_frame_refused(never, FrameType::Pack, &packed(3, 1, b"x")));
        scope.spawn(|| expect_frame_refused(never, FrameType::Piece, &piece(attempt(4, 0), 0, 8, vec![], b"")));
        scope.spawn(|| {
            expect_refusal("sends a file twice", |bench| {
                bench.files(&[1]).lane.send(FrameType::Pack, &packed(0, 1, b"x"));
                bench.lane.send(FrameType::Pack, &packed(0, 1, b"y"));
            });
        });
    });
}

/// The source took the lane for dead before the target had read the PACK, and sends the file, which has grown, in pieces.
#[test]
fn a_pack_that_is_read_when_its_file_comes_in_pieces_already_changes_nothing() {
    let bench = Bench::open();
    bench.files(&[PIECE * 4]).lane.send(FrameType::Hole, &hole(0, 0, 1));
    assert_eq!(bench.lane.answer(), None);
    bench.lane.send(FrameType::Pack, &packed(0, 1, b"x"));
    assert_eq!(bench.lane.answer(), Some(Outcome::Again));
    bench.lane.send(FrameType::Hole, &hole(0, 1, 3));
    assert_eq!(bench.lane.answer(), None);
    assert_eq!(names(&bench.place.root()), [".pvferry"]);
}

/// A target that holds a sparse file of this size, which the source is to say the digest of; the CHECK with a wrong one.
fn to_be_checked(size: u64) -> (Bench, Vec<u8>) {
    let place = Place::new();
    let older = File::create(place.root().join("a")).unwrap();
    older.set_len(size).unwrap();
    let Timestamp { seconds, nanoseconds } = plain().mtime;
    older.set_modified(SystemTime::UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), nanoseconds)).unwrap();
    let bench = Bench::onto(place, |config| {
        config.terms.accept_contents = true;
        config.existing = Existing::Update;
        config.compare = Some(Comparison { digests: true, racy_from: None });
    });
    bench.root().entries((0, 0, 0), &[(b"a", Body::File { size, link: 0, attributes: Some(plain()) })]);
    let check = Check { file: 0, size, form: Form::Plain, digest: [7; 32], attributes: plain() };
    (bench, checks(&[check]))
}

/// The source took the first lane for dead, and the target's disk is slow: the second lane waits as long as that takes.
#[test]
fn a_file_that_another_lane_still_works_on_is_waited_for() {
    let (mut bench, check) = to_be_checked(1 << 42);
    let second = another_lane(&bench, 1);
    bench.lane.send(FrameType::Check, &check);
    second.send(FrameType::Check, &check);
    bench.witness.look(LANE_PATIENCE + Duration::from_secs(2));
    assert!(bench.witness.end.is_none(), "{:?}", bench.witness.end);
}

/// As a PACK, with a CHECK that was answered over another lane.
#[test]
fn a_check_that_is_read_when_its_file_comes_already_changes_nothing() {
    let size = 2 * PIECE;
    let (bench, check) = to_be_checked(size);
    bench.lane.send(FrameType::Check, &check);
    assert_eq!(bench.lane.answer(), Some(Outcome::Base(size)));
    let data = vec![5; PIECE as usize];
    let digest = piece_digest(Form::Plain, size, 0, &data);
    let whole = PIECE as u32;
    let mut piece = Vec::new();
    Piece { of: attempt(0, 0), index: 0, length: whole, digest, segments: vec![(0, whole)] }.put(&mut piece);
    piece.extend_from_slice(&data);
    bench.lane.send(FrameType::Piece, &piece);
    assert_eq!(bench.lane.answer(), None);
    bench.lane.send(FrameType::Check, &check);
    assert_eq!(bench.lane.answer(), Some(Outcome::Again));
    assert_eq!(fs::read(bench.place.root().join("a")).unwrap(), vec![0; size as usize]);
}

#[test]
fn wrong_bytes_are_asked_for_again_and_nothing_is_named() {
    let bench = Bench::open();
    let mut pack = packed(0, 3, b"abc");
    *pack.last_mut().unwrap() ^= 1;
    bench.files(&[3, 2 * PIECE]).lane.send(FrameType::Pack, &pack);
    assert_eq!(bench.lane.answer(), Some(Outcome::Again));
    bench.lane.send(FrameType::Piece, &piece(attempt(1, 0), 0, 512 * 1_024, vec![(5, 3)], b"abc"));
    assert_eq!(bench.lane.answer(), Some(Outcome::Again));
    let mut end = Vec::new();
    End { of: attempt(1, 0), digest: [0; 32], attributes: plain() }.put(&mut end);
    bench.lane.send(FrameType::End, &end);
    assert_eq!(bench.lane.answer(), Some(Outcome::Again));
    let mut gone = Vec::new();
    put_gone(&mut gone, 1);
    bench.lane.send(FrameType::Gone, &gone);
    assert_eq!(bench.lane.answer(), None);
    assert_eq!(names(&bench.place.root()), [".pvferry"]);
    assert_eq!(names(&bench.place.root().join(".pvferry/parts")), [""; 0]);
}

fn another_lane(bench: &Bench, lane: u16) -> Line {
    Line::new(connect_bound(tcp(bench.port), Channel::Lane(lane), &pki::source(), None, &SECRET, LONG).unwrap())
}

/// Two lanes die, each with files of the other in what it has received already: each waited for the other's end.
#[test]
fn a_dead_lane_does_not_wait_for_another_dead_lane() {
    let mut bench = Bench::open();
    bench.files(&[1, 1]);
    let other = another_lane(&bench, 1);
    bench.lane.send(FrameType::Pack, &packed(0, 1, b"x"));
    assert_eq!(bench.lane.answer(), None);
    other.send(FrameType::Pack, &packed(1, 1, b"y"));
    assert_eq!(other.answer(), None);
    bench.lane.send(FrameType::Pack, &packed(1, 1, b"y"));
    other.send(FrameType::Pack, &packed(0, 1, b"x"));
    std::thread::sleep(Duration::from_millis(300));
    let _again = another_lane(&bench, 0);
    assert!(matches!(other.answer(), Some(Outcome::Duplicate(..))));
    bench.witness.look(Duration::from_millis(50));
    assert!(bench.witness.end.is_none(), "{:?}", bench.witness.end);
}

/// The answer to BIND may be lost on its way: the source dials again, and the target cannot know that it has to let go.
#[test]
fn an_index_that_has_brought_nothing_gives_way_to_another() {
    let mut bench = Bench::open();
    for _ in 0..3 {
        let again = connect_bound(tcp(bench.port), Channel::Index, &pki::source(), None, &SECRET, LONG).unwrap();
        bench.index = Line::new(again);
    }
    bench.root();
    assert_eq!(bench.index.answer(), None);
    bench.witness.look(Duration::from_millis(50));
    assert!(bench.witness.end.is_none(), "{:?}", bench.witness.end);
}

#[test]
fn connections_that_are_not_taken() {
    let bench = Bench::open();
    bench.root();
    assert_eq!(bench.index.answer(), None);
    let refused = |words: &str, result: Result<pvferry_core::net::TlsStream, CoreError>| {
        let error = result.err().unwrap();
        assert!(error.message.contains(words), "{error:?}");
        assert_eq!(error.kind, ErrorKind::Untrusted, "{error:?}");
    };
    let fd = || tcp(bench.port);
    refused("an index already", connect_bound(fd(), Channel::Index, &pki::source(), None, &SECRET, LONG));
    refused("there is no lane 2", connect_bound(fd(), Channel::Lane(2), &pki::source(), None, &SECRET, LONG));
    refused(
        "there is no lane 65535",
        connect_bound(fd(), Channel::Lane(u16::MAX), &pki::source(), None, &SECRET, LONG),
    );
    refused("refused", connect_bound(fd(), Channel::Lane(1), &pki::source(), None, &[0; 32], LONG));
    refused("refused", connect_bound(fd(), Channel::Index, &pki::source(), None, &[0; 32], LONG));
    bench.place.expect_canary();
}
