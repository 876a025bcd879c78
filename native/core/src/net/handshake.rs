//! The TLS handshake of either side, with one deadline for all of it however slowly the peer drips.

use super::explain;
use super::identity::{Credentials, Protocol};
use super::record::KeySchedule;
use super::socket::{Readiness, Socket};
use crate::error::CoreError;
use rustix::net::Shutdown;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{CommonState, Error, ExtractedSecrets};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{self, IoSlice};
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

/// A connection whose handshake is complete. rustls knows nothing of what follows but the schedule of its keys.
pub struct Established {
    pub(super) secrets: ExtractedSecrets,
    pub(super) schedule: Box<dyn KeySchedule>,
    /// Content that came together with the end of the handshake.
    pub(super) content: Vec<u8>,
    /// The beginning of a record that did.
    pub(super) ciphertext: Vec<u8>,
    leaf: Option<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
}

impl Established {
    pub fn peer_leaf(&self) -> Option<&CertificateDer<'static>> {
        self.leaf.as_ref()
    }

    /// The protocol that was agreed on.
    pub fn protocol(&self) -> Option<Protocol> {
        self.alpn.as_deref().and_then(Protocol::from_alpn)
    }
}

pub fn as_client(
    socket: &Socket,
    credentials: &Credentials,
    protocol: Protocol,
    server_name: Option<&str>,
    limit: Limit,
) -> Result<Established, CoreError> {
    let client = UnbufferedClientConnection::new(credentials.client(protocol), routing_name(server_name))
        .map_err(|error| CoreError::bug(format!("TLS cannot be started: {error}.")))?;
    let established = run(socket, client, limit)?;
    if established.protocol() != Some(protocol) {
        return Err(explain::tls_error(&Error::NoApplicationProtocol, &socket.peer_address()));
    }
    Ok(established)
}

pub fn as_server(socket: &Socket, credentials: &Credentials, limit: Limit) -> Result<Established, CoreError> {
    let server = UnbufferedServerConnection::new(credentials.server())
        .map_err(|error| CoreError::bug(format!("TLS cannot be started: {error}.")))?;
    run(socket, server, limit)
}

/// SNI, for a router on the way. An address sends none; nothing depends on it for trust.
fn routing_name(name: Option<&str>) -> ServerName<'static> {
    name.and_then(|name| ServerName::try_from(name.to_owned()).ok())
        .unwrap_or(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()))
}

/// What client and server have in common here.
trait Tls {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn state(&self) -> &CommonState;
    fn into_secrets(self) -> Result<(ExtractedSecrets, Box<dyn KeySchedule>), Error>;
}

impl Tls for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        self
    }

    fn into_secrets(self) -> Result<(ExtractedSecrets, Box<dyn KeySchedule>), Error> {
        let (secrets, schedule) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Box::new(schedule)))
    }
}

impl Tls for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn state(&self) -> &CommonState {
        self
    }

    fn into_secrets(self) -> Result<(ExtractedSecrets, Box<dyn KeySchedule>), Error> {
        let (secrets, schedule) = self.dangerous_into_kernel_connection()?;
        Ok((secrets, Box::new(schedule)))
    }
}

/// What the handshake waits for.
enum Step {
    Continue,
    Transmit,
    Receive,
}

fn run<T: Tls>(socket: &Socket, mut tls: T, limit: Limit) -> Result<Established, CoreError> {
    let peer = socket.peer_address();
    let mut wire = Wire { socket, limit, incoming: Vec::new(), outgoing: Vec::new(), first: Vec::new() };
    let mut content = Vec::new();
    while tls.state().is_handshaking() || !wire.outgoing.is_empty() {
        let broken = |error: io::Error| explain::handshake_io(&error, &peer, limit.timeout);
        match step(&mut tls, &mut wire, &mut content) {
            Ok(Step::Continue) => {}
            Ok(Step::Transmit) => wire.transmit().map_err(broken)?,
            Ok(Step::Receive) if tls.state().is_handshaking() => wire.receive().map_err(broken)?,
            Ok(Step::Receive) => {}
            Err(error) => {
                wire.send_alert(&mut tls);
                return Err(classify(&error, &wire.first, &peer));
            }
        }
    }
    let leaf = tls.state().peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
    let alpn = tls.state().alpn_protocol().map(<[u8]>::to_vec);
    let (secrets, schedule) = tls.into_secrets().map_err(|error| explain::tls_error(&error, &peer))?;
    Ok(Established { secrets, schedule, content, ciphertext: wire.incoming, leaf, alpn })
}

