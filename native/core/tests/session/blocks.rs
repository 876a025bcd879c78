//! Large files of which the target has something: only blocks that differ cross, and the file is right in the end, down
//! to its holes.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pvferry_core::digest::blocks::{BLOCK, sums};
use pvferry_core::fs::extents::Extents;
use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;
use pvferry_core::target::journal::look;
use pvferry_core::target::look::Judgement;
use pvferry_core::target::{Comparison, Terms};
use pvferry_core::wire::frame::FrameType;

use super::look_pair::{LookPair, listed, look_config};
use super::lost_lanes::kill_before_ack;
use super::pair::{DEADLINE, Pair, Settled, roots};
use super::relay::{Frame, Hook, Verdict, counting};
use super::volumes::{Place, noise};

const BY_TIME: Comparison = Comparison { digests: false, racy_from: None };
/// Not a multiple of a piece, nor of a block.
const SIZE: usize = 9_000_001;

/// A volume with one large file, copied once.
fn copied() -> (Place, Place) {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("large"), noise(1, SIZE)).unwrap();
    Pair::open(&from.root(), &to.root(), 2).copy();
    (from, to)
}

fn change(place: &Place, change: impl FnOnce(&File)) {
    let file = File::options().read(true).write(true).open(place.root().join("large")).unwrap();
    change(&file);
}

/// Another copy; a dry run before it says how much it sends.
#[track_caller]
fn again(from: &Place, to: &Place) -> Settled {
    let looked = LookPair::open(&from.root(), look_config(&to.root(), Judgement::AsCopy(BY_TIME))).look();
    let settled = settle(Pair::comparing(&from.root(), &to.root(), 2, BY_TIME), from, to);
    assert_eq!((looked.source.would_move, looked.source.moved_bytes), (settled.source.moved_bytes, 0));
    settled
}

#[track_caller]
fn settle(mut pair: Pair, from: &Place, to: &Place) -> Settled {
    let settled = pair.copy();
    assert_eq!((&pair.from.items, &pair.to.items), (&Vec::new(), &Vec::new()));
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(roots(&from.root()), roots(&to.root()), "the volumes differ");
    let (here, there) = (extents(&from.root().join("large")), extents(&to.root().join("large")));
    assert_eq!(here, there, "the holes differ");
    settled
}

fn extents(path: &Path) -> Vec<(u64, u64)> {
    let file = File::open(path).unwrap();
    let found: Result<Vec<_>, _> = Extents::new(file.as_fd(), file.metadata().unwrap().len()).collect();
    found.unwrap()
}

#[test]
fn only_changed_blocks_cross() {
    let (from, to) = copied();
    change(&from, |file| {
        // Within a block, over the border of two, in the last one, and two neighbours in another piece.
        for at in [10_u64, 5 * 4_096 - 2, 9_000_000, 5_000_000] {
            file.write_all_at(b"four"[..4.min(SIZE - at as usize)].as_ref(), at).unwrap();
        }
        file.write_all_at(&noise(2, 8_192), 700 * BLOCK as u64).unwrap();
    });
    let settled = again(&from, &to);
    let tail = (SIZE % BLOCK) as u64;
    assert_eq!(settled.source.moved_bytes, 6 * BLOCK as u64 + tail);
    for side in [&settled.source, &settled.target] {
        assert_eq!((side.moved_bytes + side.matched_bytes, side.resent), (SIZE as u64, 0));
    }
    assert!(settled.source.wire_bytes < settled.source.moved_bytes + 30_000, "{}", settled.source.wire_bytes);
}

