//! Macros: `#[annulet::main]`, `#[annulet::test]` and what stands behind `select!`.
//!
//! The attributes leave the `async fn` whole, inside a plain `fn` of its name, so that errors in
//! its body point where they do without the attribute; what else there is to do stands in the
//! facade's functions.
#![forbid(unsafe_code)]

mod expand;
mod options;
mod pattern;
mod select;

use proc_macro::TokenStream;

/// Runs an `async fn main` on a runtime.
///
/// | option | meaning |
/// |---|---|
/// | none | one shard, on the thread that the program starts on, not pinned |
/// | `shards = 4` | so many shards, each on a thread of its own pinned to a CPU; `main` is a task of the first |
/// | `shards = "all"` | one shard for each CPU that the process may use |
/// | `driver = "auto"` | the driver: `"auto"`, `"uring"` or `"poll"`; the variable `ANNULET_DRIVER` overrides it |
///
/// The function may return what any `main` may: `()`, a `Result`, an `ExitCode`. A runtime that
/// cannot start is told on standard error, and the program ends with exit code 1.
///
/// ```
/// use std::process::ExitCode;
///
/// #[annulet::main(shards = 2, driver = "poll")]
/// async fn main() -> Result<ExitCode, std::io::Error> {
///     let numbers = annulet::for_each_shard(|shard| async move { shard.0 }).await;
///     assert_eq!(numbers.map_err(std::io::Error::other)?, [0, 1]);
///     Ok(ExitCode::SUCCESS)
/// }
/// ```
///
/// What it cannot do is an error at the place:
///
/// ```compile_fail
/// #[annulet::main(shards = "most")] // `shards` is a number above zero or "all"
/// async fn main() {}
/// ```
///
/// ```compile_fail
/// #[annulet::main]
/// fn main() {} // needs an async fn
/// ```
///
/// ```compile_fail
/// #[annulet::main]
/// async fn main() -> u32 { 7 } // no exit code can be made of that
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(arguments.into(), item.into()).into()
}

/// Runs an `async fn` as a test on every driver that this machine offers.
///
/// A driver that the machine lacks is told as `SKIP name: reason`, and left out. The variable
/// `ANNULET_DRIVER` narrows the test to one driver, and so does the option `driver = "uring"` or
/// `"poll"`. Each run has a runtime of its own, of one shard. A test may return `()` or a `Result`,
/// whose error fails it; a failure names its driver.
///
/// ```
/// #[annulet::test]
/// async fn a_task_answers() -> std::io::Result<()> {
///     let task = annulet::spawn(async { 6 * 7 });
///     assert_eq!(task.await.map_err(std::io::Error::other)?, 42);
///     Ok(())
/// }
///
/// #[annulet::test(driver = "poll")]
/// async fn only_where_readiness_matters() {}
/// ```
///
/// ```compile_fail
/// #[annulet::test]
/// async fn takes(number: u32) {} // takes no arguments
/// ```
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(arguments.into(), item.into()).into()
}

/// What `annulet::select!` calls, with the path of the runtime in front. No part of the promised
/// interface.
#[doc(hidden)]
#[proc_macro]
pub fn select_in(input: TokenStream) -> TokenStream {
    select::select(input.into()).into()
}
