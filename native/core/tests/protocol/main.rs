//! docs/protocol.md against the code: every frame's bytes, the worked digests, every limit; and docs/design.md's table of
//! attributes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what clippy.toml allows in tests it does not see in functions they share"
)]

mod attributes;
mod digests;
mod document;
mod frames;
mod limits;
