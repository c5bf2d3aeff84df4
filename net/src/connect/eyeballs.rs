//! Which address is tried when: "happy eyeballs", RFC 8305.
//!
//! The addresses alternate between the families, beginning with the family of the first. The first
//! is tried at once, and each other one when the one before it has failed, or has not answered for
//! the delay. The first attempt that succeeds wins; the others are dropped, which closes their
//! sockets. So an address that does not answer costs the delay, and not the minutes after which
//! the system gives up on it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use annulet_runtime::time::{now, sleep};

/// What has failed so far, in the order of the failures.
pub(super) type Failures = RefCell<Vec<(SocketAddr, io::Error)>>;

/// The addresses of both families in turn; within one they keep their order.
pub(super) fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (ours, others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let (mut ours, mut others) = (ours.into_iter(), others.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [ours.next(), others.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// Dials the addresses in their order, and gives the first success; `None` if all have failed.
pub(super) async fn first_of<T, D>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    failures: &Failures,
    dial: D,
) -> Option<T>
where
    D: AsyncFn(SocketAddr) -> io::Result<T>,
{
    let mut left = addresses.into_iter().peekable();
    let mut attempts = Vec::new();
    let mut head_start = pin!(sleep(delay));
    let mut begin = true;
    poll_fn(|cx| {
        loop {
            if let Some(address) = left.next_if(|_| begin || attempts.is_empty()) {
                attempts.push((address, Box::pin(dial(address))));
                head_start.as_mut().reset(now() + delay);
            }
            begin = false;
            let mut index = 0;
            while index < attempts.len() {
                let (address, attempt) = &mut attempts[index];
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(winner)) => return Poll::Ready(Some(winner)),
                    Poll::Ready(Err(error)) => {
                        failures.borrow_mut().push((*address, error));
                        // Dropped before the next is dialled, as its socket is.
                        drop(attempts.remove(index));
                        begin = true;
                    }
                }
            }
            if left.peek().is_none() {
                return if attempts.is_empty() {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
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
