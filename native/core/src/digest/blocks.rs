//! Blocks of a piece: what tells, cheaply, which parts of it two sides have in common.
//!
//! A block's sum is XXH3 (64 bits, seed 0; xxhash specification 0.2.0). It only guesses: a piece counts when its BLAKE3
//! is right, whatever the sums say, so that a collision costs a repetition and nothing else.

use twox_hash::XxHash3_64;

use super::file::PIECE;

/// Size of a block, bytes; the last one of a file may be shorter. 4 KiB is what file systems and databases write:
/// 16 KiB would have four times as much sent again for changes at random places (docs/design.md, decisions).
pub const BLOCK: usize = 4_096;

/// Blocks of a whole piece: one bit each in [`Blocks`].
pub const PIECE_BLOCKS: usize = PIECE as usize / BLOCK;

/// Number of blocks of a piece of `length` bytes.
pub fn blocks_of(length: usize) -> usize {
    length.div_ceil(BLOCK)
}

/// Sums of a piece's blocks, in order.
pub fn sums(piece: &[u8]) -> impl Iterator<Item = u64> + '_ {
    piece.chunks(BLOCK).map(XxHash3_64::oneshot)
}

/// Some of a piece's blocks. On the wire block n is bit 7 - n % 8 of byte n / 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks(u128);

const FIRST: u128 = 1 << 127;

impl Blocks {
    /// All blocks of a piece of `length` bytes.
    pub fn all(length: usize) -> Self {
        let count = blocks_of(length).min(PIECE_BLOCKS);
        Self(if count == 0 { 0 } else { u128::MAX << (PIECE_BLOCKS - count) })
    }

    /// Those blocks of a piece of `length` bytes that `base` does not hold: `base` is what is there instead of it, perhaps
    /// shorter, and `sums` are the piece's.
    pub fn missing(length: usize, sums: impl Iterator<Item = u64>, base: &[u8]) -> Self {
        let mut missing = Self::all(length);
        for (number, sum) in sums.take(blocks_of(length)).enumerate() {
            let start = number * BLOCK;
            let block = base.get(start..length.min(start + BLOCK));
            if block.is_some_and(|block| XxHash3_64::oneshot(block) == sum) {
                missing.0 &= !(FIRST >> number);
            }
        }
        missing
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether each is a block of a piece of `length` bytes.
    pub fn fits(self, length: usize) -> bool {
        self.0 & !Self::all(length).0 == 0
    }

    /// The blocks as bytes of a piece of `length` bytes: offset and length, neighbours joined, ascending.
    pub fn runs(self, length: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let first = rest.leading_zeros() as usize;
            let count = (rest << first).leading_ones() as usize;
            rest &= u128::MAX.checked_shr((first + count) as u32).unwrap_or(0);
            let (start, end) = (first * BLOCK, length.min((first + count) * BLOCK));
            Some((start, end.saturating_sub(start)))
        })
    }

    /// Bytes of a piece of `length` bytes that the blocks hold.
    pub fn bytes(self, length: usize) -> usize {
        self.runs(length).map(|(_, bytes)| bytes).sum()
    }

    pub fn to_wire(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_wire(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sum_is_xxh3_with_seed_0() {
        // From the specification's own test vectors: XXH3_64bits of nothing.
        assert_eq!(XxHash3_64::oneshot(&[]), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn the_ends_of_the_bitmap() {
        let whole = PIECE as usize;
        assert_eq!(Blocks::all(whole).to_wire(), [0xff; 16]);
        assert_eq!(Blocks::all(BLOCK).to_wire()[0], 0x80);
        assert_eq!(Blocks::all(BLOCK + 1).bytes(BLOCK + 1), BLOCK + 1);
        assert_eq!(Blocks::all(whole).runs(whole).collect::<Vec<_>>(), [(0, whole)]);
        assert!(!Blocks::all(BLOCK + 1).fits(BLOCK) && Blocks::all(BLOCK).fits(1));
        assert!(Blocks::all(0).is_empty() && Blocks::default().fits(0));
        assert_eq!(Blocks::missing(whole, std::iter::empty(), &vec![0; whole]), Blocks::all(whole));
    }

    proptest! {
        #[test]
        fn what_is_missing_makes_the_piece(
            length in 1..PIECE as usize,
            held in 0..PIECE as usize + 1,
            changed in proptest::collection::vec(0..PIECE as usize, 0..40),
        ) {
            let mut piece = vec![0; length];
            blake3::Hasher::new().finalize_xof().fill(&mut piece);
            let mut base: Vec<u8> = piece.iter().copied().cycle().take(held).collect();
            for at in changed.iter().filter(|at| **at < held) {
                base[*at] ^= 1;
            }
            let missing = Blocks::missing(length, sums(&piece), &base);
            prop_assert!(missing.fits(length));
            let different = (0..blocks_of(length)).filter(|block| {
                let range = block * BLOCK..length.min((block + 1) * BLOCK);
                base.get(range.clone()) != Some(&piece[range])
            });
            prop_assert_eq!(different.count(), missing.runs(length).map(|(_, bytes)| blocks_of(bytes)).sum::<usize>());
            base.resize(length, 0);
            for (start, bytes) in missing.runs(length) {
                base[start..start + bytes].copy_from_slice(&piece[start..start + bytes]);
            }
            prop_assert_eq!(base, piece);
            prop_assert_eq!(Blocks::from_wire(missing.to_wire()), missing);
        }
    }
}
