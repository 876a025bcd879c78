//! Large files of which the target has something already: sums of their blocks go out first, and then those blocks that
//! the target lacks.

use std::sync::Arc;

use super::lane::{Lane, LaneRecord};
use super::large::Large;
use super::pack::Buffers;
use super::part::Part;
use super::session::Shared;
use super::transit::outcome_at;
use crate::digest::Digest;
use crate::digest::blocks::{Blocks, sums};
use crate::digest::file::{PIECE, piece_digest, pieces_from};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::scan::read::{fill_piece, read_at};
use crate::session::counters::Counter;
use crate::wire::blocks::{Patch, Sums, put_piece_sums};
use crate::wire::frame::FrameType;
use crate::wire::index::Outcome;

/// Pieces whose sums are on their way.
pub(super) struct Compared {
    pub(super) large: Arc<Large>,
    pub(super) part: Part,
    digests: Vec<Digest>,
}

impl Shared {
    /// Reads pieces and tells the target what they hold, so that it may say which blocks it lacks.
    pub(super) fn send_sums(
        &self,
        lane: &Lane,
        large: Arc<Large>,
        (first, length): (u64, u32),
        part: Part,
        buffers: &mut Buffers,
    ) -> Result<(), CoreError> {
        buffers.table.clear();
        Sums::put_head(&mut buffers.table, large.attempt(), first, length);
        let (size, form) = large.size_and_form();
        let mut digests = Vec::new();
        for (index, one) in pieces_from(first, length) {
            if let Err(errno) = fill_piece(large.descriptor(), (index, one), &[(0, one)], &mut buffers.data) {
                self.abandon(&large, errno);
                return Ok(());
            }
            let digest = piece_digest(form.compared(), size, index, &buffers.data);
            put_piece_sums(&mut buffers.table, &digest, sums(&buffers.data));
            digests.push(digest);
        }
        buffers.data.clear();
        let record = LaneRecord::Sums(Compared { large, part, digests });
        lane.send(self, FrameType::Sums, record, buffers, None)
    }

    /// Sends those blocks of a piece that the target lacks, with the digest that its sums told. If the file has changed
    /// since, the target finds another one, and gets the whole piece.
    pub(super) fn send_patch(
        &self,
        lane: &Lane,
        large: Arc<Large>,
        part: Part,
        buffers: &mut Buffers,
    ) -> Result<(), CoreError> {
        let Part::Patch { index, length, digest, blocks, .. } = part else { return Ok(()) };
        if let Err(errno) = read_blocks(&large, index, length, blocks, &mut buffers.data) {
            self.abandon(&large, errno);
            return Ok(());
        }
        buffers.table.clear();
        Patch { of: large.attempt(), index, length, digest, blocks }.put(&mut buffers.table);
        let record = LaneRecord::Part { large, part, digest };
        lane.send(self, FrameType::Patch, record, buffers, None)
    }

    pub(super) fn settle_sums(&self, compared: &Compared, exceptions: &[(u32, Outcome)]) -> Result<(), CoreError> {
        let Compared { large, part, digests } = compared;
        let Part::Sums { first, length, .. } = part else { return Ok(()) };
        if self.settle_over(large, outcome_at(exceptions, 0))? {
            return Ok(());
        }
        let (matched, complete) = large.sums_done(*first, *length, digests, exceptions)?;
        self.counters.add(Counter::BytesDone, matched);
        if !exceptions.is_empty() {
            self.queue.add_large(Arc::clone(large));
        }
        self.look_again(large, complete);
        Ok(())
    }
}

/// Reads blocks of a piece into `data`, one after another. What is not there any more reads as zeros.
fn read_blocks(large: &Large, index: u64, length: u32, blocks: Blocks, data: &mut Vec<u8>) -> Result<(), Errno> {
    data.clear();
    for (offset, bytes) in blocks.runs(length as usize) {
        let start = data.len();
        data.resize(start + bytes, 0);
        let got = read_at(large.descriptor(), &mut data[start..], index * PIECE + offset as u64)?;
        data[start + got..].fill(0);
    }
    Ok(())
}
