//! TlsIdentity, ListenOptions, ListenerCounts, Listener, listen.

use crate::connection::Connection;
use crate::dto::{Dto, nullable};
use crate::error::thrown;
use crate::promise::on_thread;
use napi::Env;
use napi::bindgen_prelude::{Function, Object};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pvferry_core::error::CoreError;
use pvferry_core::net::{self, Credentials, Dialled, IdentityTexts, TlsStream, raw_descriptor};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

// -- trust and connections ------------------------------------------------------------------------------------------

#[derive(Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsIdentity {
    ca: String,
    certificate: String,
    key: String,
    peer_uri: String,
}

/// What was read last. Whoever dials many connections has one identity, and to read an RSA key takes a millisecond.
static LAST: Mutex<Option<(TlsIdentity, Credentials)>> = Mutex::new(None);

impl TlsIdentity {
    pub(crate) fn credentials(self) -> Result<Credentials, CoreError> {
        // Held while reading: others that ask for the same at this moment wait for it, and are given it.
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((identity, credentials)) = &*last
            && *identity == self
        {
            credentials.check_validity()?;
            return Ok(credentials.clone());
        }
        let TlsIdentity { ca, certificate, key, peer_uri } = self.clone();
        let credentials = Credentials::new(&IdentityTexts { ca, certificate, key, peer_uri })?;
        *last = Some((self, credentials.clone()));
        Ok(credentials)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenOptions {
    host: String,
    #[serde(deserialize_with = "nullable")]
    port: Option<u16>,
    tls: TlsIdentity,
    handshake_timeout_ms: u32,
    max_unauthenticated: u32,
    max_unbound: u32,
}

#[napi(object)]
pub struct ListenerCounts {
    pub accepted: i64,
    pub authenticated: i64,
    pub handshakes_failed: i64,
    pub refused: i64,
    pub displaced: i64,
}

#[napi]
pub struct Listener {
    inner: Arc<net::Listener>,
}

impl Listener {
    pub(crate) fn core(&self) -> &net::Listener {
        &self.inner
    }
}

#[napi]
impl Listener {
    #[napi]
    pub fn port(&self) -> u16 {
        self.inner.port()
    }

    #[napi]
    pub fn counts(&self) -> ListenerCounts {
        let counts = self.inner.counts();
        ListenerCounts {
            accepted: number(counts.accepted),
            authenticated: number(counts.authenticated),
            handshakes_failed: number(counts.handshakes_failed),
            refused: number(counts.refused),
            displaced: number(counts.displaced),
        }
    }

    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn admit<'env>(&self, env: &'env Env, fd: i32, peer: Option<String>) -> napi::Result<Object<'env>> {
        let listener = Arc::clone(&self.inner);
        let fd = raw_descriptor::duplicate(fd).map_err(thrown)?;
        on_thread(env, "pvferry-spare", move || listener.admit(Dialled { fd, peer }))
    }

    #[napi]
    pub fn close(&self) {
        self.inner.close();
    }
}

/// Proven control connections that JavaScript has not looked at yet; more are closed.
const MAX_WAITING_CONTROL: usize = 64;

#[napi]
pub fn listen(options: Dto<ListenOptions>, on_control: Function<'_, Connection, ()>) -> napi::Result<Listener> {
    let options = options.0;
    let credentials = options.tls.credentials().map_err(thrown)?;
    let callback = on_control
        .build_threadsafe_function::<TlsStream>()
        .weak::<true>()
        .max_queue_size::<MAX_WAITING_CONTROL>()
        .build_callback(|context: ThreadsafeCallContext<TlsStream>| Ok(Connection::new(context.value)))?;
    let inner = net::Listener::open(
        &net::ListenerOptions {
            host: options.host,
            port: options.port,
            handshake_timeout: Duration::from_millis(options.handshake_timeout_ms.into()),
            max_unauthenticated: usize::try_from(options.max_unauthenticated).unwrap_or(1),
            max_unbound: usize::try_from(options.max_unbound).unwrap_or(1),
        },
        Arc::new(credentials),
        Box::new(move |stream| {
            callback.call(stream, ThreadsafeFunctionCallMode::NonBlocking);
        }),
    )
    .map_err(thrown)?;
    Ok(Listener { inner: Arc::new(inner) })
}

pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
