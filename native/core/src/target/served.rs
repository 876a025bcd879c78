//! Serving the connections that a source binds to a target's session: one index, several lanes. A session that copies and
//! one that only looks differ in what they make of the frames.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::acknowledgements::Acknowledgements;
use super::index_place::IndexPlace;
use crate::error::{CoreError, ErrorKind};
use crate::net::duplex::Duplex;
use crate::net::listener::{Channel as Bound, SessionSink};
use crate::session::counters::{Counter, Counters};
use crate::session::events::Event;
use crate::session::item::{Item, Side};
use crate::session::ledger::Ledger;
use crate::session::life::Living;
use crate::wire::channel::{Channel, malformed};
use crate::wire::cursor::{Malformed, Put};
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::Outcome;
use crate::wire::items::{put_item, read_items};

/// Positions in a frame of the index that did not simply go well.
pub(super) type Exceptions = Vec<(u32, Outcome)>;

pub(super) struct Connections {
    pub(super) index: IndexPlace,
    lanes: Mutex<Vec<(u16, Arc<Channel>)>>,
    most_lanes: u16,
    idle_timeout: Duration,
    keep_alive: Duration,
}

/// What the listener holds: no claim on the session, so that dropping the session ends it.
pub(super) struct Binder<S>(pub(super) Weak<S>);

pub(super) trait Served: Living {
    fn connections(&self) -> &Connections;

    fn counters(&self) -> &Counters;

    fn ledger(&self) -> &Ledger;

    /// An announcement: what of it is excepted from the acknowledgement.
    fn index_frame(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError>;

    /// Serves a lane until it ends. True when it brought any frame.
    fn serve_lane(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>);

    /// An item goes to this side's account and to the peer.
    fn tell_item(&self, item: Item) {
        self.ledger().count_item(item.class);
        let mut payload = Vec::with_capacity(64 + item.path.len());
        payload.put_u32(1);
        put_item(&mut payload, &item);
        self.tell(FrameType::Items, &payload);
        self.life().events.send(Event::Items(vec![item]));
    }

    /// Sends a frame that nobody acknowledges on the index.
    fn tell(&self, frame: FrameType, payload: &[u8]) {
        if let Some(index) = self.connections().index.get() {
            // A broken index ends the session where it is read.
            let _ = index.send(frame, false, &[payload]);
        }
    }

    /// Takes announcements until the index ends.
    fn serve_index(&self, channel: &Channel) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        // Until it has brought something it may be replaced, and its end means nothing.
        let first = match channel.receive(&mut payload) {
            Err(error) if error.kind != ErrorKind::Network => return Err(error),
            Ok(Some(header)) if self.connections().index.begin(channel) => header,
            _ => return Ok(()),
        };
        let mut next = Some(first);
        let mut acknowledgements = Acknowledgements::new(channel);
        while let Some(header) = next {
            match header.frame_type {
                FrameType::Items => {
                    let items = read_items(&payload, Side::Source).map_err(malformed)?;
                    self.life().events.send(Event::Items(items));
                }
                FrameType::Settled => self.settle_there()?,
                _ if self.life().peer_has_settled() => {
                    return Err(malformed(Malformed("something is announced after the end")));
                }
                _ => {
                    let exceptions = self.index_frame(header, &payload)?;
                    acknowledgements.add(exceptions)?;
                }
            }
            next = channel.receive_or(&mut payload, || acknowledgements.tell())?;
        }
        if self.life().is_over() {
            return Ok(());
        }
        Err(CoreError::network("The source closed the index connection."))
    }

    fn lane_ended(&self, number: u16, channel: &Arc<Channel>, worked: bool, result: Result<(), CoreError>) {
        channel.abort();
        self.counters().subtract(Counter::LanesAlive, 1);
        self.connections().lock().retain(|(_, lane)| !Arc::ptr_eq(lane, channel));
        if self.life().is_over() {
            return;
        }
        let reason = match result {
            Ok(()) => "The source closed the lane.".to_owned(),
            Err(error) if error.kind == ErrorKind::Network => error.message,
            Err(error) => return self.fail(error),
        };
        self.counters().add(Counter::LanesLost, 1);
        self.life().events.send(Event::LaneLost { lane: number, reason, worked });
    }
}

impl Connections {
    pub(super) fn new(most_lanes: u16, idle_timeout: Duration, keep_alive: Duration) -> Self {
        Self { index: IndexPlace::default(), lanes: Mutex::default(), most_lanes, idle_timeout, keep_alive }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u16, Arc<Channel>)>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks all connections.
    pub(super) fn shut(&self) {
        if let Some(index) = self.index.get() {
            index.abort();
        }
        for (_, lane) in self.lock().drain(..) {
            lane.abort();
        }
    }

    /// What the index has carried so far, both ways, bytes.
    pub(super) fn index_bytes(&self) -> u64 {
        self.index.get().map_or(0, |index| index.transferred())
    }
}

impl<S: Served> SessionSink for Binder<S> {
    fn bind(&self, channel: Bound, stream: Arc<dyn Duplex>) -> Result<(), String> {
        let over = || "The session is over.".to_owned();
        let session = self.0.upgrade().ok_or_else(over)?;
        if session.life().stop.is_stopped() {
            return Err(over());
        }
        let connections = session.connections();
        let frames = Arc::new(Channel::new(stream, connections.idle_timeout));
        frames.stay_alive(connections.keep_alive).map_err(|error| error.to_string())?;
        let bound = match channel {
            Bound::Index => bind_index(Arc::clone(&session), Arc::clone(&frames)),
            Bound::Lane(number) => bind_lane(Arc::clone(&session), number, Arc::clone(&frames)),
        };
        // Closed meanwhile, perhaps too early to break this one too.
        if session.life().stop.is_stopped() {
            frames.abort();
        }
        bound
    }
}

fn bind_index<S: Served>(session: Arc<S>, channel: Arc<Channel>) -> Result<(), String> {
    session.connections().index.offer(&channel)?;
    let served = move || {
        if let Err(error) = session.serve_index(&channel) {
            session.fail(error);
        }
    };
    thread::Builder::new().name("index".into()).spawn(served).map(drop).map_err(|error| error.to_string())
}

fn bind_lane<S: Served>(session: Arc<S>, number: u16, channel: Arc<Channel>) -> Result<(), String> {
    let connections = session.connections();
    if number >= connections.most_lanes {
        return Err(format!("The session has {} lanes; there is no lane {number}.", connections.most_lanes));
    }
    {
        let mut lanes = connections.lock();
        // The source dials a lane again only when its connection is dead, whatever ours still looks like.
        for (_, old) in lanes.iter().filter(|(known, _)| *known == number) {
            old.abort();
        }
        lanes.retain(|(known, _)| *known != number);
        lanes.push((number, Arc::clone(&channel)));
    }
    session.counters().add(Counter::LanesAlive, 1);
    let served = move || {
        let (worked, result) = session.serve_lane(&channel);
        session.lane_ended(number, &channel, worked, result);
    };
    thread::Builder::new().name("lane".into()).spawn(served).map(drop).map_err(|error| error.to_string())
}
