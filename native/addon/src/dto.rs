//! Transfer objects from JavaScript: serde checks them, and says with the path what is missing or of a wrong type.

// `FromNapiValue` is an unsafe trait function; it is only passed on here.
#![allow(unsafe_code)]

use crate::error::thrown;
use napi::bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue};
use napi::{ValueType, sys};
use pvferry_core::error::CoreError;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use std::any::type_name;

pub struct Dto<T>(pub(crate) T);

impl<T> TypeName for Dto<T> {
    fn type_name() -> &'static str {
        "object"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl<T> ValidateNapiValue for Dto<T> {}

impl<T: DeserializeOwned> FromNapiValue for Dto<T> {
    unsafe fn from_napi_value(env: sys::napi_env, napi_val: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller's own promise, that both belong together and are alive, is handed on unchanged.
        let value =
            unsafe { serde_json::Value::from_napi_value(env, napi_val) }.map_err(|error| wrong::<T>(&error.reason))?;
        serde_path_to_error::deserialize(value).map(Self).map_err(|error| wrong::<T>(&error.to_string()))
    }
}

fn wrong<T>(what: &str) -> napi::Error {
    let name = type_name::<T>().rsplit("::").next().unwrap_or("object");
    thrown(CoreError::bug(format!("{name}: {what}.")))
}

/// For `#[serde(deserialize_with = "nullable")]`: null means absent, while a property that is not there is an error
/// (serde by itself would take both for `None`).
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

/// A count or null. Numbers above 2^32 arrive as floating point, exact up to 2^53.
pub(crate) fn nullable_count<'de, D>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let is_count = number.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER).contains(&number);
    if is_count { Ok(Some(number as u64)) } else { Err(D::Error::custom(format!("{number} is not a count"))) }
}

/// Number.MAX_SAFE_INTEGER.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
