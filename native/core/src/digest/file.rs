//! A file's digest, gathered from its pieces in any order.
//!
//! *Plain* form: what `b3sum` prints. A piece's digest is the chaining value of the BLAKE3 subtree that it is (BLAKE3
//! specification, section 2.1: a left-balanced tree of 1 KiB chunks; the piece size is a power of two of them), so that
//! no byte is hashed twice. *Block* form, for files with more than 1 GiB of holes: a tree over pieces in which a piece
//! of zeros is a constant, because BLAKE3 itself counts chunks and so cannot skip a hole.

use std::sync::LazyLock;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::Digest;
use super::message::Message;
use super::subtrees::{Join, Subtrees};
use crate::fs::stat::Timestamp;

/// Size of a piece, bytes: the unit of the digest and of a frame for files too large for a pack. 512 KiB stays in the
/// second-level cache between cipher, hash and copy (docs/design.md, decisions).
pub const PIECE: u64 = 512 * 1024;

/// A file with more bytes of holes than this is digested in block form.
pub const BLOCK_FORM_HOLES: u64 = 1 << 30;

/// Domain separation of the block form's root.
const BLOCK_FORM_CONTEXT: &str = "pvferry 2026-11-22 block form of a sparse file";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    Plain = 0,
    Block = 1,
    /// No digest of bytes at all: size and modification time, of a file that nobody has read on both sides
    /// (docs/protocol.md, assumed form). Where such a file is sent, no piece is hashed, and what END says is the block
    /// form of as many zeros: it tells that all pieces have come.
    Assumed = 2,
}

impl Form {
    pub fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Plain),
            1 => Some(Self::Block),
            2 => Some(Self::Assumed),
            _ => None,
        }
    }

    /// The form in which a piece is compared with what the target has of it: by its bytes, whatever the file's form.
    pub fn compared(self) -> Self {
        if self == Self::Assumed { Self::Plain } else { self }
    }
}

/// What stands for the digest of bytes that are not hashed.
pub const NO_DIGEST: Digest = [0; 32];

/// The digest that comes with the whole of a small file.
pub fn data_digest(form: Form, data: &[u8]) -> Digest {
    if form == Form::Assumed { NO_DIGEST } else { *blake3::hash(data).as_bytes() }
}

/// What a leaf holds of a file that was sent: the digest that came with it, or in assumed form that of its size and time.
pub fn sent_digest(form: Form, digest: Digest, size: u64, mtime: Timestamp) -> Digest {
    if form == Form::Assumed { assumed_digest(size, mtime) } else { digest }
}

/// What stands for a file's digest where nobody has read the file: H(size || seconds || nanoseconds of its mtime).
pub fn assumed_digest(size: u64, mtime: Timestamp) -> Digest {
    let mut message = Message::new();
    message.put(&size.to_be_bytes()).put(&mtime.seconds.to_be_bytes()).put(&mtime.nanoseconds.to_be_bytes());
    message.digest()
}

/// Number of pieces of a file of `size` bytes.
pub fn pieces(size: u64) -> u64 {
    size.div_ceil(PIECE)
}

/// Length of piece `index` of a file of `size` bytes; None beyond its end.
pub fn piece_length(size: u64, index: u64) -> Option<usize> {
    let start = index.checked_mul(PIECE)?;
    let rest = size.checked_sub(start).filter(|rest| *rest > 0)?;
    usize::try_from(rest.min(PIECE)).ok()
}

/// The pieces that `length` bytes from the start of piece `first` make, with their lengths: all whole but the last.
pub fn pieces_from(first: u64, length: u32) -> impl Iterator<Item = (u64, u32)> {
    const WHOLE: u32 = PIECE as u32;
    (0..length.div_ceil(WHOLE)).map(move |at| (first + u64::from(at), WHOLE.min(length - at * WHOLE)))
}

/// Digest of one piece: `data` is the whole piece, holes as zeros.
pub fn piece_digest(form: Form, size: u64, index: u64, data: &[u8]) -> Digest {
    match form {
        Form::Plain if size > PIECE => {
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(index * PIECE);
            hasher.update(data);
            hasher.finalize_non_root()
        }
        Form::Plain | Form::Block => *blake3::hash(data).as_bytes(),
        Form::Assumed => NO_DIGEST,
    }
}

