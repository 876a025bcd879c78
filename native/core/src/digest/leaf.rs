//! Leaves of a directory's two trees: *content* (names, types, link targets, file digests) and *metadata* (everything
//! that a receipt calls kept). docs/protocol.md, "Digests", gives the bytes.

use blake3::Hasher;

use super::Digest;
use super::file::Form;
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
    let mut hasher = Hasher::new();
    hasher.update(&[JOIN]).update(left).update(right);
    *hasher.finalize().as_bytes()
}

pub fn leaf(name: &[u8], kind: Kind, attributes: &Attributes, payload: &Payload<'_>) -> Leaf {
    Leaf { content: content(name, kind, payload), metadata: metadata(name, kind, attributes, payload) }
}

fn start(name: &[u8], kind: Kind) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&[LEAF, to_wire(kind), u8::try_from(name.len()).unwrap_or(u8::MAX)]).update(name);
    hasher
}

fn content(name: &[u8], kind: Kind, payload: &Payload<'_>) -> Digest {
    let mut hasher = start(name, kind);
    match payload {
        Payload::File { form, digest } => hasher.update(&[*form as u8]).update(digest),
        Payload::Directory { roots } => hasher.update(&roots.content),
        Payload::Symlink { target } => hasher.update(target),
        Payload::Device { major, minor } => hasher.update(&major.to_be_bytes()).update(&minor.to_be_bytes()),
        Payload::Empty => &mut hasher,
    };
    *hasher.finalize().as_bytes()
}

fn metadata(name: &[u8], kind: Kind, attributes: &Attributes, payload: &Payload<'_>) -> Digest {
    let mut hasher = start(name, kind);
    // A symlink's mode means nothing (symlink(7)) and differs between file systems.
    let mode = if kind == Kind::Symlink { 0 } else { attributes.mode };
    let mut fixed = [0; 24];
    fixed[0..4].copy_from_slice(&mode.to_be_bytes());
    fixed[4..8].copy_from_slice(&attributes.uid.to_be_bytes());
    fixed[8..12].copy_from_slice(&attributes.gid.to_be_bytes());
    fixed[12..20].copy_from_slice(&attributes.mtime.seconds.to_be_bytes());
    fixed[20..24].copy_from_slice(&attributes.mtime.nanoseconds.to_be_bytes());
    hasher.update(&fixed);
    for (name, value) in attributes.xattrs.iter() {
        hasher
            .update(&(u32::try_from(name.len()).unwrap_or(u32::MAX)).to_be_bytes())
            .update(name)
            .update(&(u32::try_from(value.len()).unwrap_or(u32::MAX)).to_be_bytes())
            .update(value);
    }
    if let Payload::Directory { roots } = payload {
        hasher.update(&[JOIN]).update(&roots.metadata);
    }
    *hasher.finalize().as_bytes()
}

/// The roots of a volume: of its root directory's leaf (an empty name), the metadata together with the hard links.
pub fn volume_roots(root: &Leaf, links: &Digest) -> Leaf {
    Leaf { content: root.content, metadata: join(&root.metadata, links) }
}
