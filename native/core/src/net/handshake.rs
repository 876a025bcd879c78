//! The TLS handshake of either side, with one deadline for all of it however slowly the peer drips.

use super::explain;
use super::identity::{Credentials, Protocol};
use super::socket::{Readiness, Socket, SocketIo};
use crate::error::CoreError;
use rustix::net::Shutdown;
use rustls::{ClientConnection, Connection, Error, ServerConnection};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Enough of an answer to tell a web server from an SSH server.
const FIRST_BYTES: usize = 16;

/// What a peer that is turned away may still send before the socket is closed over it.
const DRAIN_BYTES: usize = 256 * 1024;

/// One handshake's time: the moment it ends and, for the error's sentence, how long it was.
#[derive(Clone, Copy)]
pub struct Limit {
    pub deadline: Instant,
    pub timeout: Duration,
}

impl Limit {
    pub fn from_now(timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, timeout }
    }

    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

pub fn as_client(
    socket: &Socket,
    credentials: &Credentials,
    protocol: Protocol,
    server_name: Option<&str>,
    limit: Limit,
) -> Result<Connection, CoreError> {
    let client = ClientConnection::new(credentials.client(protocol), routing_name(server_name))
        .map_err(|error| CoreError::bug(format!("TLS cannot be started: {error}.")))?;
    let mut connection = Connection::from(client);
    let peer = socket.peer_address();
    run(socket, &mut connection, limit, &peer)?;
    if connection.alpn_protocol() != Some(protocol.alpn()) {
        return Err(explain::tls_error(&Error::NoApplicationProtocol, &peer));
    }
    Ok(connection)
}

pub fn as_server(socket: &Socket, credentials: &Credentials, limit: Limit) -> Result<Connection, CoreError> {
    let server = ServerConnection::new(credentials.server())
        .map_err(|error| CoreError::bug(format!("TLS cannot be started: {error}.")))?;
    let mut connection = Connection::from(server);
    run(socket, &mut connection, limit, &socket.peer_address())?;
    Ok(connection)
}

/// SNI, for a router on the way. An address sends none; nothing depends on it for trust.
fn routing_name(name: Option<&str>) -> ServerName<'static> {
    name.and_then(|name| ServerName::try_from(name.to_owned()).ok())
        .unwrap_or(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()))
}

fn run(socket: &Socket, connection: &mut Connection, limit: Limit, peer: &str) -> Result<(), CoreError> {
    let mut tap = Tap { inner: SocketIo(socket), first: Vec::with_capacity(FIRST_BYTES) };
    let broken = |error: &io::Error| explain::handshake_io(error, peer, limit.timeout);
    loop {
        flush(socket, connection, limit.deadline).map_err(|error| broken(&error))?;
        if !connection.is_handshaking() {
            return Ok(());
        }
        match connection.read_tls(&mut tap) {
            Ok(0) => return Err(broken(&io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.wait(Readiness::Read, limit.deadline).map_err(|error| broken(&error))?;
                continue;
            }
            Err(error) => return Err(broken(&error)),
        }
        // A peer that drips without ever blocking us does not get past the deadline either.
        if limit.left().is_zero() {
            return Err(broken(&io::ErrorKind::TimedOut.into()));
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert that tells the peer why; one attempt, it fits into any socket buffer.
            let _ = connection.write_tls(&mut SocketIo(socket));
            return Err(classify(&error, &tap.first, peer));
        }
    }
}

fn classify(error: &Error, first: &[u8], peer: &str) -> CoreError {
    /// Handshake and alert records: all that a TLS peer may begin with.
    const TLS_TYPES: [u8; 2] = [22, 21];
    match first.first() {
        Some(kind) if !TLS_TYPES.contains(kind) => explain::not_tls(first, peer),
        _ => explain::tls_error(error, peer),
    }
}

fn flush(socket: &Socket, connection: &mut Connection, deadline: Instant) -> io::Result<()> {
    while connection.wants_write() {
        match connection.write_tls(&mut SocketIo(socket)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.wait(Readiness::Write, deadline)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Ends a connection whose handshake failed, so that our alert arrives: closing over unread bytes would reset the
/// connection and could destroy the alert on its way.
pub fn drain(socket: &Socket, timeout: Duration) {
    socket.shut(Shutdown::Write);
    let deadline = Instant::now() + timeout;
    let mut sink = [0_u8; 4096];
    let mut left = DRAIN_BYTES;
    loop {
        match socket.try_read(&mut sink) {
            Ok(Some(count)) if count > 0 && count < left => left -= count,
            Ok(None) => {
                if socket.wait(Readiness::Read, deadline).is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    socket.abort();
}

/// Remembers the first bytes, which say what the peer is when it is not TLS.
struct Tap<'a> {
    inner: SocketIo<'a>,
    first: Vec<u8>,
}

impl Read for Tap<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        let wanted = FIRST_BYTES.saturating_sub(self.first.len()).min(count);
        self.first.extend_from_slice(&buf[..wanted]);
        Ok(count)
    }
}

pub fn peer_leaf(connection: &Connection) -> Option<&CertificateDer<'static>> {
    connection.peer_certificates().and_then(|chain| chain.first())
}

/// The protocol that the peer of a server connection asked for.
pub fn asked_for(connection: &Connection) -> Option<Protocol> {
    connection.alpn_protocol().and_then(Protocol::from_alpn)
}
