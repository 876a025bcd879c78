//! The dialling side: a connected socket becomes a trusted stream.

use super::bind::{self, Bind, Secret};
use super::dialled::Dialled;
use super::duplex::Duplex;
use super::handshake::{self, Limit};
use super::identity::{Credentials, Protocol};
use super::listener::Channel;
use super::socket::Socket;
use super::stream::TlsStream;
use crate::error::CoreError;
use std::sync::Arc;
use std::time::Duration;

/// How long a peer that is turned away may take to read why.
pub(super) const REFUSAL_DRAIN: Duration = Duration::from_secs(1);

pub fn connect_control(
    dialled: impl Into<Dialled>,
    tls: &Credentials,
    server_name: Option<&str>,
    timeout: Duration,
) -> Result<TlsStream, CoreError> {
    let limit = Limit::from_now(timeout);
    connect(dialled.into(), tls, Protocol::Control, server_name, limit)
}

/// A connection that examines the way, and belongs to no session.
pub fn connect_doctor(
    dialled: Dialled,
    tls: &Credentials,
    server_name: Option<&str>,
    timeout: Duration,
) -> Result<TlsStream, CoreError> {
    let limit = Limit::from_now(timeout);
    connect(dialled, tls, Protocol::Doctor, server_name, limit)
}

/// The index or a lane: connected, and bound to the session that has the secret.
pub fn connect_bound(
    dialled: impl Into<Dialled>,
    channel: Channel,
    tls: &Credentials,
    server_name: Option<&str>,
    secret: &Secret,
    timeout: Duration,
) -> Result<TlsStream, CoreError> {
    let limit = Limit::from_now(timeout);
    let (protocol, lane) = match channel {
        Channel::Index => (Protocol::Index, 0),
        Channel::Lane(number) => (Protocol::Lane, number),
    };
    let stream = connect(dialled.into(), tls, protocol, server_name, limit)?;
    match bind::request(&stream, &Bind { lane, secret: *secret }, stream.peer(), limit) {
        Ok(()) => Ok(stream),
        Err(error) => {
            stream.abort();
            Err(error)
        }
    }
}

fn connect(
    dialled: Dialled,
    tls: &Credentials,
    protocol: Protocol,
    server_name: Option<&str>,
    limit: Limit,
) -> Result<TlsStream, CoreError> {
    tls.check_validity()?;
    let socket = Arc::new(Socket::new(dialled.fd)?.named(dialled.peer));
    socket.tune();
    let established = match handshake::as_client(&socket, tls, protocol, server_name, limit) {
        Ok(established) => established,
        Err(error) => {
            socket.abort();
            return Err(error);
        }
    };
    let trusted = tls.peer().check(established.peer_leaf(), "listener");
    let stream = TlsStream::new(socket, established)?;
    match trusted {
        Ok(()) => Ok(stream),
        Err(sentence) => {
            if matches!(protocol, Protocol::Control | Protocol::Doctor) {
                let frame = bind::refused_control(22, &sentence, WRONG_CERTIFICATE);
                let _ = stream.write_all(&[&frame], REFUSAL_DRAIN);
            }
            stream.finish(REFUSAL_DRAIN);
            Err(CoreError::untrusted(format!("{sentence} (It answered at {}.)", stream.peer())))
        }
    }
}

/// The "next" sentence of a refusal.
pub(super) const WRONG_CERTIFICATE: &str =
    "Give each side the folder that was made for it, both from one `pvferry pki init`.";
