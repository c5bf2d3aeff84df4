//! Servers on the runtime: echo in each way that a stream can be read, and HTTP by hyper.

use std::future::pending;
use std::io;
use std::net::TcpListener as StdListener;

use annulet::net::{TcpListener, TcpStream, http};
use annulet::{AsyncFd, Context, Driver, spawn};
use futures_util::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::ready::ReadyStream;
use super::{Streams, syscalls};
use crate::case::{Api, Echo, HTTP_ANSWER};
use crate::child::Control;

/// From this size on a message is read into a buffer of its connection's own.
const OWNED_BYTES_MIN: usize = 16 * 1024;

/// A buffer that a library reads into is no smaller.
const LENT_BYTES_MIN: usize = 8 * 1024;

/// Where a connection's task counts what it has served.
#[derive(Clone)]
struct Served {
    control: Control,
    driver: Driver,
}

impl Served {
    fn new(control: &Control) -> Self {
        Self {
            control: control.clone(),
            driver: Context::current().driver().clone(),
        }
    }

    fn add(&self, count: u64) {
        self.control.add_served(count);
        self.control.publish_syscalls(syscalls(&self.driver));
    }
}

/// Echoes on every connection.
pub(super) async fn echo(
    echo: &Echo,
    streams: Streams,
    listener: StdListener,
    control: &Control,
) -> io::Result<()> {
    let served = Served::new(control);
    let bytes = echo.message_bytes;
    // A connection that fails is the load generator's to notice.
    match (echo.api, streams) {
        (Api::Best, _) => {
            let owned = bytes >= OWNED_BYTES_MIN;
            each(listener, |stream| {
                let served = served.clone();
                // Blocks that borrow from themselves: what a function is given lies in its future
                // twice.
                if owned {
                    drop(spawn(
                        async move { echo_owned(&stream, &served, bytes).await },
                    ));
                } else {
                    drop(spawn(async move { echo_leases(&stream, &served).await }));
                }
                Ok(())
            })
            .await
        }
        (Api::PollTraits, Streams::Own) => {
            each(listener, |stream| {
                drop(spawn(echo_lent(stream, served.clone(), bytes)));
                Ok(())
            })
            .await
        }
        (Api::PollTraits, Streams::Ready) => {
            each_ready(listener, |stream| {
                drop(spawn(echo_lent(stream, served.clone(), bytes)));
            })
            .await
        }
    }
}

/// Answers HTTP on every connection.
pub(super) async fn http(
    streams: Streams,
    listener: StdListener,
    control: &Control,
) -> io::Result<()> {
    let served = Served::new(control);
    let service = service_fn(move |request: Request<Incoming>| {
        served.add(1);
        answer(request)
    });
    match streams {
        Streams::Own => {
            let listener = TcpListener::from_std(listener)?;
            http::Server::new(service).serve(listener, pending()).await;
            Err(io::Error::other("the server was told to stop"))
        }
        Streams::Ready => {
            // What `http::Server` sets.
            let mut http = http1::Builder::new();
            http.timer(http::ShardTimer).pipeline_flush(true);
            each_ready(listener, |stream| {
                drop(spawn(http.serve_connection(stream, service.clone())));
            })
            .await
        }
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(Response::new(Full::new(Bytes::from_static(HTTP_ANSWER))))
}

/// Accepts for ever.
async fn each(
    listener: StdListener,
    mut serve: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        serve(stream)?;
    }
}

/// Accepts for ever, and reads and writes connections when they are ready.
async fn each_ready(listener: StdListener, mut serve: impl FnMut(ReadyStream)) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = AsyncFd::new(listener)?;
    loop {
        let (stream, _peer) = listener.read_with(StdListener::accept).await?;
        serve(ReadyStream::new(stream)?);
    }
}

async fn echo_leases(stream: &TcpStream, served: &Served) -> io::Result<()> {
    while let Some(lease) = stream.recv().await? {
        let bytes = lease.len();
        stream.write_all(lease).await?;
        served.add(bytes as u64);
    }
    Ok(())
}

async fn echo_owned(stream: &TcpStream, served: &Served, bytes: usize) -> io::Result<()> {
    // With room for more than a message: a read that does not fill it has emptied the socket, and no
    // call is needed to find that.
    let mut buf = Vec::with_capacity(2 * bytes);
    loop {
        let (read, filled) = stream.read(buf).await?;
        if read == 0 {
            return Ok(());
        }
        let ((), back) = stream.write_all(filled).await?;
        served.add(read as u64);
        buf = back;
    }
}

/// As a library does that knows no runtime.
async fn echo_lent<S>(mut stream: S, served: Served, bytes: usize) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buf = vec![0; bytes.max(LENT_BYTES_MIN)];
    loop {
        let read = stream.read(&mut buf).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..read]).await?;
        served.add(read as u64);
    }
}
