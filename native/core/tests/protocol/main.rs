//! docs/protocol.md against the code: every frame's bytes, the worked digests, every limit; and docs/design.md's table of
//! attributes.

mod attributes;
mod digests;
mod document;
mod frames;
mod limits;
