//! What the tests share: the driver over a simulated kernel, buffers that are watched, and tasks.
//!
//! # Invariants
//!
//! 1. The bytes of a [`Watched`] buffer are on the heap and stay there while it is owned; all of
//!    them are initialised from the start.
//! 2. The bytes of an [`Inline`] receive are named only once it is in its slot, where it stays
//!    until its last completion.

#![expect(unsafe_code, reason = "buffers and an operation of the tests' own")]

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use socket2::Socket;

use crate::buf::{IoBuf, IoBufMut};
use crate::driver::uring::sim::memory::{Block, Memory};
use crate::driver::uring::sim::{Faults, World};
use crate::driver::{Code, Completion, Config, Driver, Feature, Mask, Sqe};
use crate::op::{Multi, MultiCode, Op, OpCode, Shared};

/// A buffer whose end is watched.
#[derive(Debug)]
pub(super) struct Watched {
    block: Block,
    init: usize,
}

impl Watched {
    pub(super) fn new(memory: &Rc<Memory>, bytes: usize) -> Self {
        Self {
            block: Block::new(memory, bytes),
            init: 0,
        }
    }

    pub(super) fn of(memory: &Rc<Memory>, bytes: &[u8]) -> Self {
        let mut this = Self::new(memory, bytes.len());
        for (place, byte) in bytes.iter().enumerate() {
            let to = this.stable_mut_ptr().wrapping_add(place);
            // SAFETY: the place lies inside the block, which is ours alone (Invariant 1).
            unsafe { to.write(*byte) };
        }
        this.init = bytes.len();
        this
    }
}

// SAFETY: the bytes are on the heap, initialised, and owned by the value (Invariant 1).
unsafe impl IoBuf for Watched {
    fn stable_ptr(&self) -> *const u8 {
        self.block.start().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.init
    }
}

// SAFETY: as above, and nothing else refers to them.
unsafe impl IoBufMut for Watched {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.block.start().as_ptr()
    }

    fn bytes_total(&self) -> usize {
        self.block.len()
    }

    unsafe fn set_init(&mut self, bytes: usize) {
        self.init = bytes;
    }
}

/// A receive whose buffer lies in its slot.
pub(super) struct Inline<const N: usize> {
    socket: Shared<Socket>,
    memory: Rc<Memory>,
    bytes: [u8; N],
    /// Where the bytes were when they were named.
    named: Option<usize>,
}

impl<const N: usize> Inline<N> {
    pub(super) fn new(socket: &Shared<Socket>, memory: &Rc<Memory>) -> Self {
        Self {
            socket: socket.clone(),
            memory: Rc::clone(memory),
            bytes: [0; N],
            named: None,
        }
    }

    /// The bytes leave the slot.
    fn left(&mut self) {
        if let Some(start) = self.named.take() {
            // Noted there; the bytes are the slot's, so there is nothing to keep from being freed.
            let _noted = self.memory.freed(start, N);
        }
    }
}

impl<const N: usize> Drop for Inline<N> {
    fn drop(&mut self) {
        self.left();
    }
}

// SAFETY: the entry names bytes of the payload in its slot, and the payload keeps the socket open.
unsafe impl<const N: usize> OpCode for Inline<N> {
    type Output = io::Result<Vec<u8>>;
    const CODE: Code = Code::Recv;

    fn entry(&mut self) -> Sqe {
        let fd = io_uring::types::Fd(self.socket.as_raw_fd());
        let start = self.bytes.as_mut_ptr();
        self.named = Some(start.expose_provenance());
        self.memory.born(start.addr(), N);
        let len = u32::try_from(N).unwrap();
        io_uring::opcode::Recv::new(fd, start, len).build().into()
    }

    fn complete(mut self, completion: Completion) -> io::Result<Vec<u8>> {
        self.left();
        let received = completion.into_io()?;
        Ok(self.bytes[..received].to_vec())
    }
}

/// A waker that remembers.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Flag {
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future with a flag, and the means to ask what is inside to cancel itself.
pub(super) struct Task<T> {
    pub(super) name: &'static str,
    future: Pin<Box<dyn Future<Output = T>>>,
    flag: Arc<Flag>,
    stop: Stop,
}

/// Asks an operation to cancel itself.
pub(super) type Stop = Rc<Cell<bool>>;

impl<T> Task<T> {
    /// A task that has not run; it is woken from the start.
    pub(super) fn new<F: Future<Output = T> + 'static>(
        name: &'static str,
        make: impl FnOnce(Stop) -> F,
    ) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let stop = Stop::default();
        Self {
            name,
            future: Box::pin(make(Rc::clone(&stop))),
            flag,
            stop,
        }
    }

    /// Polls it if it was woken.
    pub(super) fn run(&mut self) -> Option<T> {
        if self.flag.take() { self.poll() } else { None }
    }

    /// Polls it in any case.
    pub(super) fn poll(&mut self) -> Option<T> {
        let waker = Waker::from(Arc::clone(&self.flag));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Polls it with another waker than before, which is the one that counts from now on.
    pub(super) fn poll_elsewhere(&mut self) -> Option<T> {
        self.flag = Arc::default();
        self.poll()
    }

    /// Asks it to cancel its operation, and polls it.
    pub(super) fn cancel(&mut self) -> Option<T> {
        self.stop.set(true);
        self.poll()
    }
}

/// An operation that cancels itself when it is asked to.
pub(super) async fn finish<T: OpCode>(op: Op<T>, stop: Stop) -> T::Output {
    let mut op = Some(op);
    let output = std::future::poll_fn(|cx| match &mut op {
        Some(_) if stop.get() => Poll::Ready(None),
        Some(op) => Pin::new(op).poll(cx).map(Some),
        None => unreachable!("the future has ended"),
    });
    match output.await {
        Some(output) => output,
        None => op.take().unwrap().cancel().await,
    }
}

