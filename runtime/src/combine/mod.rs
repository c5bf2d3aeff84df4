//! Several futures at once, within one task.
//!
//! The question is who owns the work, and what should happen to the rest.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | a few futures, known where you write | all their outputs | [`join!`](crate::join) |
//! | the same, and they may fail | all, or the first error | [`try_join!`](crate::try_join) |
//! | a list of futures | all their outputs, in the order of the list | [`join_all`], [`try_join_all`] |
//! | a list, and each output as it comes | a stream | [`FuturesUnordered`](crate::stream::FuturesUnordered) |
//! | different events, again and again | to react to whichever is first | [`select!`](crate::select) |
//! | several ways to one answer | the first answer, or the first success | [`race`], [`race_ok`] |
//! | work that should go on beside you, be scheduled fairly, survive a panic next to it | tasks | [`TaskGroup`](crate::group::TaskGroup), so that none is left behind; [`spawn`](crate::spawn) |
//!
//! **`join!` or tasks?** Futures under `join!` run in turn inside one task: they may borrow from
//! the function around them, cost next to nothing, and end with it; but a panic in one is a panic
//! of all, and a wake for one polls its neighbours. Tasks own what they use and are scheduled one
//! by one; a panic ends one task alone. Parts of one computation are joined; things with a life of
//! their own (a connection, a background job) are tasks, and a
//! [`TaskGroup`](crate::group::TaskGroup) keeps them from outliving whoever started them.
//!
//! **`select!` or `race`?** `race` gives the winner's output, and all contenders have one type.
//! `select!` has a handler for each branch, patterns and conditions, and is made for loops. In both
//! the losers are dropped under way, so what stands in them must be cancel safe.
//!
//! # Dropping
//!
//! Everything here is lazy and ends by being dropped, with all futures inside. A dropped
//! `JoinHandle` detaches its task: combining handles decides how long *you* wait, not how long the
//! tasks run.
//!
//! # How many
//!
//! The macros poll every branch that is not done at each wake of the task; right for a handful.
//! [`join_all`], [`try_join_all`], and [`race`] over lists give each future a waker of its own and
//! poll only what was woken: ten thousand futures that are woken once each are polled twenty
//! thousand times in all.
//!
//! # How deep
//!
//! Polling or dropping a future that awaits another is a function call within a function call. On
//! x86-64 a level of [`join_all`] within a boxed future takes some 350 bytes of stack, one of
//! [`join!`](crate::join) 160, and five times that without optimisation: a thousand levels fit any
//! thread, ten thousand a large one, and then the stack overflows, as with any recursion in Rust.
//! Where the depth follows the data, spawn each level and await its handle: then no level stands on
//! the stack of another.
//!
//! # Coming from asyncio
//!
//! | asyncio | here |
//! |---|---|
//! | `gather(a, b)` of coroutines | [`join!`](crate::join), [`join_all`]: nothing starts by itself, all run in the calling task |
//! | `gather(…, return_exceptions=True)` | [`join_all`] over futures of [`Result`]s: every result, in order |
//! | `gather(…)`, first exception raised, the *others go on running* | [`try_join_all`] over join handles: the first error returns, dropped handles leave their tasks running |
//! | `gather(…)` cancelled: all children are cancelled | dropping a join drops its futures |
//! | `gather()` of nothing | [`join_all`] of nothing: an empty list, at once |
//! | the same awaitable given to `gather` twice | does not compile: a future has one owner |
//! | `TaskGroup` | [`TaskGroup`](crate::group::TaskGroup): a failure cancels the siblings, and all have ended when it returns |
//! | `as_completed(list)` | [`FuturesUnordered`](crate::stream::FuturesUnordered) of futures, [`TaskSet`](crate::group::TaskSet) of tasks; both are streams |
//! | `wait(…, FIRST_COMPLETED)` | [`wait`](crate::group::wait()) of tasks; [`race`] of futures, or [`select!`](crate::select) over `&mut` futures, which leaves the others under way |
//!
//! With `try_join_all` over plain futures there is no "others go on": they are dropped, which is
//! what most users of `gather` believe that it does.

mod join;
mod join_all;
mod maybe_done;
mod race;
#[cfg(feature = "macros")]
mod select;
mod turns;

pub use join_all::{JoinAll, TryJoinAll, join_all, try_join_all};
pub use race::{Contenders, race, race_ok};
pub use turns::seed;

/// What the macros write paths to.
#[doc(hidden)]
pub mod macros {
    pub use super::maybe_done::MaybeDone;
    pub use super::turns::Turns;
    #[cfg(feature = "macros")]
    pub use annulet_macros::select_in;
}
