//! The dialling side: a connected socket becomes a trusted stream.

use super::bind::{self, Bind, Secret};
use super::dialled::Dialled;
use super::duplex::Duplex;
use super::handshake::{self, Limit};
use super::identity::{Credentials, Protocol};
use super::listener::{Channel, ChannelKind};
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
    let binding = Unbound::dial(dialled, channel.kind(), tls, server_name, timeout)?.bind(channel, secret, timeout)?;
    match binding.await_answer() {
        Ok(()) => Ok(binding.stream),
        Err(error) => {
            binding.stream.abort();
            Err(error)
        }
    }
}

/// Index or lane: proven, and not yet of any session. A listener keeps such a connection for as long as it waits for BIND.
pub struct Unbound(TlsStream);

impl Unbound {
    pub fn dial(
        dialled: impl Into<Dialled>,
        kind: ChannelKind,
        tls: &Credentials,
        server_name: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, CoreError> {
        let protocol = match kind {
            ChannelKind::Index => Protocol::Index,
            ChannelKind::Lane => Protocol::Lane,
        };
        connect(dialled.into(), tls, protocol, server_name, Limit::from_now(timeout)).map(Self)
    }

    /// The listener has said nothing, as it should, and has not gone.
    pub fn is_usable(&self) -> bool {
        self.0.is_silent()
    }

    /// Says to which session it belongs, and as what. What is written goes out right behind it.
    pub fn bind(self, channel: Channel, secret: &Secret, timeout: Duration) -> Result<Binding, CoreError> {
        let lane = match channel {
            Channel::Index => 0,
            Channel::Lane(number) => number,
        };
        let limit = Limit::from_now(timeout);
        match bind::request(&self.0, &Bind { lane, secret: *secret }, limit) {
            Ok(()) => Ok(Binding { stream: self.0, limit }),
            Err(error) => {
                self.0.abort();
                Err(error)
            }
        }
    }

    /// It is not needed: the listener is told, and does not take it for one that was lost.
    pub fn finish(self) {
        self.0.finish(REFUSAL_DRAIN);
    }
}

/// A connection that has asked to be bound.
pub struct Binding {
    stream: TlsStream,
    limit: Limit,
}

impl Binding {
    pub fn await_answer(&self) -> Result<(), CoreError> {
        bind::await_answer(&self.stream, self.stream.peer(), self.limit)
    }

    /// For whoever writes before the answer is there, and reads that first.
    pub fn split(self) -> (Arc<TlsStream>, Answer) {
        let stream = Arc::new(self.stream);
        (Arc::clone(&stream), Answer { stream, limit: self.limit })
    }
}

/// What a listener says to BIND, still to be read.
pub struct Answer {
    stream: Arc<TlsStream>,
    limit: Limit,
}

impl Answer {
    pub fn wait(&self) -> Result<(), CoreError> {
        bind::await_answer(&*self.stream, self.stream.peer(), self.limit)
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
