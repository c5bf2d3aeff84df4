//! What `benches/instructions.rs` counts the instructions of: the hot paths, each so many times.
//!
//! A runtime here runs on virtual time where timers fire, and its budget never ends, so that how
//! often it looks elsewhere does not depend on how slowly it runs.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Poll, Waker};
use std::time::Duration;

use annulet::sync::{mpsc, shared};
use annulet::{
    BlockingHandle, Builder, Choice, JoinHandle, PoolConfig, Runtime, spawn, spawn_blocking, time,
    yield_now,
};

/// How often each path is gone through.
pub const TIMES: usize = 1000;

/// Longer than anything takes.
const NEVER: Duration = Duration::from_secs(1 << 20);

fn builder() -> Builder {
    Builder::new()
        .ignore_environment()
        .driver(Choice::Poll)
        .budget(NEVER)
        .spin(Duration::ZERO)
        .virtual_time()
}

/// A runtime that has done nothing yet.
///
/// # Panics
///
/// If there is none to be had.
#[must_use]
pub fn runtime() -> Runtime {
    builder().build().expect("a runtime on the poll driver")
}

/// A runtime that has the memory it needs, for all that is counted here.
#[must_use]
pub fn warm() -> Runtime {
    let runtime = runtime();
    runtime.block_on(spawns(TIMES));
    runtime.block_on(sleeps_slept(TIMES));
    calls(&runtime, TIMES);
    runtime
}

/// Has so many tasks yield so often.
pub async fn yields(tasks: usize, times: usize) {
    let others: Vec<_> = (0..tasks)
        .map(|_| {
            spawn(async move {
                for _ in 0..times {
                    yield_now().await;
                }
            })
        })
        .collect();
    join(others).await;
}

/// Spawns so many tasks, then joins them.
pub async fn spawns(times: usize) {
    join((0..times).map(|_| spawn(async {})).collect()).await;
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// Starts a sleep and gives it up, so many times.
pub async fn sleeps_given_up(times: usize) {
    poll_fn(|cx| {
        for _ in 0..times {
            let mut sleep = time::sleep(NEVER);
            let _pending = Pin::new(&mut sleep).poll(cx);
        }
        Poll::Ready(())
    })
    .await;
}

/// Has so many tasks sleep, each until another tick.
pub async fn sleeps_slept(times: usize) {
    let sleep = |number| async move {
        time::sleep(Duration::from_micros(100 * number)).await;
    };
    join(
        (1..=times as u64)
            .map(|number| spawn(sleep(number)))
            .collect(),
    )
    .await;
}

/// Sends so many messages from one task to another, through a channel of one shard.
///
/// # Panics
///
/// If a message is lost.
pub async fn messages_within(times: usize) {
    let (sender, mut receiver) = mpsc::bounded(128);
    let sending = spawn(async move {
        for number in 0..times {
            sender.send(number).await.expect("somebody receives");
        }
    });
    while receiver.recv().await.is_some() {}
    sending.await.expect("no panic");
}

/// As [`messages_within`], through a channel that could be between two shards.
///
/// # Panics
///
/// If a message is lost.
pub async fn messages_between(times: usize) {
    let (sender, mut receiver) = shared::mpsc::bounded(128);
    let sending = spawn(async move {
        for number in 0..times {
            sender.send(number).await.expect("somebody receives");
        }
    });
    while receiver.recv().await.is_some() {}
    sending.await.expect("no panic");
}

/// Has another thread's worth of calls run by the runtime, all sent before the first runs.
///
/// # Panics
///
/// If a call panics.
pub fn calls(runtime: &Runtime, times: usize) {
    let handle = runtime.handle();
    let sent: Vec<_> = (0..times).map(|_| handle.spawn(|| async {})).collect();
    runtime.block_on(async {
        for call in sent {
            call.await.expect("no panic");
        }
    });
}

/// Tasks that wait to be woken by somebody outside of their runtime.
#[derive(Debug)]
pub struct Sleepers {
    wakers: Vec<Waker>,
    runtime: Runtime,
}

impl Sleepers {
    /// So many of them.
    #[must_use]
    pub fn new() -> Self {
        let runtime = warm();
        let wakers = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&wakers);
        runtime.block_on(async move {
            for _ in 0..TIMES {
                let wakers = Rc::clone(&seen);
                drop(spawn(poll_fn(move |cx| {
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::<()>::Pending
                })));
            }
            yield_now().await;
        });
        let wakers = wakers.take();
        Self { wakers, runtime }
    }

    /// Wakes each once, on the road for other threads.
    pub fn wake(&self) {
        self.wakers.iter().for_each(Waker::wake_by_ref);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.runtime.tasks().len()
    }
}

