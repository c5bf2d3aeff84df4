//! A debugging session: a service that has gone quiet, and the task that is to blame.
//!
//! Teaches: tasks with names, and `annulet::tasks()` (asyncio's `all_tasks`), which says of each
//! task where it was spawned, how old it is, how often it ran, and what it waits for: the operation
//! with its descriptor, or the kind of thing, as a lock or a channel. It costs nothing until it is
//! asked. `Runtime::tasks` and `Handle` have it too, for a shard seen from outside.

use std::error::Error;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use annulet::net::{TcpListener, TcpStream};
use annulet::sync::{Mutex, oneshot};
use annulet::task::{TaskInfo, TaskState, Wait};
use annulet::time::{sleep, timeout};
use annulet::{spawn_named, tasks};

/// The task of this name, as the listing shows it.
fn find<'a>(listing: &'a [TaskInfo], name: &str) -> Option<&'a TaskInfo> {
    listing.iter().find(|task| task.meta.name() == Some(name))
}

#[annulet::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A service of four tasks. Two share a ledger, and one of these waits for an answer with the
    // ledger in its hands.
    let ledger = Rc::new(Mutex::new(Vec::new()));
    let (answer, question) = oneshot::channel::<&str>();

    let booked = Rc::clone(&ledger);
    let invoices = spawn_named("invoices", async move {
        let mut lines = booked.lock().await;
        let line = question.await?;
        lines.push(line);
        Ok::<_, oneshot::RecvError>(())
    });
    let booked = Rc::clone(&ledger);
    let reports = spawn_named("reports", async move {
        sleep(Duration::from_millis(1)).await;
        booked.lock().await.len()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let _customer = TcpStream::connect(listener.local_addr()?).await?;
    let (orders, _) = listener.accept().await?;
    let orders = spawn_named("orders", async move { orders.recv().await.map(drop) });
    let backup = spawn_named("backup", sleep(Duration::from_secs(3600)));

    // No report comes. What is everybody doing?
    let mut reports = reports;
    let late = timeout(Duration::from_millis(50), &mut reports).await;
    assert!(late.is_err(), "the report hangs");
    let listing = tasks();
    let mut out = io::stdout();
    for task in listing.iter().filter(|task| task.meta.name().is_some()) {
        writeln!(out, "{task}")?;
    }

    // `reports` waits for a lock. It is waiting and not busy: nothing holds up the shard.
    let stuck = find(&listing, "reports").ok_or("it is alive")?;
    assert_eq!(
        (stuck.state, stuck.waits),
        (TaskState::Idle, Some(Wait::Mutex))
    );
    // The ledger's other user waits for a message, which nobody sends: there it is.
    let culprit = find(&listing, "invoices").ok_or("it is alive")?;
    assert_eq!(culprit.waits, Some(Wait::ChannelReceive));
    assert!(culprit.meta.location().file().ends_with("stuck_task.rs"));
    // The others are well: one waits for its socket, one for its time.
    let reader = find(&listing, "orders").ok_or("it is alive")?;
    assert_eq!(reader.operations.len(), 1);
    assert_eq!(
        find(&listing, "backup").ok_or("it is alive")?.waits,
        Some(Wait::Timer)
    );

    // With the answer there, both go on. (The cure is to ask before taking the lock.)
    answer
        .send("one invoice")
        .map_err(|_unsent| "nobody asks")?;
    invoices.await??;
    let lines = reports.await?;
    writeln!(
        out,
        "\"invoices\" held the lock and waited; answered, the report has {lines} line"
    )?;
    assert_eq!(lines, 1);
    assert!(
        find(&tasks(), "invoices").is_none(),
        "who has ended is not listed"
    );
    orders.abort();
    backup.abort();
    Ok(())
}
