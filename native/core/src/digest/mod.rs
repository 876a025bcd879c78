//! Digests of pieces, files and directories. docs/protocol.md, "Digests", defines them so that somebody else could
//! compute them; everything is BLAKE3 with 32 bytes of output.

pub mod blocks;
pub mod file;
pub mod leaf;
pub mod links;
mod message;
pub mod subtrees;
pub mod tree;

/// A BLAKE3 output, or the chaining value of a BLAKE3 subtree.
pub type Digest = [u8; 32];

/// Of bytes, as b3sum prints it.
pub fn hash(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

/// The digest that `hex` would print like this.
pub fn from_hex(text: &str) -> Option<Digest> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u8::from_str_radix(pair, 16).ok()
    });
    digits.collect::<Option<Vec<u8>>>()?.try_into().ok().filter(|_| text.len() == 64)
}

/// Lower-case hexadecimal digits of a digest, as b3sum prints them.
pub fn hex(digest: &Digest) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
