//! What the attributes call. No part of the promised interface.

use std::fmt::Debug;
use std::io;
use std::panic::resume_unwind;
use std::process::{ExitCode, Termination};

use crate::drivers::for_each_of;
use crate::{Builder, Choice};

/// The end of a program whose runtime did not start.
fn failed(error: &io::Error) -> ExitCode {
    use std::io::Write;
    // With standard error gone there is nobody to tell.
    let _gone = writeln!(io::stderr(), "the annulet runtime cannot start: {error}");
    ExitCode::FAILURE
}

/// Runs `main` on a shard of the calling thread.
pub fn run_here<M, F, T>(builder: Builder, main: M) -> ExitCode
where
    M: FnOnce() -> F,
    F: Future<Output = T>,
    T: Termination,
{
    match builder.build() {
        Ok(runtime) => runtime.block_on(main()).report(),
        Err(error) => failed(&error),
    }
}

/// Runs `main` as a task of the first of several shards.
///
/// # Panics
///
/// With the panic of `main`.
pub fn run_on_shards<M, F, T>(builder: Builder, main: M) -> ExitCode
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Termination,
{
    let shards = match builder.start() {
        Ok(shards) => shards,
        Err(error) => return failed(&error),
    };
    // What `main` returns need not leave its shard: only the code made of it does.
    let ended = shards.run(move || async move { main().await.report() });
    match ended {
        Ok(code) => code,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => failed(&io::Error::other(error)),
    }
}

/// What a test may return.
pub trait Outcome {
    /// The failure, in words.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn failure(self) -> Option<String> {
        match self {
            Ok(output) => output.failure(),
            Err(error) => Some(format!("{error:?}")),
        }
    }
}

/// Runs a test on every driver, or on the one it wants.
///
/// # Panics
///
/// If the test fails on one of them.
pub fn run_test<M, F, T>(name: &str, driver: Choice, mut test: M)
where
    M: FnMut() -> F,
    F: Future<Output = T>,
    T: Outcome,
{
    for_each_of(name, driver, |runtime| {
        if let Some(error) = runtime.block_on(test()).failure() {
            panic!("the test failed on {}: {error}", runtime.driver().kind);
        }
    });
}
