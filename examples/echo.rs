//! An echo server and its client, on one shard.
//!
//! Teaches: accepting, a task per connection, receiving into the shard's own buffers and sending
//! such a buffer back without a copy. With an address it serves until ctrl-c, and without one it
//! asks itself: `cargo run --example echo -- 127.0.0.1:7000`.

use std::io;
use std::io::Write;

use annulet::net::{TcpListener, TcpStream};

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

#[annulet::main]
async fn main() -> io::Result<()> {
    if let Some(address) = std::env::args().nth(1) {
        let listener = TcpListener::bind(address).await?;
        let stop = annulet::signal::shutdown()?;
        return annulet::select! {
            served = serve(listener) => served,
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
