//! Lanes that die in the middle: at random, between a write and its acknowledgement, at the end of large files.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;
use pvferry_core::wire::frame::FrameType;

use super::pair::{Pair, expect_equal};
use super::relay::{Frame, Hook, Verdict};
use super::volumes::{Place, furnish, noise};

fn mixed(root: &Path) {
    furnish(root);
    for directory in 0..20_u64 {
        let path = root.join(format!("many-{directory}"));
        fs::create_dir(&path).unwrap();
        for number in 0..150_u64 {
            let seed = directory * 1_000 + number;
            fs::write(path.join(format!("{number}")), noise(seed, (seed % 40) as usize * 401)).unwrap();
        }
        fs::write(path.join("large"), noise(directory, 3_000_000 + directory as usize)).unwrap();
    }
}

/// Copies through a relay; the roots are equal whatever the hook did. How many lanes were lost, and
/// how many bytes were sent again, comes back.
#[track_caller]
fn copy_through(lanes: u16, fill: impl FnOnce(&Path), hook: Hook) -> (u64, u64) {
    let (from, to) = (Place::new(), Place::new());
    fill(&from.root());
    let mut pair = Pair::relayed(&from.root(), &to.root(), lanes, Mode::None, hook);
    let settled = pair.copy();
    assert_eq!(pair.from.items, []);
    expect_equal(&settled, &from.root(), &to.root());
    to.expect_canary();
    // What crossed arrived once, or was sent again: nothing is missing from the account.
    assert_eq!(settled.source.moved_bytes, settled.target.moved_bytes + settled.source.resent);
    (pair.source.counters().get(Counter::LanesLost), settled.source.resent)
}

#[test]
fn lanes_killed_every_quarter_of_a_second_cost_nothing() {
    let last = Mutex::new(Instant::now());
    let hook = move |frame: &mut Frame<'_>| {
        if frame.lane.is_none() {
            return Verdict::Pass;
        }
        // Slow enough for several quarters, however fast the rest is.
        std::thread::sleep(Duration::from_millis(10));
        let mut last = last.lock().unwrap();
        if last.elapsed() < Duration::from_millis(250) {
            return Verdict::Pass;
        }
        *last = Instant::now();
        Verdict::Kill
    };
    let (lost, resent) = copy_through(3, mixed, Arc::new(hook));
    assert!(lost >= 3, "only {lost} lanes were lost");
    assert!(resent > 0, "lanes were lost in the middle of their frames");
}

/// Kills a lane when the target has done a frame of this type and says so.
pub(crate) fn kill_before_ack(of: FrameType, kills: u64) -> Hook {
    let left = AtomicU64::new(kills);
    let seen = Mutex::new(Vec::<u16>::new());
    Arc::new(move |frame: &mut Frame<'_>| {
        let Some(lane) = frame.lane else { return Verdict::Pass };
        let mut seen = seen.lock().unwrap();
        if frame.to_target && frame.kind == of {
            seen.push(lane);
        } else if !frame.to_target && seen.contains(&lane) && left.load(Ordering::Relaxed) > 0 {
            left.fetch_sub(1, Ordering::Relaxed);
            seen.retain(|known| *known != lane);
            return Verdict::Kill;
        }
        Verdict::Pass
    })
}

#[test]
fn a_lane_lost_between_a_write_and_its_acknowledgement_makes_no_duplicates() {
    for frame in [FrameType::Pack, FrameType::Piece, FrameType::Hole, FrameType::Again, FrameType::End] {
        for lanes in [1, 3] {
            let (lost, _) = copy_through(lanes, furnish, kill_before_ack(frame, 3));
            assert!(lost >= 1, "no lane was lost at {frame:?}");
        }
    }
}

#[test]
fn a_lane_lost_with_the_end_of_a_large_file_on_it_sends_it_again() {
    let left = AtomicU64::new(4);
    let hook = move |frame: &mut Frame<'_>| {
        let end = frame.kind == FrameType::End;
        let kill = end && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if kill { Verdict::Kill } else { Verdict::Pass }
    };
    let (lost, _) = copy_through(2, furnish, Arc::new(hook));
    assert!(lost >= 1, "only {lost} lanes were lost");
}

#[test]
fn a_lane_that_the_target_refuses_gives_back_what_it_took() {
    let (from, to) = (Place::new(), Place::new());
    mixed(&from.root());
    let mut pair = Pair::open(&from.root(), &to.root(), 1);
    pair.attach_index();
    // The target has one lane only, so that these are lost again and again; what they were to bring is brought by it.
    pair.bind_lane(7);
    pair.bind_lane(8);
    pair.attach_lanes();
    let settled = pair.wait();
    expect_equal(&settled, &from.root(), &to.root());
    assert!(pair.from.lost.contains(&7) && pair.from.lost.contains(&8), "{:?}", pair.from.lost);
    assert_eq!(settled.source.moved_bytes, settled.target.moved_bytes + settled.source.resent);
}
