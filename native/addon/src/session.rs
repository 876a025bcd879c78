//! SourceOptions, TargetOptions, SourceSession, TargetSession, openSource, openTarget.

use crate::counters::shared;
use crate::dto::{Dto, nullable, nullable_count};
use crate::error::thrown;
use crate::events::sink;
use crate::journal::PassRecord;
use crate::listener::{Listener, TlsIdentity};
use crate::path::PathReading;
use crate::promise::on_thread;
use crate::unbound::UnboundConnection;
use crate::volume::{Selinux, own_filter, policy};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use napi::Env;
use napi::bindgen_prelude::{BigUint64Array, Function, Object};
use napi_derive::napi;
use pvferry_core::error::{CoreError, describe_io};
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::net::bind::Secret;
use pvferry_core::net::{Dialled, Pace, raw_descriptor};
use pvferry_core::scan::filter::{BadRule, Filter};
use pvferry_core::scan::volume::ScanPolicy;
use pvferry_core::session::compress::Mode;
use pvferry_core::session::verify::Verify;
use pvferry_core::source::{self, Pass, SourceConfig};
use pvferry_core::target::{self, Existing, TargetConfig, Terms, extras};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

// -- sessions -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    Auto,
    None,
    Zstd,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassKind {
    Stage,
    Cutover,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyMode {
    None,
    Stream,
    Disk,
}

impl From<VerifyMode> for Verify {
    fn from(mode: VerifyMode) -> Self {
        match mode {
            VerifyMode::None => Self::None,
            VerifyMode::Stream => Self::Stream,
            VerifyMode::Disk => Self::Disk,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceOptions {
    volume: String,
    pass: PassKind,
    looks: bool,
    lanes: u16,
    scan_threads: u32,
    compress: Compress,
    one_file_system: bool,
    selinux: Selinux,
    rules: Vec<String>,
    rereads: u32,
    verify: VerifyMode,
    compare: bool,
    secret: String,
    tls: TlsIdentity,
    #[serde(deserialize_with = "nullable")]
    server_name: Option<String>,
    #[serde(deserialize_with = "nullable_count")]
    bwlimit: Option<u64>,
    handshake_timeout_ms: u32,
    idle_timeout_ms: u32,
    keep_alive_ms: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExistingEntries {
    Refuse,
    Update,
    Mirror,
}

impl From<ExistingEntries> for Existing {
    fn from(existing: ExistingEntries) -> Self {
        match existing {
            ExistingEntries::Refuse => Self::Refuse,
            ExistingEntries::Update => Self::Update,
            ExistingEntries::Mirror => Self::Mirror,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaxDelete {
    #[serde(deserialize_with = "nullable_count")]
    entries: Option<u64>,
    #[serde(deserialize_with = "nullable")]
    percent: Option<f64>,
}

impl MaxDelete {
    pub(crate) fn limit(&self) -> extras::MaxDelete {
        match (self.entries, self.percent) {
            (Some(entries), _) => extras::MaxDelete::Entries(entries),
            // At most 100 %, in hundredths.
            (None, Some(percent)) => extras::MaxDelete::Share((percent * 100.0).round() as u32),
            (None, None) => extras::MaxDelete::Unlimited,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    digests: bool,
    #[serde(deserialize_with = "nullable")]
    racy_from: Option<Moment>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moment {
    seconds: i64,
    nanoseconds: u32,
}

impl From<Moment> for Timestamp {
    fn from(Moment { seconds, nanoseconds }: Moment) -> Self {
        Self { seconds, nanoseconds }
    }
}

impl From<Comparison> for target::Comparison {
    fn from(Comparison { digests, racy_from }: Comparison) -> Self {
        Self { digests, racy_from: racy_from.map(Into::into) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetOptions {
    volume: String,
    transfer: String,
    #[serde(deserialize_with = "nullable")]
    compare: Option<Comparison>,
    discard_journal: bool,
    checkpoint_ms: u32,
    lanes: u16,
    secret: String,
    existing: ExistingEntries,
    max_delete: MaxDelete,
    allow_empty_source: bool,
    inplace: bool,
    rules: Vec<String>,
    verify: VerifyMode,
    idle_timeout_ms: u32,
    keep_alive_ms: u32,
}

#[napi]
pub struct SourceSession {
    inner: source::SourceSession,
    lanes: u16,
}

impl SourceSession {
    fn check_lane(&self, lane: u16) -> napi::Result<()> {
        if lane < self.lanes { Ok(()) } else { Err(thrown(CoreError::bug(format!("There is no lane {lane}.")))) }
    }
}

#[napi]
impl SourceSession {
    #[napi]
    pub fn attach_index(&self, fd: i32, peer_name: Option<String>) -> napi::Result<()> {
        self.inner.attach_index(dialled(fd, peer_name)?);
        Ok(())
    }

    #[napi]
    pub fn attach_lane(&self, fd: i32, lane: u16, peer_name: Option<String>) -> napi::Result<()> {
        self.check_lane(lane)?;
        self.inner.attach_lane(dialled(fd, peer_name)?, lane);
        Ok(())
    }

    #[napi]
    pub fn bind_index(&self, connection: &UnboundConnection) -> napi::Result<()> {
        self.inner.bind_index(connection.take()?);
        Ok(())
    }

    #[napi]
    pub fn bind_lane(&self, connection: &UnboundConnection, lane: u16) -> napi::Result<()> {
        self.check_lane(lane)?;
        self.inner.bind_lane(connection.take()?, lane);
        Ok(())
    }

    #[napi]
    pub fn counters(&self) -> BigUint64Array {
        shared(self.inner.counters())
    }

    #[napi]
    pub fn path(&self) -> PathReading {
        self.inner.path().into()
    }

    #[napi]
    pub fn limit_unsent(&self, bytes: u32) {
        self.inner.limit_unsent(bytes);
    }

    /// null when the kernel takes it.
    #[napi]
    pub fn set_congestion(&self, algorithm: String) -> Option<String> {
        self.inner.set_congestion(&algorithm).err().map(|error| describe_io(&error))
    }

    #[napi]
    pub fn close(&self) {
        self.inner.close();
    }
}

fn dialled(fd: i32, peer: Option<String>) -> napi::Result<Dialled> {
    Ok(Dialled { fd: raw_descriptor::duplicate(fd).map_err(thrown)?, peer })
}

#[napi]
pub struct TargetSession {
    /// None when it is gone.
    inner: Option<target::TargetSession>,
}

impl TargetSession {
    fn inner(&self) -> napi::Result<&target::TargetSession> {
        self.inner.as_ref().ok_or_else(|| thrown(CoreError::bug("The session is gone.")))
    }
}

#[napi]
impl TargetSession {
    #[napi]
    pub fn counters(&self) -> napi::Result<BigUint64Array> {
        Ok(shared(self.inner()?.counters()))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn record_pass<'env>(&self, env: &'env Env, pass: Dto<PassRecord>) -> napi::Result<Object<'env>> {
        let pass = pass.0.read().map_err(thrown)?;
        on_thread(env, "pvferry-pass", self.inner()?.record_pass_later(pass))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn durable<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        on_thread(env, "pvferry-durable", self.inner()?.durable_later())
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn leave<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        on_thread(env, "pvferry-leave", self.inner()?.leave_later())
    }

    #[napi]
    pub fn close(&self) {
        if let Some(inner) = &self.inner {
            inner.close();
        }
    }

    /// Takes the session out of the handle, which JavaScript may keep for as long as it likes.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn gone<'env>(&mut self, env: &'env Env) -> napi::Result<Object<'env>> {
        let gone = self.inner.take().map(target::TargetSession::gone_later);
        on_thread(env, "pvferry-gone", move || gone.map_or(Ok(()), |gone| gone()))
    }
}

#[napi]
pub fn open_source(options: Dto<SourceOptions>, on_events: Function<'_, Value, ()>) -> napi::Result<SourceSession> {
    let options = options.0;
    let config = SourceConfig {
        volume: options.volume.into(),
        pass: match options.pass {
            PassKind::Stage => Pass::Stage,
            PassKind::Cutover => Pass::Cutover,
        },
        looks: options.looks,
        policy: ScanPolicy {
            file_attributes: options.compare,
            filter: own_filter(&options.rules).map_err(thrown)?,
            ..policy(options.one_file_system, options.selinux)
        },
        scan_threads: usize::try_from(options.scan_threads).unwrap_or(1),
        compress: match options.compress {
            Compress::Auto => Mode::Auto,
            Compress::None => Mode::None,
            Compress::Zstd => Mode::Zstd,
        },
        rereads: options.rereads,
        verify: options.verify.into(),
        secret: secret(&options.secret)?,
        credentials: options.tls.credentials().map_err(thrown)?,
        server_name: options.server_name,
        pace: options.bwlimit.map(|bytes_per_second| Arc::new(Pace::new(bytes_per_second))),
        handshake_timeout: Duration::from_millis(options.handshake_timeout_ms.into()),
        idle_timeout: Duration::from_millis(options.idle_timeout_ms.into()),
        keep_alive: Duration::from_millis(options.keep_alive_ms.into()),
    };
    let inner = source::SourceSession::open(config, sink(&on_events)?).map_err(thrown)?;
    Ok(SourceSession { inner, lanes: options.lanes })
}

#[napi]
pub fn open_target(
    options: Dto<TargetOptions>,
    listener: &Listener,
    on_events: Function<'_, Value, ()>,
) -> napi::Result<TargetSession> {
    let options = options.0;
    let config = TargetConfig {
        volume: options.volume.into(),
        transfer: options.transfer,
        terms: Terms { accept_contents: options.compare.is_some(), discard_journal: options.discard_journal },
        compare: options.compare.map(Into::into),
        checkpoint: Duration::from_millis(options.checkpoint_ms.into()),
        secret: secret(&options.secret)?,
        lanes: options.lanes,
        existing: options.existing.into(),
        max_delete: options.max_delete.limit(),
        allow_empty_source: options.allow_empty_source,
        inplace: options.inplace,
        filter: peers_filter(&options.rules).map_err(thrown)?,
        verify: options.verify.into(),
        idle_timeout: Duration::from_millis(options.idle_timeout_ms.into()),
        keep_alive: Duration::from_millis(options.keep_alive_ms.into()),
    };
    let inner = target::TargetSession::open(config, listener.core(), sink(&on_events)?).map_err(thrown)?;
    Ok(TargetSession { inner: Some(inner) })
}

/// Rules that the source has sent.
pub(crate) fn peers_filter(rules: &[String]) -> Result<Option<Arc<Filter>>, CoreError> {
    let broken =
        |bad: BadRule| format!("The peer broke the protocol: the pattern of its rule {} {}.", bad.rule, bad.why);
    Filter::compile(rules).map_err(|bad| CoreError::protocol(broken(bad)))
}

pub(crate) fn secret(text: &str) -> napi::Result<Secret> {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| Secret::try_from(bytes).ok());
    bytes.ok_or_else(|| thrown(CoreError::bug("secret: not 32 bytes in base64.")))
}
