//! Promises that a plain thread settles.

use crate::error::thrown;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, JsDeferred};
use pvferry_core::error::{CoreError, ErrorKind};

type Resolver<T> = Box<dyn FnOnce(Env) -> napi::Result<T>>;

/// Keeps the process alive until it is settled; settles as "interrupted" when it is dropped before.
pub(crate) struct Pending<T: ToNapiValue + Send + 'static> {
    deferred: Option<JsDeferred<T, Resolver<T>>>,
}

impl<T: ToNapiValue + Send + 'static> Pending<T> {
    pub(crate) fn new(env: &Env) -> napi::Result<(Self, Object<'_>)> {
        let (deferred, promise) = env.create_deferred()?;
        let pending = Self { deferred: Some(deferred) };
        Ok((pending, promise))
    }

    pub(crate) fn settle(mut self, result: Result<T, CoreError>) {
        self.settle_once(result);
    }

    fn settle_once(&mut self, result: Result<T, CoreError>) {
        let Some(deferred) = self.deferred.take() else {
            return;
        };
        match result {
            Ok(value) => deferred.resolve(Box::new(move |_| Ok(value))),
            Err(error) => deferred.reject(thrown(error)),
        }
    }
}

impl<T: ToNapiValue + Send + 'static> Drop for Pending<T> {
    fn drop(&mut self) {
        self.settle_once(Err(CoreError::new(ErrorKind::Interrupted, "The work ended before it had a result.")));
    }
}

/// Runs `work` on a thread of its own and settles the promise with what it returns.
pub(crate) fn on_thread<'env, T: ToNapiValue + Send + 'static>(
    env: &'env Env,
    name: &str,
    work: impl FnOnce() -> Result<T, CoreError> + Send + 'static,
) -> napi::Result<Object<'env>> {
    let (pending, promise) = Pending::new(env)?;
    // Without a thread the closure is dropped, and `pending` with it, which rejects the promise.
    let _ = std::thread::Builder::new().name(name.to_owned()).spawn(move || pending.settle(work()));
    Ok(promise)
}
