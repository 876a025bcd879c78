//! One lane of the source: a thread that builds and sends frames, a thread that takes acknowledgements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::blocks::Compared;
use super::compare::Checked;
use super::control::Control;
use super::in_flight::InFlight;
use super::large::Large;
use super::pack::{Buffers, Packed};
use super::part::Part;
use super::queue::{FileTask, Unit};
use super::session::Shared;
use crate::digest::Digest;
use crate::error::{CoreError, ErrorKind};
use crate::net::dial::Answer;
use crate::session::compress::Compressor;
use crate::session::counters::Counter;
use crate::session::events::Event;
use crate::session::life::Living;
use crate::wire::channel::{Channel, malformed};
use crate::wire::frame::FrameType;
use crate::wire::index::Ack;

/// What is on its way on a lane.
pub(super) enum LaneRecord {
    Pack(Vec<Packed>),
    Part { large: Arc<Large>, part: Part, digest: Digest },
    Sums(Compared),
    Gone(FileTask),
    Check(Vec<Checked>),
}

/// A record and the file data that its frame carries, bytes.
pub(super) struct Sent {
    record: LaneRecord,
    data: u64,
}

pub(super) struct Lane {
    pub(super) number: u16,
    pub(super) channel: Arc<Channel>,
    pub(super) in_flight: InFlight<Sent>,
    compressor: Mutex<Compressor>,
    dead: AtomicBool,
    /// The target has acknowledged something on it.
    worked: AtomicBool,
}

