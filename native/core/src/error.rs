//! The one error type of the data plane.

mod errno_names;

pub use errno_names::errno_name;

use serde::Serialize;
use std::fmt;
use std::io;

/// What kind of trouble it is; the TypeScript side turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    Bug,
    Network,
    Untrusted,
    Protocol,
    Space,
    Volume,
    Io,
    Busy,
    /// Refused by a limit that the user set.
    Limit,
    /// The journal is foreign, of another version, or damaged.
    Journal,
    Interrupted,
}

/// One sentence about what happened and where, in the form that crosses to TypeScript as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoreError {
    pub kind: ErrorKind,
    pub message: String,
    /// Symbolic, such as `ENOSPC`; `None` when no system call failed.
    pub errno: Option<&'static str>,
}

impl CoreError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), errno: None }
    }

    /// `what` says what was being done ("open volume/a"); the error's own words follow it.
    pub fn from_io(kind: ErrorKind, what: impl fmt::Display, error: &io::Error) -> Self {
        Self {
            kind,
            message: format!("{what}: {}.", describe_io(error)),
            errno: error.raw_os_error().and_then(errno_name),
        }
    }

    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    pub fn network(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, message)
    }

    pub fn untrusted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Untrusted, message)
    }

    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    #[must_use]
    pub fn with_errno(mut self, errno: Option<i32>) -> Self {
        self.errno = errno.and_then(errno_name);
        self
    }
}

/// The words of a system error without Rust's "(os error 2)", which means nothing to a reader; the symbol stands instead.
/// No full stop at the end: whoever makes a sentence of it adds that.
pub fn describe_io(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    match error.raw_os_error().and_then(errno_name) {
        Some(name) => format!("{words} ({name})"),
        // A whole sentence of ours may be inside, and becomes part of another.
        None => words.strip_suffix('.').unwrap_or(words).to_owned(),
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CoreError {}

/// An I/O error that carries a `CoreError` (as `Duplex` returns them) comes out again unchanged.
impl From<io::Error> for CoreError {
    fn from(error: io::Error) -> Self {
        if let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<CoreError>()) {
            return inner.clone();
        }
        Self {
            kind: kind_of_io(&error),
            message: format!("{}.", describe_io(&error)),
            errno: error.raw_os_error().and_then(errno_name),
        }
    }
}

impl From<rustix::io::Errno> for CoreError {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// Wraps without loss: `CoreError::from` of the result gives the same error back.
impl From<CoreError> for io::Error {
    fn from(error: CoreError) -> Self {
        let kind = match error.kind {
            ErrorKind::Network => io::ErrorKind::ConnectionAborted,
            ErrorKind::Untrusted => io::ErrorKind::PermissionDenied,
            ErrorKind::Protocol => io::ErrorKind::InvalidData,
            ErrorKind::Interrupted => io::ErrorKind::Interrupted,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Space,
        io::ErrorKind::TimedOut
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrInUse
        | io::ErrorKind::AddrNotAvailable => ErrorKind::Network,
        io::ErrorKind::InvalidData => ErrorKind::Protocol,
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Volume,
        _ => ErrorKind::Io,
    }
}
