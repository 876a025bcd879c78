//! Acknowledgements of the index, put off while more has come already: what comes together is answered together.

use crate::error::CoreError;
use crate::wire::channel::Channel;
use crate::wire::frame::FrameType;
use crate::wire::index::{Ack, Outcome};
use crate::wire::limits::{BATCH_ENTRIES, MAX_EXCEPTIONS, WINDOW_FRAMES};

/// So many frames are answered at the latest: the source goes on long before its window is full.
const FRAMES_MOST: u64 = (WINDOW_FRAMES / 4) as u64;

pub(super) struct Acknowledgements<'a> {
    channel: &'a Channel,
    put_off: Ack,
    /// Frames that are acknowledged.
    told: u64,
}

impl<'a> Acknowledgements<'a> {
    pub(super) fn new(channel: &'a Channel) -> Self {
        Self { channel, put_off: Ack::default(), told: 0 }
    }

    /// The next frame is done, with these exceptions by their position.
    pub(super) fn add(&mut self, exceptions: Vec<(u32, Outcome)>) -> Result<(), CoreError> {
        self.put_off.frames += 1;
        let frame = self.put_off.frames;
        self.put_off.exceptions.extend(exceptions.into_iter().map(|(at, outcome)| (frame, at, outcome)));
        let full = self.put_off.exceptions.len() > MAX_EXCEPTIONS - BATCH_ENTRIES;
        if full || frame >= self.told + FRAMES_MOST { self.tell() } else { Ok(()) }
    }

    /// Sends what was put off. To be called before waiting for anything of the source.
    pub(super) fn tell(&mut self) -> Result<(), CoreError> {
        if self.put_off.frames == self.told {
            return Ok(());
        }
        let mut out = Vec::with_capacity(16 + 16 * self.put_off.exceptions.len());
        self.put_off.put(&mut out);
        self.put_off.exceptions.clear();
        self.told = self.put_off.frames;
        self.channel.send(FrameType::Ack, false, &[&out])
    }
}
