//! The data plane of pvferry.

mod allocation;
pub mod error;
pub mod fs;
pub mod net;

pub mod digest;
pub mod scan;
pub mod session;
pub mod source;
pub mod target;
pub mod wire;
