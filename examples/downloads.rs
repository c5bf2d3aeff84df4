//! Twenty downloads: one after the other, all at once, and five at a time.
//!
//! Teaches: a future that is awaited at once has its task to itself; futures that are joined wait
//! at the same time (`try_join_all`, asyncio's `gather`); a `Semaphore` bounds how many of them do.
//! If a download takes `d`, then N of them take N·d, or d, or N·d/limit. All of it is one thread:
//! what is saved is waiting, not work.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulet::net::{TcpListener, TcpStream, http};
use annulet::sync::Semaphore;
use annulet::time::sleep;
use annulet::{try_join, try_join_all};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

type Failure = Box<dyn Error>;

const DOWNLOADS: u32 = 20;
const LIMIT: u32 = 5;
/// How long the server takes for a page: the `d` of the header.
const DELAY: Duration = Duration::from_millis(100);

/// How many requests the server is at, and how many it has been at once.
#[derive(Default)]
struct Load {
    now: Cell<u32>,
    peak: Cell<u32>,
}

/// What the server answers, slowly.
async fn page(request: Request<Incoming>, load: Rc<Load>) -> Result<Response<String>, Infallible> {
    load.now.set(load.now.get() + 1);
    load.peak.set(load.peak.get().max(load.now.get()));
    sleep(DELAY).await;
    load.now.set(load.now.get() - 1);
    Ok(Response::new(format!("this is {}", request.uri())))
}

/// Downloads one page, over a connection of its own.
async fn download(server: SocketAddr, number: u32) -> Result<Bytes, Failure> {
    let stream = TcpStream::connect(server).await?;
    let (mut client, connection) = http1::handshake(stream).await?;
    let request = Request::get(format!("/{number}"))
        .header("host", server.to_string())
        .body(Empty::<Bytes>::new())?;
    let page = async move {
        let answer = client.send_request(request).await?;
        Ok(answer.into_body().collect().await?.to_bytes())
    };
    // Two futures of this task: one asks, the other moves the bytes. The connection ends when
    // `client` is dropped, with the block that owns it.
    let (page, ()) = try_join!(page, connection)?;
    Ok(page)
}

/// Runs `downloads`, and says how long they took and how many were under way at once.
async fn timed(
    what: &str,
    load: &Load,
    downloads: impl Future<Output = Result<Vec<Bytes>, Failure>>,
) -> Result<(Duration, u32), Failure> {
    load.peak.set(0);
    let started = Instant::now();
    let pages = downloads.await?;
    let took = started.elapsed();
    for (number, page) in pages.iter().enumerate() {
        assert_eq!(
            *page,
            format!("this is /{number}"),
            "answers keep their order"
        );
    }
    let (seconds, peak) = (took.as_secs_f32(), load.peak.get());
    writeln!(io::stdout(), "{what:14} {seconds:.2} s, {peak:2} at once")?;
    Ok((took, peak))
}

#[annulet::main]
async fn main() -> Result<(), Failure> {
    let load = Rc::new(Load::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let shared = Rc::clone(&load);
    let service = service_fn(move |request| page(request, Rc::clone(&shared)));
    let serving = annulet::spawn(http::Server::new(service).serve(listener, pending()));

    let one_by_one = async {
        let mut pages = Vec::new();
        for number in 0..DOWNLOADS {
            pages.push(download(server, number).await?);
        }
        Ok(pages)
    };
    let (sequential, peak) = timed("one by one", &load, one_by_one).await?;
    assert_eq!(peak, 1);
    assert!(sequential >= DELAY * DOWNLOADS);

    let all_at_once = try_join_all((0..DOWNLOADS).map(|number| download(server, number)));
    let (concurrent, peak) = timed("all at once", &load, all_at_once).await?;
    assert!(peak > LIMIT);
    assert!(concurrent >= DELAY && concurrent < sequential / 3);

    // The futures are there at once, all twenty; who has no permit waits for one.
    let permits = &Semaphore::new(LIMIT.try_into()?);
    let a_few = try_join_all((0..DOWNLOADS).map(async |number| {
        let _permit = permits.acquire().await?;
        download(server, number).await
    }));
    let (limited, peak) = timed("five at a time", &load, a_few).await?;
    assert!(peak > 1 && peak <= LIMIT);
    assert!(limited >= DELAY * DOWNLOADS / LIMIT && limited < sequential * 2 / 3);

    serving.abort();
    Ok(())
}
