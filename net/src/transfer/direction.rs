//! One direction of a transfer: from a stream to another, to its end.
//!
//! What is carried (a lease, or the pipe's content) is sent before anything more is taken, so at
//! most one load is under way and the order is kept. A load comes as a lease while loads are small,
//! and by the [road](super::road) of this system, if it has one, while they fill a lease and more:
//! the road costs nearly twice as much for a small one, and an eighth for a large one.

use std::io;
use std::task::{Context, Poll, ready};

use annulet_runtime::buf::Lease;
use annulet_runtime::op::{Op, Ready, send_now};

use super::error::Failed;
use super::road::{Road, Taken};
use crate::stream::{ByteStream, Flow};

/// Loads that one poll moves before others have a turn.
const LOADS_MAX: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// By leases, and what was received for readers before.
    #[default]
    Leases,
    /// By the leases that have come already, and no more of them.
    Leaving,
    /// By the system's road.
    Road,
    /// The end is to be passed on.
    Ended,
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Direction {
    phase: Phase,
    carried: Option<Lease>,
    road: Road,
    /// How large the loads are.
    flow: Flow,
    /// A wait for room where the bytes go.
    room: Option<Box<Op<Ready>>>,
    moved: u64,
}

impl Direction {
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) fn under_way(&self) -> usize {
        self.carried.as_ref().map_or(0, |lease| lease.len()) + self.road.bytes()
    }

    /// Moves what can be moved; ready at the end.
    pub(super) fn poll(
        &mut self,
        from: &ByteStream,
        to: &ByteStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        for _ in 0..LOADS_MAX {
            if self.phase == Phase::Over {
                return Poll::Ready(Ok(()));
            }
            while self.under_way() > 0 {
                ready!(to.sender.queue.poll_idle(cx));
                ready!(self.poll_send(to, cx)).map_err(Failed::Writing)?;
            }
            ready!(self.poll_take(from, to, cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends a part of what is carried.
    fn poll_send(&mut self, to: &ByteStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (carried, road) = (&self.carried, &mut self.road);
        let sent = to.poll_room(&mut self.room, cx, || match carried {
            Some(lease) => send_now(&to.socket, lease),
            None => road.put(to),
        });
        let sent = ready!(sent)?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.moved += sent as u64;
        if let Some(lease) = &mut self.carried {
            lease.advance(sent);
            if lease.is_empty() {
                self.carried = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next load, or a step towards it.
    fn poll_take(
        &mut self,
        from: &ByteStream,
        to: &ByteStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failed>> {
        let buffer_bytes = from.socket.driver().buffer_bytes();
        match self.phase {
            Phase::Leases => {
                self.carried = ready!(from.poll_lease(cx)).map_err(Failed::Reading)?;
                let Some(lease) = &self.carried else {
                    self.phase = Phase::Ended;
                    return Poll::Ready(Ok(()));
                };
                self.flow.note(lease.len(), buffer_bytes);
                if self.flow.is_large() && self.road.is_open(from) {
                    self.phase = Phase::Leaving;
                }
            }
            Phase::Leaving => {
                self.carried = ready!(from.poll_leftover(cx)).map_err(Failed::Reading)?;
                if self.carried.is_none() {
                    self.phase = match from.has_ended() {
                        true => Phase::Ended,
                        false => Phase::Road,
                    };
                }
            }
            Phase::Road => match ready!(self.road.poll_take(from, cx)).map_err(Failed::Reading)? {
                Taken::Some => {
                    self.flow.note(self.road.bytes(), buffer_bytes);
                    if !self.flow.is_large() {
                        self.phase = Phase::Leases;
                    }
                }
                Taken::End => self.phase = Phase::Ended,
                Taken::Closed => self.phase = Phase::Leases,
            },
            Phase::Ended => {
                to.shut_write().map_err(Failed::Writing)?;
                self.phase = Phase::Over;
            }
            Phase::Over => {}
        }
        Poll::Ready(Ok(()))
    }
}
