//! A server that ends in good order: asked by `SIGTERM`, it stops accepting, lets its clients
//! finish, cleans up, and exits.
//!
//! Teaches: `Shutdown::on_signal` as the one request for all, a guard for each connection, handlers
//! that look between two requests, and draining with a deadline. A second signal would end the
//! process at once. The client is a part of the program, and so is the request to end: press ctrl-c
//! in a server of yours.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::process::Command;
use annulet::select;
use annulet::signal::{Guard, Shutdown};
use annulet::time::sleep;

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Answers each request after a while, and closes between two requests if the server is to end.
async fn serve(stream: TcpStream, guard: Guard) -> io::Result<()> {
    while !guard.is_asked() {
        select! {
            request = stream.recv() => {
                let Some(request) = request? else { break };
                sleep(Duration::from_millis(50)).await;
                stream.write_all(request).await?;
            }
            // Nothing is under way on this connection.
            () = guard.asked() => break,
        }
    }
    Ok(())
}

/// Sends requests until the server closes; says how many were answered.
async fn client(address: SocketAddr) -> io::Result<u32> {
    let stream = TcpStream::connect(address).await?;
    let mut answered = 0;
    loop {
        stream.write_all(b"request").await?;
        match stream.recv().await {
            Ok(Some(_answer)) => answered += 1,
            Ok(None) => return Ok(answered),
            // A request that the server never began: to be made of another.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(answered),
            Err(error) => return Err(error),
        }
    }
}

/// What a service manager does. (Windows has nothing like it, so there the program asks itself.)
async fn ask_to_end(shutdown: Shutdown) -> io::Result<()> {
    sleep(Duration::from_millis(130)).await;
    if cfg!(unix) {
        let own = process::id().to_string();
        Command::new("kill")
            .args(["-s", "TERM", &own])
            .status()
            .await?;
    } else {
        shutdown.ask();
    }
    Ok(())
}

#[annulet::main]
async fn main() -> io::Result<()> {
    let shutdown = Shutdown::on_signal()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let client = annulet::spawn(client(address));
    annulet::spawn(ask_to_end(shutdown.clone()));

    loop {
        select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                annulet::spawn(serve(stream, shutdown.guard()));
            }
            () = shutdown.asked() => break,
        }
    }
    drop(listener);
    say(&format!(
        "asked to end: no more connections, {} at work",
        shutdown.open()
    ))?;

    match shutdown.drained(Duration::from_secs(10)).await {
        Ok(()) => say("drained: every request that was begun is answered")?,
        Err(undrained) => say(&undrained.to_string())?,
    }

    let late = TcpStream::connect(address).await;
    assert!(late.is_err() && shutdown.open() == 0, "nobody was let in");
    let answered = client.await.map_err(io::Error::other)??;
    assert!(answered > 0, "what was begun was answered");
    say(&format!(
        "the client had {answered} answers and then the end"
    ))?;
    // Here a server would flush its files and tell its peers.
    say("cleaned up")
}
