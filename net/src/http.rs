//! HTTP/1.1 by hyper on a shard: a server with an orderly end, and the executor and timer that
//! hyper asks its runtime for.
//!
//! Each connection is a task of the shard that accepted it; the server is what
//! [`serve`](crate::serve()) is on one shard. When it is told to stop it closes its listener, lets
//! every connection finish the request it is at, and waits for them up to a deadline; then it drops
//! what is left.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use annulet_runtime::signal::Shutdown;
use annulet_runtime::time;
use hyper::body::{Body, Incoming};
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use send_wrapper::SendWrapper;

use crate::serve::shard::{Common, Settings, serve_shard};
use crate::tcp::TcpListener;

/// How long a server that is told to stop waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);

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
        let settings = Settings {
            drain: self.drain,
            ..Settings::default()
        };
        let leaving = Shutdown::new();
        let told = leaving.clone();
        let answer = async move |stream, _peer| {
            let connection = self.http.serve_connection(stream, self.service.clone());
            let mut connection = pin!(connection);
            let mut asked = told.asked();
            let mut told = false;
            poll_fn(|cx| {
                if !told && Pin::new(&mut asked).poll(cx).is_ready() {
                    connection.as_mut().graceful_shutdown();
                    told = true;
                }
                // What goes wrong on a connection is its peer's to hear of, and it has.
                connection.as_mut().poll(cx).map(drop)
            })
            .await;
        };
        let common = Arc::new(Common::new(settings, 1));
        let stopping = || leaving.ask();
        // A listener that is of no use any more ends the server as a stop does.
        let _ended = serve_shard(listener, stop, stopping, answer, common, 0).await;
    }
}
