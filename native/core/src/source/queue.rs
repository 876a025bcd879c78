//! The one queue of work that all lanes share, so that no lane straggles. The scan fills it and waits when it is full.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::directory::SourceDirectory;
use super::large::Large;
use super::part::Part;
use crate::fs::stat::InodeKey;
use crate::scan::walk::entry_path;
use crate::wire::limits::{AHEAD_FILES, PACK_BYTES, PACK_FILE, PACK_FILES};

/// A regular file that was announced.
#[derive(Clone)]
pub(super) struct FileTask {
    pub(super) directory: Arc<SourceDirectory>,
    pub(super) name: Box<[u8]>,
    /// Its place in the directory.
    pub(super) leaf: u64,
    /// Its file id.
    pub(super) file: u64,
    /// Size as announced.
    pub(super) size: u64,
    /// What of it is expected to cross, as the progress counts it, bytes.
    pub(super) data: u64,
    pub(super) link: Option<InodeKey>,
    /// Bytes from the start with which the target can compare.
    pub(super) base: u64,
    /// It was sent on a lane that died, or was put off: the target may have it, or some of it, already.
    pub(super) sent_before: bool,
    /// What of it is not carried was counted when it was read.
    pub(super) accounted: bool,
    /// How often the target has found its bytes wrong.
    pub(super) refused: u32,
}

impl FileTask {
    pub(super) fn path(&self) -> Vec<u8> {
        entry_path(&self.directory.data.node, Some(&self.name))
    }
}

/// What a lane does next.
pub(super) enum Unit {
    Pack(Vec<FileTask>),
    /// A large file is to be opened.
    Open(FileTask),
    Part(Arc<Large>, Part),
    Gone(FileTask),
    /// The target is to be told their digests first.
    Check(Vec<FileTask>),
}

/// An opened file, and the lane that carries it.
struct Opened {
    large: Arc<Large>,
    lane: Option<u16>,
}

/// Which opened files a lane may take a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own(u16),
    Nobodys,
    Anybodys,
}

impl Whose {
    fn matches(self, lane: Option<u16>) -> bool {
        match self {
            Self::Own(number) => lane == Some(number),
            Self::Nobodys => lane.is_none(),
            Self::Anybodys => true,
        }
    }
}

#[derive(Default)]
struct State {
    small: VecDeque<FileTask>,
    small_bytes: u64,
    unopened: VecDeque<FileTask>,
    large: VecDeque<Opened>,
    urgent: VecDeque<Unit>,
    /// Large files for which the target has no room yet.
    put_off: VecDeque<FileTask>,
    put_off_at: Option<Instant>,
    checks: VecDeque<FileTask>,
    /// Regular files announced and not settled.
    ahead: usize,
    closed: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// The target is asked again whether it has room for a file after this long, whether or not another file ended meanwhile.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Large files that are open at the same time, at most: each holds a descriptor.
const OPEN_LARGE: usize = 16;

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let patience = Duration::from_millis(500);
        self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Takes note of files that are about to be announced; waits while too many are unsettled. Returns early when the
    /// queue is closed. Each is settled once, whether it is ever added or not.
    pub(super) fn reserve(&self, files: usize) {
        let mut state = self.lock();
        while state.ahead + files > AHEAD_FILES && state.ahead > 0 && !state.closed {
            state = self.wait(state);
        }
        state.ahead += files;
    }

