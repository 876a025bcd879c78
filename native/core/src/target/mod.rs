//! The target's side of a session: make what the index announces, write what the lanes bring, verify before writing,
//! acknowledge after.

mod acknowledgements;
mod besides;
mod blocks;
mod checkpoints;
mod clearing;
mod compare;
mod copies;
mod coverage;
mod directory;
mod entries;
mod existing;
pub mod extras;
mod files;
mod finished;
mod guard;
mod index;
mod index_place;
pub mod journal;
mod lane;
mod large;
mod large_end;
mod left_behind;
mod links;
pub mod look;
mod open_directories;
mod order;
mod pack;
mod part;
mod piece;
mod present;
mod read_back;
mod room;
mod served;
mod session;
mod torn;
mod unfinished;
mod volume;

pub use clearing::Terms;
pub use compare::Comparison;
pub use existing::{Existing, check_empty_source};
pub use left_behind::leave_finished;
pub use session::{TargetConfig, TargetSession};
