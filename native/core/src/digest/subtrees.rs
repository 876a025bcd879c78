//! A left-balanced binary hash tree whose leaves may arrive in any order.
//!
//! The shape is that of BLAKE3 and of RFC 6962 (section 2.1): the left subtree of n leaves holds the largest power of
//! two that is less than n. Complete, aligned subtrees are joined as soon as both halves are there, so that memory
//! grows with the number of gaps (times log n), not with the number of leaves.

use std::collections::BTreeMap;

use super::Digest;

/// How two neighbouring subtrees become one.
pub trait Join {
    fn join(&self, left: &Digest, right: &Digest) -> Digest;

    /// The last join of all, which BLAKE3 marks.
    fn join_root(&self, left: &Digest, right: &Digest) -> Digest {
        self.join(left, right)
    }

    /// The number of leaves, when the root join differs from the others and so must be held back until `finish`.
    fn held_back(&self) -> Option<u64> {
        None
    }
}

/// Level of a node: it spans 2^level leaves.
type Level = u32;

#[derive(Debug)]
pub struct Subtrees<J> {
    nodes: BTreeMap<u64, (Level, Digest)>,
    join: J,
}

impl<J: Join> Subtrees<J> {
    pub fn new(join: J) -> Self {
        Self { nodes: BTreeMap::new(), join }
    }

    /// Adds one leaf. Adding a leaf twice is a mistake of the caller and makes `finish` fail.
    pub fn add(&mut self, index: u64, digest: Digest) {
        self.add_subtree(index, 0, digest);
    }

    /// Adds `count` leaves from `first` on whose subtrees' digests depend on the level alone.
    pub fn add_uniform(&mut self, first: u64, count: u64, digest: impl Fn(Level) -> Digest) {
        let (mut start, end) = (first, first.saturating_add(count));
        while start < end {
            let aligned = if start == 0 { 63 } else { start.trailing_zeros() };
            let level = aligned.min((end - start).ilog2());
            self.add_subtree(start, level, digest(level));
            start += 1 << level;
        }
    }

    fn add_subtree(&mut self, index: u64, level: Level, digest: Digest) {
        let (mut index, mut level, mut digest) = (index, level, digest);
        while self.may_join(level) {
            let sibling = index ^ (1 << level);
            match self.nodes.get(&sibling) {
                Some((sibling_level, other)) if *sibling_level == level => {
                    digest =
                        if sibling < index { self.join.join(other, &digest) } else { self.join.join(&digest, other) };
                    self.nodes.remove(&sibling);
                    index = index.min(sibling);
                    level += 1;
                }
                _ => break,
            }
        }
        self.nodes.insert(index, (level, digest));
    }

    fn may_join(&self, level: Level) -> bool {
        level < 62 && self.join.held_back().is_none_or(|total| (2 << level) < total)
    }

    /// The root over exactly the leaves 0..total; None when one is missing, extra or was added twice.
    pub fn finish(&self, total: u64) -> Option<Digest> {
        let mut end = 0;
        for (start, (level, _)) in &self.nodes {
            if *start != end {
                return None;
            }
            end += 1 << level;
        }
        if end != total {
            return None;
        }
        let mut nodes = self.nodes.values().rev().map(|(_, digest)| digest);
        let mut root = *nodes.next()?;
        let mut left = nodes.next();
        while let Some(digest) = left {
            left = nodes.next();
            root = match left {
                Some(_) => self.join.join(digest, &root),
                None => self.join.join_root(digest, &root),
            };
        }
        Some(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Sum;

    impl Join for Sum {
        fn join(&self, left: &Digest, right: &Digest) -> Digest {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&[1]).update(left).update(right);
            *hasher.finalize().as_bytes()
        }
    }

    fn leaf(index: u64) -> Digest {
        *blake3::hash(&index.to_be_bytes()).as_bytes()
    }

    fn reference(first: u64, count: u64) -> Digest {
        if count == 1 {
            return leaf(first);
        }
        let left = count.next_power_of_two() / 2;
        Sum.join(&reference(first, left), &reference(first + left, count - left))
    }

    proptest! {
        #[test]
        fn any_order_gives_the_recursive_definition(total in 1_u64..200, seed in any::<u64>()) {
            let mut order: Vec<u64> = (0..total).collect();
            order.sort_by_key(|index| blake3::hash(&(index ^ seed).to_be_bytes()).as_bytes()[..8].to_vec());
            let mut tree = Subtrees::new(Sum);
            for (at, index) in order.iter().enumerate() {
                prop_assert_eq!(tree.finish(total).is_some(), at as u64 == total);
                tree.add(*index, leaf(*index));
            }
            prop_assert_eq!(tree.finish(total), Some(reference(0, total)));
            prop_assert!(tree.finish(total + 1).is_none());
        }

        #[test]
        fn uniform_ranges_equal_single_leaves(before in 0_u64..40, count in 1_u64..300) {
            let zero = |level: u32| (0..level).fold([7; 32], |digest, _| Sum.join(&digest, &digest));
            let (mut one, mut many) = (Subtrees::new(Sum), Subtrees::new(Sum));
            for index in 0..before {
                one.add(index, leaf(index));
                many.add(index, leaf(index));
            }
            one.add_uniform(before, count, zero);
            for index in before..before + count {
                many.add(index, zero(0));
            }
            prop_assert_eq!(one.finish(before + count), many.finish(before + count));
        }
    }
}
