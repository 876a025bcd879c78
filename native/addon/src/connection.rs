//! ConnectOptions, Connection, connect: control connections as JavaScript sees them.

mod outgoing;

use crate::dto::{Dto, nullable};
use crate::error::{text, thrown};
use crate::listener::TlsIdentity;
use crate::promise::{Pending, on_thread};
use napi::Env;
use napi::bindgen_prelude::{FnArgs, Function, Object, Uint8Array};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use outgoing::Outgoing;
use pvferry_core::error::CoreError;
use pvferry_core::net::{
    Dialled, Duplex, Protocol, TlsStream, connect_control, connect_doctor, raw_descriptor, small_segments,
};
use serde::Deserialize;
use std::io;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectOptions {
    tls: TlsIdentity,
    #[serde(deserialize_with = "nullable")]
    server_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    peer_name: Option<String>,
    timeout_ms: u32,
    protocol: Purpose,
}

/// Of the protocols, those that JavaScript speaks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Purpose {
    Control,
    Doctor,
}

#[napi]
pub struct Connection {
    stream: Arc<TlsStream>,
    outgoing: Arc<Outgoing>,
    started: AtomicBool,
}

#[napi]
impl Connection {
    pub(crate) fn new(stream: TlsStream) -> Self {
        let stream = Arc::new(stream);
        Self { outgoing: Arc::new(Outgoing::new(Arc::clone(&stream))), stream, started: AtomicBool::new(false) }
    }

    #[napi]
    pub fn peer_address(&self) -> String {
        self.stream.peer().to_owned()
    }

    /// "control" or "doctor".
    #[napi]
    pub fn protocol(&self) -> &'static str {
        match self.stream.protocol() {
            Some(Protocol::Doctor) => "doctor",
            _ => "control",
        }
    }

    #[napi]
    pub fn round_trip_us(&self) -> Option<u32> {
        self.stream.socket().tcp_info().map(|info| info.least_round_trip_us)
    }

    #[napi]
    pub fn start(&self, on_data: Function<'_, Incoming, ()>) -> napi::Result<()> {
        if self.started.swap(true, Ordering::SeqCst) {
            return Err(thrown(CoreError::bug("start was called twice.")));
        }
        let callback = on_data
            .build_threadsafe_function::<Arrival>()
            .weak::<true>()
            .max_queue_size::<MAX_WAITING_CHUNKS>()
            .build_callback(|context: ThreadsafeCallContext<Arrival>| Ok(context.value.into_arguments()))?;
        let stream = Arc::clone(&self.stream);
        let outgoing = Arc::clone(&self.outgoing);
        std::thread::Builder::new()
            .name("pvferry-control".to_owned())
            .spawn(move || read_until_end(&stream, &outgoing, &callback))
            .map_err(|error| thrown(error.into()))?;
        Ok(())
    }

    #[napi]
    pub fn send<'env>(&self, env: &'env Env, bytes: Uint8Array, timeout_ms: u32) -> napi::Result<Object<'env>> {
        let (pending, promise) = Pending::new(env)?;
        let timeout = Duration::from_millis(timeout_ms.into());
        Outgoing::push(&self.outgoing, bytes.to_vec(), timeout, pending);
        Ok(promise)
    }

    #[napi]
    pub fn close(&self) {
        Outgoing::close(&self.outgoing);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        Outgoing::close(&self.outgoing);
    }
}

#[napi(ts_return_type = "Promise<Connection>")]
pub fn connect<'env>(env: &'env Env, fd: i32, options: Dto<ConnectOptions>) -> napi::Result<Object<'env>> {
    let options = options.0;
    let fd = raw_descriptor::duplicate(fd);
    on_thread(env, "pvferry-connect", move || {
        let credentials = options.tls.credentials()?;
        let name = options.server_name.as_deref();
        let timeout = Duration::from_millis(options.timeout_ms.into());
        let dialled = Dialled { fd: fd?, peer: options.peer_name };
        match options.protocol {
            Purpose::Control => connect_control(dialled, &credentials, name, timeout),
            Purpose::Doctor => connect_doctor(dialled, &credentials, name, timeout),
        }
        .map(Connection::new)
    })
}

#[napi]
pub fn socket_pair() -> napi::Result<Vec<i32>> {
    raw_descriptor::socket_pair().map(Vec::from).map_err(thrown)
}

#[napi(ts_return_type = "Promise<number>")]
pub fn dial_in_small_segments<'env>(
    env: &'env Env,
    host: String,
    port: u16,
    timeout_ms: u32,
) -> napi::Result<Object<'env>> {
    on_thread(env, "pvferry-small", move || {
        let timeout = Duration::from_millis(timeout_ms.into());
        small_segments::connect(&host, port, timeout).map(IntoRawFd::into_raw_fd)
    })
}

/// What `onData` is called with.
type Incoming = FnArgs<(Option<Uint8Array>, Option<String>)>;

type DataCallback = ThreadsafeFunction<Arrival, (), Incoming, napi::Status, false, true, MAX_WAITING_CHUNKS>;

/// Chunks that JavaScript has not taken yet; reading stops until it does.
const MAX_WAITING_CHUNKS: usize = 16;

const CHUNK_BYTES: usize = 64 * 1024;

/// A control connection may be silent for as long as JavaScript likes: its keep-alives are JavaScript's.
const PATIENCE: Duration = Duration::from_secs(3600);

enum Arrival {
    Chunk(Vec<u8>),
    End,
    Failure(CoreError),
}

impl Arrival {
    fn into_arguments(self) -> Incoming {
        match self {
            Self::Chunk(bytes) => (Some(Uint8Array::new(bytes)), None).into(),
            Self::End => (None, None).into(),
            Self::Failure(error) => (None, Some(text(&error))).into(),
        }
    }
}

fn read_until_end(stream: &TlsStream, outgoing: &Outgoing, callback: &DataCallback) {
    let mut buf = vec![0_u8; CHUNK_BYTES];
    loop {
        let arrival = match stream.read(&mut buf, PATIENCE) {
            Ok(0) => Arrival::End,
            Ok(count) => Arrival::Chunk(buf[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
            Err(error) => Arrival::Failure(error.into()),
        };
        if outgoing.is_closed() {
            // Nobody listens any more; what still comes is drained by close().
            return;
        }
        let last = !matches!(arrival, Arrival::Chunk(_));
        let status = callback.call(arrival, ThreadsafeFunctionCallMode::Blocking);
        if last || status != napi::Status::Ok {
            return;
        }
    }
}
