//! Connections over real sockets, judged by openssl where it can be the judge.

mod binding;
mod key_updates;
mod strangers;
mod streams;
mod support;
mod trust;
