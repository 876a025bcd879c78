//! From a connection to the channel of an index or a lane: TLS where there is none yet, and BIND.

use std::sync::{Arc, PoisonError};

use super::index::Index;
use super::lane::Lane;
use super::session::Shared;
use crate::error::CoreError;
use crate::net::dial::{Answer, Unbound};
use crate::net::dialled::Dialled;
use crate::net::duplex::Duplex;
use crate::net::listener::Channel as Bound;
use crate::net::pace::PacedStream;
use crate::net::stream::TlsStream;
use crate::session::compress::Compressor;
use crate::wire::channel::Channel;

/// What index and lanes are made of.
pub(super) enum Line {
    /// A connected socket that nothing was said on.
    Dialled(Dialled),
    Unbound(Box<Unbound>),
}

impl Shared {
    /// A connection asks to be the channel that the target takes it for.
    fn bind(&self, line: Line, bound: Bound) -> Result<(Arc<TlsStream>, Answer), CoreError> {
        let config = &self.config;
        let (name, timeout) = (config.server_name.as_deref(), config.handshake_timeout);
        let unbound = match line {
            Line::Dialled(dialled) => Unbound::dial(dialled, bound.kind(), &config.credentials, name, timeout)?,
            Line::Unbound(unbound) => *unbound,
        };
        Ok(unbound.bind(bound, &config.secret, timeout)?.split())
    }

    fn channel(&self, stream: Arc<dyn Duplex>) -> Result<Arc<Channel>, CoreError> {
        let channel = Arc::new(Channel::new(stream, self.config.idle_timeout));
        channel.stay_alive(self.config.keep_alive)?;
        Ok(channel)
    }

    /// With the answer, where it is still to come.
    pub(super) fn bind_index(&self, line: Line) -> Result<Option<Answer>, CoreError> {
        // A session that only looks is not followed by another one: it would be lost with what it has announced.
        let waits = matches!(line, Line::Dialled(_)) || self.config.looks;
        let (stream, answer) = self.bind(line, Bound::Index)?;
        let answer = if waits { answer.wait().map(|()| None)? } else { Some(answer) };
        if self.index.set(Index::new(self.channel(stream)?)).is_err() {
            return Err(CoreError::bug("The index was attached twice."));
        }
        self.path.pace(&self.index()?.channel);
        self.life.stop.check()?;
        Ok(answer)
    }

    pub(super) fn bind_lane(&self, line: Line, number: u16) -> Result<(Arc<Lane>, Answer), CoreError> {
        let (stream, answer) = self.bind(line, Bound::Lane(number))?;
        let stream: Arc<dyn Duplex> = match &self.config.pace {
            Some(pace) => Arc::new(PacedStream::new(stream, Arc::clone(pace))),
            None => stream,
        };
        let lane = Arc::new(Lane::new(number, self.channel(stream)?, Compressor::new(self.config.compress)));
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&lane));
        self.path.pace(&lane.channel);
        if self.life.stop.is_stopped() {
            lane.channel.abort();
        }
        self.life.stop.check()?;
        Ok((lane, answer))
    }
}
