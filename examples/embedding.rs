//! A shard inside a thread that exists already.
//!
//! Teaches: `Builder` and `Runtime::block_on` without the attribute, state that stays on its thread
//! between calls, and a `Handle` by which other threads give the shard work.

use std::cell::RefCell;
use std::io;
use std::io::Write;
use std::rc::Rc;
use std::thread;

use annulet::Builder;

/// A program's own thread, which uses a shard to wait for many things at once.
fn worker() -> io::Result<Vec<u32>> {
    let runtime = Builder::new().build()?;
    let seen = Rc::new(RefCell::new(Vec::new()));

    // Tasks stay between calls of `block_on`, and need not be `Send`.
    let background = Rc::clone(&seen);
    let task = runtime.spawn(async move { background.borrow_mut().push(1) });
    runtime.block_on(task).map_err(io::Error::other)?;

    // Another thread gives the shard a call, which runs while the shard does.
    let handle = runtime.handle();
    let outside = thread::spawn(move || handle.spawn(|| async { 2 }));
    let remote = outside.join().expect("the other thread does not panic");
    let two = runtime.block_on(remote).map_err(io::Error::other)?;
    seen.borrow_mut().push(two);

    drop(runtime);
    Ok(seen.take())
}

fn main() -> io::Result<()> {
    let thread = thread::Builder::new().name("worker".to_owned());
    let seen = thread
        .spawn(worker)?
        .join()
        .expect("the worker does not panic")?;
    writeln!(io::stdout(), "the worker's shard has seen {seen:?}")
}
