//! LookOptions, LookSession, openLook.

use crate::counters::shared;
use crate::dto::{Dto, nullable};
use crate::error::thrown;
use crate::events::sink;
use crate::listener::Listener;
use crate::session::{Comparison, ExistingEntries, MaxDelete, peers_filter, secret};
use napi::bindgen_prelude::{BigUint64Array, Function};
use napi_derive::napi;
use pvferry_core::target::look::{self, Judgement, LookConfig};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

// -- sessions that only look ----------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookOptions {
    volume: String,
    #[serde(deserialize_with = "nullable")]
    compare: Option<Comparison>,
    lanes: u16,
    secret: String,
    existing: ExistingEntries,
    max_delete: MaxDelete,
    allow_empty_source: bool,
    rules: Vec<String>,
    idle_timeout_ms: u32,
    keep_alive_ms: u32,
}

#[napi]
pub struct LookSession(look::LookSession);

#[napi]
impl LookSession {
    #[napi]
    pub fn counters(&self) -> BigUint64Array {
        shared(self.0.counters())
    }

    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}

#[napi]
pub fn open_look(
    options: Dto<LookOptions>,
    listener: &Listener,
    on_events: Function<'_, Value, ()>,
) -> napi::Result<LookSession> {
    let options = options.0;
    let config = LookConfig {
        volume: options.volume.into(),
        judgement: options.compare.map_or(Judgement::EveryByte, |compare| Judgement::AsCopy(compare.into())),
        existing: options.existing.into(),
        max_delete: options.max_delete.limit(),
        allow_empty_source: options.allow_empty_source,
        filter: peers_filter(&options.rules).map_err(thrown)?,
        secret: secret(&options.secret)?,
        lanes: options.lanes,
        idle_timeout: Duration::from_millis(options.idle_timeout_ms.into()),
        keep_alive: Duration::from_millis(options.keep_alive_ms.into()),
    };
    look::LookSession::open(config, listener.core(), sink(&on_events)?).map(LookSession).map_err(thrown)
}
