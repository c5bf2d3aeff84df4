//! An HTTP/1.1 server on every shard.
//!
//! Teaches: a listener per shard on one port (the kernel spreads the connections), hyper on a
//! shard, and an orderly end. With an address it serves until ctrl-c, and then ends the requests
//! under way: `cargo run --release --example hyper_http1 -- 127.0.0.1:8080`. Without one it asks
//! itself once.

use std::convert::Infallible;
use std::io;
use std::io::Write;
use std::net::SocketAddr;

use annulet::net::{TcpListener, TcpStream, http};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!("you asked for {}\n", request.uri())))
}

#[annulet::main(shards = "all")]
async fn main() -> io::Result<()> {
    let Some(address) = std::env::args().nth(1) else {
        return ask_itself().await;
    };
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    writeln!(io::stdout(), "http://{address}, until ctrl-c")?;
    let served = annulet::for_each_shard(move |_| async move {
        let listener = TcpListener::bind_shared(address)?;
        let stop = annulet::signal::shutdown()?;
        http::Server::new(service_fn(hello))
            .serve(listener, stop)
            .await;
        Ok(())
    });
    served
        .await
        .map_err(io::Error::other)?
        .into_iter()
        .collect()
}

async fn ask_itself() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let asked = annulet::spawn(async move {
        let request = "GET /itself HTTP/1.1\r\nHost: shard\r\nConnection: close\r\n\r\n";
        client.write_all(request).await?;
        while let Some(bytes) = client.recv().await? {
            io::stdout().write_all(&bytes)?;
        }
        Ok::<(), io::Error>(())
    });
    let stop = async move {
        let _answered = asked.await;
    };
    http::Server::new(service_fn(hello))
        .serve(listener, stop)
        .await;
    Ok(())
}
