//! What the kernel says of the path that the lanes share, and how they are paced on it.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::session::Shared;
use crate::net::tcp::{TcpInfo, try_congestion};
use crate::wire::channel::Channel;

/// Sums over all lanes of the session, also over those that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathReading {
    /// Of the lanes that are there, the mean; 0 when none of them tells.
    pub round_trip_us: u64,
    /// The least that any of them has seen lately.
    pub least_round_trip_us: u64,
    pub acknowledged_bytes: u64,
    pub sent_segments: u64,
    pub repeated_segments: u64,
}

#[derive(Default)]
pub(super) struct Path {
    pacing: Mutex<Pacing>,
    departed: Mutex<PathReading>,
}

/// What connections are told; None leaves it to the kernel.
#[derive(Default)]
struct Pacing {
    congestion: Option<String>,
    unsent: Option<u32>,
}

impl Pacing {
    fn apply(&self, channel: &Channel) {
        let socket = channel.socket();
        if let Some(algorithm) = &self.congestion {
            socket.set_congestion(algorithm);
        }
        if let Some(bytes) = self.unsent {
            socket.limit_unsent(bytes);
        }
    }
}

impl Path {
    /// For a connection that the session has just come to have.
    pub(super) fn pace(&self, channel: &Channel) {
        self.pacing.lock().unwrap_or_else(PoisonError::into_inner).apply(channel);
    }

    /// A lane is gone; what it has done still counts.
    pub(super) fn depart(&self, channel: &Channel) {
        if let Some(info) = channel.socket().tcp_info() {
            self.departed.lock().unwrap_or_else(PoisonError::into_inner).add(&info);
        }
    }
}

impl PathReading {
    fn add(&mut self, info: &TcpInfo) {
        self.acknowledged_bytes += info.acknowledged_bytes;
        self.sent_segments += u64::from(info.sent_segments);
        self.repeated_segments += u64::from(info.repeated_segments);
    }
}

impl Shared {
    pub(super) fn read_path(&self) -> PathReading {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<TcpInfo> = lanes.iter().filter_map(|lane| lane.channel.socket().tcp_info()).collect();
        let mut reading = *self.path.departed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(lanes);
        for info in &told {
            reading.add(info);
        }
        let sum: u64 = told.iter().map(|info| u64::from(info.round_trip_us)).sum();
        let least = told.iter().map(|info| info.least_round_trip_us).min();
        reading.round_trip_us = sum.checked_div(told.len() as u64).unwrap_or(0);
        reading.least_round_trip_us = least.map_or(0, u64::from);
        reading
    }

    pub(super) fn set_congestion(&self, algorithm: &str) -> io::Result<()> {
        try_congestion(algorithm)?;
        self.pace_all(|pacing| pacing.congestion = Some(algorithm.to_owned()));
        Ok(())
    }

    pub(super) fn limit_unsent(&self, bytes: u32) {
        self.pace_all(|pacing| pacing.unsent = Some(bytes));
    }

    /// A lane that comes meanwhile is either among the lanes already, or finds the change when it is.
    fn pace_all(&self, change: impl FnOnce(&mut Pacing)) {
        change(&mut self.path.pacing.lock().unwrap_or_else(PoisonError::into_inner));
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let channels = lanes.iter().map(|lane| &lane.channel);
        for channel in channels.chain(self.index.get().map(|index| &index.channel)) {
            self.path.pace(channel);
        }
    }
}
