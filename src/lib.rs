//! annulet: a thread-per-core async runtime, io_uring first.
//!
//! One **shard** is one thread with its own event loop, run queue, timers and I/O driver. On Linux
//! sockets *and* files go through io_uring; where it is missing or forbidden, the same programs run
//! on readiness through `polling`, with files on a small blocking pool. Tasks are not `Send` and never
//! change threads.
//!
//! ```no_run
//! use annulet::net::TcpListener;
//!
//! #[annulet::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         annulet::spawn(async move {
//!             while let Some(message) = stream.recv().await? {
//!                 stream.write_all(message).await?;
//!             }
//!             Ok::<(), std::io::Error>(())
//!         });
//!     }
//! }
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "fs")]
pub use annulet_fs as fs;
#[cfg(feature = "macros")]
pub use annulet_macros::{main, test};
#[cfg(feature = "net")]
pub use annulet_net as net;
pub use annulet_runtime::*;

/// Calls `body` with a runtime on each driver that this machine offers, and says which it leaves out
/// and why. `ANNULET_DRIVER` narrows the choice.
///
/// # Panics
///
/// If a driver that works cannot be opened, or none works; and with the panic of `body`.
pub fn for_each_driver(mut body: impl FnMut(&Runtime)) {
    let only = std::env::var("ANNULET_DRIVER")
        .ok()
        .and_then(|name| Choice::from_name(&name));
    let mut ran = 0;
    for (name, choice) in [("uring", Choice::Uring), ("poll", Choice::Poll)] {
        if only.is_some_and(|only| only != Choice::Auto && only != choice) {
            continue;
        }
        match Builder::new().driver(choice).build() {
            Ok(runtime) => {
                body(&runtime);
                ran += 1;
            }
            Err(error) => say(&format!("SKIP {name}: {error}")),
        }
    }
    assert!(ran > 0, "no driver works on this machine");
}

#[expect(clippy::print_stdout, reason = "a test says what it leaves out")]
fn say(line: &str) {
    println!("{line}");
}
