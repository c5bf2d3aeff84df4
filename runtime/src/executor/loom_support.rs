//! What the models share: an owner that sleeps on a loom notification, and a count of cells.

use std::sync::{Arc, OnceLock};

use loom::sync::Notify;

use super::{Executor, Unpark};
use crate::metrics::Meter;
use crate::shim::census;

/// A sleep that loom understands: if nobody unparks the sleeper, the model reports a deadlock.
pub(super) struct Bed(Notify);

impl Unpark for Bed {
    fn unpark(&self) {
        self.0.notify();
    }
}

impl Bed {
    pub(super) fn sleep(&self) {
        self.0.wait();
    }
}

/// An executor and where it sleeps. A panic that nobody joins is a failure of the model.
pub(super) fn executor() -> (Executor, Arc<Bed>) {
    let bed = Arc::new(Bed(Notify::new()));
    let executor = Executor::new(Arc::<Bed>::clone(&bed), meter());
    executor.set_unhandled(Box::new(|meta, _| {
        eprintln!("{meta} panicked");
        std::process::abort();
    }));
    (executor, bed)
}

/// The meter of all models, which none looks at. It is made on a thread with a stack of usual size:
/// a meter is larger than what loom gives to a thread of a model.
fn meter() -> Arc<Meter> {
    static METER: OnceLock<Arc<Meter>> = OnceLock::new();
    let made = || std::thread::spawn(Arc::<Meter>::default).join();
    Arc::clone(METER.get_or_init(|| made().expect("a meter can be made")))
}

/// Takes turns until `done`, asleep whenever it can be.
pub(super) fn run_until(executor: &Executor, bed: &Bed, done: impl Fn() -> bool) {
    loop {
        executor.drain_inbox();
        let _end = executor.run(|_| false);
        if done() {
            return;
        }
        if executor.prepare_park() {
            bed.sleep();
            executor.unparked();
        }
    }
}

/// Explores a model; in each execution every cell must be freed exactly once.
pub(super) fn model(body: impl Fn() + Send + Sync + 'static) {
    loom::model(move || {
        let (made, freed) = census::read();
        body();
        let (made_now, freed_now) = census::read();
        assert_eq!(made_now - made, freed_now - freed, "cells made and freed");
    });
}
