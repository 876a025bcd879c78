//! Bits that change inside the tunnel: found, asked for again, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::lane::{Piece, read_pack};

use super::pair::{Pair, expect_equal};
use super::relay::{Frame, Hook, Verdict};
use super::volumes::{Place, furnish};

/// Flips the last bit of every third frame of a type; counts the bytes that are wrong then.
fn flip(of: FrameType, flipped: &Arc<AtomicU64>) -> Hook {
    let flipped = Arc::clone(flipped);
    let seen = AtomicU64::new(0);
    Arc::new(move |frame: &mut Frame<'_>| {
        // A frame without data ends in its table, where a wrong bit breaks the protocol.
        let chosen = frame.to_target && frame.kind == of && frame.payload.len() > 1_000;
        if chosen && seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            let last = frame.payload.len() - 1;
            flipped.fetch_add(data_at_the_end(of, frame.payload), Ordering::Relaxed);
            frame.payload[last] ^= 1;
        }
        Verdict::Pass
    })
}

/// What has to be sent again when a frame's last byte is wrong.
fn data_at_the_end(of: FrameType, payload: &[u8]) -> u64 {
    if of == FrameType::Piece {
        return Piece::read(payload).unwrap().0.data_length() as u64;
    }
    let (files, ..) = read_pack(payload).unwrap();
    u64::from(files.iter().rev().find(|file| file.size > 0).unwrap().size)
}

#[test]
fn flipped_bits_are_found_asked_for_again_and_counted() {
    for kind in [FrameType::Pack, FrameType::Piece] {
        let (from, to) = (Place::new(), Place::new());
        furnish(&from.root());
        let flipped = Arc::new(AtomicU64::new(0));
        let mut pair = Pair::relayed(&from.root(), &to.root(), 2, Mode::None, flip(kind, &flipped));
        let settled = pair.copy();
        expect_equal(&settled, &from.root(), &to.root());
        let bytes = flipped.load(Ordering::Relaxed);
        assert!(bytes > 0);
        assert_eq!(settled.source.resent, bytes, "{kind:?}");
        assert_eq!(settled.target.resent, bytes, "{kind:?}");
        assert_eq!(pair.source.counters().get(Counter::Resent), bytes);
        assert_eq!(pair.from.items, []);
    }
}
