//! `race` and `race_ok`: the first of several futures that are ways to the same answer.
//!
//! A rule says of an output whether it wins or loses: under `race` the first output wins, under
//! `race_ok` the first that is `Ok`, and then nobody wins if all have lost. A tuple is polled in
//! place, in an order drawn by lot; a list of any length gives each future a waker of its own, and
//! its futures are first polled in an order drawn by lot.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

use super::join_all::Numbered;
use super::turns::{Turns, shuffle};

/// Tells outputs that win from those that lose.
#[expect(unnameable_types, reason = "seals the trait below")]
pub trait Rule<O> {
    /// Whether nobody at all can have lost.
    const NEEDS_SOMEBODY: bool;
    /// What a winner gives.
    type Win;
    /// What is kept of a loser.
    type Loss;

    /// Judges an output.
    fn judge(output: O) -> Result<Self::Win, Self::Loss>;
}

/// Whoever is first wins.
#[derive(Debug)]
struct First;

impl<O> Rule<O> for First {
    const NEEDS_SOMEBODY: bool = true;
    type Win = O;
    type Loss = Infallible;

    fn judge(output: O) -> Result<O, Infallible> {
        Ok(output)
    }
}

/// The first success wins.
#[derive(Debug)]
struct FirstOk;

impl<T, E> Rule<Result<T, E>> for FirstOk {
    const NEEDS_SOMEBODY: bool = false;
    type Win = T;
    type Loss = E;

    fn judge(output: Result<T, E>) -> Result<T, E> {
        output
    }
}

/// Marks tuples.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "tells two implementations apart, and is inferred"
)]
pub struct Tuple;

/// Marks everything that can be iterated over.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "tells two implementations apart, and is inferred"
)]
pub struct List;

/// What can be given to [`race`] and [`race_ok`]: a tuple of one to twelve futures whose outputs
/// have one type, or an array, a `Vec`, or anything else to be iterated over. `Kind` is inferred.
pub trait Contenders<Kind> {
    /// What each future gives.
    type Output;
    /// What all of them left behind when none won: an array for a tuple, a `Vec` for a list.
    type Losses<L>;

    /// The race under a rule.
    #[doc(hidden)]
    #[track_caller]
    fn contest<R: Rule<Self::Output>>(
        self,
        rule: R,
    ) -> impl Future<Output = Result<R::Win, Self::Losses<R::Loss>>>;
}

/// Awaits the first of several futures to finish, and drops the others.
///
/// The contenders are a tuple of futures with one type of output, or a list (array, `Vec`,
/// iterator). Of several that are ready at once each is as likely to win; [`seed`](super::seed)
/// repeats the draws. The losers are dropped before the answer is given. A tuple costs no
/// allocation; of a list only those that were woken are polled.
///
/// # Panics
///
/// If the list is empty: nothing could ever win.
///
/// # Cancel safety
///
/// The losers are dropped under way, so they should be cancel safe. Dropping the race drops all.
///
/// # Examples
///
/// ```
/// use annulet_runtime::{race, time::sleep};
/// use std::time::Duration;
///
/// async fn answer(from: &str, seconds: u64) -> &str {
///     sleep(Duration::from_secs(seconds)).await;
///     from
/// }
///
/// # annulet_runtime::Builder::new().virtual_time().build()?.block_on(async {
/// assert_eq!(race((answer("near", 1), answer("far", 2))).await, "near");
/// let mirrors = [("a", 3), ("b", 2), ("c", 4)];
/// assert_eq!(race(mirrors.map(|(name, seconds)| answer(name, seconds))).await, "b");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn race<K, C: Contenders<K>>(contenders: C) -> impl Future<Output = C::Output> {
    Won {
        contest: contenders.contest(First),
    }
}

/// Awaits the first of several futures to succeed, and drops the others.
///
/// The contenders are as in [`race`], with [`Result`]s for outputs. A failure is kept, and the race
/// goes on.
///
/// # Errors
///
/// If all fail, all errors, in the order of the contenders: an array for a tuple, a `Vec` for a
/// list. The empty list fails at once, with no errors.
///
/// # Cancel safety
///
/// As [`race`].
///
/// # Examples
///
/// ```
/// use annulet_runtime::race_ok;
///
/// async fn parse(text: &str) -> Result<i32, String> {
///     text.parse().map_err(|_| format!("{text} is no number"))
/// }
///
/// # annulet_runtime::Builder::new().build()?.block_on(async {
/// assert_eq!(race_ok((parse("x"), parse("7"))).await, Ok(7));
/// let errors = race_ok(["x", "y"].map(parse)).await;
/// assert_eq!(errors.unwrap_err(), ["x is no number", "y is no number"]);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn race_ok<K, C, T, E>(contenders: C) -> impl Future<Output = Result<T, C::Losses<E>>>
where
    C: Contenders<K, Output = Result<T, E>>,
{
    contenders.contest(FirstOk)
}

pin_project! {
    /// A contest that has a winner.
    struct Won<F> {
        #[pin]
        contest: F,
    }
}

impl<F: Future<Output = Result<T, L>>, T, L> Future for Won<F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(self.project().contest.poll(cx)) {
            Ok(output) => Poll::Ready(output),
            Err(_) => unreachable!("nobody loses where the first one wins"),
        }
    }
}

/// A list of futures, and what the losers left behind.
struct ListContest<F, L> {
    racing: FuturesUnordered<Numbered<F>>,
    losses: Vec<Option<L>>,
    ended: bool,
}

