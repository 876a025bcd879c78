//! Directories that nest as deeply as the protocol allows, and one more.

use std::time::{Duration, Instant};

use pvferry_core::error::ErrorKind;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::Body;
use pvferry_core::wire::limits::MAX_DEPTH;

use super::rogue::{Bench, symlink};

/// Announces directories one within the other, the root at 0 and the last at `depth`; all but the last are ended.
fn nest(bench: &Bench, first: Body<'_>, depth: u64) {
    bench.root().entries((0, 0, 0), &[(b"d", first)]).directory(1, 0, 0, b"d");
    for id in 2..=depth {
        bench.entries((id - 1, 0, 0), &[(b"d", Body::Directory)]);
        bench.mark(FrameType::DirectoryEnd, id - 1, 1).directory(id, id - 1, 0, b"d");
    }
}

/// The whole chain completes at once, from the deepest up: nothing on the way may take a stack as deep.
#[test]
fn directories_nest_to_the_limit() {
    let mut bench = Bench::open();
    nest(&bench, Body::Directory, u64::from(MAX_DEPTH));
    bench.mark(FrameType::DirectoryEnd, 0, 1).mark(FrameType::DirectoryEnd, u64::from(MAX_DEPTH), 0);
    bench.index.send(FrameType::Settled, &[]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while bench.witness.end.is_none() && Instant::now() < deadline {
        bench.witness.look(Duration::from_millis(20));
    }
    let outcome = bench.witness.end.take().unwrap().unwrap();
    assert_eq!(outcome.entries.directories, u64::from(MAX_DEPTH) + 1);
    assert_eq!(bench.witness.items, []);
    bench.place.expect_canary();
}

#[test]
fn directories_below_the_limit_are_refused() {
    let mut bench = Bench::open();
    // Where a symlink lies already no directory is made, nor anything beneath: the depth is counted all the same.
    nest(&bench, symlink(b"nowhere"), u64::from(MAX_DEPTH) + 1);
    let error = bench.witness.failure();
    assert!(error.message.contains("nest too deeply"), "{error:?}");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
    bench.place.expect_canary();
}
