//! The names that a directory of the target holds from before, met in the order in which the source announces its own.

use std::cmp::Ordering;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fs::Errno;
use crate::fs::list::{ListBuffer, Listing};
use crate::fs::stat::Kind;

#[derive(Debug, Default)]
struct State {
    listing: Listing,
    next: usize,
    /// Places of the names that were passed over.
    extras: Vec<u32>,
    /// Numbers of the announced directories that nothing bears the names of, ascending. They outlive the listing.
    missing: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Present(Mutex<State>);

impl Present {
    pub(super) fn read(directory: BorrowedFd<'_>) -> Result<Self, Errno> {
        let listing = Listing::read(directory, &mut ListBuffer::new())?;
        Ok(Self(Mutex::new(State { listing, ..State::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something bears this name. Names come in ascending order.
    pub(super) fn meet(&self, name: &[u8]) -> bool {
        let mut state = self.lock();
        while let Some((known, _)) = state.listing.get(state.next) {
            match known.cmp(name) {
                Ordering::Less => {
                    let place = u32::try_from(state.next).unwrap_or(u32::MAX);
                    state.extras.push(place);
                }
                Ordering::Equal => {
                    state.next += 1;
                    return true;
                }
                Ordering::Greater => return false,
            }
            state.next += 1;
        }
        false
    }

    /// A directory was announced whose name the listing lacks.
    pub(super) fn note_missing(&self, leaf: u64) {
        self.lock().missing.push(leaf);
    }

    /// Whether the listing had a name for this directory.
    pub(super) fn had(&self, leaf: u64) -> bool {
        self.lock().missing.binary_search(&leaf).is_err()
    }

    /// How many names there are, reserved ones included.
    pub(super) fn len(&self) -> usize {
        self.lock().listing.len()
    }

    /// The names that nobody announced, as far as `is_extra` takes them, which gets the kind that the directory records;
    /// all names are known then. Forgets everything.
    pub(super) fn take_extras(&self, mut is_extra: impl FnMut(&[u8], Option<Kind>) -> bool) -> Vec<Box<[u8]>> {
        let mut state = self.lock();
        let missing = std::mem::take(&mut state.missing);
        let State { listing, next, extras, .. } = std::mem::replace(&mut *state, State { missing, ..State::default() });
        drop(state);
        let passed = extras.iter().map(|place| *place as usize);
        let places = passed.chain(next..listing.len());
        let names = places.filter_map(|place| listing.get(place));
        names.filter(|(name, kind)| is_extra(name, *kind)).map(|(name, _)| Box::from(name)).collect()
    }
}
