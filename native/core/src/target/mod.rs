//! The target's side of a session: make what the index announces, write what the lanes bring, verify before writing,
//! acknowledge after.

mod checkpoints;
mod clearing;
mod coverage;
mod directory;
mod entries;
mod files;
mod finished;
mod index;
mod index_place;
pub mod journal;
mod lane;
mod large;
mod links;
mod order;
mod pack;
mod piece;
mod session;
mod volume;

pub use clearing::{Terms, clear_leftovers};
pub use session::{TargetConfig, TargetSession};
