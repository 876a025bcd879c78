//! Kinds of entry on the wire and in digests: one byte each.

use crate::fs::stat::Kind;

const KINDS: [(Kind, u8); 7] = [
    (Kind::File, 1),
    (Kind::Directory, 2),
    (Kind::Symlink, 3),
    (Kind::Fifo, 4),
    (Kind::Socket, 5),
    (Kind::CharDevice, 6),
    (Kind::BlockDevice, 7),
];

pub fn to_wire(kind: Kind) -> u8 {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, byte)| *byte)
}

pub fn from_wire(byte: u8) -> Option<Kind> {
    KINDS.iter().find(|(_, known)| *known == byte).map(|(kind, _)| *kind)
}
