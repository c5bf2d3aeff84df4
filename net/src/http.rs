//! HTTP/1.1 by hyper on a shard: a server with an orderly end, and the executor and timer that
//! hyper asks its runtime for.
//!
//! Each connection is a task of the shard that accepted it. When the server is told to stop it
//! closes its listener, lets every connection finish the request it is at, and waits for them up to
//! a deadline; then it drops what is left.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annulet_runtime::time;
use hyper::body::{Body, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use send_wrapper::SendWrapper;

use crate::tcp::{TcpListener, TcpStream};

/// How long a server that is told to stop waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);
/// How long accepting rests after an error, as when the process is out of descriptors.
const REST: Duration = Duration::from_millis(20);

/// hyper's executor on this shard: futures become tasks here and need not be `Send`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardExecutor;

impl<F: Future + 'static> rt::Executor<F> for ShardExecutor {
    fn execute(&self, future: F) {
        annulet_runtime::spawn(async move {
            future.await;
        });
    }
}

/// hyper's timer on this shard's wheel.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardTimer;

/// A sleep where hyper wants a `Send` one: it never leaves the shard, and panics if made to.
struct ShardSleep(SendWrapper<time::Sleep>);

impl Future for ShardSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut *self.0).poll(cx)
    }
}

impl rt::Sleep for ShardSleep {}

impl rt::Timer for ShardTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(ShardSleep(SendWrapper::new(time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(ShardSleep(SendWrapper::new(time::sleep_until(deadline))))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<ShardSleep>() {
            Some(mut ours) => ours.0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// An HTTP/1.1 server of one shard.
///
/// # Examples
///
/// ```no_run
/// use std::convert::Infallible;
///
/// use annulet_net::{TcpListener, http};
/// use hyper::service::service_fn;
/// use hyper::{Request, Response, body::Incoming};
///
/// async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new(format!("you asked for {}\n", request.uri())))
/// }
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = annulet_runtime::signal::shutdown()?;
/// http::Server::new(service_fn(hello)).serve(listener, stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a server does nothing until it serves"]
pub struct Server<S> {
    service: S,
    http: http1::Builder,
    drain: Duration,
}

impl<S> fmt::Debug for Server<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

impl<S> Server<S> {
    /// A server of this service, which each connection gets a clone of.
    ///
    /// Connections stay open between requests, and answers to requests that came together leave
    /// together.
    pub fn new(service: S) -> Self {
        let mut http = http1::Builder::new();
        http.timer(ShardTimer).pipeline_flush(true);
        Self {
            service,
            http,
            drain: DRAIN,
        }
    }

    /// Changes hyper's settings of a connection, as its timeouts and limits.
    pub fn http(mut self, change: impl FnOnce(&mut http1::Builder)) -> Self {
        change(&mut self.http);
        self
    }

    /// How long requests under way are waited for once the server is told to stop (10 s).
    pub fn drain(mut self, longest: Duration) -> Self {
        self.drain = longest;
        self
    }

    /// Serves the connections of `listener` until `stop` is done and those then open have ended.
    ///
    /// A connection that fails ends alone; so does one whose service panics. Errors of accepting,
    /// as when the process is out of descriptors, are waited out.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the listener and ends all connections at once.
    pub async fn serve<B>(self, listener: TcpListener, stop: impl Future<Output = ()>)
    where
        S: HttpService<Incoming, ResBody = B> + Clone + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let open = Rc::new(Open::default());
        let _at_the_end = EndAll(&open);
        let mut stop = pin!(stop);
        while let Some(accepted) = next(&listener, stop.as_mut()).await {
            match accepted {
                Ok(stream) => self.answer(stream, &open),
                // A peer that has gone away again, or a limit that others must lift first.
                Err(_) => time::sleep(REST).await,
            }
        }
        drop(listener);
        open.change(Phase::Draining);
        // Late connections are dropped with the rest, by the guard.
        let _late = time::timeout(self.drain, open.all_ended()).await;
    }

    fn answer<B>(&self, stream: TcpStream, open: &Rc<Open>)
    where
        S: HttpService<Incoming, ResBody = B> + Clone + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        // Without it answers may wait for acknowledgements; where it fails, they only do so.
        let _slower = stream.set_nodelay(true);
        let connection = self.http.serve_connection(stream, self.service.clone());
        let entry = Entry::new(open);
        annulet_runtime::spawn(async move {
            let mut connection = pin!(connection);
            let mut told = false;
            poll_fn(|cx| {
                match entry.poll_phase(cx) {
                    Phase::Serving => {}
                    Phase::Draining if told => {}
                    Phase::Draining => {
                        connection.as_mut().graceful_shutdown();
                        told = true;
                    }
                    Phase::Over => return Poll::Ready(()),
                }
                // What goes wrong on a connection is its peer's to hear of, and it has.
                connection.as_mut().poll(cx).map(drop)
            })
            .await;
        });
    }
}

/// The next connection, or `None` once told to stop.
async fn next(
    listener: &TcpListener,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<io::Result<TcpStream>> {
    let mut accept = pin!(listener.accept());
    poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        accept
            .as_mut()
            .poll(cx)
            .map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    })
    .await
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Serving,
    /// Each connection ends after the request it is at.
    Draining,
    /// Each connection ends at once.
    Over,
}

/// The connections of a server, and what they are to do.
#[derive(Default)]
struct Open {
    phase: Cell<Phase>,
    next: Cell<u64>,
    wakers: RefCell<HashMap<u64, Option<Waker>>>,
    server: RefCell<Option<Waker>>,
}

impl Open {
    fn change(&self, phase: Phase) {
        self.phase.set(phase);
        let wakers: Vec<Waker> = self
            .wakers
            .borrow_mut()
            .values_mut()
            .filter_map(Option::take)
            .collect();
        for waker in wakers {
            waker.wake();
        }
    }

    async fn all_ended(&self) {
        poll_fn(|cx| {
            if self.wakers.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.server.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Ends what is open when the server ends in whatever way.
struct EndAll<'a>(&'a Open);

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        self.0.change(Phase::Over);
    }
}

/// One connection's place among the open ones, until it is dropped.
struct Entry {
    id: u64,
    open: Rc<Open>,
}

impl Entry {
    fn new(open: &Rc<Open>) -> Self {
        let id = open.next.get();
        open.next.set(id + 1);
        open.wakers.borrow_mut().insert(id, None);
        Self {
            id,
            open: Rc::clone(open),
        }
    }

    /// What to do now; the waker is left for the next change.
    fn poll_phase(&self, cx: &Context<'_>) -> Phase {
        let phase = self.open.phase.get();
        if phase != Phase::Over {
            let mut wakers = self.open.wakers.borrow_mut();
            let place = wakers.entry(self.id).or_default();
            if !place
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                *place = Some(cx.waker().clone());
            }
        }
        phase
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ours = self.open.wakers.borrow_mut().remove(&self.id);
        drop(ours);
        if self.open.wakers.borrow().is_empty()
            && let Some(server) = self.open.server.take()
        {
            server.wake();
        }
    }
}
