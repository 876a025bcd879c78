//! The file-system layer: system calls relative to directory descriptors, and what they mean.
//!
//! Every name is one component given as bytes; no function here takes a path except [`open::open_volume`] and
//! [`space::is_mount_point`], which get what the user typed. Errors are plain [`rustix::io::Errno`]: the caller knows
//! the path and the purpose. A function that returns an `OwnedFd` gives it away; whoever holds it closes it by dropping.

pub mod apply;
pub mod aspects;
pub mod clear;
pub mod directory_path;
pub mod extents;
pub mod flags;
pub mod fresh;
mod handle;
pub mod limits;
pub mod list;
pub mod make;
pub mod medium;
pub mod name;
pub mod open;
pub mod probe;
pub mod process;
pub mod space;
pub mod stat;
pub mod stored_time;
pub mod sweep;
mod sys;
pub mod xattr_policy;
pub mod xattrs;

pub use rustix::io::Errno;
