//! Counters as memory shared with JavaScript: read at will, written by the session's threads.

#![allow(unsafe_code)]

use napi::bindgen_prelude::BigUint64Array;
use pvferry_core::session::counters::{COUNT, Counters};
use std::sync::Arc;

/// An array over the counters' own memory, which lives as long as the array.
pub(crate) fn shared(counters: Arc<Counters>) -> BigUint64Array {
    let words = counters.as_words().as_ptr().cast::<u64>().cast_mut();
    // SAFETY: the words are COUNT aligned 64-bit words that the Arc, moved into the finalizer, keeps alive and in place.
    // JavaScript only reads them; an aligned 64-bit load never sees half a word on x86-64 and arm64.
    unsafe { BigUint64Array::with_external_data(words, COUNT, move |_, _| drop(counters)) }
}
