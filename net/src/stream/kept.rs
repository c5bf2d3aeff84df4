//! What was received for earlier readers, and comes before what the kernel has: the rest of a lease,
//! the spill of a dropped owned read, an error that came along with the stream, and the end; in this
//! order.

use std::cell::{Cell, OnceCell};
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use annulet_runtime::Driver;
use annulet_runtime::buf::Lease;
use annulet_runtime::op::Spill;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Kept {
    /// There may be any of it. Most streams have nothing most of the time, and look only here.
    any: Cell<bool>,
    /// A lease that was taken in part.
    begun: Cell<Option<Lease>>,
    /// Made by the first owned read, or for what came along with the stream.
    spill: OnceCell<Rc<Spill>>,
    ended: Cell<bool>,
}

/// What a stream had received and nobody had read.
#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) bytes: Vec<u8>,
    /// The end, after the bytes.
    pub(super) ended: bool,
    /// An error, after the bytes.
    pub(super) error: Option<io::Error>,
}

impl Kept {
    /// The next of it, the end included; `None` if the kernel has the next bytes.
    #[inline]
    pub(super) fn poll(
        &self,
        driver: &Driver,
        waker: &Waker,
    ) -> Poll<Option<io::Result<Option<Lease>>>> {
        if !self.any.get() {
            return Poll::Ready(None);
        }
        self.poll_any(driver, waker)
    }

    fn poll_any(&self, driver: &Driver, waker: &Waker) -> Poll<Option<io::Result<Option<Lease>>>> {
        if let Some(lease) = self.begun.take() {
            return Poll::Ready(Some(Ok(Some(lease))));
        }
        if let Some(spill) = self.spill.get() {
            if spill.is_busy() {
                spill.wait(waker);
                return Poll::Pending;
            }
            if !spill.is_empty() {
                let lease = driver.lease(|space| spill.take(space));
                return Poll::Ready(Some(Ok(Some(lease))));
            }
            if let Some(failure) = spill.take_failure() {
                return Poll::Ready(Some(Err(failure)));
            }
        }
        if self.ended.get() {
            return Poll::Ready(Some(Ok(None)));
        }
        // What an owned read leaves in its spill is not told.
        self.any.set(self.spill.get().is_some());
        Poll::Ready(None)
    }

    /// Whether there is any of it, or an owned read is under way that may leave some.
    pub(super) fn is_any(&self) -> bool {
        self.any.get() && (self.has_begun() || self.has_spilled() || self.has_ended())
    }

    fn has_begun(&self) -> bool {
        let begun = self.begun.take();
        let has = begun.is_some();
        self.begun.set(begun);
        has
    }

    fn has_spilled(&self) -> bool {
        let spill = self.spill.get();
        spill.is_some_and(|spill| spill.is_busy() || !spill.is_empty() || spill.has_failed())
    }

    /// Whether the end of the stream was received.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Where an owned read leaves its bytes if it is dropped.
    pub(super) fn spill(&self) -> &Rc<Spill> {
        self.any.set(true);
        self.spill.get_or_init(Rc::default)
    }

    /// Keeps what a reader has left of a lease for the next.
    #[inline]
    pub(super) fn put_back(&self, rest: Lease) {
        self.any.set(true);
        self.begun.set(Some(rest));
    }

    /// The end was received.
    pub(super) fn end(&self) {
        self.any.set(true);
        self.ended.set(true);
    }

    /// Takes all of it, once no owned read is under way.
    pub(super) async fn take(&self) -> Unread {
        let mut unread = Unread::default();
        if let Some(lease) = self.begun.take() {
            unread.bytes.extend_from_slice(&lease);
        }
        if let Some(spill) = self.spill.get() {
            std::future::poll_fn(|cx| match spill.is_busy() {
                true => {
                    spill.wait(cx.waker());
                    Poll::Pending
                }
                false => Poll::Ready(()),
            })
            .await;
            unread.bytes.extend(spill.take_all());
            unread.error = spill.take_failure();
        }
        unread.ended = self.ended.get();
        unread
    }

    /// Keeps what another had.
    pub(super) fn put(&self, unread: Unread) {
        if !unread.bytes.is_empty() || unread.error.is_some() {
            self.spill
                .get_or_init(|| Rc::new(Spill::brought(unread.bytes, unread.error)));
        }
        self.ended.set(unread.ended);
        self.any.set(true);
    }
}
