//! The `polling` crate: kqueue, IOCP, event ports, poll, and epoll where the kernel is too old for
//! ours.

#![expect(
    unsafe_code,
    reason = "registering a source asks for a promise about its life"
)]

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event as Report, Events, PollMode, Poller as Polling};

use super::poller::{Doorbell, EVENTS_MAX, Event, Poller, Reports, Wanted};
use crate::sys::RawSource;

#[derive(Debug)]
struct Bell(Polling);

impl Doorbell for Bell {
    fn ring(&self) {
        // A poller that cannot be notified is one whose system has lost its own descriptors; the
        // next timeout still wakes the shard.
        let _lost = self.0.notify();
    }
}

/// See the [module](self).
pub(super) struct Portable {
    bell: Arc<Bell>,
    mode: PollMode,
    reports: Events,
}

impl Portable {
    pub(super) fn open() -> io::Result<Self> {
        let poller = Polling::new()?;
        let mode = if poller.supports_edge() {
            PollMode::Edge
        } else {
            PollMode::Oneshot
        };
        let room = NonZeroUsize::new(EVENTS_MAX).expect("not zero");
        Ok(Self {
            bell: Arc::new(Bell(poller)),
            mode,
            reports: Events::with_capacity(room),
        })
    }
}

impl Poller for Portable {
    fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.bell) as Arc<dyn Doorbell>
    }

    fn reports(&self) -> Reports {
        match self.mode {
            PollMode::Edge => Reports::Edges,
            _ => Reports::Once,
        }
    }

    unsafe fn set(&self, known: bool, wanted: Wanted) -> io::Result<()> {
        let Wanted {
            source,
            readable,
            writable,
        } = wanted;
        let report = Report::new(key_of(source), readable, writable);
        if known {
            // SAFETY: it is open, as the caller promises.
            let source = unsafe { borrow(source) };
            self.bell.0.modify_with_mode(source, report, self.mode)
        } else {
            // SAFETY: it is deleted before it is closed, as the caller promises.
            unsafe { self.bell.0.add_with_mode(source, report, self.mode) }
        }
    }

    unsafe fn delete(&self, source: RawSource) -> io::Result<()> {
        // SAFETY: it is open, as the caller promises.
        self.bell.0.delete(unsafe { borrow(source) })
    }

    fn wait(&mut self, timeout: Option<Duration>, event: &mut dyn FnMut(Event)) -> io::Result<()> {
        self.reports.clear();
        self.bell.0.wait(&mut self.reports, timeout)?;
        for report in self.reports.iter() {
            let failed = report.is_err() == Some(true);
            event(Event {
                source: source_of(report.key),
                readable: report.readable || failed,
                writable: report.writable || failed,
                // Edges of the end are not told from those of bytes.
                ragged: self.mode == PollMode::Edge,
            });
        }
        Ok(())
    }
}

#[cfg(unix)]
fn key_of(source: RawSource) -> usize {
    usize::try_from(source).expect("open descriptors are not negative")
}

#[cfg(windows)]
fn key_of(source: RawSource) -> usize {
    usize::try_from(source).expect("sockets are pointer-sized")
}

fn source_of(key: usize) -> RawSource {
    RawSource::try_from(key).expect("keys are made from sources")
}

/// # Safety
///
/// The source is open for as long as the borrow is used.
#[cfg(unix)]
unsafe fn borrow<'a>(source: RawSource) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: the caller's promise.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(source) }
}

/// # Safety
///
/// The source is open for as long as the borrow is used.
#[cfg(windows)]
unsafe fn borrow<'a>(source: RawSource) -> std::os::windows::io::BorrowedSocket<'a> {
    // SAFETY: the caller's promise.
    unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(source) }
}
