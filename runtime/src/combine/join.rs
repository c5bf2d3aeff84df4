//! `join!` and `try_join!`: several futures at once, in the task that awaits them.
//!
//! The futures lie in the awaiting future itself: nothing is spawned and nothing allocated, so they
//! may borrow. All have the one waker of their task; a wake polls those that are not done.

/// Awaits all futures at once and gives their outputs as a tuple.
///
/// The futures run within the awaiting task and may borrow from it; nothing is spawned, nothing is
/// allocated. They are evaluated and first polled in the order written. After that a wake of the
/// task polls those that are not done, all of them: for more than a few dozen use
/// [`join_all`](crate::join_all), which polls only those that were woken.
///
/// A future is dropped when it is done. A panic in one is a panic of the `join!`, and drops the
/// others.
///
/// # Cancel safety
///
/// As safe as its parts: dropping it drops every future, with outputs that were ready.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{join, time::sleep};
/// use std::time::Duration;
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// let text = String::from("borrowed");
/// let length = async {
///     sleep(Duration::from_secs(1)).await;
///     text.len()
/// };
/// let (length, answer) = join!(length, async { 42 });
/// assert_eq!((length, answer), (8, 42));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! join {
    ($($future:expr),* $(,)?) => {
        $crate::__join!(join [] $($future,)*)
    };
}

/// Awaits all futures at once, until one fails; gives a tuple of what they are worth, or the first
/// error.
///
/// As [`join!`](crate::join), for futures whose outputs are [`Result`]s with one type of error. At
/// the first error the other futures are dropped, before the error is given. Of errors that are
/// there in one poll, the one of the future written first is given, and the rest are dropped.
///
/// A dropped `JoinHandle` detaches its task, so a failure does not end tasks whose handles are
/// joined here. A [`TaskGroup`](crate::group::TaskGroup) does that.
///
/// # Errors
///
/// The first one.
///
/// # Cancel safety
///
/// As [`join!`](crate::join).
///
/// # Examples
///
/// ```
/// use annulet_runtime::try_join;
/// use std::num::ParseIntError;
///
/// async fn parse(text: &str) -> Result<i32, ParseIntError> {
///     text.parse()
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// assert_eq!(try_join!(parse("1"), parse("2")), Ok((1, 2)));
/// assert!(try_join!(parse("1"), parse("two")).is_err());
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[macro_export]
macro_rules! try_join {
    ($($future:expr),* $(,)?) => {
        $crate::__join!(try_join [] $($future,)*)
    };
}

/// Names the futures one by one, then writes the join. Each `future` comes from a call of its own,
/// so the names differ, though they look the same.
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    (join []) => { () };
    (try_join []) => { ::core::result::Result::Ok(()) };
    ($how:ident [$($named:tt)*] $next:expr, $($rest:expr,)*) => {
        $crate::__join!($how [$($named)* (future $next)] $($rest,)*)
    };
    // The `match` keeps what the expressions borrow alive until the end.
    (join [$(($name:ident $future:expr))*]) => {
        match ($(::core::future::IntoFuture::into_future($future),)*) {
            ($($name,)*) => {
                $(let mut $name = ::core::pin::pin!($crate::combine::macros::MaybeDone::new($name));)*
                ::core::future::poll_fn(|cx| {
                    let mut done = true;
                    $(done &= $name.as_mut().poll_done(cx);)*
                    if done {
                        ::core::task::Poll::Ready(($($name.as_mut().fetch(),)*))
                    } else {
                        ::core::task::Poll::Pending
                    }
                })
                .await
            }
        }
    };
    (try_join [$(($name:ident $future:expr))*]) => {
        match ($(::core::future::IntoFuture::into_future($future),)*) {
            ($($name,)*) => {
                $(let mut $name = ::core::pin::pin!($crate::combine::macros::MaybeDone::new($name));)*
                ::core::future::poll_fn(|cx| {
                    let mut done = true;
                    $(
                        done &= $name.as_mut().poll_done(cx);
                        if let ::core::option::Option::Some(error) = $name.as_mut().fetch_error() {
                            return ::core::task::Poll::Ready(::core::result::Result::Err(error));
                        }
                    )*
                    if done {
                        ::core::task::Poll::Ready(
                            ::core::result::Result::Ok(($($name.as_mut().fetch_ok(),)*)),
                        )
                    } else {
                        ::core::task::Poll::Pending
                    }
                })
                .await
            }
        }
    };
}
