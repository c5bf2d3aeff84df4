//! Streams that only know blocking calls, read and written by the blocking pool: one call at a
//! time.
//!
//! Nothing that a call brings belongs to the future that asked for it. What was read waits in the
//! state for whoever reads next, on whatever shard; so a read may be dropped at any time. What is
//! written is copied, and the state keeps its error for the next call: so a write may be dropped,
//! too, and is done all the same.
//!
//! # Protocol
//!
//! The state says whether a call is under way. Who finds none starts one, in the critical section
//! in which it looked; who finds one leaves its waker in it. A call ends in a critical section,
//! also when it never ran, and wakes all who wait. The stream itself has a lock of its own, which
//! only a running call takes.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use crate::blocking::spawn_blocking;
#[cfg(any(windows, test))]
use crate::buf::{BufError, BufResult, IoBuf, IoBufMut, IoBufMutExt};
use crate::panics::lock;

/// Bytes that one call moves at most.
const CALL_BYTES: usize = 64 * 1024;

/// Whose turn it is, and who waits for theirs.
#[derive(Debug, Default)]
struct State {
    /// A call is under way.
    busy: bool,
    /// What was read and nobody has taken.
    bytes: VecDeque<u8>,
    /// How the last call ended, if not well: an error, or for a read the end.
    outcome: Option<io::Result<()>>,
    wakers: Vec<Waker>,
}

impl State {
    /// Leaves a waker; gives it back if it is there already, to be dropped without the lock.
    fn wait(&mut self, waker: Waker) -> Option<Waker> {
        if self.wakers.iter().any(|other| other.will_wake(&waker)) {
            return Some(waker);
        }
        self.wakers.push(waker);
        None
    }
}

/// Ends the call that is under way, however it ends.
struct Ending<'a> {
    state: &'a Mutex<State>,
    bytes: Vec<u8>,
    outcome: Option<io::Result<()>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let wakers = {
            let mut state = lock(self.state);
            state.busy = false;
            state.bytes.extend(mem::take(&mut self.bytes));
            state.outcome = self.outcome.take();
            mem::take(&mut state.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }
}

/// A call that the pool has, and may drop without running it.
struct Call(Option<Arc<Mutex<State>>>);

impl Call {
    /// Runs it. The bytes are those read; an outcome of `None` is a good one.
    fn run(mut self, call: impl FnOnce() -> (Vec<u8>, Option<io::Result<()>>)) {
        let state = self.0.take().expect("it runs once");
        let mut ending = Ending {
            state: &state,
            bytes: Vec::new(),
            outcome: Some(Err(io::Error::other("a call on the pool has panicked"))),
        };
        (ending.bytes, ending.outcome) = call();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            let refused = io::Error::other("the blocking pool does not take the call");
            drop(Ending {
                state: &state,
                bytes: Vec::new(),
                outcome: Some(Err(refused)),
            });
        }
    }
}

/// Reads by the pool. Clones read the same stream.
#[derive(Clone)]
pub(crate) struct PooledReader {
    state: Arc<Mutex<State>>,
    stream: Arc<Mutex<dyn Read + Send>>,
}

impl fmt::Debug for PooledReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledReader").finish_non_exhaustive()
    }
}

impl PooledReader {
    pub(crate) fn new(stream: impl Read + Send + 'static) -> Self {
        Self {
            state: Arc::default(),
            stream: Arc::new(Mutex::new(stream)),
        }
    }