struct ZeroPieces {
    /// Digest of a full piece of zeros, then of subtrees of 2, 4, 8 ... of them.
    levels: Vec<Digest>,
}

static ZERO_PIECES: LazyLock<ZeroPieces> = LazyLock::new(|| {
    let piece = vec![0; PIECE as usize];
    let mut levels = vec![*blake3::hash(&piece).as_bytes()];
    for level in 0..63 {
        levels.push(join_blocks(&levels[level], &levels[level]));
    }
    ZeroPieces { levels }
});

fn join_blocks(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[1]).update(left).update(right);
    *hasher.finalize().as_bytes()
}

#[derive(Debug)]
struct FileJoin {
    form: Form,
    pieces: u64,
}

impl Join for FileJoin {
    fn join(&self, left: &Digest, right: &Digest) -> Digest {
        match self.form {
            Form::Plain => merge_subtrees_non_root(left, right, Mode::Hash),
            Form::Block | Form::Assumed => join_blocks(left, right),
        }
    }

    fn join_root(&self, left: &Digest, right: &Digest) -> Digest {
        match self.form {
            Form::Plain => *merge_subtrees_root(left, right, Mode::Hash).as_bytes(),
            Form::Block | Form::Assumed => join_blocks(left, right),
        }
    }

    fn held_back(&self) -> Option<u64> {
        Some(self.pieces)
    }
}

#[derive(Debug)]
pub struct FileDigest {
    form: Form,
    size: u64,
    tree: Subtrees<FileJoin>,
}

