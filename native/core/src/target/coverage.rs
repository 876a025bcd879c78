//! Which pieces of a file have been claimed, as disjoint ranges: memory grows with gaps, not with the file.

use std::collections::BTreeMap;

use crate::wire::cursor::Malformed;
use crate::wire::limits::MAX_GAPS;

#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<u64, u64>);

impl Coverage {
    /// Claims `count` pieces from `first`; false, and nothing changes, when any of them is claimed already. An error when
    /// pieces come in no order at all: a source hands them out one after another.
    pub(super) fn claim(&mut self, first: u64, count: u64) -> Result<bool, Malformed> {
        let end = first + count;
        let overlaps = self.0.range(..end).next_back().is_some_and(|(_, known_end)| *known_end > first);
        if overlaps {
            return Ok(false);
        }
        let mut start = first;
        let mut stop = end;
        if let Some((before, before_end)) = self.0.range(..=first).next_back()
            && *before_end == first
        {
            start = *before;
        }
        if let Some(after_end) = self.0.remove(&end) {
            stop = after_end;
        }
        self.0.insert(start, stop);
        if self.0.len() > MAX_GAPS {
            return Err(Malformed("the pieces of a file are too scattered"));
        }
        Ok(true)
    }

    /// The piece behind the last one that was claimed.
    pub(super) fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, end)| *end)
    }

    /// The ranges, and what `other` has besides, as first pieces and counts: ascending, with gaps between.
    pub(super) fn joined(&self, other: &Self) -> Vec<(u64, u64)> {
        let mut all: Vec<(u64, u64)> = self.0.iter().chain(&other.0).map(|(first, end)| (*first, *end)).collect();
        all.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, end) in all {
            match joined.last_mut().filter(|(_, last)| *last >= first) {
                Some((_, last)) => *last = end.max(*last),
                None => joined.push((first, end)),
            }
        }
        joined.into_iter().map(|(first, end)| (first, end - first)).collect()
    }

    /// Ranges as `joined` gives them, as far as they lie before `total`.
    pub(super) fn of(ranges: &[(u64, u64)], total: u64) -> Self {
        let within = |(first, count): &(u64, u64)| (*first, first.saturating_add(*count).min(total));
        Self(ranges.iter().map(within).filter(|(first, end)| first < end).collect())
    }

    /// Pieces in all.
    pub(super) fn pieces(&self) -> u64 {
        self.0.iter().map(|(first, end)| end - first).sum()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_claimed_once_and_ranges_merge() -> Result<(), Malformed> {
        let mut coverage = Coverage::default();
        assert!(coverage.claim(5, 5)?);
        assert!(!coverage.claim(9, 1)?);
        assert!(!coverage.claim(0, 6)?);
        assert!(coverage.claim(10, 1)?);
        assert!(coverage.claim(0, 5)?);
        assert!(!coverage.claim(0, 1)?);
        assert!(!coverage.claim(10, 5)?);
        assert_eq!(coverage.0.len(), 1);
        assert!(coverage.claim(20, 1)?);
        assert_eq!(coverage.0.len(), 2);
        Ok(())
    }

    #[test]
    fn ranges_are_joined_and_taken_up_again() -> Result<(), Malformed> {
        let (mut one, mut other) = (Coverage::default(), Coverage::default());
        [(0, 2), (10, 5)].into_iter().try_for_each(|(first, count)| one.claim(first, count).map(drop))?;
        [(1, 4), (5, 1), (9, 1), (20, 3)]
            .into_iter()
            .try_for_each(|(first, count)| other.claim(first, count).map(drop))?;
        let joined = one.joined(&other);
        assert_eq!(joined, [(0, 6), (9, 6), (20, 3)]);
        assert_eq!(Coverage::of(&joined, 21).joined(&Coverage::default()), [(0, 6), (9, 6), (20, 1)]);
        assert_eq!(Coverage::of(&joined, 21).pieces(), 13);
        Ok(())
    }

    #[test]
    fn gaps_are_bounded() {
        let mut coverage = Coverage::default();
        let scattered = (0..).map(|at| coverage.claim(2 * at, 1)).take_while(Result::is_ok);
        assert_eq!(scattered.count(), MAX_GAPS);
    }
}