    /// Adds announced files. Never waits.
    pub(super) fn add(&self, tasks: impl IntoIterator<Item = FileTask>) {
        let mut state = self.lock();
        for task in tasks {
            state.enqueue(task);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Files were settled: the scan may go on.
    pub(super) fn settled(&self, files: usize) {
        let mut state = self.lock();
        let was_full = state.ahead > AHEAD_FILES / 2;
        state.ahead = state.ahead.saturating_sub(files);
        if was_full {
            self.changed.notify_all();
        }
    }

    /// Files whose digests the target wants to be told.
    pub(super) fn check(&self, tasks: impl IntoIterator<Item = FileTask>) {
        let mut state = self.lock();
        let before = state.checks.len();
        state.checks.extend(tasks);
        if state.checks.len() > before {
            self.changed.notify_all();
        }
    }

    /// A file that turned out to be too large for a pack, or to have holes.
    pub(super) fn open(&self, task: FileTask) {
        self.lock().unopened.push_back(task);
        self.changed.notify_all();
    }

    /// A large file that is to be opened again when another one is over.
    pub(super) fn put_off(&self, task: FileTask) {
        let mut state = self.lock();
        state.put_off.push_back(task);
        state.put_off_at = Some(Instant::now());
    }

    /// A large file is over: those that were put off may have room.
    pub(super) fn resume_put_off(&self) {
        let mut state = self.lock();
        if !state.put_off.is_empty() {
            state.resume_put_off();
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Work that goes before everything else.
    pub(super) fn urgent(&self, unit: Unit) {
        self.lock().urgent.push_back(unit);
        self.changed.notify_all();
    }

    /// An opened file that has parts to be handed out, new ones or some that came back.
    pub(super) fn add_large(&self, large: Arc<Large>) {
        let mut state = self.lock();
        if !state.large.iter().any(|opened| Arc::ptr_eq(&opened.large, &large)) {
            state.large.push_back(Opened { large, lane: None });
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Wakes all who wait; `next` returns None from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The next unit of work for a lane; None when the queue is closed or `gave_up` says that the lane is.
    pub(super) fn next(&self, lane: u16, gave_up: impl Fn() -> bool) -> Option<Unit> {
        let mut state = self.lock();
        loop {
            if state.closed || gave_up() {
                return None;
            }
            if let Some(unit) = state.take(lane) {
                return Some(unit);
            }
            state = self.wait(state);
        }
    }

    /// Wakes a lane that waits in `next`, so that it sees that it is to give up.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }
}

impl State {
    fn enqueue(&mut self, task: FileTask) {
        if task.size > PACK_FILE {
            self.unopened.push_back(task);
        } else {
            self.small_bytes += task.size;
            self.small.push_back(task);
        }
    }

    /// A lane stays with its large file and prefers opening one to sharing another lane's: the kernel lets only one
    /// thread at a time write to a file, so that two lanes in one file wait for each other on the target.
    fn take(&mut self, lane: u16) -> Option<Unit> {
        if self.put_off_at.is_some_and(|at| at.elapsed() > ASK_AGAIN) {
            self.resume_put_off();
        }
        if let Some(unit) = self.urgent.pop_front() {
            return Some(unit);
        }
        if !self.checks.is_empty() {
            return Some(Unit::Check(batch(&mut self.checks)));
        }
        let full = self.small_bytes >= PACK_BYTES || self.small.len() >= PACK_FILES;
        if full {
            return Some(self.pack());
        }
        if let Some(unit) = self.part(lane, Whose::Own(lane)).or_else(|| self.part(lane, Whose::Nobodys)) {
            return Some(unit);
        }
        if self.large.len() < OPEN_LARGE
            && let Some(task) = self.unopened.pop_front()
        {
            return Some(Unit::Open(task));
        }
        if let Some(unit) = self.part(lane, Whose::Anybodys) {
            return Some(unit);
        }
        // A pack that is not full goes when there is nothing else to do: an idle lane is worse than a small pack.
        (!self.small.is_empty()).then(|| self.pack())
    }

    fn resume_put_off(&mut self) {
        self.put_off_at = None;
        self.unopened.append(&mut self.put_off);
    }

    fn pack(&mut self) -> Unit {
        let tasks = batch(&mut self.small);
        self.small_bytes -= tasks.iter().map(|task| task.size).sum::<u64>();
        Unit::Pack(tasks)
    }

    fn part(&mut self, lane: u16, whose: Whose) -> Option<Unit> {
        loop {
            let place = self.large.iter().position(|opened| whose.matches(opened.lane))?;
            let opened = &mut self.large[place];
            match opened.large.next_part() {
                Ok(Some(part)) => {
                    opened.lane.get_or_insert(lane);
                    return Some(Unit::Part(Arc::clone(&opened.large), part));
                }
                Ok(None) => {
                    self.large.remove(place);
                }
                Err(errno) => {
                    let opened = self.large.remove(place)?;
                    return Some(Unit::Part(opened.large, Part::Unreadable(errno)));
                }
            }
        }
    }
}

/// As many files as go together, from the first on: a large one alone.
fn batch(queue: &mut VecDeque<FileTask>) -> Vec<FileTask> {
    let mut tasks = Vec::new();
    let mut bytes = 0;
    while let Some(task) = queue.front() {
        bytes += task.size;
        if !tasks.is_empty() && (bytes > PACK_BYTES || tasks.len() == PACK_FILES) {
            break;
        }
        tasks.extend(queue.pop_front());
    }
    tasks
}
