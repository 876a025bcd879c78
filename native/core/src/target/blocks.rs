//! Pieces that are compared with what the target has of their file: an older file, or what is in the part from before.
//!
//! The sums of blocks say what is to be sent; whether a piece is right, its digest alone says.

use std::sync::Arc;

use super::lane::LaneState;
use super::large::{Large, Target};
use super::pack::unpack;
use super::piece::Arrived;
use super::session::Shared;
use crate::digest::blocks::Blocks;
use crate::digest::file::{Form, PIECE, piece_digest, piece_length};
use crate::error::CoreError;
use crate::session::counters::Counter;
use crate::wire::blocks::{Patch, PieceSums, Sums};
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;
use crate::wire::lane::FileAttempt;

impl Shared {
    /// What pieces hold on the source: those that are the same here are done, of the others we say what is missing.
    pub(super) fn compare_sums(&self, payload: &[u8], lane: &mut LaneState) -> Result<(), CoreError> {
        let sums = Sums::read(payload).map_err(malformed)?;
        let large = match self.large(sums.of, lane)? {
            Target::Live(large) => large,
            Target::Answered(outcome) => {
                lane.answer(outcome);
                return Ok(());
            }
        };
        for (position, piece) in sums.pieces().enumerate() {
            // A file that fails on the way has been answered for, all of the frame.
            let Some((size, form)) = self.comparable(&large, sums.of, (piece.index, piece.length), lane)? else {
                return Ok(());
            };
            self.compare_piece(&large, (sums.of, form, size), &piece, position, lane)?;
        }
        Ok(())
    }

    fn compare_piece(
        &self,
        large: &Arc<Large>,
        (of, form, size): (FileAttempt, Form, u64),
        piece: &PieceSums<'_>,
        position: usize,
        lane: &mut LaneState,
    ) -> Result<(), CoreError> {
        let mut held = std::mem::take(&mut lane.whole);
        let instead = large.part.read_instead(piece.index, piece.length, &mut held);
        let lacked = piece.missing(&held[..instead.bytes]);
        if !lacked.is_empty() {
            lane.except(position, Outcome::Lacks(lacked));
        } else if piece_digest(form, size, piece.index, &held) == piece.digest {
            let (index, digest) = (piece.index, piece.digest);
            let (matched, segments) = (u64::from(piece.length), &[(0, piece.length)][..]);
            let (length, data) = (piece.length, &held[..]);
            let arrived = Arrived { of, index, digest, moved: 0, matched, form, size, length, segments, data };
            let write = || large.part.write_blocks(index, &held, Blocks::default(), instead);
            self.keep_piece(large, &arrived, write, lane)?;
        } else {
            // Two blocks with one sum.
            lane.except(position, Outcome::Again);
        }
        lane.whole = held;
        Ok(())
    }

    pub(super) fn write_patch(&self, payload: &[u8], zstd: bool, lane: &mut LaneState) -> Result<(), CoreError> {
        let (patch, sent) = Patch::read(payload).map_err(malformed)?;
        let mut scratch = std::mem::take(&mut lane.scratch);
        let data = unpack(sent, zstd, patch.data_length(), &mut scratch)?;
        match self.large(patch.of, lane)? {
            Target::Live(large) => self.place_patch(&large, &patch, data, lane)?,
            Target::Answered(outcome) => lane.answer(outcome),
        }
        lane.scratch = scratch;
        Ok(())
    }

    fn place_patch(
        &self,
        large: &Arc<Large>,
        patch: &Patch,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<(), CoreError> {
        let Some((size, form)) = self.comparable(large, patch.of, (patch.index, patch.length), lane)? else {
            return Ok(());
        };
        let mut whole = std::mem::take(&mut lane.whole);
        let instead = large.part.read_instead(patch.index, patch.length, &mut whole);
        whole.resize(patch.length as usize, 0);
        let mut rest = data;
        for (offset, bytes) in patch.blocks.runs(whole.len()) {
            let (run, tail) = rest.split_at(bytes);
            whole[offset..offset + bytes].copy_from_slice(run);
            rest = tail;
        }
        if piece_digest(form, size, patch.index, &whole) == patch.digest {
            let moved = data.len() as u64;
            let (index, digest, matched) = (patch.index, patch.digest, u64::from(patch.length) - moved);
            let (of, length, segments) = (patch.of, patch.length, &[(0, patch.length)][..]);
            let arrived = Arrived { of, index, digest, moved, matched, form, size, length, segments, data: &whole };
            let write = || large.part.write_blocks(index, &whole, patch.blocks, instead);
            self.keep_piece(large, &arrived, write, lane)?;
        } else {
            self.counters.add(Counter::Resent, data.len() as u64);
            lane.answer(Some(Outcome::Again));
        }
        lane.whole = whole;
        Ok(())
    }

    /// Size and form of the attempt that a piece is compared in; None when that is past, and answered. A piece that has
    /// nothing to be compared with breaks the protocol.
    fn comparable(
        &self,
        large: &Large,
        of: FileAttempt,
        (index, length): (u64, u32),
        lane: &mut LaneState,
    ) -> Result<Option<(u64, Form)>, CoreError> {
        let Some((size, form)) = self.current(large, of, lane)? else { return Ok(None) };
        if piece_length(size, index) != Some(length as usize) {
            return Err(CoreError::protocol("The peer broke the protocol: data beyond the announced size of a file."));
        }
        if index.saturating_mul(PIECE) >= large.lock().base {
            return Err(CoreError::protocol(
                "The peer broke the protocol: it compares where there is nothing to compare with.",
            ));
        }
        Ok(Some((size, form.compared())))
    }
}