    /// What is left of earlier calls; `None` if a call has to be made.
    pub(crate) fn poll_left(
        &self,
        cx: &TaskContext<'_>,
        space: &mut [u8],
    ) -> Poll<Option<io::Result<usize>>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        if !state.bytes.is_empty() {
            let count = space.len().min(state.bytes.len());
            for (to, from) in space.iter_mut().zip(state.bytes.drain(..count)) {
                *to = from;
            }
            return Poll::Ready(Some(Ok(count)));
        }
        if state.busy {
            let known = state.wait(waker);
            drop(state);
            drop(known);
            return Poll::Pending;
        }
        // The end is told once: a terminal goes on after it.
        Poll::Ready(state.outcome.take().map(|outcome| outcome.map(|()| 0)))
    }

    #[cfg(any(windows, test))]
    /// Reads what comes next, zero at the end.
    pub(crate) fn poll_read(
        &self,
        cx: &TaskContext<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.poll_left(cx, space) {
                Poll::Ready(Some(read)) => return Poll::Ready(read),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.start(),
            }
        }
    }

    /// Starts a call, if none is under way.
    pub(crate) fn start(&self) {
        if mem::replace(&mut lock(&self.state).busy, true) {
            return;
        }
        let stream = Arc::clone(&self.stream);
        let call = Call(Some(Arc::clone(&self.state)));
        let run = move || {
            call.run(|| {
                let mut bytes = vec![0; CALL_BYTES];
                let mut stream = lock(&*stream);
                let read = loop {
                    match stream.read(&mut bytes) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => break other,
                    }
                };
                bytes.truncate(read.as_ref().copied().unwrap_or(0));
                let outcome = match read {
                    Ok(0) => Some(Ok(())),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                };
                (bytes, outcome)
            });
        };
        spawn_blocking(run).detach();
    }

    #[cfg(any(windows, test))]
    pub(crate) async fn read<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return Err(BufError::no_room(buf));
        }
        let read = poll_fn(|cx| {
            buf.fill_with(|space| match self.poll_read(cx, space) {
                Poll::Ready(Ok(read)) => (read, Poll::Ready(Ok(read))),
                other => (0, other),
            })
        });
        match read.await {
            Ok(read) => Ok((read, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    #[cfg(any(windows, test))]
    pub(crate) async fn read_to_end(&self, mut buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let before = buf.len();
        let mut space = vec![0; CALL_BYTES];
        loop {
            match poll_fn(|cx| self.poll_read(cx, &mut space)).await {
                Ok(0) => return Ok((buf.len() - before, buf)),
                Ok(read) => buf.extend_from_slice(&space[..read]),
                Err(error) => {
                    let done = buf.len() - before;
                    return Err(BufError::new(error, buf, done));
                }
            }
        }
    }
}

/// Writes by the pool. Clones write to the same stream.
#[derive(Clone)]
pub(crate) struct PooledWriter {
    state: Arc<Mutex<State>>,
    stream: Arc<Mutex<dyn Write + Send>>,
}

impl fmt::Debug for PooledWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledWriter").finish_non_exhaustive()
    }
}

impl PooledWriter {
    pub(crate) fn new(stream: impl Write + Send + 'static) -> Self {
        Self {
            state: Arc::default(),
            stream: Arc::new(Mutex::new(stream)),
        }
    }

