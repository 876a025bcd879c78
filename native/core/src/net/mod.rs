//! Connections: TLS, trust, the listener and the dialler's side of it.

pub mod bind;
pub mod dial;
pub mod dialled;
pub mod duplex;
pub mod explain;
pub mod handshake;
pub mod identity;
pub mod listener;
pub mod pace;
pub mod plain;
pub mod raw_descriptor;
mod record;
pub mod small_segments;
pub mod socket;
pub mod stream;
pub mod tcp;
pub mod trust;

pub use dial::{Answer, Unbound, connect_bound, connect_control, connect_doctor};
pub use dialled::Dialled;
pub use duplex::Duplex;
pub use identity::{Credentials, IdentityTexts, Protocol};
pub use listener::{Channel, ChannelKind, Listener, ListenerCounts, ListenerOptions, Registration, SessionSink};
pub use pace::Pace;
pub use plain::PlainStream;
pub use stream::TlsStream;
