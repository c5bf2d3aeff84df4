//! A proxy between clients and one server, with each half closed as its other end closes it.
//!
//! Teaches: `copy_bidirectional`, which moves bytes both ways at once, and large loads within the
//! kernel: a slow reader holds its writer back and nothing piles up here, and an end is
//! passed on as an end, not as a close. With two addresses it stands between them until ctrl-c:
//! `cargo run --release --example proxy -- 127.0.0.1:5202 127.0.0.1:5201`. Without any it shows
//! itself a transfer.

use std::io::{self, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream, copy_bidirectional};
use annulet::time::sleep;
use annulet::{select, spawn};

/// One client, from its first byte to the end of the later direction. An error ends both.
async fn relay(client: TcpStream, upstream: Rc<str>) -> io::Result<(u64, u64)> {
    let server = TcpStream::connect(&*upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&client, &server)
        .await
        .map_err(io::Error::other)
}

async fn accept(listener: TcpListener, upstream: Rc<str>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(spawn(relay(client, Rc::clone(&upstream)))),
            // Out of descriptors, most likely: some will come back.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

#[annulet::main]
async fn main() -> io::Result<()> {
    let mut addresses = std::env::args().skip(1);
    if let (Some(address), Some(upstream)) = (addresses.next(), addresses.next()) {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        writeln!(io::stdout(), "{address} to {upstream}, until ctrl-c")?;
        let stop = annulet::signal::shutdown()?;
        select! {
            () = accept(listener, upstream.into()) => {}
            _ = stop => {}
        }
        return Ok(());
    }
    show().await
}

/// A client that sends much, closes its half, and still gets the answer: how much it was.
async fn show() -> io::Result<()> {
    const MUCH: usize = 4 << 20;
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = server.local_addr()?.to_string();
    let client = TcpStream::connect(proxy.local_addr()?).await?;
    let proxy = spawn(accept(proxy, upstream.into()));
    let counting = spawn(async move {
        let (stream, _) = server.accept().await?;
        let mut bytes = 0;
        while let Some(received) = stream.recv().await? {
            bytes += received.len();
        }
        stream.write_all(bytes.to_string()).await?;
        Ok::<(), io::Error>(())
    });
    client.write_all(vec![b'.'; MUCH]).await?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    while let Some(received) = client.recv().await? {
        answer.extend_from_slice(&received);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(answer, MUCH.to_string());
    counting.await.map_err(io::Error::other)??;
    writeln!(io::stdout(), "{answer} bytes went through")?;
    proxy.abort();
    Ok(())
}
