//! `select!`: the first of several futures, in the task that awaits them.
//!
//! The macro itself is procedural; what stands here tells it by which path the runtime is known to
//! the caller, who may have it as a dependency or through the facade.

/// Awaits several futures at once and runs the handler of the first that is ready.
///
/// ```text
/// select! {
///     biased;                                     // optional
///     pattern = future => handler,
///     pattern = future, if condition => handler,
///     else => handler,                            // optional
/// }
/// ```
///
/// 1. The conditions are evaluated, in the order written. A branch whose condition is false is
///    disabled.
/// 2. The futures of the other branches are evaluated, in the order written. An expression behind a
///    false condition is not evaluated, so `stream.as_mut().unwrap().next(), if stream.is_some()`
///    is right.
/// 3. They are polled until one is ready. If its output matches the pattern, all futures are
///    dropped, and the handler runs. If not, its branch is disabled, and the wait goes on with the
///    rest.
/// 4. When every branch is disabled, the handler of `else` runs.
///
/// The macro is an expression, whose value is that of the handler. A handler may use what the
/// futures borrowed, and may `?`, `break`, `continue`, `return` and `.await`: it stands in the
/// function that the macro stands in. There is no comma needed after a handler in braces. Up to 64
/// branches.
///
/// A future under way survives being passed over if it is borrowed: pin it outside, and write
/// `&mut future`. Nothing is spawned, and nothing allocated.
///
/// # Fairness
///
/// In each poll the branches are asked in an order drawn by lot, every order as likely as any
/// other, so that of several that are always ready none starves. [`seed`](crate::combine::seed)
/// repeats the draws. With `biased;` they are asked in the order written: cheaper, and right where
/// one must come first, as shutdown before work; then put what may flood last.
///
/// # Panics
///
/// If every branch is disabled and there is no `else`.
///
/// # Cancel safety
///
/// A branch that is passed over is a future dropped under way: look under this heading at what it
/// awaits. In a loop, `select!` over operations that are cancel safe loses nothing: receives and
/// accepts of this crate, sleeps, ticks of an interval, join handles by reference, `next` of
/// streams. What is not, as `write_all`, is made outside of the loop and borrowed. `select!` itself
/// is as safe to drop as its branches; the handler is not dropped by it.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{select, time::{interval, sleep}};
/// use std::{pin::pin, time::Duration};
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let mut ticks = interval(Duration::from_secs(1));
/// let mut end = pin!(sleep(Duration::from_millis(3500)));
/// let mut seen = 0;
/// loop {
///     select! {
///         () = ticks.tick() => seen += 1,
///         () = &mut end => break,
///     }
/// }
/// assert_eq!(seen, 4); // at 0, 1, 2 and 3 seconds
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Patterns, conditions and `else`:
///
/// ```
/// use annulet_runtime::select;
///
/// async fn next(queue: &mut Vec<u32>) -> Option<u32> {
///     queue.pop()
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// let (mut urgent, mut other, mut closed) = (vec![1], vec![3, 2], false);
/// let mut order = Vec::new();
/// loop {
///     select! {
///         biased;
///         Some(item) = next(&mut urgent) => order.push(item),
///         Some(item) = next(&mut other), if !closed => {
///             order.push(item);
///             closed = item == 3;
///         }
///         else => break,
///     }
/// }
/// assert_eq!(order, [1, 2, 3]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What is wrong is an error at its place:
///
/// ```compile_fail
/// # async fn example() -> u32 {
/// annulet_runtime::select! {
///     number = std::future::ready(1) => number,
///     other = 2 => other, // `{integer}` is not a future
/// }
/// # }
/// ```
///
/// ```compile_fail
/// # async fn example() -> u32 {
/// annulet_runtime::select! {
///     number = std::future::ready(1), number > 0 => number, // expected `if`
/// }
/// # }
/// ```
#[macro_export]
macro_rules! select {
    ($($branches:tt)*) => {
        $crate::combine::macros::select_in!(($crate) $($branches)*)
    };
}
