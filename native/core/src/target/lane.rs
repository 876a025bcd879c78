//! One lane of the target: a thread that takes frames, writes what they bring and acknowledges.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::directory::TargetDirectory;
use super::finished::RecentFrames;
use super::room::Need;
use super::session::Shared;
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::session::counters::Counter;
use crate::wire::channel::{Channel, malformed};
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Ack, Outcome};
use crate::wire::lane::read_gone;
use crate::wire::limits::{PACK_BYTES, PACK_FILE, PACK_FILES};

/// What a lane's thread keeps from frame to frame.
pub(super) struct LaneState {
    pub(super) channel: Arc<Channel>,
    pub(super) scratch: Vec<u8>,
    pub(super) whole: Vec<u8>,
    pub(super) recent: Option<(Arc<TargetDirectory>, Arc<OwnedFd>)>,
    /// Files taken for the frame at hand.
    pub(super) taken: Vec<u64>,
    /// Files finished by the frame at hand.
    pub(super) finished: Vec<(u64, Leaf)>,
    exceptions: Vec<(u32, Outcome)>,
    frames: RecentFrames,
}

impl LaneState {
    fn new(channel: &Arc<Channel>) -> Self {
        Self {
            channel: Arc::clone(channel),
            scratch: Vec::new(),
            whole: Vec::new(),
            recent: None,
            taken: Vec::new(),
            finished: Vec::new(),
            exceptions: Vec::new(),
            frames: RecentFrames::default(),
        }
    }

    /// The file at a position of the frame did not simply go well.
    pub(super) fn except(&mut self, position: usize, outcome: Outcome) {
        self.exceptions.push((u32::try_from(position).unwrap_or(u32::MAX), outcome));
    }

    /// The answer to a frame about one file. It stands instead of what was said of single pieces.
    pub(super) fn answer(&mut self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            self.exceptions.clear();
            self.except(0, outcome);
        }
    }
}

impl Shared {
    /// Serves a lane until it ends. What it finished lately is remembered: the source may not know. True when it brought
    /// any frame.
    pub(super) fn take_lane(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>) {
        let mut state = LaneState::new(channel);
        let served = self.take_frames(channel, &mut state);
        let worked = !state.frames.is_empty();
        let finished = std::mem::take(&mut state.finished);
        self.files.remember(std::mem::take(&mut state.frames).into_files().chain(finished));
        self.files.release(&mut state);
        (worked, served)
    }

    fn take_frames(&self, channel: &Channel, state: &mut LaneState) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        let mut frames = 0;
        while let Some(header) = channel.receive(&mut payload)? {
            self.life.stop.check()?;
            self.counters.add(Counter::WireBytes, u64::from(header.length));
            self.lane_frame(header, &payload, state)?;
            self.files.release(state);
            frames += 1;
            let exceptions = state.exceptions.drain(..).map(|(at, outcome)| (frames, at, outcome)).collect();
            state.frames.push(std::mem::take(&mut state.finished));
            let mut out = Vec::with_capacity(16);
            Ack { frames, exceptions }.put(&mut out);
            channel.send(FrameType::Ack, false, &[&out])?;
        }
        Ok(())
    }

    fn lane_frame(&self, header: Header, payload: &[u8], state: &mut LaneState) -> Result<(), CoreError> {
        self.make_room(needed(header, payload))?;
        match header.frame_type {
            FrameType::Pack => self.write_pack(payload, header.zstd, state),
            FrameType::Piece => self.write_piece(payload, header.zstd, state),
            FrameType::Sums => self.compare_sums(payload, state),
            FrameType::Patch => self.write_patch(payload, header.zstd, state),
            FrameType::Hole => self.make_hole(payload, state),
            FrameType::Again => self.begin_again(payload, state),
            FrameType::End => self.end_large(payload, state),
            FrameType::Check => self.check_files(payload, state),
            FrameType::Gone => self.forget_file(read_gone(payload).map_err(malformed)?, state),
            _ => Err(CoreError::protocol("The peer broke the protocol: a lane brings announcements.")),
        }
    }
}

/// At most what a frame asks for. A file that comes in pieces, or a compressed pack, is unpacked before it is written.
fn needed(header: Header, payload: &[u8]) -> Need {
    let unpacked = PACK_BYTES + PACK_FILE;
    let bytes = if header.zstd { unpacked.max(payload.len() as u64) } else { payload.len() as u64 };
    Need { bytes, inodes: if header.frame_type == FrameType::Pack { PACK_FILES as u64 } else { 1 } }
}
