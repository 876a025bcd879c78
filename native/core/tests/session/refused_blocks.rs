//! What each side refuses where files are compared block by block.

use pvferry_core::digest::blocks::Blocks;
use pvferry_core::digest::file::{Form, PIECE};
use pvferry_core::wire::blocks::{Patch, Sums, put_piece_sums};
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::Outcome;
use pvferry_core::wire::lane::{Again, FileAttempt, Piece};

use super::refused_answers::{Line, expect_refusal_by};
use super::refused_data::{expect_frame_refused, expect_refusal};

/// A file of four pieces.
const FILE: FileAttempt = FileAttempt { file: 1, attempt: 0 };

fn sums_of(of: FileAttempt, first: u64, length: u32) -> Vec<u8> {
    let mut out = Vec::new();
    Sums::put_head(&mut out, of, first, length);
    for piece in (0..length).step_by(PIECE as usize) {
        let blocks = (length - piece).min(PIECE as u32).div_ceil(4_096);
        put_piece_sums(&mut out, &[9; 32], (0..blocks).map(u64::from));
    }
    out
}

fn patch(of: FileAttempt, index: u64, length: u32, blocks: Blocks, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Patch { of, index, length, digest: [9; 32], blocks }.put(&mut out);
    out.extend_from_slice(data);
    out
}

fn first_block() -> Blocks {
    Blocks::all(1)
}

#[test]
fn sums_and_patches_of_files_without_base() {
    let whole = PIECE as u32;
    let words = "nothing to compare with";
    expect_frame_refused(words, FrameType::Sums, &sums_of(FILE, 0, whole));
    expect_frame_refused(words, FrameType::Patch, &patch(FILE, 0, whole, first_block(), &[0; 4_096]));
    // What an attempt has left is a base, as far as it goes: here the first two pieces.
    let begin_again = |frame: FrameType, payload: &[u8]| {
        expect_refusal(words, |bench| {
            bench.files(&[10, 4 * PIECE]);
            for index in 0..2 {
                let data = vec![7; PIECE as usize];
                let digest = pvferry_core::digest::file::piece_digest(Form::Plain, 4 * PIECE, index, &data);
                let mut out = Vec::new();
                Piece { of: FILE, index, length: whole, digest, segments: vec![(0, whole)] }.put(&mut out);
                out.extend_from_slice(&data);
                bench.lane.send(FrameType::Piece, &out);
                assert_eq!(bench.lane.answer(), None);
            }
            let next = FileAttempt { attempt: 1, ..FILE };
            let mut out = Vec::new();
            Again { of: next, size: 4 * PIECE, form: Form::Plain }.put(&mut out);
            for _ in 0..2 {
                bench.lane.send(FrameType::Again, &out);
                assert_eq!(bench.lane.answer(), Some(Outcome::Base(2 * PIECE)));
            }
            bench.lane.send(FrameType::Sums, &sums_of(next, 0, whole));
            assert!(matches!(bench.lane.answer(), Some(Outcome::Lacks(_))));
            bench.lane.send(FrameType::Patch, &patch(next, 0, whole, first_block(), &[0; 4_096]));
            assert_eq!(bench.lane.answer(), Some(Outcome::Again));
            bench.lane.send(frame, payload);
        });
    };
    let next = FileAttempt { attempt: 1, ..FILE };
    begin_again(FrameType::Sums, &sums_of(next, 1, 2 * whole));
    begin_again(FrameType::Patch, &patch(next, 2, whole, first_block(), &[0; 4_096]));
}

