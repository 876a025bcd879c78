//! What a target remembers of a transfer beside the files themselves: docs/journal.md has every byte.
//!
//! `.pvferry/` at the volume's root holds the lock, the journal and the parts of large files. The journal is appended to
//! and never changed in place; every record carries a checksum that continues the one before.

mod file;
mod history;
pub mod lock;
mod look;
mod record;
mod writer;

pub use file::{Fault, Reading, encode, parse};
pub use history::{EVER, History};
pub(crate) use look::{Coming, brief, coming};
pub use look::{Look, look};
pub(super) use look::{foreign, path_of};
pub use record::{Checkpoint, Doubt, Part, PartEnd, Pass, PassKind, Record, Session, Torn};
pub(super) use writer::now;
pub use writer::{Journal, Opened};

/// The file in `.pvferry/`, and what it is written as before it takes that name.
pub const JOURNAL: &[u8] = b"journal";
const JOURNAL_NEW: &[u8] = b"journal.new";

/// First bytes of every journal, of whatever version.
pub const MAGIC: &[u8; 8] = b"pvferryJ";
pub const FORMAT: u16 = 1;
/// Of a journal that may hold records of torn files, which a reader of format 1 would cut off.
pub const FORMAT_TORN: u16 = 2;
/// Transfer id and volume name.
pub const MAX_TRANSFER: usize = 1_024;
/// A version's text.
pub const MAX_AGENT: usize = 64;
/// A name in `.pvferry/parts`.
pub const MAX_PART_NAME: usize = 64;
/// Ranges of one part; what is more scattered is written again.
pub const MAX_RANGES: usize = 1_024;
/// Parts in flight, and passes that are remembered.
pub const MAX_PARTS: usize = 256;
pub const MAX_PASSES: usize = 4_096;
/// Files that are torn at a time, and the path of one.
pub const MAX_TORN: usize = 256;
pub const MAX_TORN_PATH: usize = 4_096;
/// The largest payload is that of a part.
pub const MAX_PAYLOAD: usize = 32 + 1 + MAX_PART_NAME + 8 + 12 + 2 + 16 * MAX_RANGES;
/// A file that is larger was not written by this format.
pub const MAX_JOURNAL: u64 = 32 << 20;
/// Beyond this, and twice what it was then, the journal is written anew with what still counts.
pub const COMPACT_ABOVE: u64 = 1 << 20;
