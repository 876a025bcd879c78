//! One piece of a large file: checked against its digest, claimed, written.

use std::sync::Arc;

use super::lane::LaneState;
use super::large::{Large, Target};
use super::pack::unpack;
use super::read_back::{Job, WrittenPiece};
use super::session::Shared;
use crate::digest::Digest;
use crate::digest::file::{Form, piece_digest, piece_length};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::session::counters::Counter;
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;
use crate::wire::lane::{FileAttempt, Piece};

/// A piece that is right, however it came.
pub(super) struct Arrived<'a> {
    pub(super) of: FileAttempt,
    pub(super) index: u64,
    pub(super) digest: Digest,
    /// Bytes of data that crossed, and that were here.
    pub(super) moved: u64,
    pub(super) matched: u64,
    pub(super) form: Form,
    /// Of the whole file.
    pub(super) size: u64,
    pub(super) length: u32,
    /// All data of the piece, and where in it: to write it again.
    pub(super) segments: &'a [(u32, u32)],
    pub(super) data: &'a [u8],
}

impl Shared {
    pub(super) fn write_piece(&self, payload: &[u8], zstd: bool, lane: &mut LaneState) -> Result<(), CoreError> {
        let (piece, sent) = Piece::read(payload).map_err(malformed)?;
        let mut scratch = std::mem::take(&mut lane.scratch);
        let data = unpack(sent, zstd, piece.data_length(), &mut scratch)?;
        match self.large(piece.of, lane)? {
            Target::Live(large) => self.place_piece(&large, &piece, data, lane)?,
            Target::Answered(outcome) => lane.answer(outcome),
        }
        lane.scratch = scratch;
        Ok(())
    }

    fn place_piece(
        &self,
        large: &Arc<Large>,
        piece: &Piece,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<(), CoreError> {
        let Some((size, form)) = self.current(large, piece.of, lane)? else { return Ok(()) };
        if piece_length(size, piece.index) != Some(piece.length as usize) {
            return Err(CoreError::protocol("The peer broke the protocol: data beyond the announced size of a file."));
        }
        if whole_digest(form, size, piece, data, &mut lane.whole) != piece.digest {
            self.counters.add(Counter::Resent, data.len() as u64);
            lane.answer(Some(Outcome::Again));
            return Ok(());
        }
        let arrived = Arrived {
            of: piece.of,
            index: piece.index,
            digest: piece.digest,
            moved: data.len() as u64,
            matched: 0,
            form,
            size,
            length: piece.length,
            segments: &piece.segments,
            data,
        };
        self.keep_piece(large, &arrived, || large.part.write_piece(piece, data), lane)
    }

    /// Takes in a piece whose digest is right: claims it, writes it, accounts for it.
    pub(super) fn keep_piece(
        &self,
        large: &Arc<Large>,
        arrived: &Arrived<'_>,
        write: impl FnOnce() -> Result<(), Errno>,
        lane: &mut LaneState,
    ) -> Result<(), CoreError> {
        {
            let mut state = large.lock();
            // A late copy from a dead lane must not be taken for the attempt that has begun since.
            if state.attempt != arrived.of.attempt {
                return Ok(());
            }
            if !state.claimed.claim(arrived.index, 1).map_err(malformed)? {
                drop(state);
                drop(large.quiet());
                return Ok(());
            }
            state.writing += 1;
        }
        let written = write();
        let mut put = Ok(());
        if written.is_ok() {
            let mut state = large.lock();
            state.digest.add_piece(arrived.index, arrived.digest);
            state.counted += arrived.moved + arrived.matched;
            state.moved += arrived.moved;
            state.matched += arrived.matched;
            state.unread += u64::from(self.read_back.is_some());
            drop(state);
            self.counters.add(Counter::BytesDone, arrived.moved + arrived.matched);
            // Before anybody may take the piece for written: the file's end has to come behind it.
            put = self.put_piece(large, arrived);
        }
        large.written();
        match written {
            Ok(()) => put.and_then(|()| self.note_progress(arrived.moved + arrived.matched)),
            Err(errno) => self.large_failed(large, errno, lane),
        }
    }

    fn put_piece(&self, large: &Arc<Large>, arrived: &Arrived<'_>) -> Result<(), CoreError> {
        let Some(queue) = &self.read_back else { return Ok(()) };
        let Arrived { of, index, digest, form, size, length, segments, data, .. } = *arrived;
        let piece = Piece { of, index, length, digest, segments: segments.to_vec() };
        let written = WrittenPiece { large: Arc::clone(large), piece, form, size, data: data.to_vec() };
        queue.put(Job::Piece(written), &self.life.stop)
    }
}

/// Digest of the whole piece, its holes as zeros.
fn whole_digest(form: Form, size: u64, piece: &Piece, data: &[u8], whole: &mut Vec<u8>) -> Digest {
    if piece.is_dense() || form == Form::Assumed {
        return piece_digest(form, size, piece.index, data);
    }
    whole.clear();
    whole.resize(piece.length as usize, 0);
    let mut rest = data;
    for (offset, length) in &piece.segments {
        let (segment, tail) = rest.split_at(*length as usize);
        whole[*offset as usize..(*offset + *length) as usize].copy_from_slice(segment);
        rest = tail;
    }
    piece_digest(form, size, piece.index, whole)
}
