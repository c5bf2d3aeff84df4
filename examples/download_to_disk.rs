//! Downloads to disk: with progress, a time limit for each, and a way to stop one. Whatever ends a
//! download early, it leaves no partial file.
//!
//! Teaches: `CancelScope`, which ends what runs in it, at its deadline or when a clone of it is
//! told to, and lets the code around it clean up, with awaits of its own (asyncio: `timeout()`, and
//! `Task.cancel()` with `try … finally`); `sync::watch` for progress; and writing to a name of its
//! own, so that a file under its real name is always whole.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use annulet::fs::{self, File};
use annulet::net::{TcpListener, TcpStream, http};
use annulet::stream::{Stream, stream};
use annulet::sync::watch;
use annulet::time::sleep;
use annulet::{CancelCause, CancelScope, Cancelled, join, try_join};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

type Failure = Box<dyn Error>;

const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 16;
const BYTES: usize = CHUNK * CHUNKS;
/// How long a download may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body of a megabyte, in chunks that come one after the other; that of `/stalled` stops coming.
async fn serve(
    request: Request<Incoming>,
) -> hyper::Result<Response<StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>>>>> {
    let stalls = request.uri().path() == "/stalled";
    let body = StreamBody::new(stream! {
        for chunk in 0..CHUNKS {
            if stalls && chunk == CHUNKS / 2 {
                pending::<()>().await;
            }
            sleep(Duration::from_millis(5)).await;
            yield Ok(Frame::data(Bytes::from(vec![b'x'; CHUNK])));
        }
    });
    let mut answer = Response::new(body);
    answer.headers_mut().insert("content-length", BYTES.into());
    Ok(answer)
}

/// Moves what `/name` brings into `file`, and says how far it has come.
async fn transfer(
    server: SocketAddr,
    name: &str,
    file: &File,
    progress: &watch::Sender<usize>,
) -> Result<usize, Failure> {
    let stream = TcpStream::connect(server).await?;
    let (mut client, connection) = http1::handshake(stream).await?;
    let request = Request::get(format!("/{name}"))
        .header("host", server.to_string())
        .body(Empty::<Bytes>::new())?;
    let transfer = async move {
        let mut body = client.send_request(request).await?.into_body();
        let mut done = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                let length = bytes.len();
                file.write_all_at(Vec::from(bytes), done as u64).await?;
                done += length;
                progress.send_replace(done);
            }
        }
        Ok::<_, Failure>(done)
    };
    let (bytes, ()) = try_join!(transfer, async { Ok(connection.await?) })?;
    Ok(bytes)
}

/// Downloads `/name` to a file of that name.
async fn save(
    server: SocketAddr,
    name: &str,
    folder: &Path,
    scope: &CancelScope,
    progress: watch::Sender<usize>,
) -> Result<usize, Failure> {
    let part = folder.join(format!("{name}.part"));
    let file = File::create(&part).await?;
    // A failure, the deadline, the user: each ends the transfer in here …
    let ended = scope.run(transfer(server, name, &file, &progress)).await;
    let saved = ended.map_err(Failure::from).and_then(|saved| saved);
    // … and what comes after goes on: the scope is over, nothing disturbs these awaits.
    match saved {
        Ok(bytes) => {
            file.close().await?;
            fs::rename(&part, folder.join(name)).await?;
            Ok(bytes)
        }
        Err(failure) => {
            // A write may still be under way; the file is closed after it.
            drop(file);
            fs::remove_file(&part).await?;
            Err(failure)
        }
    }
}

/// Prints how far a download has come, at each quarter.
async fn show(name: &str, mut progress: watch::Receiver<usize>) -> io::Result<()> {
    let mut shown = 0;
    while progress.changed().await.is_ok() {
        let percent = *progress.borrow_and_update() * 100 / BYTES;
        if percent >= shown + 25 {
            shown = percent;
            writeln!(io::stdout(), "{name}: {percent} %")?;
        }
    }
    Ok(())
}

/// Why a download was ended from outside; nothing, if it failed by itself.
fn cause(failure: &Failure) -> Option<CancelCause> {
    failure.downcast_ref().map(Cancelled::cause)
}

#[annulet::main]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let serving = annulet::spawn(http::Server::new(service_fn(serve)).serve(listener, pending()));
    let folder = tempfile::tempdir()?;
    let folder = folder.path();

    let [quick, stalled, unwanted] = [(); 3].map(|()| CancelScope::with_timeout(PATIENCE));
    let [to_quick, to_stalled, to_unwanted] = [(); 3].map(|()| watch::channel(0).0);
    let quick_progress = to_quick.subscribe();
    let mut unwanted_progress = to_unwanted.subscribe();
    let change_of_mind = async {
        unwanted_progress
            .wait_for(|bytes| *bytes >= BYTES / 4)
            .await?;
        unwanted.cancel();
        Ok::<_, Failure>(())
    };
    let (saved, timed_out, stopped, shown, changed) = join!(
        save(server, "quick", folder, &quick, to_quick),
        save(server, "stalled", folder, &stalled, to_stalled),
        save(server, "unwanted", folder, &unwanted, to_unwanted),
        show("quick", quick_progress),
        change_of_mind,
    );
    shown?;
    changed?;

    assert_eq!(saved?, BYTES);
    let timed_out = timed_out.expect_err("half of it never comes");
    assert_eq!(cause(&timed_out), Some(CancelCause::Deadline));
    let stopped = stopped.expect_err("the user has stopped it");
    assert_eq!(cause(&stopped), Some(CancelCause::Asked));
    writeln!(io::stdout(), "stalled: {timed_out}\nunwanted: {stopped}")?;

    // One file is there, and it is whole.
    let mut entries = fs::read_dir(folder).await?;
    let only = entries.next_entry().await?.expect("the quick one");
    assert_eq!(only.path(), folder.join("quick"));
    assert!(entries.next_entry().await?.is_none());
    assert_eq!(fs::read(folder.join("quick")).await?, vec![b'x'; BYTES]);
    serving.abort();
    Ok(())
}