#[test]
fn sums_and_patches_that_are_malformed() {
    let whole = PIECE as u32;
    let sums = |words, payload: &[u8]| expect_frame_refused(words, FrameType::Sums, payload);
    sums("no pieces or of too many", &sums_of(FILE, 0, 0));
    sums("no pieces or of too many", &sums_of(FILE, 0, 4 * whole + 1));
    sums("no pieces or of too many", &sums_of(FILE, u64::MAX, whole));
    let mut short = sums_of(FILE, 0, whole);
    short.pop();
    sums("more or fewer blocks", &short);
    sums("more or fewer blocks", &[sums_of(FILE, 0, whole), vec![0]].concat());
    sums("ends too early", &[0; 12]);
    sums("beyond the announced size", &sums_of(FILE, 4, whole));
    sums("beyond the announced size", &sums_of(FILE, 3, 100));
    sums("not announced", &sums_of(FileAttempt { attempt: 3, ..FILE }, 0, whole));
    let patched = |words, payload: &[u8]| expect_frame_refused(words, FrameType::Patch, payload);
    patched("empty or too long", &patch(FILE, 0, 0, first_block(), &[]));
    patched("empty or too long", &patch(FILE, 0, whole + 1, first_block(), &[0; 4_096]));
    patched("blocks beyond its piece", &patch(FILE, 3, 4_096, Blocks::all(4_097), &[0; 4_097]));
    patched("no blocks", &patch(FILE, 0, whole, Blocks::default(), &[]));
    patched("another length", &patch(FILE, 0, whole, first_block(), &[0; 4_095]));
    patched("beyond the announced size", &patch(FILE, 9, whole, first_block(), &[0; 4_096]));
}

/// A target that says that it can compare whatever it is told of, and answers as it likes.
fn comparing(
    answer: impl Fn(&Line, FrameType, u64) + Send + Sync + 'static,
) -> impl Fn(&Line, FrameType, u64) + Send + Sync {
    move |line, frame, frames| {
        if !line.on_index {
            answer(line, frame, frames);
        } else if frame == FrameType::Entries {
            // "large" is the first of the names.
            line.ack(frames, vec![(frames, 0, Outcome::Base(u64::MAX))]);
        } else {
            line.ack(frames, vec![]);
        }
    }
}

fn to_sums(outcome: Outcome) -> impl Fn(&Line, FrameType, u64) + Send + Sync {
    comparing(move |line, frame, frames| {
        line.ack(frames, if frame == FrameType::Sums { vec![(frames, 0, outcome)] } else { vec![] });
    })
}

#[test]
fn blocks_that_a_piece_does_not_have() {
    let words = "blocks that a piece does not have";
    expect_refusal_by(words, true, to_sums(Outcome::Lacks(Blocks::default())));
    expect_refusal_by(words, true, to_sums(Outcome::Same));
    expect_refusal_by(words, true, to_sums(Outcome::Base(7)));
    expect_refusal_by(
        words,
        true,
        comparing(|line, frame, frames| {
            let beyond = (frames, 4, Outcome::Lacks(first_block()));
            line.ack(frames, if frame == FrameType::Sums { vec![beyond] } else { vec![] });
        }),
    );
    // The last piece of 3,000,000 bytes has 93 blocks.
    expect_refusal_by(
        words,
        true,
        comparing(|line, frame, frames| {
            let beyond = (frames, 1, Outcome::Lacks(Blocks::all(PIECE as usize)));
            line.ack(frames, if frame == FrameType::Sums { vec![beyond] } else { vec![] });
        }),
    );
}

#[test]
fn blocks_asked_for_without_end() {
    expect_refusal_by(
        "again and again",
        true,
        comparing(|line, frame, frames| {
            let answer = if frame == FrameType::Sums { Outcome::Lacks(first_block()) } else { Outcome::Again };
            line.ack(frames, vec![(frames, 0, answer)]);
        }),
    );
    // A patch is not compared once more, nor is what was sent whole.
    for asked in [FrameType::Patch, FrameType::Piece] {
        expect_refusal_by(
            "compares what was sent",
            true,
            comparing(move |line, frame, frames| {
                let answer = match frame {
                    FrameType::Sums => Outcome::Lacks(first_block()),
                    frame if frame == asked => Outcome::Lacks(first_block()),
                    _ => Outcome::Again,
                };
                line.ack(frames, vec![(frames, 0, answer)]);
            }),
        );
    }
}
