//! PathReading.

use crate::listener::number;
use napi_derive::napi;
use pvferry_core::source;

#[napi(object)]
pub struct PathReading {
    pub round_trip_us: i64,
    pub least_round_trip_us: i64,
    pub acknowledged_bytes: i64,
    pub sent_segments: i64,
    pub repeated_segments: i64,
}

impl From<source::PathReading> for PathReading {
    fn from(reading: source::PathReading) -> Self {
        Self {
            round_trip_us: number(reading.round_trip_us),
            least_round_trip_us: number(reading.least_round_trip_us),
            acknowledged_bytes: number(reading.acknowledged_bytes),
            sent_segments: number(reading.sent_segments),
            repeated_segments: number(reading.repeated_segments),
        }
    }
}
