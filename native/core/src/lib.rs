//! The data plane of pvferry.

pub mod fs;