impl FileDigest {
    pub fn new(form: Form, size: u64) -> Self {
        Self { form, size, tree: Subtrees::new(FileJoin { form, pieces: pieces(size) }) }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// In assumed form the digest does not matter.
    pub fn add_piece(&mut self, index: u64, digest: Digest) {
        match self.form {
            Form::Plain | Form::Block => self.tree.add(index, digest),
            Form::Assumed => self.skip_zeros(index, 1),
        }
    }

    /// Adds pieces that are wholly hole. In plain form the zeros are hashed here, 0.2 ms a piece.
    pub fn add_holes(&mut self, first: u64, count: u64) {
        match self.form {
            Form::Plain => self.hash_zeros(first, count),
            Form::Block | Form::Assumed => self.skip_zeros(first, count),
        }
    }

    fn hash_zeros(&mut self, first: u64, count: u64) {
        let zeros = vec![0; PIECE as usize];
        for index in first..first.saturating_add(count) {
            let Some(length) = piece_length(self.size, index) else { return };
            let digest = piece_digest(self.form, self.size, index, &zeros[..length]);
            self.tree.add(index, digest);
        }
    }

    fn skip_zeros(&mut self, first: u64, count: u64) {
        let last = pieces(self.size).saturating_sub(1);
        let partial = !self.size.is_multiple_of(PIECE) && first + count > last;
        let full = if partial { count - 1 } else { count };
        self.tree.add_uniform(first, full, |level| ZERO_PIECES.levels[level as usize]);
        if partial {
            let length = piece_length(self.size, last).unwrap_or(0);
            self.tree.add(last, *blake3::hash(&vec![0; length]).as_bytes());
        }
    }

    /// The file's digest; None when a piece is missing.
    pub fn finish(&self) -> Option<Digest> {
        if self.size == 0 {
            return Some(*blake3::hash(&[]).as_bytes());
        }
        let root = self.tree.finish(pieces(self.size))?;
        Some(match self.form {
            Form::Plain => root,
            Form::Block | Form::Assumed => {
                let mut hasher = blake3::Hasher::new_derive_key(BLOCK_FORM_CONTEXT);
                hasher.update(&self.size.to_be_bytes()).update(&root);
                *hasher.finalize().as_bytes()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(size: usize) -> Vec<u8> {
        let mut data = vec![0; size];
        blake3::Hasher::new().finalize_xof().fill(&mut data);
        data
    }

    fn by_pieces(form: Form, data: &[u8], reverse: bool) -> Option<Digest> {
        let size = data.len() as u64;
        let mut digest = FileDigest::new(form, size);
        let mut order: Vec<u64> = (0..pieces(size)).collect();
        if reverse {
            order.reverse();
        }
        for index in order {
            let start = (index * PIECE) as usize;
            let piece = &data[start..start + piece_length(size, index)?];
            digest.add_piece(index, piece_digest(form, size, index, piece));
        }
        digest.finish()
    }

    #[test]
    fn plain_form_is_blake3_of_the_file_for_every_shape() {
        let piece = PIECE as usize;
        for size in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 5, 4 * piece, 7 * piece, 8 * piece + 1] {
            let data = sample(size);
            let expected = Some(*blake3::hash(&data).as_bytes());
            assert_eq!(by_pieces(Form::Plain, &data, false), expected, "size {size}");
            assert_eq!(by_pieces(Form::Plain, &data, true), expected, "size {size}, reversed");
        }
    }

    #[test]
    fn holes_and_zeros_are_the_same_in_both_forms() {
        let piece = PIECE as usize;
        for size in [piece, 5 * piece + 17, 8 * piece] {
            for form in [Form::Plain, Form::Block] {
                let zeros = vec![0; size];
                let mut holes = FileDigest::new(form, size as u64);
                holes.add_holes(0, pieces(size as u64));
                assert_eq!(holes.finish(), by_pieces(form, &zeros, false), "size {size} {form:?}");
            }
        }
    }

    #[test]
    fn the_assumed_form_tells_that_all_pieces_are_there_and_no_more() {
        for size in [1, PIECE as usize, 5 * PIECE as usize + 17] {
            let expected = by_pieces(Form::Block, &vec![0; size], false);
            assert_eq!(by_pieces(Form::Assumed, &sample(size), true), expected, "size {size}");
        }
        let mut digest = FileDigest::new(Form::Assumed, 3 * PIECE);
        digest.add_piece(0, NO_DIGEST);
        digest.add_holes(2, 1);
        assert_eq!(digest.finish(), None);
    }

    #[test]
    fn the_block_form_of_eight_exbibytes_of_hole_is_quick() {
        let size = i64::MAX as u64;
        let mut digest = FileDigest::new(Form::Block, size);
        digest.add_holes(0, pieces(size));
        assert!(digest.finish().is_some());
        assert_ne!(digest.finish(), Some(*blake3::hash(&[]).as_bytes()));
    }

    #[test]
    fn block_form_distinguishes_sizes_of_pure_hole() {
        let digest = |size| {
            let mut digest = FileDigest::new(Form::Block, size);
            digest.add_holes(0, pieces(size));
            digest.finish()
        };
        assert_ne!(digest(PIECE * 4), digest(PIECE * 4 - 1));
        assert_ne!(digest(PIECE * 4), digest(PIECE * 8));
    }
    proptest! {
        #[test]
        fn any_cut_of_any_size_in_any_order_is_the_same_in_the_assumed_form(
            size in 1..=i64::MAX as u64, shift in 0_u32..60, cuts in any::<[u64; 6]>(), start in 0_usize..7,
        ) {
            let size = (size >> shift).max(1);
            let total = pieces(size);
            let mut ends: Vec<u64> = cuts.iter().map(|cut| cut % total).chain([0, total]).collect();
            ends.sort_unstable();
            let mut digest = FileDigest::new(Form::Assumed, size);
            for at in 0..7 {
                let (first, end) = (ends[(at + start) % 7], ends[(at + start) % 7 + 1]);
                if end == first + 1 {
                    digest.add_piece(first, NO_DIGEST);
                } else if end > first {
                    digest.add_holes(first, end - first);
                }
            }
            let mut whole = FileDigest::new(Form::Assumed, size);
            whole.add_holes(0, total);
            prop_assert!(digest.finish().is_some());
            prop_assert_eq!(digest.finish(), whole.finish());
        }
    }
}
