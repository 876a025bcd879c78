//! The journal of a target: its format, what becomes of it when it is damaged, its sessions, and its lock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what clippy.toml allows in tests it does not see in functions they share"
)]

mod damage;
mod document;
mod left_behind;
mod lock;
mod sessions;
