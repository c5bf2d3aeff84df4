//! One operation from its making to its end, whichever that is.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use annulet::op::{Op, OpCode};
use annulet::time::{sleep, timeout};

use crate::support::random::Random;

/// How long an operation that has been nudged may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the operation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Dropped before its first poll.
    Unpolled,
    /// Polled, and dropped after as many turns; `watched` polls it in each.
    Dropped { turns: u32, watched: bool },
    /// Dropped by a deadline.
    Deadline { us: u32 },
    /// A task of its own, aborted after as many turns.
    Aborted { turns: u32 },
    /// Awaited.
    Completed,
}

/// When the peer does its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Before,
    Between,
    After,
}

/// What is done with one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    end: End,
    when: When,
}

/// What a trial gave.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// The operation was dropped before it answered.
    Cancelled,
    /// It answered.
    Answered(T),
    /// It should have answered and did not.
    Stuck,
}

async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Lets others run: odd turns within the tick, even ones until a tick has gone by.
async fn turns(count: u32) {
    for turn in 0..count {
        if turn % 2 == 0 {
            annulet::yield_now().await;
        } else {
            sleep(Duration::from_micros(1)).await;
        }
    }
}

impl Trial {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let end = match random.below(16) {
            0 => End::Unpolled,
            1..=5 => End::Dropped {
                turns: random.below(4),
                watched: random.once_in(2),
            },
            6..=8 => End::Deadline {
                us: random.below(200),
            },
            9..=11 => End::Aborted {
                turns: random.below(4),
            },
            _ => End::Completed,
        };
        let when = match random.below(4) {
            0 => When::Before,
            1 | 2 => When::Between,
            _ => When::After,
        };
        Self { end, when }
    }

    /// Whether the operation must answer.
    pub(crate) fn completes(self) -> bool {
        self.end == End::Completed
    }

    /// Runs the trial; `nudge` is called once, and makes the operation complete if it still can.
    pub(crate) async fn run<F>(self, future: F, nudge: impl FnOnce()) -> Outcome<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let mut nudge = Some(nudge);
        let mut at = |when: When| {
            if self.when == when || when == When::After {
                nudge.take().into_iter().for_each(|nudge| nudge());
            }
        };
        at(When::Before);
        match self.end {
            End::Unpolled => drop(future),
            End::Dropped {
                turns: count,
                watched,
            } => {
                let mut future = Box::pin(future);
                let mut answer = poll_once(future.as_mut()).await;
                at(When::Between);
                if watched {
                    for _ in 0..count {
                        turns(1).await;
                        if answer.is_none() {
                            answer = poll_once(future.as_mut()).await;
                        }
                    }
                } else {
                    turns(count).await;
                }
                drop(future);
                at(When::After);
                return answer.map_or(Outcome::Cancelled, Outcome::Answered);
            }
            End::Deadline { us } => {
                let mut future = Box::pin(timeout(Duration::from_micros(us.into()), future));
                let first = poll_once(future.as_mut()).await;
                at(When::Between);
                let answer = match first {
                    Some(answer) => answer,
                    None => future.await,
                };
                at(When::After);
                return answer.map_or(Outcome::Cancelled, Outcome::Answered);
            }
            End::Aborted { turns: count } => {
                let task = annulet::spawn(future);
                turns(1).await;
                at(When::Between);
                turns(count).await;
                task.abort();
                let answer = task.await;
                at(When::After);
                return answer.map_or(Outcome::Cancelled, Outcome::Answered);
            }
            End::Completed => {
                let mut future = Box::pin(future);
                let first = poll_once(future.as_mut()).await;
                at(When::After);
                let answer = match first {
                    Some(answer) => Ok(answer),
                    None => timeout(PATIENCE, future).await,
                };
                return answer.map_or(Outcome::Stuck, Outcome::Answered);
            }
        }
        at(When::After);
        Outcome::Cancelled
    }

    /// As [`run`](Self::run), but an operation that is given up is asked to end and gives its
    /// answer.
    pub(crate) async fn run_op<T>(self, mut op: Op<T>, nudge: impl FnOnce()) -> Outcome<T::Output>
    where
        T: OpCode,
    {
        let End::Dropped { turns: count, .. } = self.end else {
            return self.run(op, nudge).await;
        };
        if self.when == When::Before {
            nudge();
        } else if let Some(answer) = poll_once(Pin::new(&mut op)).await {
            nudge();
            return Outcome::Answered(answer);
        } else {
            nudge();
        }
        turns(count).await;
        match timeout(PATIENCE, op.cancel()).await {
            Ok(answer) => Outcome::Answered(answer),
            Err(_elapsed) => Outcome::Stuck,
        }
    }
}
