//! A server on every shard: each has its own listener and its own state, and all end in good order.
//!
//! Teaches: `serve_with`, whose handler is made on the shard and may hold what must not leave it; a
//! limit to connections; the counts of a server; and its end by `Shutdown`, with a handler that
//! closes between two requests. The clients are a part of the program, and so is the request to
//! end: `Shutdown::on_signal` hears ctrl-c as well.

use std::cell::Cell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpStream, serve_with};
use annulet::select;
use annulet::signal::Shutdown;

const CLIENTS: u32 = 20;

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Answers each message with its number on this shard.
async fn number(stream: TcpStream, answered: &Cell<u64>, shutdown: &Shutdown) -> io::Result<()> {
    loop {
        select! {
            message = stream.recv() => {
                if message?.is_none() {
                    return Ok(());
                }
                answered.set(answered.get() + 1);
                stream.write_all(answered.get().to_be_bytes().to_vec()).await?;
            }
            // Nothing is under way on this connection.
            () = shutdown.asked() => return Ok(()),
        }
    }
}

async fn client(address: SocketAddr) -> io::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    stream.write_all(b"which number is this?").await?;
    let answer = stream.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let answer = answer[..].try_into().map_err(io::Error::other)?;
    Ok(u64::from_be_bytes(answer))
}

#[annulet::main(shards = 2)]
async fn main() -> io::Result<()> {
    let shutdown = Shutdown::on_signal()?;
    let asked = shutdown.clone();
    let server = serve_with("127.0.0.1:0", move |_shard| {
        // One of its own for each shard: no lock, no atomic.
        let answered = Rc::new(Cell::new(0));
        let asked = asked.clone();
        async move |stream, _peer| {
            // What goes wrong on a connection is its peer's to hear of.
            let _gone = number(stream, &answered, &asked).await;
        }
    });
    let server = server
        .connections_max(1_000)
        .drain(Duration::from_secs(5))
        .stop_on(&shutdown)
        .start()
        .await?;

    let mut highest = 0;
    for _ in 0..CLIENTS {
        highest = highest.max(client(server.local_addr()).await?);
    }
    say(&format!(
        "{CLIENTS} clients; no shard has answered more than {highest}"
    ))?;

    shutdown.ask();
    let stats = server.ended().await?;
    assert_eq!((stats.accepted, stats.open), (u64::from(CLIENTS), 0));
    say(&format!(
        "ended: {} accepted, {} cancelled",
        stats.accepted, stats.aborted
    ))
}
