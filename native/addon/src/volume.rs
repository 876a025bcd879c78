//! VolumeFacts, VolumeTotals, StopFlag, BadRule, DigestOptions, Roots, FileDigest; stopFlag, volumeFacts, badRule,
//! measureVolume, digestVolume.

use crate::dto::Dto;
use crate::error::{object, thrown};
use crate::events::{number, path, roots, sink};
use crate::promise::on_thread;
use napi::Env;
use napi::bindgen_prelude::{Function, Object};
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use pvferry_core::digest::file::Form;
use pvferry_core::digest::hex;
use pvferry_core::error::{CoreError, ErrorKind};
use pvferry_core::scan::digest::{FileLine, FileSink, digest_volume as digest_roots};
use pvferry_core::scan::facts::facts;
use pvferry_core::scan::filter::Filter;
use pvferry_core::scan::measure::measure;
use pvferry_core::scan::volume::ScanPolicy;
use pvferry_core::session::events::Events;
use pvferry_core::session::stop::Stop;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

// -- volumes --------------------------------------------------------------------------------------------------------

/// Ends the work it was given to. Shared, so that the work outlives a handle that is dropped.
#[napi]
pub struct StopFlag {
    pub(crate) stop: Arc<Stop>,
}

#[napi]
impl StopFlag {
    #[napi]
    pub fn close(&self) {
        self.stop.stop(Some(CoreError::new(ErrorKind::Interrupted, "The work was stopped.")));
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Selinux {
    Keep,
    Drop,
}

pub(crate) fn policy(one_file_system: bool, selinux: Selinux) -> ScanPolicy {
    ScanPolicy { one_file_system, keep_selinux: selinux == Selinux::Keep, file_attributes: false, filter: None }
}

/// Rules that were asked about before (badRule): one that does not compile is a defect.
pub(crate) fn own_filter(rules: &[String]) -> Result<Option<Arc<Filter>>, CoreError> {
    Filter::compile(rules).map_err(|bad| CoreError::bug(format!("Rule {}: the pattern {}.", bad.rule, bad.why)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestOptions {
    volume: String,
    threads: u32,
    one_file_system: bool,
    selinux: Selinux,
    rules: Vec<String>,
}

/// File digests that JavaScript has not taken yet, in batches; the threads wait then.
const MAX_WAITING_BATCHES: usize = 8;

type FileCallback = ThreadsafeFunction<Vec<FileLine>, (), Value, napi::Status, false, true, MAX_WAITING_BATCHES>;

#[napi]
pub fn stop_flag() -> StopFlag {
    StopFlag { stop: Arc::default() }
}

#[napi]
pub fn volume_facts(path: String) -> napi::Result<Value> {
    let facts = facts(Path::new(&path)).map_err(thrown)?;
    Ok(json!({
        "filesystem": facts.space.filesystem,
        "readOnly": facts.space.read_only,
        "totalBytes": number(facts.space.total_bytes),
        "freeBytes": number(facts.space.free_bytes),
        "usedBytes": number(facts.space.used_bytes),
        "totalInodes": number(facts.space.total_inodes),
        "freeInodes": number(facts.space.free_inodes),
        "isMountPoint": facts.is_mount_point,
        "firstNames": facts.first_names,
        "unfinishedTransfer": facts.unfinished_transfer,
        "isFinished": facts.is_finished,
        "journalError": facts.journal_error.as_ref().map(object),
        "heldBy": facts.held_by,
        "uid": facts.ids.uid,
        "gid": facts.ids.gid,
        "capabilities": format!("{:016x}", facts.ids.capabilities),
    }))
}

#[napi(ts_return_type = "BadRule | null")]
pub fn bad_rule(rules: Vec<String>) -> Option<Value> {
    let bad = Filter::compile(&rules).err()?;
    Some(json!({ "rule": bad.rule, "why": bad.why }))
}

#[napi(ts_return_type = "Promise<VolumeTotals>")]
pub fn measure_volume<'env>(
    env: &'env Env,
    path: String,
    one_file_system: bool,
    rules: Vec<String>,
    stop: &StopFlag,
) -> napi::Result<Object<'env>> {
    let stop = Arc::clone(&stop.stop);
    on_thread(env, "pvferry-measure", move || {
        let policy = ScanPolicy { filter: own_filter(&rules)?, ..policy(one_file_system, Selinux::Drop) };
        let totals = measure(&PathBuf::from(path), policy, 2, &stop)?;
        Ok(json!({
            "entries": number(totals.entries),
            "files": number(totals.files),
            "directories": number(totals.directories),
            "bytes": number(totals.bytes),
            "allocatedBytes": number(totals.allocated_bytes),
        }))
    })
}

#[napi(ts_return_type = "Promise<Roots>")]
pub fn digest_volume<'env>(
    env: &'env Env,
    options: Dto<DigestOptions>,
    on_events: Function<'_, Value, ()>,
    on_files: Option<Function<'_, Value, ()>>,
    stop: &StopFlag,
) -> napi::Result<Object<'env>> {
    let options = options.0;
    let stop = Arc::clone(&stop.stop);
    let events = Events::new(sink(&on_events)?).map_err(|error| thrown(CoreError::from(error)))?;
    let files = on_files.as_ref().map(file_sink).transpose()?;
    on_thread(env, "pvferry-digest", move || {
        let filter = own_filter(&options.rules)?;
        let policy = ScanPolicy { filter, ..policy(options.one_file_system, options.selinux) };
        let threads = usize::try_from(options.threads).unwrap_or(1);
        let volume = PathBuf::from(options.volume);
        let root = digest_roots(&volume, policy, threads, events, files.as_ref(), &stop)?;
        Ok(roots(&root))
    })
}

fn file_sink(on_files: &Function<'_, Value, ()>) -> napi::Result<FileSink> {
    let callback: FileCallback = on_files
        .build_threadsafe_function::<Vec<FileLine>>()
        .weak::<true>()
        .max_queue_size::<MAX_WAITING_BATCHES>()
        .build_callback(|context: ThreadsafeCallContext<Vec<FileLine>>| {
            Ok(Value::Array(context.value.iter().map(line).collect()))
        })?;
    Ok(Box::new(move |lines| {
        callback.call(lines, ThreadsafeFunctionCallMode::Blocking);
    }))
}

fn line(line: &FileLine) -> Value {
    let (path, path_bytes) = path(&line.path);
    let form = match line.form {
        Form::Plain => "plain",
        // Assumed is never the form of a file that was read.
        Form::Block | Form::Assumed => "block",
    };
    json!({ "path": path, "pathBytes": path_bytes, "digest": hex(&line.digest), "form": form })
}
