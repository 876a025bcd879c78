//! How a session makes sure that what was written is what was read.

use crate::digest::file::Form;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing is hashed of what is sent whole: TLS alone guards it, and nobody compares.
    None,
    /// The bytes that the source reads have the digest of those that the target writes.
    #[default]
    Stream,
    /// The same, and the target reads from its medium what it has written.
    Disk,
}

impl Verify {
    /// The form of files that are sent, as long as nothing speaks for another one.
    pub fn form(self) -> Form {
        if self == Self::None { Form::Assumed } else { Form::Plain }
    }
}
