//! An echo server and its client, on one shard.
//!
//! Teaches: accepting, a task per connection, receiving into the shard's own buffers and sending
//! such a buffer back without a copy; and that Unix streams and datagrams are used alike. With an
//! address it serves until ctrl-c, and without one it asks itself:
//! `cargo run --example echo -- 127.0.0.1:7000`, or `udp:127.0.0.1:7000`, or `unix:/tmp/echo`.

use std::io;
use std::io::Write;

use annulet::net::{TcpListener, TcpStream, UdpSocket};

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        annulet::spawn(async move {
            while let Some(message) = stream.recv().await? {
                stream.write_all(message).await?;
            }
            Ok::<(), io::Error>(())
        });
    }
}

/// Each datagram to where it came from.
async fn serve_udp(socket: UdpSocket) -> io::Result<()> {
    loop {
        let message = socket.recv().await?;
        if let Some(from) = message.meta.source_addr() {
            socket.send_to(message, from).await?;
        }
    }
}

#[cfg(unix)]
async fn serve_unix(path: &str) -> io::Result<()> {
    let listener = annulet::net::UnixListener::bind(path).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        annulet::spawn(async move {
            while let Some(message) = stream.recv().await? {
                stream.write_all(message).await?;
            }
            Ok::<(), io::Error>(())
        });
    }
}

/// There are none here.
#[cfg(not(unix))]
async fn serve_unix(_path: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn serve_at(address: &str) -> io::Result<()> {
    if let Some(path) = address.strip_prefix("unix:") {
        return serve_unix(path).await;
    }
    match address.strip_prefix("udp:") {
        Some(address) => serve_udp(UdpSocket::bind(address).await?).await,
        None => serve(TcpListener::bind(address).await?).await,
    }
}

#[annulet::main]
async fn main() -> io::Result<()> {
    if let Some(address) = std::env::args().nth(1) {
        let stop = annulet::signal::shutdown()?;
        return annulet::select! {
            served = serve_at(&address) => served,
            _ = stop => Ok(()),
        };
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = annulet::spawn(serve(listener));

    let client = TcpStream::connect(address).await?;
    client.write_all(b"hello, shard").await?;
    let answer = client.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let driver = annulet::Context::current().driver().report().to_string();
    writeln!(
        io::stdout(),
        "{} came back over {driver}",
        String::from_utf8_lossy(&answer)
    )?;

    server.abort();
    Ok(())
}
