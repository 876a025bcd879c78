//! The file-system layer on real file systems: ext4, xfs and btrfs on loop devices, tmpfs, and whatever /tmp is.
//!
//! Without root the mounts are left out, saying so; where CI is set in the environment that is a failure.
#![allow(clippy::print_stderr, reason = "a test says what it leaves out")]
#![allow(clippy::unwrap_used, reason = "what clippy.toml allows in tests it does not see in functions they share")]

mod apply;
mod bed;
mod clear;
mod directories;
mod extras;
mod ground;
mod list;
mod open;
mod probe;
mod properties;
mod unprivileged;
mod xattrs;
