//! Every bound of the index and the lanes. What a peer sends beyond one of them ends the session with a protocol error
//! before anything is allocated.

/// Payload of one frame, bytes. The largest legitimate one is an entry with MAX_XATTRS_BYTES of attributes.
pub const MAX_FRAME: u32 = 4 << 20;

/// Extended attributes of one entry, names and values, bytes. More is an item, not an error.
pub const MAX_XATTRS_BYTES: usize = 2 << 20;

/// One attribute's value, bytes (XATTR_SIZE_MAX, linux/limits.h).
pub const MAX_XATTR_VALUE: usize = 65_536;

/// Target of a symlink, bytes (PATH_MAX less the terminating NUL, linux/limits.h).
pub const MAX_SYMLINK: usize = 4_095;

/// One name, bytes (NAME_MAX, linux/limits.h).
pub const MAX_NAME: usize = 255;

/// Entries in one ENTRIES frame.
pub const BATCH_ENTRIES: usize = 1_024;

/// Bytes of an ENTRIES frame after which the source starts another.
pub const BATCH_BYTES: usize = 256 * 1_024;

/// Largest file that travels in a pack, bytes; larger ones travel in pieces.
pub const PACK_FILE: u64 = 512 * 1_024;

/// Data and files of a pack after which the source closes it.
pub const PACK_BYTES: u64 = 512 * 1_024;
pub const PACK_FILES: usize = 512;

/// Bytes of a pack's table, mostly extended attributes, after which the source closes it: with one more file's, and the
/// data, it stays below MAX_FRAME.
pub const PACK_TABLE_BYTES: usize = 512 * 1_024;

/// Files in one PACK frame that a target accepts.
pub const MAX_PACK_FILES: u32 = 4_096;

/// Frames of a lane, and of the index, that may be on their way without an acknowledgement.
pub const WINDOW_FRAMES: usize = 32;

/// Regular files that the index may be ahead of the lanes: the source stops scanning there, and a target refuses twice
/// as many.
pub const AHEAD_FILES: usize = 16_384;

/// Segments of data in one piece: 512 KiB of 4 KiB blocks alternating with holes, with room for 1 KiB blocks.
pub const MAX_SEGMENTS: u32 = 512;

/// Versions of a file that a source may send, the first and its repetitions.
pub const MAX_ATTEMPTS: u16 = 64;

/// Hard links that wait for a file that is on its way.
pub const MAX_WAITING_LINKS: usize = 4 << 20;

/// Deepest directory: names of one byte up to 64 KiB of path.
pub const MAX_DEPTH: u32 = 32_768;

/// One item's text, bytes.
pub const MAX_ITEM_TEXT: usize = 1_024;
