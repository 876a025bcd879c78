//! napi glue: the boundary of src/native/types.ts, in the same order and with the same names. No algorithm, no default,
//! no policy.
//!
//! Threadsafe functions are weak: a callback that may still come does not keep the process alive; a pending promise does.

#![allow(clippy::needless_pass_by_value, reason = "napi hands arguments over by value")]

pub mod connection;
mod counters;
pub mod dto;
mod error;
mod events;
pub mod journal;
pub mod listener;
pub mod look;
mod path;
mod promise;
pub mod session;
pub mod unbound;
pub mod volume;

use napi_derive::napi;
use pvferry_core::digest::{hash, hex};

#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[napi]
pub fn digest_text(text: String) -> String {
    hex(&hash(text.as_bytes()))
}
