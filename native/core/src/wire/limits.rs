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

/// Data and files of a pack after which the source closes it, and files of a CHECK, with the data that they hold.
pub const PACK_BYTES: u64 = 512 * 1_024;
pub const PACK_FILES: usize = 512;

/// Bytes of the table of a pack, or of a CHECK, mostly extended attributes, after which the source closes it: with one more
/// file's, and the data, it stays below MAX_FRAME.
pub const PACK_TABLE_BYTES: usize = 512 * 1_024;

/// Files in one PACK or CHECK frame that a target accepts.
pub const MAX_PACK_FILES: u32 = 4_096;

/// Frames of a lane, and of the index, that may be on their way without an acknowledgement.
pub const WINDOW_FRAMES: usize = 32;

/// Regular files that the index may be ahead of the lanes: the source stops scanning there, and a target refuses twice
/// as many.
pub const AHEAD_FILES: usize = 16_384;

/// Segments of data in one piece: 512 KiB of 4 KiB blocks alternating with holes, with room for 1 KiB blocks.
pub const MAX_SEGMENTS: u32 = 512;

/// Ranges in which the pieces of one file may have arrived: lanes run ahead of one another by their windows.
pub const MAX_GAPS: usize = 8_192;

/// Versions of a file that a source may send, the first and its repetitions.
pub const MAX_ATTEMPTS: u16 = 64;

/// How often in a row a target may ask for the same bytes again.
pub const MAX_REFUSALS: u32 = 16;

/// Hard links that wait for a file that is on its way.
pub const MAX_WAITING_LINKS: usize = 4 << 20;

/// Names of all inodes with several names: a target keeps them until the end, since no announcement says that a name is
/// an inode's last.
pub const MAX_LINK_NAMES: usize = 32 << 20;

/// Extended attributes and symlink targets of those inodes, bytes: a further name has the same.
pub const MAX_LINK_BYTES: usize = 256 << 20;

/// Deepest directory: names of one byte up to 64 KiB of path.
pub const MAX_DEPTH: u32 = 32_768;

/// Directories that a source may leave unfinished: as deep as they may nest, and one for every file that is ahead, with
/// room for the frames on their way.
pub const MAX_OPEN_DIRECTORIES: usize = 131_072;

/// Extended attributes of all unfinished directories, bytes: a target keeps them until the directory's times are set.
pub const MAX_OPEN_XATTR_BYTES: usize = 32 << 20;

/// Exceptions in one ACK: no frame holds more entries or files.
pub const MAX_EXCEPTIONS: usize = MAX_PACK_FILES as usize;

/// Items in one ITEMS frame.
pub const MAX_ITEMS: u32 = 1_024;

/// Differences in one DIFFERENCES frame, and bytes after which a target closes it.
pub const MAX_DIFFERENCES: u32 = 1_024;
pub const DIFFERENCES_BYTES: usize = 256 * 1_024;

/// One item's text, bytes.
pub const MAX_ITEM_TEXT: usize = 1_024;

/// Pieces of one SUMS: with a window of frames on their way, 64 MiB of a file are compared within a round trip. All lanes
/// together must not scatter a file's pieces over more than MAX_GAPS.
pub const SUMS_PIECES: u64 = 4;
