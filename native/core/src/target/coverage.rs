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
    fn gaps_are_bounded() {
        let mut coverage = Coverage::default();
        let scattered = (0..).map(|at| coverage.claim(2 * at, 1)).take_while(Result::is_ok);
        assert_eq!(scattered.count(), MAX_GAPS);
    }
}
