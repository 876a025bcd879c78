//! The binary protocols of the index and the lanes. docs/protocol.md describes every frame, byte by byte; the tests in
//! native/core/tests read its golden bytes.

pub mod attributes;
pub mod blocks;
pub mod channel;
pub mod check;
pub mod cursor;
pub mod differences;
pub mod frame;
pub mod index;
pub mod items;
pub mod kind;
pub mod lane;
pub mod limits;
