//! The lost update, the one race that a single thread has, and its two cures.
//!
//! Teaches: between two awaits a task is alone, and across an await it is not. A value that was
//! read before an await may be stale after it. Either read and write on the same side of the await,
//! which costs nothing; or, where the await must stand in between, hold a `sync::Mutex` across it.
//! Of the races of threads nothing else is left: `Cell` and `Rc` do, and the compiler keeps them
//! here.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;

use annulet::sync::Mutex;
use annulet::{join_all, spawn, yield_now};

const DEPOSITS: u32 = 100;

/// Stands for anything that waits: a query, a log line, an answer of another service.
async fn ask_the_bank() {
    yield_now().await;
}

/// The trap: read, await, write.
async fn deposit_and_lose(account: Rc<Cell<u32>>) {
    let balance = account.get();
    ask_the_bank().await;
    // By now every other task has read the same balance.
    account.set(balance + 1);
}

/// The first cure: nothing is read before the await that is used after it.
async fn deposit_after(account: Rc<Cell<u32>>) {
    ask_the_bank().await;
    account.set(account.get() + 1);
}

/// The second cure: the read and the write are one, for everybody who takes the lock.
async fn deposit_locked(account: Rc<Mutex<u32>>) {
    let mut balance = account.lock().await;
    let before = *balance;
    ask_the_bank().await;
    *balance = before + 1;
}

/// Has a hundred tasks do the same at once.
async fn a_hundred<F: Future<Output = ()> + 'static>(deposit: impl Fn() -> F) -> io::Result<()> {
    let tasks = (0..DEPOSITS).map(|_| spawn(deposit()));
    for ended in join_all(tasks).await {
        ended.map_err(io::Error::other)?;
    }
    Ok(())
}

#[annulet::main]
async fn main() -> io::Result<()> {
    let mut out = io::stdout();

    let account = Rc::new(Cell::new(0));
    a_hundred(|| deposit_and_lose(Rc::clone(&account))).await?;
    writeln!(
        out,
        "read, await, write:   {:3} of {DEPOSITS} deposits",
        account.get()
    )?;
    assert_eq!(account.get(), 1, "all read 0 and wrote 1");

    let account = Rc::new(Cell::new(0));
    a_hundred(|| deposit_after(Rc::clone(&account))).await?;
    writeln!(
        out,
        "await, read, write:   {:3} of {DEPOSITS} deposits",
        account.get()
    )?;
    assert_eq!(account.get(), DEPOSITS);

    let account = Rc::new(Mutex::new(0));
    a_hundred(|| deposit_locked(Rc::clone(&account))).await?;
    let balance = *account.lock().await;
    writeln!(
        out,
        "under a lock:         {balance:3} of {DEPOSITS} deposits"
    )?;
    assert_eq!(balance, DEPOSITS);

    // A `RefCell` cures nothing, but it is a witness: a change that is open across an await is
    // found at once, and not after the audit. (Clippy finds it before:
    // `await_holding_refcell_ref`.)
    let account = RefCell::new(0);
    let open = account.borrow_mut();
    assert!(account.try_borrow_mut().is_err());
    drop(open);
    Ok(())
}
