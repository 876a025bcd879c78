//! Comparing attributes, and items about what cannot be compared.

use super::session::{Judgement, Looking};
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::aspects::{Aspects, differing};
use crate::fs::stat::{Kind, Stat, Timestamp};
use crate::fs::xattrs::Reading;
use crate::scan::attributes::of_stat;
use crate::session::counters::Counter;
use crate::session::item::{Item, ItemClass, Side};
use crate::target::served::Served;

impl Looking {
    /// In what an entry differs from what was announced of it, and what it has.
    pub(super) fn compare_attributes(
        &self,
        stat: &Stat,
        reading: Reading,
        wanted: &Attributes,
        path: &dyn Fn() -> Vec<u8>,
    ) -> (Aspects, Attributes) {
        for (name, errno) in &reading.unreadable {
            self.unreadable(path(), &format!("xattr {}", String::from_utf8_lossy(name)), *errno);
        }
        let aspects = differing(stat, &reading.xattrs, wanted, |found, wanted| self.is_same_time(found, wanted));
        // What is alike is what was announced: without the labels of this host, which are no part of it.
        let found = if aspects.is_empty() { wanted.clone() } else { of_stat(stat, reading.xattrs) };
        (aspects, found)
    }

    /// A copy is content with what the file system makes of a time.
    pub(super) fn is_same_time(&self, found: Timestamp, wanted: Timestamp) -> bool {
        match self.config.judgement {
            Judgement::AsCopy(_) => self.stored_time.is(found, wanted),
            Judgement::EveryByte => found == wanted,
        }
    }

    /// Something of the target that cannot be compared.
    pub(super) fn unreadable(&self, path: Vec<u8>, what: &str, errno: Errno) {
        self.tell_item(Item::failed(Side::Target, ItemClass::Unreadable, path, what, errno));
    }

    /// An entry was looked at; `kind` is None for a further name of one.
    pub(super) fn count_looked(&self, kind: Option<Kind>) {
        match kind {
            Some(kind) => self.ledger.count_entry(kind),
            None => self.ledger.count_hard_link(),
        }
        self.counters.add(Counter::EntriesDone, 1);
    }
}
