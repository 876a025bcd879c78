//! The target of a session that only looks: what the source announces, and the digests that it says, are compared with
//! what is there. Every difference is told, and nothing is written: not to the volume, nor to pvferry's own folder.
//!
//! Two sorts of look share all but their judgement of files: a dry run judges as the copy would that is to come; a
//! comparison reads every byte.

mod attributes;
mod blocks;
mod check;
mod directory;
mod entries;
mod extras;
mod files;
mod index;
mod links;
mod readers;
mod session;

pub use session::{Judgement, LookConfig, LookSession};
