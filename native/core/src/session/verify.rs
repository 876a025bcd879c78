//! How a session makes sure that what was written is what was read.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The bytes that the source reads have the digest of those that the target writes.
    #[default]
    Stream,
    /// The same, and the target reads from its medium what it has written.
    Disk,
}
