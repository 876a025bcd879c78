//! The data plane of pvferry.

pub mod error;
pub mod net;
