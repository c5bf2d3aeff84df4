//! Linux: inotify.

use std::collections::VecDeque;
use std::ffi::{CStr, OsString};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use annulet_runtime::{AsyncFd, spawn, spawn_blocking, try_current, yield_now};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::{Event, EventKind, Interest, WatchId};
use crate::offload::offload;

/// Bytes of events that are read at once. One takes 16 and its name up to 256.
const READ_BYTES: usize = 8 * 1024;

/// The kinds of event, by the system's bits.
const KINDS: &[(ReadFlags, EventKind)] = &[
    (ReadFlags::ACCESS, EventKind::Accessed),
    (ReadFlags::MODIFY, EventKind::Modified),
    (ReadFlags::ATTRIB, EventKind::Attributes),
    (ReadFlags::CLOSE_WRITE, EventKind::ClosedWritten),
    (ReadFlags::CLOSE_NOWRITE, EventKind::ClosedUnwritten),
    (ReadFlags::OPEN, EventKind::Opened),
    (ReadFlags::MOVED_FROM, EventKind::MovedFrom),
    (ReadFlags::MOVED_TO, EventKind::MovedTo),
    (ReadFlags::CREATE, EventKind::Created),
    (ReadFlags::DELETE, EventKind::Deleted),
    (ReadFlags::DELETE_SELF, EventKind::SelfDeleted),
    (ReadFlags::MOVE_SELF, EventKind::SelfMoved),
    (ReadFlags::UNMOUNT, EventKind::Unmounted),
    (ReadFlags::IGNORED, EventKind::WatchEnded),
    (ReadFlags::QUEUE_OVERFLOW, EventKind::Overflow),
];

/// A wait for events.
type Waiting = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// The system's queue of events, and those that were read from it.
pub(super) struct Source {
    /// `None` only while it is dropped.
    queue: Option<Rc<AsyncFd<Arc<OwnedFd>>>>,
    waiting: Option<Waiting>,
    events: VecDeque<Event>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("queue", &self.queue)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new() -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self {
            queue: Some(Rc::new(AsyncFd::new(Arc::new(queue))?)),
            waiting: None,
            events: VecDeque::new(),
        })
    }

    fn queue(&self) -> &Rc<AsyncFd<Arc<OwnedFd>>> {
        self.queue.as_ref().expect("only its drop takes it")
    }

    pub(super) async fn add(&self, path: &Path, interest: Interest) -> io::Result<WatchId> {
        let (queue, path) = (Arc::clone(self.queue().get_ref()), path.to_owned());
        let flags = WatchFlags::from_bits_retain(interest.bits());
        offload(move || Ok(WatchId(inotify::add_watch(&*queue, path, flags)?))).await
    }

    pub(super) fn remove(&self, watch: WatchId) -> io::Result<()> {
        Ok(inotify::remove_watch(&**self.queue().get_ref(), watch.0)?)
    }

    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Ok(event));
            }
            if let Some(waiting) = &mut self.waiting {
                let waited = ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                waited?;
            }
            if !self.read()? {
                let queue = Rc::clone(self.queue());
                self.waiting = Some(Box::pin(async move { queue.readable().await }));
            }
        }
    }

    /// Reads what is there. False if there is nothing.
    fn read(&mut self) -> io::Result<bool> {
        let queue = self.queue.as_ref().expect("only its drop takes it");
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut reader = Reader::new(&**queue.get_ref(), &mut space);
        loop {
            match reader.next() {
                Ok(event) => self.events.push_back(told(&event)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if reader.is_buffer_empty() {
                return Ok(true);
            }
        }
    }
}

/// The kernel takes milliseconds to close it, so that is a job; a wait under way has it open for
/// one tick more.
impl Drop for Source {
    fn drop(&mut self) {
        self.waiting = None;
        let queue = self.queue.take().and_then(Rc::into_inner);
        if let Some(queue) = queue
            && try_current().is_ok()
        {
            spawn(close(queue));
        }
    }
}

async fn close(mut queue: AsyncFd<Arc<OwnedFd>>) {
    loop {
        match queue.try_into_inner() {
            Ok(queue) => return spawn_blocking(move || drop(queue)).detach(),
            Err(in_use) => queue = in_use,
        }
        yield_now().await;
    }
}

fn told(event: &inotify::Event<'_>) -> Event {
    let flags = event.events();
    let kind = KINDS.iter().find(|(flag, _)| flags.contains(*flag));
    let owned = |name: &CStr| OsString::from_vec(name.to_bytes().to_vec());
    Event {
        // An overflow is of no watch.
        watch: (event.wd() >= 0).then_some(WatchId(event.wd())),
        kind: kind.map_or(EventKind::Other, |(_, kind)| *kind),
        name: event.file_name().map(owned),
        cookie: event.cookie(),
        is_dir: flags.contains(ReadFlags::ISDIR),
    }
}
