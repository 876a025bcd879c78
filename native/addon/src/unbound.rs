//! UnboundConnection, connectUnbound: what index and lanes are made of before there is a session.

use crate::dto::{Dto, nullable};
use crate::error::thrown;
use crate::listener::TlsIdentity;
use crate::promise::on_thread;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use pvferry_core::error::CoreError;
use pvferry_core::net::{ChannelKind, Dialled, Unbound, raw_descriptor, tcp};
use serde::Deserialize;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnboundOptions {
    tls: TlsIdentity,
    #[serde(deserialize_with = "nullable")]
    server_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    peer_name: Option<String>,
    timeout_ms: u32,
    channel: Kind,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Index,
    Lane,
}

#[napi]
pub struct UnboundConnection {
    /// None when a session has it, or it is closed.
    inner: Mutex<Option<Unbound>>,
}

impl UnboundConnection {
    pub(crate) fn take(&self) -> napi::Result<Unbound> {
        self.lock().take().ok_or_else(|| thrown(CoreError::bug("The connection is in use, or closed.")))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unbound>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[napi]
impl UnboundConnection {
    #[napi]
    pub fn is_usable(&self) -> bool {
        self.lock().as_ref().is_some_and(Unbound::is_usable)
    }

    /// Says goodbye in the background.
    #[napi]
    pub fn close(&self) {
        if let Some(unbound) = self.lock().take() {
            // Without a thread it is dropped, and with it closed.
            let _ = std::thread::Builder::new().name("pvferry-close".to_owned()).spawn(move || unbound.finish());
        }
    }
}

impl Drop for UnboundConnection {
    fn drop(&mut self) {
        self.close();
    }
}

#[napi(ts_return_type = "Promise<UnboundConnection>")]
pub fn connect_unbound<'env>(env: &'env Env, fd: i32, options: Dto<UnboundOptions>) -> napi::Result<Object<'env>> {
    let options = options.0;
    let fd = raw_descriptor::duplicate(fd);
    on_thread(env, "pvferry-connect", move || {
        let credentials = options.tls.credentials()?;
        let kind = match options.channel {
            Kind::Index => ChannelKind::Index,
            Kind::Lane => ChannelKind::Lane,
        };
        let dialled = Dialled { fd: fd?, peer: options.peer_name };
        let timeout = Duration::from_millis(options.timeout_ms.into());
        let unbound = Unbound::dial(dialled, kind, &credentials, options.server_name.as_deref(), timeout)?;
        Ok(UnboundConnection { inner: Mutex::new(Some(unbound)) })
    })
}

/// The least so far; null for what is no TCP connection.
#[napi]
pub fn round_trip_us(fd: i32) -> Option<u32> {
    let fd = raw_descriptor::duplicate(fd).ok()?;
    tcp::read_info(fd.as_fd()).map(|info| info.least_round_trip_us)
}