impl Lane {
    pub(super) fn new(number: u16, channel: Arc<Channel>, compressor: Compressor) -> Self {
        Self {
            number,
            channel,
            in_flight: InFlight::new(),
            compressor: Mutex::new(compressor),
            dead: AtomicBool::new(false),
            worked: AtomicBool::new(false),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Sends the buffers' table and data as one frame. `segments` are the parts of the data that travel; None means all.
    pub(super) fn send(
        &self,
        shared: &Shared,
        frame: FrameType,
        record: LaneRecord,
        buffers: &mut Buffers,
        segments: Option<&[(u32, u32)]>,
    ) -> Result<(), CoreError> {
        let Buffers { table, data, compressed } = buffers;
        let mut parts: Vec<&[u8]> = vec![table];
        match segments {
            None => parts.push(data),
            Some(segments) => parts.extend(segments.iter().map(|(offset, length)| {
                let start = *offset as usize;
                &data[start..start + *length as usize]
            })),
        }
        let moved: usize = parts[1..].iter().map(|part| part.len()).sum();
        if let Err(Sent { record, .. }) = self.in_flight.push(Sent { record, data: moved as u64 }) {
            shared.take_back(record);
            return Err(CoreError::network("The lane is closed."));
        }
        shared.ledger.count_moved(moved as u64);
        let mut compressor = self.compressor.lock().unwrap_or_else(PoisonError::into_inner);
        let zstd = moved > 0 && compressor.compress(&parts[1..], moved, compressed);
        if zstd {
            parts.truncate(1);
            parts.push(compressed);
        }
        let started = Instant::now();
        let wire: usize = parts.iter().map(|part| part.len()).sum();
        self.channel.send(frame, zstd, &parts)?;
        compressor.sent(wire, started.elapsed());
        shared.counters.add(Counter::WireBytes, wire as u64);
        Ok(())
    }

    /// Ends the lane: both its threads return, its work goes back to the queue. True for the first caller.
    pub(super) fn kill(&self, shared: &Shared) -> bool {
        if self.dead.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.channel.abort();
        for Sent { record, data } in self.in_flight.close() {
            shared.counters.add(Counter::Resent, data);
            shared.take_back(record);
        }
        shared.queue.wake();
        true
    }
}

/// A refused lane is as good as a dead one: why the target refuses, its control channel says.
fn as_a_loss(error: CoreError) -> CoreError {
    if error.kind == ErrorKind::Untrusted { CoreError::network(error.message) } else { error }
}

impl Shared {
    /// The sending thread of a lane.
    pub(super) fn feed_lane(&self, lane: &Lane) {
        let mut buffers = Buffers::default();
        while let Some(unit) = self.queue.next(lane.number, || lane.is_dead()) {
            if let Err(error) = self.send_unit(lane, unit, &mut buffers) {
                return self.lane_failed(lane, error);
            }
        }
    }

    fn send_unit(&self, lane: &Lane, unit: Unit, buffers: &mut Buffers) -> Result<(), CoreError> {
        match unit {
            Unit::Pack(tasks) => self.send_pack(lane, tasks, buffers),
            Unit::Open(task) => self.open_large(lane, task, buffers),
            Unit::Part(large, part) => self.send_part(lane, large, part, buffers),
            Unit::Gone(task) => self.send_control(lane, Control::Gone(task), buffers),
            Unit::Check(tasks) => self.send_checks(lane, tasks, buffers),
        }
    }

    /// The receiving thread of a lane: the target's word that it takes it, then acknowledgements, in order.
    pub(super) fn settle_lane(&self, lane: &Lane, answer: &Answer) {
        if let Err(error) = answer.wait() {
            return self.lane_failed(lane, as_a_loss(error));
        }
        let mut payload = Vec::new();
        loop {
            match self.receive_ack(lane, &mut payload) {
                Ok(true) => {}
                Ok(false) => return self.lane_failed(lane, CoreError::network("The target closed the lane.")),
                Err(error) => return self.lane_failed(lane, error),
            }
        }
    }

    fn receive_ack(&self, lane: &Lane, payload: &mut Vec<u8>) -> Result<bool, CoreError> {
        let Some(header) = lane.channel.receive(payload)? else { return Ok(false) };
        if header.frame_type != FrameType::Ack {
            return Err(CoreError::protocol("The peer broke the protocol: a lane brings something else than ACKs."));
        }
        let ack = Ack::read(payload).map_err(malformed)?;
        let acknowledged = lane.in_flight.acknowledge(&ack)?;
        lane.worked.store(true, Ordering::Relaxed);
        for (Sent { record, .. }, exceptions) in acknowledged {
            match record {
                LaneRecord::Pack(packed) => self.settle_pack(packed, &exceptions)?,
                LaneRecord::Part { large, part, digest } => self.settle_part(&large, &part, digest, &exceptions)?,
                LaneRecord::Sums(compared) => self.settle_sums(&compared, &exceptions)?,
                LaneRecord::Gone(task) => self.settle_gone(&task, &exceptions)?,
                LaneRecord::Check(checked) => self.settle_checks(checked, &exceptions)?,
            }
        }
        Ok(true)
    }

    /// Puts unacknowledged work back.
    pub(super) fn take_back(&self, record: LaneRecord) {
        match record {
            LaneRecord::Pack(packed) => self.retry_pack(packed),
            LaneRecord::Part { large, part, .. } => self.retry_part(large, part),
            LaneRecord::Sums(Compared { large, part, .. }) => self.retry_part(large, part),
            LaneRecord::Gone(task) => self.queue.urgent(Unit::Gone(FileTask { sent_before: true, ..task })),
            LaneRecord::Check(checked) => self.retry_checks(checked),
        }
    }

    /// A broken connection costs the lane; a broken protocol, and whatever else is wrong, the session.
    fn lane_failed(&self, lane: &Lane, error: CoreError) {
        let first = lane.kill(self);
        if self.life.is_over() {
            return;
        }
        if error.kind != ErrorKind::Network {
            self.fail(error);
        } else if first {
            self.lane_lost(lane.number, error.message, lane.worked.load(Ordering::Relaxed));
        }
    }

    pub(super) fn lane_lost(&self, lane: u16, reason: String, worked: bool) {
        self.counters.add(Counter::LanesLost, 1);
        self.counters.subtract(Counter::LanesAlive, 1);
        self.life.events.send(Event::LaneLost { lane, reason, worked });
    }
}