/// Lets rustls look at what has come, and does what it asks for as far as no waiting is needed.
fn step<T: Tls>(tls: &mut T, wire: &mut Wire<'_>, content: &mut Vec<u8>) -> Result<Step, Error> {
    let UnbufferedStatus { mut discard, state } = tls.process(&mut wire.incoming);
    let step = match state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(&mut data, &mut wire.outgoing);
            Ok(Step::Continue)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Transmit)
        }
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                content.extend_from_slice(record.payload);
            }
            Ok(Step::Continue)
        }
        // A server may write before the client has proven itself; there is nothing to be written yet.
        Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => Ok(Step::Receive),
        // Right behind its last word of the handshake: whoever reads next finds the end of the connection.
        Ok(ConnectionState::PeerClosed) => Ok(Step::Receive),
        Ok(_) => Err(Error::HandshakeNotComplete),
        Err(error) => Err(error),
    };
    wire.incoming.drain(..discard);
    step
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    let start = outgoing.len();
    let Err(EncodeError::InsufficientSize(missing)) = data.encode(&mut []) else { return };
    outgoing.resize(start + missing.required_size, 0);
    // Fails only when the room is too small, and it is as large as was asked for.
    let _ = data.encode(&mut outgoing[start..]);
}

/// One read from the socket during the handshake.
const CHUNK_BYTES: usize = 4096;

/// The longest handshake message that rustls takes, 64 KiB, with the records around it.
const INCOMING_MOST: usize = 80 * 1024;

/// A record with an alert, in the clear and encrypted (RFC 8446, 5.1 and 5.2): no other record is as short.
const ALERT_RECORD_BYTES: [usize; 2] = [5 + 2, 5 + 2 + 1 + 16];

/// The socket's side of a handshake.
struct Wire<'a> {
    socket: &'a Socket,
    limit: Limit,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// What the peer said first tells what it is when it is not TLS.
    first: Vec<u8>,
}

impl Wire<'_> {
    fn receive(&mut self) -> io::Result<()> {
        let filled = self.incoming.len();
        if filled >= INCOMING_MOST {
            return Err(io::Error::other("its handshake is too long"));
        }
        self.incoming.resize(filled + CHUNK_BYTES, 0);
        let outcome = self.receive_into(filled);
        self.incoming.truncate(filled + *outcome.as_ref().unwrap_or(&0));
        let wanted = FIRST_BYTES.saturating_sub(self.first.len()).min(self.incoming.len() - filled);
        self.first.extend_from_slice(&self.incoming[filled..filled + wanted]);
        outcome.map(|_| ())
    }

    fn receive_into(&mut self, start: usize) -> io::Result<usize> {
        loop {
            // A peer that drips without ever blocking us does not get past the deadline either.
            if self.limit.left().is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.socket.try_read(&mut self.incoming[start..])? {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => return Ok(count),
                None => self.socket.wait(Readiness::Read, self.limit.deadline)?,
            }
        }
    }

    fn transmit(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.socket.try_write(&[IoSlice::new(&self.outgoing)])? {
                Some(count) => drop(self.outgoing.drain(..count)),
                None => self.socket.wait(Readiness::Write, self.limit.deadline)?,
            }
        }
        Ok(())
    }

    /// The alert that tells the peer why, with what has to go before it; one attempt, it fits into any socket buffer.
    fn send_alert<T: Tls>(&mut self, tls: &mut T) {
        while let Ok(ConnectionState::EncodeTlsData(mut data)) = tls.process(&mut self.incoming).state {
            let start = self.outgoing.len();
            encode(&mut data, &mut self.outgoing);
            // Asked again after the alert, rustls would look at the same bytes and fail a second time.
            if ALERT_RECORD_BYTES.contains(&(self.outgoing.len() - start)) {
                break;
            }
        }
        if !self.outgoing.is_empty() {
            let _ = self.socket.try_write(&[IoSlice::new(&self.outgoing)]);
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
