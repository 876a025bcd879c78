//! Frames: an 8-byte header and a payload, alike on the index and on the lanes.
//!
//! type u8 | flags u8 | zero u16 | length u32 of the payload.

use super::cursor::Malformed;
use super::limits::MAX_FRAME;

pub const HEADER: usize = 8;

/// The payload's data part is one zstd frame.
pub const FLAG_ZSTD: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    Directory = 1,
    Entries = 2,
    DirectoryEnd = 3,
    DirectoryFailed = 4,
    Items = 5,
    Ping = 6,
    Ack = 7,
    Settled = 8,
    Differences = 9,
    Pack = 16,
    Piece = 17,
    Hole = 18,
    End = 19,
    Again = 20,
    Gone = 21,
    Check = 22,
    Sums = 23,
    Patch = 24,
}

const TYPES: [FrameType; 18] = [
    FrameType::Directory,
    FrameType::Entries,
    FrameType::DirectoryEnd,
    FrameType::DirectoryFailed,
    FrameType::Items,
    FrameType::Ping,
    FrameType::Ack,
    FrameType::Settled,
    FrameType::Differences,
    FrameType::Pack,
    FrameType::Piece,
    FrameType::Hole,
    FrameType::End,
    FrameType::Again,
    FrameType::Gone,
    FrameType::Check,
    FrameType::Sums,
    FrameType::Patch,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub frame_type: FrameType,
    pub zstd: bool,
    pub length: u32,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER] {
        let length = self.length.to_be_bytes();
        let flags = if self.zstd { FLAG_ZSTD } else { 0 };
        [self.frame_type as u8, flags, 0, 0, length[0], length[1], length[2], length[3]]
    }

    pub fn decode(bytes: &[u8; HEADER]) -> Result<Self, Malformed> {
        let frame_type = TYPES
            .into_iter()
            .find(|known| *known as u8 == bytes[0])
            .ok_or(Malformed("a frame is of an unknown type"))?;
        if bytes[1] & !FLAG_ZSTD != 0 || bytes[2] != 0 || bytes[3] != 0 {
            return Err(Malformed("a frame's header holds unknown flags"));
        }
        let length = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if length > MAX_FRAME {
            return Err(Malformed("a frame is longer than 4 MiB"));
        }
        Ok(Self { frame_type, zstd: bytes[1] & FLAG_ZSTD != 0, length })
    }
}
