//! Which names are hard links of one another, as a digest without paths: docs/protocol.md, "Hard links".

use super::Digest;
use super::message::Message;

/// Path hash of an entry: docs/protocol.md, "Hard links".
pub fn path_hash(parent: &Digest, name: &[u8]) -> Digest {
    Message::new().put(parent).put(name).digest()
}

/// Digest of one group: BLAKE3 over the path hashes of its names in byte order; None for a single name.
pub fn group_digest(names: &[Digest]) -> Option<Digest> {
    if names.len() < 2 {
        return None;
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    sorted.iter().for_each(|name| {
        hasher.update(name);
    });
    Some(*hasher.finalize().as_bytes())
}

/// Digest of all groups: BLAKE3 over their digests in byte order.
pub fn links_digest(mut groups: Vec<Digest>) -> Digest {
    groups.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    groups.iter().for_each(|group| {
        hasher.update(group);
    });
    *hasher.finalize().as_bytes()
}