// The futures lie on the heap, and losses are never pinned.
impl<F, L> Unpin for ListContest<F, L> {}

impl<F: Future, L> ListContest<F, L> {
    fn poll<R>(&mut self, cx: &mut Context<'_>) -> Poll<Result<R::Win, Vec<L>>>
    where
        R: Rule<F::Output, Loss = L>,
    {
        assert!(!self.ended, "a race was polled after it completed");
        while let Some((index, output)) = ready!(Pin::new(&mut self.racing).poll_next(cx)) {
            match R::judge(output) {
                Ok(win) => {
                    self.ended = true;
                    self.racing.clear();
                    self.losses.clear();
                    return Poll::Ready(Ok(win));
                }
                Err(loss) => self.losses[index] = Some(loss),
            }
        }
        self.ended = true;
        let losses = std::mem::take(&mut self.losses).into_iter();
        Poll::Ready(Err(losses
            .map(|loss| loss.expect("every contender has lost"))
            .collect()))
    }
}

impl<I> Contenders<List> for I
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    type Output = <I::Item as IntoFuture>::Output;
    type Losses<L> = Vec<L>;

    #[track_caller]
    fn contest<R: Rule<Self::Output>>(
        self,
        _rule: R,
    ) -> impl Future<Output = Result<R::Win, Vec<R::Loss>>> {
        let mut contenders: Vec<_> = self
            .into_iter()
            .enumerate()
            .map(|(index, future)| Numbered::new(index, future.into_future()))
            .collect();
        assert!(
            !(R::NEEDS_SOMEBODY && contenders.is_empty()),
            "a race of nobody has no winner"
        );
        let losses = std::iter::repeat_with(|| None).take(contenders.len());
        let losses = losses.collect();
        shuffle(&mut contenders);
        let mut contest = ListContest {
            racing: contenders.into_iter().collect(),
            losses,
            ended: false,
        };
        std::future::poll_fn(move |cx| contest.poll::<R>(cx))
    }
}

/// Writes the contest of tuples of one length.
macro_rules! tuple_contest {
    ($contest:ident $count:literal $($name:ident $field:ident $index:literal)+) => {
        pin_project! {
            struct $contest<$($name,)+ Loss, By> {
                $(#[pin] $field: Option<$name>,)+
                losses: [Option<Loss>; $count],
                rule: By,
            }
        }

        impl<$($name,)+ O, R> Future for $contest<$($name,)+ R::Loss, R>
        where
            $($name: Future<Output = O>,)+
            R: Rule<O>,
        {
            type Output = Result<R::Win, [R::Loss; $count]>;

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let mut this = self.project();
                let mut racing = 0;
                $(racing |= u64::from(this.$field.is_some()) << $index;)+
                assert!(racing != 0, "a race was polled after it completed");
                let mut winner = None;
                for turn in Turns::among(racing) {
                    let (index, judged) = match turn {
                        $($index => {
                            let Some(future) = this.$field.as_mut().as_pin_mut() else {
                                continue;
                            };
                            let Poll::Ready(output) = future.poll(cx) else {
                                continue;
                            };
                            this.$field.set(None);
                            racing &= !(1 << $index);
                            ($index, R::judge(output))
                        })+
                        _ => unreachable!("a turn of no contender"),
                    };
                    match judged {
                        Ok(win) => {
                            winner = Some(win);
                            break;
                        }
                        Err(loss) => this.losses[index] = Some(loss),
                    }
                }
                if let Some(win) = winner {
                    $(this.$field.set(None);)+
                    return Poll::Ready(Ok(win));
                }
                if racing != 0 {
                    return Poll::Pending;
                }
                let losses = std::mem::replace(this.losses, [const { None }; $count]);
                Poll::Ready(Err(losses.map(|loss| loss.expect("every contender has lost"))))
            }
        }

        impl<$($name,)+ O> Contenders<Tuple> for ($($name,)+)
        where
            $($name: IntoFuture<Output = O>,)+
        {
            type Output = O;
            type Losses<Loss> = [Loss; $count];

            fn contest<R: Rule<O>>(
                self,
                rule: R,
            ) -> impl Future<Output = Result<R::Win, [R::Loss; $count]>> {
                let ($($field,)+) = self;
                $contest {
                    $($field: Some($field.into_future()),)+
                    losses: [const { None }; $count],
                    rule,
                }
            }
        }
    };
}

tuple_contest!(Contest1 1 A a 0);
tuple_contest!(Contest2 2 A a 0 B b 1);
tuple_contest!(Contest3 3 A a 0 B b 1 C c 2);
tuple_contest!(Contest4 4 A a 0 B b 1 C c 2 D d 3);
tuple_contest!(Contest5 5 A a 0 B b 1 C c 2 D d 3 E e 4);
tuple_contest!(Contest6 6 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5);
tuple_contest!(Contest7 7 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6);
tuple_contest!(Contest8 8 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6 H h 7);
tuple_contest!(Contest9 9 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6 H h 7 I i 8);
tuple_contest!(Contest10 10 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6 H h 7 I i 8 J j 9);
tuple_contest!(Contest11 11 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6 H h 7 I i 8 J j 9 K k 10);
tuple_contest!(Contest12 12 A a 0 B b 1 C c 2 D d 3 E e 4 F f 5 G g 6 H h 7 I i 8 J j 9 K k 10 L l 11);