/// What only its bytes tell to have changed is forecast as well, whatever becomes of the lanes.
#[test]
fn a_forecast_outlives_its_lanes() {
    let (from, to) = copied();
    fs::write(from.root().join("same"), noise(2, SIZE)).unwrap();
    Pair::comparing(&from.root(), &to.root(), 2, BY_TIME).copy();
    let written = fs::metadata(from.root().join("large")).unwrap().modified().unwrap();
    change(&from, |file| {
        [0, 3_000_000, 8_000_000].into_iter().for_each(|at| file.write_all_at(&noise(3, 5_000), at).unwrap());
        file.set_modified(written).unwrap();
    });
    let judgement = Judgement::AsCopy(Comparison { digests: true, ..BY_TIME });
    let expected = 3 * 2 * BLOCK as u64;
    for hook in [kill_before_ack(FrameType::Sums, 2), kill_before_ack(FrameType::Gone, 1)] {
        let (hook, kills) = counting(hook);
        let mut pair = LookPair::relayed(&from.root(), look_config(&to.root(), judgement), Some(hook));
        let settled = pair.look();
        assert!(kills.load(Ordering::Relaxed) > 0, "no lane died");
        assert_eq!(listed(&pair.to.differences), ["large: replaced File content"]);
        assert_eq!((settled.source.would_move, settled.source.compared), (expected, 1));
    }
    let digests = Comparison { digests: true, ..BY_TIME };
    let settled = settle(Pair::comparing(&from.root(), &to.root(), 2, digests), &from, &to);
    assert_eq!(settled.source.moved_bytes, expected);
}

#[test]
fn appending_and_truncating_cost_what_they_change() {
    let (from, to) = copied();
    change(&from, |file| file.write_all_at(&noise(3, 2_000_000), SIZE as u64).unwrap());
    let appended = again(&from, &to).source;
    assert!((2_000_000..2_000_000 + BLOCK as u64).contains(&appended.moved_bytes), "{}", appended.moved_bytes);
    change(&from, |file| file.set_len(3_000_000).unwrap());
    assert_eq!(again(&from, &to).source.moved_bytes, 0);
    // A file that would travel in a pack is sent whole.
    change(&from, |file| file.set_len(500_000).unwrap());
    assert_eq!(again(&from, &to).source.moved_bytes, 500_000);
    change(&from, |file| file.set_len(0).unwrap());
    assert_eq!(again(&from, &to).source.moved_bytes, 0);
}

#[test]
fn what_moved_within_its_file_is_sent_again() {
    let (from, to) = copied();
    change(&from, |file| file.write_all_at(&[b"x", &noise(1, SIZE)[..]].concat(), 0).unwrap());
    let shifted = again(&from, &to).source;
    assert_eq!((shifted.moved_bytes, shifted.matched_bytes), (SIZE as u64 + 1, 0));
    change(&from, |file| file.write_all_at(&noise(1, SIZE)[1 << 20..], 0).unwrap());
    let moved = again(&from, &to).source;
    assert_eq!(moved.moved_bytes + moved.matched_bytes, SIZE as u64 + 1);
}

#[test]
fn holes_are_where_the_source_has_them() {
    // On a file system that can clone, the part begins with the older file's extents; here after an attempt before.
    let (from, to) = copied();
    let zeros = vec![0; 1 << 20];
    change(&from, |file| {
        punch(file, 1 << 20, 1 << 20);
        punch(file, (4 << 20) + BLOCK as u64, BLOCK as u64);
        punch(file, 8 << 20, 1 << 20);
    });
    let sparse = again(&from, &to).source;
    // What has holes is sent as it is: one piece that is partly data, another at the end.
    assert!(sparse.moved_bytes < 600_000, "{}", sparse.moved_bytes);
    change(&from, |file| file.write_all_at(&zeros, 1 << 20).unwrap());
    let dense = again(&from, &to).source;
    assert!(dense.moved_bytes < 600_000, "{}", dense.moved_bytes);
    change(&from, |file| file.write_all_at(&noise(5, 100), (4 << 20) + BLOCK as u64).unwrap());
    assert_eq!(again(&from, &to).source.moved_bytes, BLOCK as u64);
}

fn punch(file: &File, start: u64, length: u64) {
    use rustix::fs::FallocateFlags;
    rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, start, length).unwrap();
}

#[test]
fn names_of_one_file_and_attributes_come_along() {
    let (from, to) = (Place::new(), Place::new());
    fs::create_dir(from.root().join("d")).unwrap();
    fs::write(from.root().join("large"), noise(1, SIZE)).unwrap();
    fs::hard_link(from.root().join("large"), from.root().join("d/other")).unwrap();
    Pair::open(&from.root(), &to.root(), 2).copy();
    change(&from, |file| {
        file.write_all_at(b"#", 12_345).unwrap();
        rustix::fs::fsetxattr(file, "user.k", b"v", rustix::fs::XattrFlags::empty()).unwrap();
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(0o4711)).unwrap();
    });
    assert_eq!(again(&from, &to).source.moved_bytes, BLOCK as u64);
}

