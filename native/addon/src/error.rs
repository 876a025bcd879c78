//! Errors cross as JSON (NativeErrorText) in the message.

use napi::Status;
use pvferry_core::error::CoreError;
use serde_json::{Value, json};

// -- errors ---------------------------------------------------------------------------------------------------------

/// NativeErrorText.
pub(crate) fn text(error: &CoreError) -> String {
    serde_json::to_string(error).unwrap_or_else(|_| error.message.clone())
}

/// NativeErrorText as an object.
pub(crate) fn object(error: &CoreError) -> Value {
    json!({ "kind": error.kind, "message": error.message, "errno": error.errno })
}

pub(crate) fn thrown(error: CoreError) -> napi::Error {
    napi::Error::new(Status::GenericFailure, text(&error))
}
