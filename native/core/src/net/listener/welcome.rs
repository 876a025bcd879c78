//! One accepted connection, from its first byte to the one it is for. Runs on a thread of its own.

use super::registry::Channel;
use super::waiting_room::Ticket;
use super::{Shared, count};
use crate::net::bind::{self, BIND_BYTES, Bind};
use crate::net::dial::{REFUSAL_DRAIN, WRONG_CERTIFICATE};
use crate::net::duplex::Duplex;
use crate::net::handshake::{self, Limit};
use crate::net::identity::Protocol;
use crate::net::socket::Socket;
use crate::net::stream::TlsStream;
use std::sync::Arc;

/// Exit codes as they stand in a refusal on a control connection.
const CODE_UNTRUSTED: u8 = 22;
const CODE_PROTOCOL: u8 = 23;

pub(super) fn welcome(shared: &Shared, socket: &Arc<Socket>, ticket: &Ticket) {
    let limit = Limit::from_now(shared.handshake_timeout);
    let accepted = handshake::as_server(socket, &shared.credentials, limit).and_then(|established| {
        let trusted = shared.credentials.peer().check(established.peer_leaf(), "dialler");
        let protocol = established.protocol();
        Ok((trusted, protocol, TlsStream::new(Arc::clone(socket), established)?))
    });
    let (trusted, protocol, stream) = match accepted {
        Ok(accepted) => accepted,
        Err(_) => {
            handshake::drain(socket, REFUSAL_DRAIN);
            if ticket.leave() {
                count(&shared.counters.handshakes_failed);
            }
            return;
        }
    };
    match (trusted, protocol) {
        (Err(sentence), Some(Protocol::Index | Protocol::Lane)) => {
            let answer = bind::refused(&sentence);
            refuse(shared, ticket, &stream, &answer);
        }
        (Err(sentence), _) => {
            let answer = bind::refused_control(CODE_UNTRUSTED, &sentence, WRONG_CERTIFICATE);
            refuse(shared, ticket, &stream, &answer);
        }
        (Ok(()), None) => {
            let answer = bind::refused_control(CODE_PROTOCOL, NO_PROTOCOL, NAME_PROTOCOL);
            refuse(shared, ticket, &stream, &answer);
        }
        (Ok(()), Some(Protocol::Control | Protocol::Doctor)) => {
            if ticket.leave() {
                count(&shared.counters.authenticated);
                (shared.on_control)(stream);
            }
        }
        (Ok(()), Some(protocol)) => {
            let (unbound, displaced) = shared.unbound.enter(socket);
            if displaced {
                count(&shared.counters.displaced);
            }
            if ticket.leave() {
                bind_to_session(shared, &unbound, stream, protocol);
            }
        }
    }
}

const NO_PROTOCOL: &str = "The TLS handshake named no protocol (ALPN).";
const NAME_PROTOCOL: &str = "Name one, such as pvferry-control/1.";

fn refuse(shared: &Shared, ticket: &Ticket, stream: &TlsStream, answer: &[u8]) {
    let _ = stream.write_all(&[answer], REFUSAL_DRAIN);
    stream.finish(REFUSAL_DRAIN);
    if ticket.leave() {
        count(&shared.counters.refused);
    }
}

fn bind_to_session(shared: &Shared, ticket: &Ticket, stream: TlsStream, protocol: Protocol) {
    let limit = Limit::from_now(shared.handshake_timeout);
    let mut frame = [0_u8; BIND_BYTES];
    if !bind::receive(&stream, &mut frame, limit).unwrap_or(false) {
        // Of a session that did not come about, or one that has enough: no stranger, and nobody to complain about.
        stream.finish(REFUSAL_DRAIN);
        if ticket.leave() {
            count(&shared.counters.authenticated);
        }
        return;
    }
    let stream = Arc::new(stream);
    match offer(shared, ticket, &stream, &frame, protocol) {
        Ok(()) => {}
        Err(sentence) => refuse(shared, ticket, &stream, &bind::refused(&sentence)),
    }
}

/// `Ok` when the session has the stream, or nobody needs it any more.
fn offer(
    shared: &Shared,
    ticket: &Ticket,
    stream: &Arc<TlsStream>,
    frame: &[u8; BIND_BYTES],
    protocol: Protocol,
) -> Result<(), String> {
    let bind = Bind::decode(frame)?;
    let channel = match protocol {
        Protocol::Lane => Channel::Lane(bind.lane),
        _ if bind.lane != 0 => return Err("The index has lane number 0.".to_owned()),
        _ => Channel::Index,
    };
    let session = shared
        .registry
        .find(&bind.secret)
        .ok_or_else(|| "No session here has this secret: it is over, or was another agent's.".to_owned())?;
    stream.set_preface(bind::bound());
    let taken: Arc<dyn Duplex> = Arc::clone(stream) as Arc<dyn Duplex>;
    if let Err(sentence) = session.bind(channel, taken) {
        stream.set_preface(Vec::new());
        return Err(sentence);
    }
    if ticket.leave() {
        count(&shared.counters.authenticated);
    }
    // Sends the answer unless the session has written, and thereby sent it, already. A failure is the session's to see.
    let _ = stream.write_all(&[], shared.handshake_timeout);
    Ok(())
}
