//! Which address is tried when: "happy eyeballs", RFC 8305.
//!
//! The addresses alternate between the families, beginning with the first that is known. That is
//! tried at once, and each other one when the one before it has failed, or has not answered for
//! the delay. The first attempt that succeeds wins; the others are dropped, which closes their
//! sockets. So an address that does not answer costs the delay, and not the minutes after which
//! the system gives up on it. Addresses that become known meanwhile take their turns with the rest.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use annulet_runtime::stream::Stream;
use annulet_runtime::time::{now, sleep};

/// What has failed so far, in the order of the failures.
pub(super) type Failures = RefCell<Vec<(SocketAddr, io::Error)>>;

/// Takes the next address to try: the first of the other family than the last one, or else the
/// first.
pub(super) fn next_of(left: &mut Vec<SocketAddr>, last: Option<SocketAddr>) -> Option<SocketAddr> {
    let other = |address: &SocketAddr| last.is_some_and(|last| last.is_ipv6() != address.is_ipv6());
    let index = left.iter().position(other).unwrap_or(0);
    (!left.is_empty()).then(|| left.remove(index))
}

/// Dials the addresses as they become known, and gives the first success; `None` if all have
/// failed. An error is the lookup's, which found no address to dial.
pub(super) async fn first_of<T, D>(
    portions: impl Stream<Item = io::Result<Vec<SocketAddr>>>,
    delay: Duration,
    failures: &Failures,
    dial: D,
) -> io::Result<Option<T>>
where
    D: AsyncFn(SocketAddr) -> io::Result<T>,
{
    let mut portions = pin!(portions);
    let mut lookup = None;
    let (mut left, mut last) = (Vec::new(), None);
    let mut attempts = Vec::new();
    let mut head_start = pin!(sleep(delay));
    let mut begin = true;
    poll_fn(|cx| {
        loop {
            while lookup.is_none() {
                match portions.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(more))) => left.extend(more),
                    Poll::Ready(Some(Err(error))) => lookup = Some(Err(error)),
                    Poll::Ready(None) => lookup = Some(Ok(())),
                    Poll::Pending => break,
                }
            }
            if (begin || attempts.is_empty())
                && let Some(address) = next_of(&mut left, last)
            {
                last = Some(address);
                attempts.push((address, Box::pin(dial(address))));
                head_start.as_mut().reset(now() + delay);
            }
            begin = false;
            let mut index = 0;
            while index < attempts.len() {
                let (address, attempt) = &mut attempts[index];
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(winner)) => return Poll::Ready(Ok(Some(winner))),
                    Poll::Ready(Err(error)) => {
                        failures.borrow_mut().push((*address, error));
                        // Dropped before the next is dialled, as its socket is.
                        drop(attempts.remove(index));
                        begin = true;
                    }
                }
            }
            if left.is_empty() {
                return match lookup.take() {
                    Some(Err(error)) if last.is_none() => Poll::Ready(Err(error)),
                    Some(_) if attempts.is_empty() => Poll::Ready(Ok(None)),
                    under_way => {
                        lookup = under_way;
                        Poll::Pending
                    }
                };
            }
            if !begin && Pin::new(&mut *head_start).poll(cx).is_pending() {
                return Poll::Pending;
            }
            begin = true;
        }
    })
    .await
}