    /// Ready when no call is under way, with the error of the last.
    pub(crate) fn poll_flush(&self, cx: &TaskContext<'_>) -> Poll<io::Result<()>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        if state.busy {
            let known = state.wait(waker);
            drop(state);
            drop(known);
            return Poll::Pending;
        }
        Poll::Ready(state.outcome.take().unwrap_or(Ok(())))
    }

    /// Takes bytes to be written, once those before are.
    pub(crate) fn poll_write(&self, cx: &TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        {
            let waker = cx.waker().clone();
            let mut state = lock(&self.state);
            if state.busy {
                let known = state.wait(waker);
                drop(state);
                drop(known);
                return Poll::Pending;
            }
            if let Some(Err(error)) = state.outcome.take() {
                return Poll::Ready(Err(error));
            }
            state.busy = true;
        }
        let bytes = bytes[..bytes.len().min(CALL_BYTES)].to_vec();
        let taken = bytes.len();
        let stream = Arc::clone(&self.stream);
        let call = Call(Some(Arc::clone(&self.state)));
        let run = move || {
            call.run(|| {
                let mut stream = lock(&*stream);
                let written = stream.write_all(&bytes).and_then(|()| stream.flush());
                (Vec::new(), written.err().map(Err))
            });
        };
        spawn_blocking(run).detach();
        Poll::Ready(Ok(taken))
    }

    #[cfg(any(windows, test))]
    pub(crate) async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        match self.write_now(buf.as_init()).await {
            Ok(written) => Ok((written, buf)),
            Err(error) => Err(BufError::new(error, buf, 0)),
        }
    }

    #[cfg(any(windows, test))]
    pub(crate) async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        let mut done = 0;
        while done < buf.bytes_init() {
            match self.write_now(&buf.as_init()[done..]).await {
                Ok(written) => done += written,
                Err(error) => return Err(BufError::new(error, buf, done)),
            }
        }
        Ok(((), buf))
    }

    /// Writes some and waits for it.
    pub(crate) async fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = poll_fn(|cx| self.poll_write(cx, bytes)).await?;
        poll_fn(|cx| self.poll_flush(cx)).await?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{PooledReader, PooledWriter};
    use crate::Builder;
    use crate::pool::PoolConfig;
    use crate::time::timeout;

    /// What a channel brings, as a stream that blocks.
    struct Slow(mpsc::Receiver<&'static [u8]>);

    impl Read for Slow {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.recv().unwrap_or_default();
            space[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn bytes_read_for_nobody_go_to_the_next_reader() {
        let runtime = Builder::new().build().expect("a runtime");
        runtime.block_on(async {
            let (say, slow) = mpsc::channel();
            let reader = PooledReader::new(Slow(slow));
            let waited = timeout(Duration::from_millis(1), reader.read(Vec::with_capacity(8)));
            assert!(waited.await.is_err(), "nothing has come");
            say.send(b"one two").expect("somebody reads");
            let (read, buf) = reader
                .clone()
                .read(Vec::with_capacity(3))
                .await
                .expect("read");
            assert_eq!((read, &buf[..]), (3, &b"one"[..]));
            say.send(b", three").expect("somebody reads");
            drop(say);
            let (read, buf) = reader.read_to_end(buf).await.expect("all");
            assert_eq!((read, &buf[..]), (11, &b"one two, three"[..]));
        });
    }

    /// Takes bytes, or panics.
    struct Moody(mpsc::Sender<Vec<u8>>);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(bytes != b"panic", "as it was told");
            self.0
                .send(bytes.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_dropped_write_has_given_is_written_and_errors_are_told_to_the_next() {
        let runtime = Builder::new().build().expect("a runtime");
        runtime.block_on(async {
            let (taken, written) = mpsc::channel();
            let writer = PooledWriter::new(Moody(taken));
            let given = std::future::poll_fn(|cx| writer.poll_write(cx, b"given"));
            assert_eq!(given.await.expect("taken"), 5);
            writer
                .write_all(b" and more".to_vec())
                .await
                .expect("taken");
            assert_eq!(written.recv().expect("written"), b"given");
            assert_eq!(written.recv().expect("written"), b" and more");
            let failed = writer
                .write(b"panic".to_vec())
                .await
                .expect_err("it panicked");
            assert_eq!(failed.buf, b"panic");
            drop(written);
            // A lock that was poisoned by the stream's own panic is no reason to stop.
            let failed = writer
                .write(b"gone".to_vec())
                .await
                .expect_err("nobody takes it");
            assert_eq!(failed.error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn a_call_that_the_pool_does_not_take_is_an_error_and_the_next_is_another() {
        let pool = PoolConfig {
            queue_max: 0,
            ..PoolConfig::default()
        };
        let full = Builder::new().pool(pool).build().expect("a runtime");
        let reader = PooledReader::new(&b"here"[..]);
        full.block_on(async {
            let refused = reader.read(Vec::with_capacity(8)).await;
            assert!(refused.is_err(), "there is no room for a call");
        });
        let runtime = Builder::new().build().expect("a runtime");
        runtime.block_on(async {
            let (read, _) = reader.read(Vec::with_capacity(8)).await.expect("room");
            assert_eq!(read, 4);
        });
    }
}
