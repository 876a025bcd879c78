//! docs/protocol.md against the code: every frame's bytes, the worked digests, every limit.

mod digests;
mod document;
mod frames;
mod limits;
