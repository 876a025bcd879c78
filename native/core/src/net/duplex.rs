//! What the rest of the data plane sees of a connection.

use super::socket::Socket;
use std::io;
use std::time::Duration;

/// A reliable stream of bytes in both directions. `read` and `write_all` may run at the same time on two threads; two
/// threads reading, or two writing, take turns in no particular order.
///
/// Errors that say something to a person carry a [`crate::error::CoreError`], which `CoreError::from` gives back.
pub trait Duplex: Send + Sync {
    /// Some bytes; `Ok(0)` at a clean end (close_notify). `ErrorKind::TimedOut` after `timeout` without a byte.
    fn read(&self, buf: &mut [u8], timeout: Duration) -> io::Result<usize>;

    /// Whether bytes have come that nobody has read yet, as far as can be told without asking the kernel.
    fn has_more(&self) -> bool {
        false
    }

    /// For what the kernel says of the connection.
    fn socket(&self) -> &Socket;

    /// All bytes of all parts, in order, or an error. `ErrorKind::TimedOut` when `timeout` passes without any progress.
    fn write_all(&self, parts: &[&[u8]], timeout: Duration) -> io::Result<()>;

    /// Breaks the connection now; blocked and later calls on any thread return an error. Idempotent.
    fn abort(&self);

    /// Says that nothing more will be sent (close_notify), drains what the peer still sends for up to `timeout`, then
    /// closes. Draining matters: closing a socket with unread bytes resets it, and the peer may lose our last words.
    fn finish(&self, timeout: Duration);
}