/// A first copy knows no base, but a file that changes while it is read has one from then on.
#[test]
fn a_file_that_grows_while_it_is_read_is_not_sent_twice() {
    for lanes in [1, 3] {
        let (from, to) = (Place::new(), Place::new());
        fs::write(from.root().join("large"), noise(1, SIZE)).unwrap();
        let path = from.root().join("large");
        let hook = once(FrameType::Piece, move |_| {
            let file = File::options().write(true).open(&path).unwrap();
            file.write_all_at(&noise(2, 700_000), SIZE as u64).unwrap();
            file.write_all_at(b"#", 1_000_000).unwrap();
        });
        let settled = settle(Pair::relayed(&from.root(), &to.root(), lanes, Mode::None, hook), &from, &to).source;
        let once = SIZE as u64 + 700_000;
        assert!((once..once + 3 * BLOCK as u64).contains(&settled.moved_bytes), "{lanes} lanes: {settled:?}");
        assert!(settled.matched_bytes > SIZE as u64 - 600_000, "{settled:?}");
    }
}

/// Does something with the first frame of a type.
fn once(of: FrameType, act: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> Hook {
    let seen = AtomicU64::new(0);
    Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind == of && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            act(frame.payload);
        }
        Verdict::Pass
    })
}

#[test]
fn a_file_that_changes_between_its_sums_and_its_patch() {
    let (from, to) = copied();
    change(&from, |file| file.write_all_at(b"#", 100).unwrap());
    let path = from.root().join("large");
    let hook = once(FrameType::Sums, move |_| {
        File::options().write(true).open(&path).unwrap().write_all_at(b"later", 103).unwrap();
    });
    let pair = Pair::comparing(&from.root(), &to.root(), 1, BY_TIME).through(hook);
    let settled = settle(pair, &from, &to);
    // The block in vain, then its piece, then nothing but a look at everything again.
    assert_eq!(settled.target.moved_bytes, 512 * 1_024);
}

/// The sums of two blocks may be alike by chance: then their piece's digest is not.
#[test]
fn sums_that_are_alike_by_chance() {
    let (from, to) = copied();
    let old = noise(1, SIZE);
    change(&from, |file| file.write_all_at(b"#", 100).unwrap());
    let hook = once(FrameType::Sums, move |payload| {
        // The first block of the first piece, behind file, attempt, piece, length and digest.
        let same = sums(&old[..BLOCK]).next().unwrap();
        payload[22 + 32..][..8].copy_from_slice(&same.to_be_bytes());
    });
    let pair = Pair::comparing(&from.root(), &to.root(), 1, BY_TIME).through(hook);
    assert_eq!(settle(pair, &from, &to).source.moved_bytes, 512 * 1_024);
}

#[test]
fn lanes_die_with_sums_and_patches() {
    let (from, to) = copied();
    change(&from, |file| {
        (0..SIZE as u64 / 300_000).for_each(|n| file.write_all_at(&noise(n, 5_000), n * 300_000).unwrap());
    });
    let seen = AtomicU64::new(0);
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        let counts = matches!(frame.kind, FrameType::Sums | FrameType::Patch | FrameType::Ack) && frame.lane.is_some();
        let dies = counts && seen.fetch_add(1, Ordering::SeqCst) % 5 == 4;
        if dies { Verdict::Kill } else { Verdict::Pass }
    });
    let pair = Pair::comparing(&from.root(), &to.root(), 3, BY_TIME).through(hook);
    let settled = settle(pair, &from, &to);
    assert!(settled.target.moved_bytes < 2_000_000, "{settled:?}");
}

#[test]
fn another_older_file_costs_nothing_but_the_look() {
    let (from, to) = copied();
    fs::write(from.root().join("large"), noise(77, SIZE)).unwrap();
    let settled = again(&from, &to);
    assert_eq!((settled.source.moved_bytes, settled.source.matched_bytes), (SIZE as u64, 0));
}

#[test]
fn a_file_found_different_by_its_digest_is_compared_too() {
    let (from, to) = copied();
    change(&from, |file| {
        let time = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"#", 4_000_000).unwrap();
        file.set_modified(time).unwrap();
    });
    let digests = Comparison { digests: true, ..BY_TIME };
    let settled = settle(Pair::comparing(&from.root(), &to.root(), 2, digests), &from, &to);
    assert_eq!(settled.source.moved_bytes, BLOCK as u64);
}

