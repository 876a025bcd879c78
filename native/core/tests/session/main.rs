//! Source and target sessions over real sockets: with one another, and with peers that do not keep to the protocol.
#![allow(clippy::unwrap_used, reason = "what clippy.toml allows in tests it does not see in functions they share")]
#![allow(clippy::panic, reason = "as above")]

mod alone;
mod blocks;
mod changes;
mod copies;
mod cutover;
mod filters;
mod flipped_bits;
mod gone;
mod inplace;
mod journals;
mod look_pair;
mod looks;
mod lost_lanes;
mod nesting;
mod pair;
mod pki;
mod read_back;
mod refused_announcements;
mod refused_answers;
mod refused_blocks;
mod refused_data;
mod refused_looks;
mod relay;
mod rogue;
mod second_copy;
mod sizes;
mod spellings;
mod unhashed;
mod volumes;
