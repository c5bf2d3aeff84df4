//! Linux: a signal to the thread, whose handler walks its own stack.
//!
//! # Protocol
//!
//! There is one [`SHEET`] in the process, on which a handler writes addresses, and one asker at a
//! time ([`ASKER`]). Its state goes round:
//!
//! ```text
//!          asker                 handler, on its thread          handler
//!  FREE ──────────> a thread's number ──────────> WRITING ──────────> WRITTEN
//!    ^                     │ the asker has waited in vain                │
//!    └─────────────────────┴─────────────────────────────────────────────┘ asker, having read
//! ```
//!
//! The handler takes a question by exchanging its own thread's number for WRITING, so it does
//! nothing if the signal comes from elsewhere, or so late that nobody waits, or for an earlier
//! question. The asker takes a question back by the same exchange: either it succeeds, or the
//! handler has begun, and then it ends soon. If it does not, because the stack cannot be walked or
//! the process is stopped in the middle, the sheet is never FREE again and there are no more
//! backtraces.
//!
//! # What a handler may do
//!
//! It interrupts code that may hold any lock of its thread, so it may take none, nor allocate. It
//! stores to atomics, saves `errno`, and calls the unwinder. That is not on POSIX's list of what is
//! safe in a handler. It is, as it stands: the unwinder of GCC finds the tables of a frame through
//! `_dl_find_object` (glibc 2.35 and later), which takes no lock; before that through
//! `dl_iterate_phdr`, under a lock that the thread itself may take twice, but on which it waits for
//! another thread that is just loading a library. What the unwinder does once only, it has done
//! before the first question: [`install`] walks its own stack. This is why nobody gets backtraces
//! unasked.
//!
//! The call that is interrupted goes on by itself (`SA_RESTART`) but for those that the kernel
//! never restarts (`nanosleep`, `poll`, `epoll_wait`, waits with a timeout): these fail with
//! `EINTR`, as they would for any other signal. The standard library's resume.
//!
//! # Invariants
//!
//! 1. The handler touches nothing but atomics, the errno of its thread, and what the unwinder
//!    touches.
//! 2. A signal's disposition is replaced only if it was the default one, and is never given back:
//!    so our handler stands for as long as our signal may come.

#![expect(unsafe_code, reason = "a signal handler that walks the stack")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::Frame;
use crate::panics::lock;
use crate::sys::linux::thread_id;
use crate::sys::thread::ThreadId;

/// Addresses on the sheet.
const DEPTH: usize = 128;

/// How long a thread has to answer: it may just have been put off its processor.
const PATIENCE: Duration = Duration::from_millis(200);

const FREE: i32 = 0;
const WRITING: i32 = -1;
const WRITTEN: i32 = -2;

/// See the [module](self).
struct Sheet {
    /// [`FREE`], the number of a thread that is asked, [`WRITING`] or [`WRITTEN`].
    state: AtomicI32,
    depth: AtomicUsize,
    addresses: [AtomicUsize; DEPTH],
}

static SHEET: Sheet = Sheet {
    state: AtomicI32::new(FREE),
    depth: AtomicUsize::new(0),
    addresses: [const { AtomicUsize::new(0) }; DEPTH],
};

/// Held by whoever asks.
static ASKER: Mutex<()> = Mutex::new(());

/// Where a thread stands: addresses, the innermost first.
pub(crate) struct Place(Vec<usize>);

/// Where a thread stands. None if it is gone, does not take signals, or does not answer in time.
pub(crate) fn capture(thread: ThreadId) -> Option<Place> {
    static SIGNAL: OnceLock<Option<i32>> = OnceLock::new();
    let _asker = lock(&ASKER);
    let signal = (*SIGNAL.get_or_init(install))?;
    let number = thread.number();
    // Acquire: the sheet that the question before has left. Its partner is the store of FREE.
    SHEET
        .state
        .compare_exchange(FREE, number, Ordering::AcqRel, Ordering::Acquire)
        .ok()?;
    if send(number, signal).is_err() {
        // Nobody was asked.
        SHEET.state.store(FREE, Ordering::Release);
        return None;
    }
    if !is_written(number) {
        return None;
    }
    let depth = SHEET.depth.load(Ordering::Relaxed);
    let read = |address: &AtomicUsize| address.load(Ordering::Relaxed);
    let addresses: Vec<usize> = SHEET.addresses[..depth].iter().map(read).collect();
    SHEET.state.store(FREE, Ordering::Release);
    Some(Place(addresses))
}

