//! The serving threads.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use core_affinity::CoreId;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};

use crate::protocol::{self, Served};

/// What every request is answered with, once its body has been read.
const BODY: &[u8] = b"Hello, world!\n";
/// The backlog of a listener: connections of a large case come at once.
const BACKLOG: i32 = 4096;

/// What to serve.
#[derive(Clone, Copy)]
enum Service {
    /// What comes in goes back.
    Echo,
    /// Every request gets a small body.
    Http,
}

/// What the command line asks for.
pub(crate) struct Task {
    service: Service,
    /// The CPU of the first thread; the others take those after it.
    cpu: usize,
    threads: usize,
    /// Bytes of the read buffer of an echo connection.
    buffer_bytes: usize,
}

impl Task {
    pub(crate) fn parse(arguments: &[String]) -> io::Result<Self> {
        let service = match arguments.first().map(String::as_str) {
            Some("echo") => Service::Echo,
            Some("http") => Service::Http,
            _ => return Err(usage()),
        };
        let mut task = Self {
            service,
            cpu: 0,
            threads: 1,
            buffer_bytes: 8192,
        };
        for argument in &arguments[1..] {
            let (name, value) = argument.split_once('=').ok_or_else(usage)?;
            let value: usize = value.parse().map_err(|_| usage())?;
            match name {
                "--cpu" => task.cpu = value,
                "--threads" if value > 0 => task.threads = value,
                "--buffer-bytes" if value > 0 => task.buffer_bytes = value,
                _ => return Err(usage()),
            }
        }
        Ok(task)
    }
}

fn usage() -> io::Error {
    io::Error::other(
        "usage: peer-tokio echo|http [--cpu=N] [--threads=N] [--buffer-bytes=N], or file …",
    )
}

/// Starts the threads and answers the measuring process; returns only if there is no server.
pub(crate) fn run(task: &Task) -> io::Result<()> {
    let served: Vec<Served> = (0..task.threads).map(|_| Served::default()).collect();
    let mut port = 0;
    let mut listeners = Vec::new();
    for _ in 0..task.threads {
        let listener = listen(port)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    let threads = listeners.into_iter().zip(&served).zip(task.cpu..);
    for ((listener, served), cpu) in threads {
        let (served, service, buffer_bytes) = (served.clone(), task.service, task.buffer_bytes);
        thread::spawn(move || {
            core_affinity::set_for_current(CoreId { id: cpu });
            if let Err(error) = serve(listener, service, buffer_bytes, &served) {
                protocol::failed(&error);
                std::process::exit(1);
            }
        });
    }
    protocol::listening(port)?;
    protocol::answer(&served);
    Ok(())
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn serve(
    listener: TcpListener,
    service: Service,
    buffer_bytes: usize,
    served: &Served,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (mut stream, _peer) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let served = served.clone();
            // A connection that fails is the load generator's to notice.
            match service {
                Service::Echo => drop(tokio::task::spawn_local(async move {
                    echo(&mut stream, buffer_bytes, &served).await
                })),
                Service::Http => drop(tokio::task::spawn_local(http(stream, served))),
            }
        }
    })
}

async fn echo(stream: &mut TcpStream, buffer_bytes: usize, served: &Served) -> io::Result<()> {
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
        served.add(read as u64);
    }
}

/// hyper with the settings that `annulet::net::http` has: a timer for slow headers, and answers to
/// pipelined requests that leave together.
async fn http(stream: TcpStream, served: Served) -> hyper::Result<()> {
    let service = service_fn(|request| {
        served.add(1);
        answer(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(Response::new(Full::new(Bytes::from_static(BODY))))
}
