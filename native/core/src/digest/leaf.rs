//! Leaves of a directory's two trees: *content* (names, types, link targets, file digests) and *metadata* (everything
//! that a receipt calls kept). docs/protocol.md, "Digests", gives the bytes.

use super::Digest;
use super::file::Form;
use super::message::Message;
use crate::fs::apply::Attributes;
use crate::fs::stat::Kind;
use crate::wire::kind::to_wire;

/// The two digests of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub content: Digest,
    pub metadata: Digest,
}

/// What an entry holds besides its name and attributes.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    File { form: Form, digest: Digest },
    Directory { roots: Leaf },
    Symlink { target: &'a [u8] },
    Device { major: u32, minor: u32 },
    Empty,
}

const LEAF: u8 = 0;
const JOIN: u8 = 1;
const FAILED: u8 = 0xff;

/// The leaf of an entry that could not be copied: it holds the entry's place on both sides.
pub const FAILED_LEAF: Leaf = Leaf { content: [FAILED; 32], metadata: [FAILED; 32] };

/// The root of an empty directory.
pub fn empty_root() -> Digest {
    *blake3::hash(&[]).as_bytes()
}

pub fn join(left: &Digest, right: &Digest) -> Digest {
    Message::new().put(&[JOIN]).put(left).put(right).digest()
}

pub fn leaf(name: &[u8], kind: Kind, attributes: &Attributes, payload: &Payload<'_>) -> Leaf {
    Leaf { content: content(name, kind, payload), metadata: metadata(name, kind, attributes, payload) }
}

fn start(name: &[u8], kind: Kind) -> Message {
    let mut message = Message::new();
    message.put(&[LEAF, to_wire(kind), u8::try_from(name.len()).unwrap_or(u8::MAX)]).put(name);
    message
}

fn content(name: &[u8], kind: Kind, payload: &Payload<'_>) -> Digest {
    let mut message = start(name, kind);
    match payload {
        Payload::File { form, digest } => message.put(&[*form as u8]).put(digest),
        Payload::Directory { roots } => message.put(&roots.content),
        Payload::Symlink { target } => message.put(target),
        Payload::Device { major, minor } => message.put(&major.to_be_bytes()).put(&minor.to_be_bytes()),
        Payload::Empty => &mut message,
    };
    message.digest()
}

fn metadata(name: &[u8], kind: Kind, attributes: &Attributes, payload: &Payload<'_>) -> Digest {
    let mut message = start(name, kind);
    // A symlink's mode means nothing (symlink(7)) and differs between file systems.
    let mode = if kind == Kind::Symlink { 0 } else { attributes.mode };
    let mut fixed = [0; 24];
    fixed[0..4].copy_from_slice(&mode.to_be_bytes());
    fixed[4..8].copy_from_slice(&attributes.uid.to_be_bytes());
    fixed[8..12].copy_from_slice(&attributes.gid.to_be_bytes());
    fixed[12..20].copy_from_slice(&attributes.mtime.seconds.to_be_bytes());
    fixed[20..24].copy_from_slice(&attributes.mtime.nanoseconds.to_be_bytes());
    message.put(&fixed);
    for (name, value) in attributes.xattrs.iter() {
        message
            .put(&(u32::try_from(name.len()).unwrap_or(u32::MAX)).to_be_bytes())
            .put(name)
            .put(&(u32::try_from(value.len()).unwrap_or(u32::MAX)).to_be_bytes())
            .put(value);
    }
    if let Payload::Directory { roots } = payload {
        message.put(&[JOIN]).put(&roots.metadata);
    }
    message.digest()
}

/// The roots of a volume: of its root directory's leaf (an empty name), the metadata together with the hard links.
pub fn volume_roots(root: &Leaf, links: &Digest) -> Leaf {
    Leaf { content: root.content, metadata: join(&root.metadata, links) }
}
