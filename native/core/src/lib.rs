//! The data plane of pvferry.
