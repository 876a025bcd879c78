//! What the source's and the target's side of a session share.

pub mod compress;
pub mod counters;
pub mod difference;
pub mod events;
pub mod item;
pub mod ledger;
pub mod life;
pub mod stop;
pub mod verify;