/// Waits for the answer. False if there is none; the question is then taken back.
fn is_written(number: i32) -> bool {
    let started = Instant::now();
    // Acquire: partner is the handler's store of WRITTEN.
    while SHEET.state.load(Ordering::Acquire) != WRITTEN {
        if started.elapsed() >= PATIENCE {
            let taken_back =
                SHEET
                    .state
                    .compare_exchange(number, FREE, Ordering::AcqRel, Ordering::Acquire);
            return taken_back == Err(WRITTEN);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    true
}

/// Finds a real-time signal that nobody uses and installs the handler.
fn install() -> Option<i32> {
    // What the unwinder and the loader do once, they do now.
    let mut warm = 0_usize;
    // SAFETY: backtraces are only ever taken here, under `ASKER`, and in the handler, which is not
    // installed yet; symbols are looked up by the functions that synchronise.
    unsafe {
        backtrace::trace_unsynchronized(|_frame| {
            warm += 1;
            warm < DEPTH
        });
    }
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    (first..=last).rev().find(|&signal| take(signal).is_ok())
}

/// Makes a signal ours, if it is nobody's.
fn take(signal: i32) -> io::Result<()> {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and the place for the old one is of its type.
    check(unsafe { libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded and filled it in; and all zeroes is a value of it, too.
    let before = unsafe { before.assume_init() };
    if before.sa_sigaction != libc::SIG_DFL {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is a value of it: an empty mask and no flags.
    let action = unsafe { action.assume_init_mut() };
    action.sa_flags = libc::SA_RESTART;
    action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    // SAFETY: the action is whole, and its handler has the one argument that a handler without
    // SA_SIGINFO has; what it may do it does, by Invariant 1.
    check(unsafe { libc::sigaction(signal, action, ptr::null_mut()) })
}

/// Writes where this thread stands, if this thread was asked.
extern "C" fn on_signal(_signal: i32) {
    // SAFETY: the address of errno is good for as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { errno.read() };
    // Acquire and release: as in `capture`.
    let mine =
        SHEET
            .state
            .compare_exchange(thread_id(), WRITING, Ordering::AcqRel, Ordering::Acquire);
    if mine.is_ok() {
        let mut depth = 0;
        // SAFETY: one walk at a time, since WRITING is one thread's; and see Invariant 1.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                SHEET.addresses[depth].store(frame.ip().addr(), Ordering::Relaxed);
                depth += 1;
                depth < DEPTH
            });
        }
        SHEET.depth.store(depth, Ordering::Relaxed);
        SHEET.state.store(WRITTEN, Ordering::Release);
    }
    // SAFETY: as above.
    unsafe { errno.write(saved) };
}

/// Sends a signal to one thread of this process.
fn send(thread: i32, signal: i32) -> io::Result<()> {
    let process = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    // SAFETY: it sends a signal whose handler is ours (Invariant 2).
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
    check(i32::try_from(sent).map_err(io::Error::other)?)
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

impl Place {
    /// The functions at these addresses, without those of the capture itself. What was inlined
    /// stands before what it was inlined into. The first call in a process reads what it knows of
    /// its names, which takes a good part of a second.
    pub(crate) fn frames(self) -> Vec<Frame> {
        named(&self.0)
    }
}

fn named(addresses: &[usize]) -> Vec<Frame> {
    let mut frames = Vec::with_capacity(addresses.len());
    // The handler, and the frame through which the kernel calls it.
    let mut own = 0;
    for (index, &address) in addresses.iter().enumerate() {
        let before = frames.len();
        backtrace::resolve(ptr::without_provenance_mut(address), |symbol| {
            let function = symbol.name().map(|name| format!("{name:#}"));
            let file = symbol.filename().map(|file| file.display().to_string());
            frames.push(Frame {
                function: function.unwrap_or_else(|| format!("{address:#x}")),
                place: file.zip(symbol.lineno()),
            });
        });
        if frames.len() == before {
            frames.push(Frame {
                function: format!("{address:#x}"),
                place: None,
            });
        }
        let found = &frames[before..];
        let handler = concat!(module_path!(), "::on_signal");
        if found.iter().any(|frame| frame.function == handler) {
            own = index + 2;
            frames.clear();
        } else if index + 1 == own {
            frames.clear();
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::{SHEET, ThreadId, capture};
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    #[inline(never)]
    fn where_it_waits(go: &mpsc::Receiver<()>) -> bool {
        go.recv().is_err()
    }

    #[test]
    fn a_thread_that_waits_is_found_where_it_waits_and_goes_on_waiting() {
        let (go, wait) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(ThreadId::current()).expect("the test listens");
            where_it_waits(&wait)
        });
        let id = told.recv().expect("it has a number");
        let mut frames = Vec::new();
        // It may not have come to its waiting yet.
        while !frames.iter().any(|frame: &crate::sys::backtrace::Frame| {
            frame.function.ends_with("tests::where_it_waits")
        }) {
            frames = capture(id).expect("it answers").frames();
        }
        let own = |text: &str| frames.iter().any(|frame| frame.function.contains(text));
        assert!(
            !own("on_signal") && !own("trace_unsynchronized"),
            "{frames:#?}"
        );
        assert!(frames.iter().any(|frame| frame.place.is_some()));
        drop(go);
        assert!(thread.join().expect("it has waited on"));
        assert_eq!(SHEET.state.load(Ordering::Relaxed), super::FREE);
    }

    #[test]
    fn a_thread_that_is_gone_has_no_frames_and_the_next_one_is_asked_all_the_same() {
        let gone = std::thread::spawn(ThreadId::current);
        let gone = gone.join().expect("it ends");
        assert!(capture(gone).is_none());
        assert!(capture(ThreadId::current()).is_some());
    }
}
