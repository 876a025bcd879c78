//! The secret that binds the index and the lanes to a session.

/// 32 bytes from the control channel; nothing prints them.
pub type Secret = [u8; 32];
