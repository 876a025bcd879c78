//! The order in which a directory's entries are announced: numbered from 0 in byte order of their names, then an end.
//! Checked as it comes, so that no entry is announced twice and what is remembered is one name per unfinished directory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::wire::cursor::Malformed;

#[derive(Debug, Default)]
struct Told {
    entries: u64,
    last: Box<[u8]>,
    ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Order(Mutex<Told>);

impl Order {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next entries, the first of them at `first`.
    pub(super) fn follow<'n>(&self, first: u64, names: impl Iterator<Item = &'n [u8]>) -> Result<(), Malformed> {
        let mut told = self.lock();
        if told.ended || first != told.entries {
            return Err(Malformed("entries of a directory are out of order"));
        }
        let mut last: Option<&[u8]> = None;
        for name in names {
            if last.unwrap_or(&told.last) >= name {
                return Err(Malformed("names of a directory are out of order"));
            }
            last = Some(name);
            told.entries += 1;
        }
        if let Some(last) = last {
            told.last = last.into();
        }
        Ok(())
    }

    /// The directory has so many entries and no more.
    pub(super) fn end(&self, entries: u64) -> Result<(), Malformed> {
        let mut told = self.lock();
        if told.ended || entries != told.entries {
            return Err(Malformed("a directory ends twice, or with another number of entries than it has"));
        }
        told.ended = true;
        told.last = Box::default();
        Ok(())
    }

    /// Whether an entry was announced at this place.
    pub(super) fn has(&self, leaf: u64) -> Result<(), Malformed> {
        if leaf < self.lock().entries { Ok(()) } else { Err(Malformed("a directory that no entry announced")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(order: &Order, first: u64, names: &[&[u8]]) -> bool {
        order.follow(first, names.iter().copied()).is_ok()
    }

    #[test]
    fn entries_follow_one_another_in_byte_order_until_the_end() {
        let order = Order::default();
        assert!(follow(&order, 0, &[b"a", b"b"]));
        assert!(order.has(1).is_ok() && order.has(2).is_err());
        assert!(!follow(&order, 3, &[b"c"]), "a gap");
        assert!(!follow(&order, 2, &[b"b"]), "a name twice");
        assert!(order.end(3).is_err());
        assert!(order.end(2).is_ok());
        assert!(order.end(2).is_err());
        assert!(!follow(&order, 2, &[b"z"]), "after the end");
    }
}