const KEEP: Terms = Terms { accept_contents: false, discard_journal: false };
const MIB: u64 = 1 << 20;

/// Parts that the journal knows.
fn recorded(volume: &Path) -> usize {
    look(volume).unwrap().unwrap().parts.len()
}

/// A copy of one file of 48 MiB that ends when some 30 of them have come; then what the next session sends.
#[track_caller]
fn interrupted(prepare: impl FnOnce(&Place, &Place), between: impl FnOnce(&Place, &Place)) -> Settled {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("large"), noise(4, 48 << 20)).unwrap();
    prepare(&from, &to);
    let (seen, volume) = (AtomicU64::new(0), to.root());
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        let counts = matches!(frame.kind, FrameType::Piece | FrameType::Patch | FrameType::Sums);
        let pieces = if frame.kind == FrameType::Sums { 4 } else { 1 };
        if !counts || seen.fetch_add(pieces, Ordering::SeqCst) <= 60 {
            return Verdict::Pass;
        }
        // What has passed may still be on its way.
        let deadline = Instant::now() + DEADLINE;
        while recorded(&volume) == 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        Verdict::Kill
    });
    let pair = Pair::on_terms(&from.root(), &to.root(), KEEP, Duration::ZERO).through(hook);
    pair.attach_index();
    pair.attach_lanes();
    let deadline = Instant::now() + DEADLINE;
    while pair.target.counters().get(Counter::LanesLost) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    pair.source.close();
    pair.target.gone_later()().unwrap();
    between(&from, &to);
    assert_eq!(recorded(&to.root()), 1, "the journal knows of one part");
    let pair = Pair::on_terms(&from.root(), &to.root(), KEEP, Duration::ZERO);
    let settled = settle(pair, &from, &to);
    assert!(!to.root().join(".pvferry").exists());
    settled
}

#[test]
fn an_interrupted_large_file_goes_on() {
    let settled = interrupted(|_, _| (), |_, _| ());
    assert!(settled.source.moved_bytes <= (48 - 30 + 16) * MIB, "{settled:?}");
    assert!(settled.source.matched_bytes >= 14 * MIB, "{settled:?}");
}

#[test]
fn an_interrupted_file_is_compared_with_the_older_one_as_well() {
    let settled = interrupted(
        |from, to| {
            fs::write(to.root().join("large"), noise(4, 40 << 20)).unwrap();
            change(from, |file| file.write_all_at(b"#", 5_000_000).unwrap());
            // From here on the volume is this transfer's own.
            let terms = Terms { accept_contents: true, ..KEEP };
            Pair::on_terms(&from.root(), &to.root(), terms, Duration::ZERO).target.gone_later()().unwrap();
        },
        |_, _| (),
    );
    assert!(settled.source.moved_bytes <= 8 * MIB + 4_096, "{settled:?}");
}

#[test]
fn what_an_interruption_has_spoiled_is_sent_again() {
    // A part that has lost some and holds something else, and a source that has changed and grown meanwhile.
    let settled = interrupted(
        |_, _| (),
        |from, to| {
            let parts = fs::read_dir(to.root().join(".pvferry/parts")).unwrap();
            let part = parts.map(|part| part.unwrap().path()).next().unwrap();
            let part = File::options().write(true).open(part).unwrap();
            part.write_all_at(&noise(9, 2 << 20), 3 << 20).unwrap();
            punch(&part, 6 << 20, 2 << 20);
            change(from, |file| {
                file.write_all_at(&noise(8, 8_192), 10 << 20).unwrap();
                punch(file, 1 << 20, 1 << 20);
                file.write_all_at(b"more", 48 << 20).unwrap();
            });
        },
    );
    assert!(settled.source.matched_bytes >= 8 * MIB, "{settled:?}");
}

#[test]
fn a_part_whose_file_is_not_wanted_any_more_goes() {
    let settled = interrupted(
        |_, _| (),
        |from, _| {
            fs::remove_file(from.root().join("large")).unwrap();
            fs::write(from.root().join("large"), b"small now").unwrap();
        },
    );
    assert_eq!(settled.source.moved_bytes, 9);
}
