//! One column to a circumstance. Each ends by showing that the operation can be made again on the
//! same thing, that no slot is taken, and so that whoever was cancelled has left nothing behind.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use annulet::Context;
use annulet::time::{sleep, timeout};

use super::rows::{Row, Scene};

/// How long anything may take that does not wait for us.
const PATIENCE: Duration = Duration::from_secs(30);

type Column = fn(&'static Row) -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Every circumstance, by name.
pub(crate) const CIRCUMSTANCES: &[(&str, Column)] = &[
    ("completes", |row| Box::pin(completes(row))),
    ("completes at once", |row| Box::pin(completes_at_once(row))),
    ("fails", |row| Box::pin(fails(row))),
    ("dropped before submission", |row| Box::pin(unpolled(row))),
    ("dropped in flight", |row| Box::pin(dropped(row))),
    ("dropped when done", |row| Box::pin(dropped_done(row))),
    ("aborted", |row| Box::pin(aborted(row))),
    ("timed out", |row| Box::pin(timed_out(row))),
    ("lost a race", |row| Box::pin(lost(row))),
];

fn text(error: io::Error) -> String {
    error.to_string()
}

async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

async fn soon<F: Future<Output = io::Result<()>>>(future: F) -> Result<(), String> {
    match timeout(PATIENCE, future).await {
        Ok(answer) => answer.map_err(text),
        Err(_elapsed) => Err("no answer".to_owned()),
    }
}

/// The kernel has let go of everything, but for requests that stay armed with their socket.
async fn settle(armed: usize) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let in_flight = Context::current().driver().in_flight();
        if in_flight <= armed {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{in_flight} slots are still taken"));
        }
        sleep(Duration::from_micros(200)).await;
    }
}

/// The operation still works after what was done to it, and leaves nothing.
async fn again(row: &Row, scene: Scene) -> Result<(), String> {
    settle(row.armed).await?;
    let operation = (scene.operate)();
    let _peer = (scene.release)();
    soon(operation)
        .await
        .map_err(|error| format!("made again: {error}"))?;
    drop(scene.operate);
    settle(0).await
}

async fn completes(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    let mut operation = (scene.operate)();
    if !is_pending(&mut operation).await {
        // Polled to its end already.
        drop(operation);
        if row.waits {
            return Err("it did not wait".to_owned());
        }
        return again(row, scene).await;
    }
    for _ in 0..3 {
        annulet::yield_now().await;
    }
    if row.waits && !is_pending(&mut operation).await {
        return Err("it did not wait".to_owned());
    }
    let _peer = (scene.release)();
    soon(operation).await?;
    drop(scene.operate);
    settle(0).await
}

async fn completes_at_once(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    let _peer = (scene.release)();
    soon((scene.operate)()).await?;
    drop(scene.operate);
    settle(0).await
}

async fn fails(row: &Row) -> Result<(), String> {
    let Some(failure) = row.failure else {
        return Ok(());
    };
    let failure = failure().map_err(text)?;
    match timeout(PATIENCE, failure.operate).await {
        Ok(Err(error)) if error.raw_os_error() == Some(failure.errno) => {}
        Ok(other) => {
            let want = io::Error::from_raw_os_error(failure.errno);
            return Err(format!("{other:?} and not {want:?}"));
        }
        Err(_elapsed) => return Err("no answer".to_owned()),
    }
    settle(0).await
}

async fn unpolled(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    let before = Context::current().driver().in_flight();
    drop((scene.operate)());
    if Context::current().driver().in_flight() != before {
        return Err("it took a slot before it was polled".to_owned());
    }
    again(row, scene).await
}

async fn dropped(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    for yields in 0..3 {
        let mut operation = (scene.operate)();
        let pending = is_pending(&mut operation).await;
        for _ in 0..yields {
            annulet::yield_now().await;
        }
        drop(operation);
        if row.waits && !pending {
            return Err("it did not wait".to_owned());
        }
        settle(row.armed).await?;
    }
    again(row, scene).await
}

/// Released, and dropped without having been asked again. What it got must not be lost.
async fn dropped_done(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    let mut operation = (scene.operate)();
    let pending = is_pending(&mut operation).await;
    let _peer = (scene.release)();
    if pending {
        // Long enough for the kernel, and for a thread of the pool.
        sleep(Duration::from_millis(2)).await;
    }
    drop(operation);
    if pending {
        soon((scene.operate)())
            .await
            .map_err(|error| format!("made again: {error}"))?;
    }
    drop(scene.operate);
    settle(0).await
}

async fn aborted(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    for yields in 0..3 {
        let task = annulet::spawn((scene.operate)());
        for _ in 0..yields {
            annulet::yield_now().await;
        }
        task.abort();
        match task.await {
            Err(error) if error.is_cancelled() => {}
            Ok(answer) if !row.waits => answer.map_err(text)?,
            other => return Err(format!("{other:?}")),
        }
        settle(row.armed).await?;
    }
    again(row, scene).await
}

async fn timed_out(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    for us in [0, 100, 1000] {
        match timeout(Duration::from_micros(us), (scene.operate)()).await {
            Err(_elapsed) => {}
            Ok(answer) if !row.waits => answer.map_err(text)?,
            Ok(answer) => return Err(format!("{answer:?} before the deadline")),
        }
        settle(row.armed).await?;
    }
    again(row, scene).await
}

/// Awaited beside a sleep that ends first.
async fn lost(row: &Row) -> Result<(), String> {
    let scene = (row.scene)().map_err(text)?;
    let mut operation = (scene.operate)();
    let mut other = Box::pin(sleep(Duration::from_micros(300)));
    poll_fn(|cx| {
        let won = Pin::new(&mut operation).poll(cx).is_ready();
        if won || other.as_mut().poll(cx).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    drop(operation);
    again(row, scene).await
}
