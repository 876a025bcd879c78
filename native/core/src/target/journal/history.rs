//! What the records of a journal come to.

use std::collections::BTreeMap;

use super::MAX_PASSES;
use super::record::{Checkpoint, Doubt, Part, Pass, Record, Session, Torn};
use crate::fs::stat::Timestamp;

/// What a new session finds of those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Nothing of an earlier session is there: no journal was, or what it told of has been cleared.
    pub fresh: bool,
    /// This session's own.
    pub epoch: u64,
    /// The last session ran on this very boot: nothing that it wrote can have been lost.
    pub same_boot: bool,
    pub checkpoint: Option<Checkpoint>,
    /// None: every finished file is as it was written.
    pub doubt: Option<Doubt>,
    /// Large files that were under way: after a reboot, as the last checkpoint covers them.
    pub parts: Vec<Part>,
    pub passes: Vec<Pass>,
    pub torn: Vec<Torn>,
}

/// Records, applied in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) first: Option<Session>,
    pub(super) session: Option<Session>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) doubt: Option<Doubt>,
    pub(super) passes: Vec<Pass>,
    /// The last of them is the end of the last session.
    ended: bool,
    /// As the last agent wrote them, and as the last checkpoint covers them.
    pub(super) parts: BTreeMap<String, Part>,
    pub(super) durable: BTreeMap<String, Part>,
    /// Inodes, by path.
    pub(super) torn: BTreeMap<Vec<u8>, u64>,
    /// What no checkpoint covers yet, with the offsets; None is a part that ended.
    uncovered: Vec<(u64, String, Option<Part>)>,
}

impl State {
    pub(super) fn of(records: &[(u64, Record)]) -> Self {
        let mut state = Self::default();
        for (at, record) in records {
            state.apply(*at, record);
        }
        state
    }

    pub(super) fn apply(&mut self, at: u64, record: &Record) {
        match record {
            Record::Session(session) => {
                if self.session.as_ref().is_some_and(|before| !same_boot(&before.boot, &session.boot)) {
                    self.parts.clone_from(&self.durable);
                    self.uncovered.clear();
                }
                self.doubt = session.doubt;
                self.ended = false;
                self.first.get_or_insert_with(|| session.clone());
                self.session = Some(session.clone());
            }
            Record::Checkpoint(checkpoint) => {
                self.cover(checkpoint.position);
                self.checkpoint = Some(*checkpoint);
            }
            Record::Pass(pass) => {
                if self.passes.len() == MAX_PASSES {
                    self.passes.remove(0);
                }
                self.passes.push(*pass);
                self.ended = true;
                if pass.is_complete() {
                    self.doubt = None;
                }
            }
            Record::Part(part) => {
                self.parts.insert(part.name.clone(), part.clone());
                self.uncovered.push((at, part.name.clone(), Some(part.clone())));
            }
            Record::PartEnded { name, .. } => {
                self.parts.remove(name);
                self.uncovered.push((at, name.clone(), None));
            }
            Record::Torn(Torn { path, inode }) => {
                self.torn.insert(path.clone(), *inode);
            }
            Record::Mended { path } => {
                self.torn.remove(path);
            }
        }
    }

    fn cover(&mut self, position: u64) {
        for (at, name, part) in std::mem::take(&mut self.uncovered) {
            if at >= position {
                self.uncovered.push((at, name, part));
            } else if let Some(part) = part {
                self.durable.insert(name, part);
            } else {
                self.durable.remove(&name);
            }
        }
    }

    /// What files a session that begins now has to doubt: after a reboot, those that no checkpoint covers.
    pub(super) fn doubt_of(&self, boot: &[u8; 16], now: Timestamp) -> Option<Doubt> {
        let rebooted = self.session.as_ref().is_some_and(|before| !same_boot(&before.boot, boot));
        if !rebooted {
            return self.doubt;
        }
        let since = self.checkpoint.map_or(EVER, |checkpoint| checkpoint.covers);
        let from = self.doubt.map_or(since, |doubt| doubt.from.min(since));
        Some(Doubt { from, until: now })
    }

    /// What a session of this boot and epoch finds.
    pub(super) fn history(&self, session: &Session) -> History {
        let same_boot = self.session.as_ref().is_none_or(|before| same_boot(&before.boot, &session.boot));
        let parts = if same_boot { &self.parts } else { &self.durable };
        History {
            fresh: self.session.is_none(),
            epoch: session.epoch,
            same_boot,
            checkpoint: self.checkpoint,
            doubt: session.doubt,
            parts: parts.values().cloned().collect(),
            passes: self.passes.clone(),
            torn: self.torn().collect(),
        }
    }

    /// The pass that finished the copy, when nothing is left to do but to remove pvferry's folder.
    pub(super) fn finished(&self) -> Option<Pass> {
        let last = self.passes.last().filter(|pass| pass.finishes());
        last.filter(|_| self.ended && self.torn.is_empty()).copied()
    }

    pub(super) fn torn(&self) -> impl Iterator<Item = Torn> + '_ {
        self.torn.iter().map(|(path, inode)| Torn { path: path.clone(), inode: *inode })
    }

    /// The same state in as few records as can say it, for a journal whose first record is at `start`; `size` tells how
    /// long a record is.
    pub(super) fn compacted(&self, start: u64, size: impl Fn(&Record) -> u64) -> Vec<Record> {
        let first = self.first.iter().filter(|first| self.session.as_ref() != Some(first));
        let mut records: Vec<Record> = first.cloned().map(Record::Session).collect();
        let (before, end) = self.passes.split_at(self.passes.len() - usize::from(self.ended));
        records.extend(before.iter().copied().map(Record::Pass));
        let session = self.session.clone().map(|session| Session { doubt: self.doubt, ..session });
        records.extend(session.map(Record::Session));
        records.extend(end.iter().copied().map(Record::Pass));
        records.extend(self.torn().map(Record::Torn));
        if let Some(checkpoint) = self.checkpoint {
            records.extend(self.durable.values().cloned().map(Record::Part));
            let position = start + records.iter().map(size).sum::<u64>();
            records.push(Record::Checkpoint(Checkpoint { position, ..checkpoint }));
        }
        let ended = self.durable.keys().filter(|name| !self.parts.contains_key(*name));
        records.extend(ended.map(|name| Record::PartEnded { name: name.clone(), how: super::PartEnd::Done }));
        let newer = self.parts.values().filter(|part| self.durable.get(&part.name) != Some(part));
        records.extend(newer.cloned().map(Record::Part));
        records
    }
}

/// Before every file.
pub const EVER: Timestamp = Timestamp { seconds: i64::MIN, nanoseconds: 0 };

/// Zeros stand for a boot that is not known, which is never the same as another.
fn same_boot(one: &[u8; 16], other: &[u8; 16]) -> bool {
    one == other && *one != [0; 16]
}
