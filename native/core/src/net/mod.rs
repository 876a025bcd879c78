//! Connections: TLS, trust, the listener and the dialler's side of it.

pub mod duplex;
pub mod plain;
pub mod socket;

pub use duplex::Duplex;
pub use plain::PlainStream;