/// The next item of a multishot operation, which is disarmed when it is asked to stop.
pub(super) async fn next<T: MultiCode>(
    multi: &mut Multi<T>,
    stop: &Stop,
) -> Result<T::Item, T::Output> {
    std::future::poll_fn(|cx| {
        if stop.get() {
            multi.disarm();
        }
        multi.poll_next(cx)
    })
    .await
}

/// A driver over a simulated kernel.
pub(super) struct Rig {
    pub(super) world: World,
    pub(super) driver: Driver,
    pub(super) memory: Rc<Memory>,
    seed: u64,
}

/// All that a ring can do, but for reads that go past it.
pub(super) fn everything() -> Mask {
    let mask = Mask::parse("all").unwrap();
    let mask = mask.without(Mask::NONE.with(Feature::ReadNowait));
    Code::ALL
        .iter()
        .fold(mask, |mask, code| mask.with_code(*code))
}

/// The size of the tests' provided buffers, and how many there are.
pub(super) const BUFFERS: u16 = 4;
pub(super) const BUFFER_BYTES: u32 = 128;

impl Rig {
    /// A rig with these sizes of queues.
    pub(super) fn new(seed: u64, sq: usize, cq: usize, faults: Faults) -> Self {
        Self::with(seed, sq, cq, faults, everything())
    }

    pub(super) fn with(seed: u64, sq: usize, cq: usize, faults: Faults, mask: Mask) -> Self {
        Self::with_buffers(seed, (sq, cq), faults, mask, BUFFERS)
    }

    pub(super) fn with_buffers(
        seed: u64,
        (sq, cq): (usize, usize),
        faults: Faults,
        mask: Mask,
        buffers: u16,
    ) -> Self {
        let world = World::new(seed, sq, cq, faults);
        let config = Config {
            buffers,
            buffer_bytes: BUFFER_BYTES,
            ..Config::default()
        };
        let driver = world.driver(&config, mask).unwrap();
        let memory = world.memory();
        Self {
            world,
            driver,
            memory,
            seed,
        }
    }

    /// A rig where everything works at once.
    pub(super) fn calm() -> Self {
        Self::new(1, 8, 16, Faults::NONE)
    }

    pub(super) fn socket(&self) -> Shared<Socket> {
        let (near, _far) = UnixStream::pair().unwrap();
        Shared::new(&self.driver, Socket::from(OwnedFd::from(near)))
    }

    /// A stream whose bytes are those of its name.
    pub(super) fn stream(&self, name: u64) -> Shared<Socket> {
        let socket = self.socket();
        self.world.open_stream(socket.as_raw_fd(), name);
        socket
    }

    /// A socket of messages, whose bytes are those of its name.
    pub(super) fn letterbox(&self, name: u64) -> Shared<Socket> {
        let socket = self.socket();
        self.world.open_letterbox(socket.as_raw_fd(), name);
        socket
    }

    pub(super) fn listener(&self) -> Shared<Socket> {
        let socket = self.socket();
        self.world.open_listener(socket.as_raw_fd());
        socket
    }

    /// A file with the bytes of its name.
    pub(super) fn file(&self, name: u64, bytes: u64) -> Shared<File> {
        let (near, _far) = UnixStream::pair().unwrap();
        let file = Shared::new(&self.driver, File::from(OwnedFd::from(near)));
        self.world.open_file(file.as_raw_fd(), name, bytes);
        file
    }

    pub(super) fn buffer(&self, bytes: usize) -> Watched {
        Watched::new(&self.memory, bytes)
    }

    /// One tick that does not sleep.
    pub(super) fn tick(&self) {
        self.driver.park(Some(Duration::ZERO)).unwrap();
    }

    /// One tick that sleeps until something happens.
    pub(super) fn sleep(&self) {
        self.driver.park(None).unwrap();
    }

    /// Runs a task to its end, which comes within so many ticks.
    pub(super) fn finish<T>(&self, task: &mut Task<T>) -> T {
        for _ in 0..200 {
            if let Some(output) = task.run() {
                return output;
            }
            self.driver.park(Some(Duration::from_millis(1))).unwrap();
        }
        panic!(
            "{} did not end; seed {}, {:?}",
            task.name,
            self.seed,
            self.world.complaints()
        );
    }

    /// The driver has kept its promises so far.
    pub(super) fn assert_honest(&self) {
        let mut complaints = self.world.complaints();
        let stale = self.driver.stats().stale;
        if stale > 0 {
            complaints.push(format!("{stale} completions found no slot"));
        }
        assert!(complaints.is_empty(), "seed {}: {complaints:#?}", self.seed);
    }

    /// Shuts the driver down; everything ends, and nothing is left.
    pub(super) fn shut_down(self) {
        let left = self.driver.shut_down(Duration::from_secs(5));
        assert_eq!(left, 0, "operations left at shutdown; seed {}", self.seed);
        assert_eq!(self.world.operations(), 0, "seed {}", self.seed);
        assert_eq!(self.memory.lent(), 0, "seed {}", self.seed);
        assert_eq!(self.driver.in_flight(), 0, "seed {}", self.seed);
        let Self {
            world,
            driver,
            memory,
            seed,
        } = self;
        assert!(driver.stats().stale == 0, "seed {seed}");
        drop(driver);
        assert_eq!(memory.buffers(), 0, "buffers left; seed {seed}");
        let complaints = world.complaints();
        assert!(complaints.is_empty(), "seed {seed}: {complaints:#?}");
    }
}

pub(super) fn fd<T: AsRawFd>(source: &T) -> RawFd {
    source.as_raw_fd()
}
