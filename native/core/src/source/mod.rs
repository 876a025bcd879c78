//! The source's side of a session: announce what the scan finds, read files, send them over whatever lanes there are,
//! and account for every acknowledgement.

mod announce;
mod blocks;
mod closing;
mod compare;
mod control;
mod directory;
mod in_flight;
mod index;
mod lane;
mod large;
mod large_state;
mod line;
mod links;
mod look;
mod pack;
mod part;
mod path;
mod queue;
mod session;
mod transit;

pub use path::PathReading;
pub use session::{Pass, SourceConfig, SourceSession};