impl Default for Sleepers {
    fn default() -> Self {
        Self::new()
    }
}

/// A runtime whose pool has one thread, which is stuck: calls are queued and none is run.
#[derive(Debug)]
pub struct Paused {
    queued: Vec<BlockingHandle<()>>,
    /// The end of this is the end of the call that the thread is stuck in.
    _release: Sender<()>,
    runtime: Runtime,
}

impl Paused {
    /// Waits until the thread is stuck.
    ///
    /// # Panics
    ///
    /// If the runtime or the thread cannot be had.
    #[must_use]
    pub fn new() -> Self {
        let pool = PoolConfig {
            threads_core: 1,
            threads_max: 1,
            ..PoolConfig::default()
        };
        let runtime = builder().pool(pool).build().expect("a runtime");
        let (release, wait): (Sender<()>, Receiver<()>) = channel();
        let (tell, told) = channel();
        runtime.block_on(async {
            let stuck = spawn_blocking(move || {
                tell.send(()).expect("somebody waits");
                // An error when the other end goes, which is what it waits for.
                let _gone = wait.recv();
            });
            stuck.detach();
        });
        told.recv().expect("the thread has begun");
        Self {
            runtime,
            queued: Vec::with_capacity(TIMES),
            _release: release,
        }
    }

    /// Queues so many calls.
    #[must_use]
    pub fn submit(mut self, times: usize) -> Self {
        let queued = &mut self.queued;
        self.runtime.block_on(async {
            queued.extend((0..times).map(|_| spawn_blocking(|| ())));
        });
        self
    }
}

impl Default for Paused {
    fn default() -> Self {
        Self::new()
    }
}

/// Connections that are echoed on, and their clients' ends.
#[derive(Debug)]
pub struct Echoes {
    clients: Vec<TcpStream>,
    runtime: Runtime,
}

impl Echoes {
    /// So many connections, with a task each.
    ///
    /// # Panics
    ///
    /// If sockets cannot be had.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        let runtime = warm();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let clients = runtime.block_on(async {
            let pairs = (0..connections).map(|_| {
                let client = TcpStream::connect(address).expect("a socket");
                let (server, _) = listener.accept().expect("a connection");
                let server = annulet::net::TcpStream::from_std(server).expect("a stream");
                drop(spawn(echo(server)));
                client
            });
            let clients: Vec<_> = pairs.collect();
            yield_now().await;
            clients
        });
        let mut echoes = Self { clients, runtime };
        echoes.rounds(2);
        echoes
    }

    /// Has each connection echo one message, so many times.
    ///
    /// # Panics
    ///
    /// If an echo is lost.
    pub fn rounds(&mut self, rounds: usize) {
        let clients = &mut self.clients;
        self.runtime.block_on(async {
            let mut answer = [0; 64];
            for _ in 0..rounds {
                for client in &mut *clients {
                    client.write_all(&[1; 64]).expect("room");
                }
                // The first park finds all of them readable, and each has echoed in the next tick.
                time::sleep(Duration::from_micros(1)).await;
                for client in &mut *clients {
                    let read = client.read(&mut answer).expect("an echo");
                    assert_eq!(read, answer.len());
                }
            }
        });
    }
}

async fn echo(stream: annulet::net::TcpStream) {
    while let Some(lease) = stream.recv().await.expect("a message, or the end") {
        stream.write_all(lease).await.expect("room");
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Echoes, Paused, Sleepers, TIMES, calls, messages_between, messages_within, sleeps_given_up,
        warm, yields,
    };

    #[test]
    fn every_path_can_be_gone_through() {
        let runtime = warm();
        runtime.block_on(yields(3, 5));
        runtime.block_on(sleeps_given_up(5));
        runtime.block_on(messages_within(500));
        runtime.block_on(messages_between(500));
        calls(&runtime, 5);
        let sleepers = Sleepers::new();
        assert_eq!(sleepers.count(), TIMES);
        sleepers.wake();
        Echoes::new(3).rounds(5);
        let paused = Paused::new().submit(5);
        assert_eq!(paused.queued.len(), 5);
    }
}
