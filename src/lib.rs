//! annulet: a thread-per-core async runtime, io_uring first.
//!
//! One **shard** is one thread with its own event loop, run queue, timers and I/O driver. On Linux
//! sockets *and* files go through io_uring; where it is missing or forbidden, the same programs run
//! on readiness through `polling`, with files on a small blocking pool. Tasks are not `Send` and
//! never change threads.
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
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `macros` | yes | `main`, `test`, `select!` |
//! | `net` | yes | `net`: sockets |
//! | `fs` | yes | `fs`: files |
//! | `generators` | no | `stream!` and `try_stream!` |
//! | `tokio-io` | no | tokio's `AsyncRead` and `AsyncWrite` on streams and pipes |
//! | `hyper` | no | hyper's traits on streams, its executor and timer, and an HTTP/1.1 server |
//! | `hickory` | no | `net::DnsResolver`: names by asking DNS servers from the shard itself |
//! | `backtrace` | no | where a stalled task stands, in the report of the stall |
//! | `tracing` | no | a span for each task |
//! | `top` | no | the command `annulet-top` |
#![forbid(unsafe_code)]

#[cfg(feature = "fs")]
pub use annulet_fs as fs;
#[cfg(feature = "macros")]
pub use annulet_macros::{main, test};
#[cfg(feature = "net")]
pub use annulet_net as net;
pub use annulet_runtime::*;

mod drivers;

#[doc(hidden)]
pub mod __entry;

pub use drivers::for_each_driver;

/// The examples of the page compile.
#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "net"))]
#[doc = include_str!("../docs/observing.md")]
struct Observing;

#[cfg(all(doctest, feature = "fs"))]
#[doc = include_str!("../docs/cancellation.md")]
struct Cancellation;

#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../docs/parity.md")]
struct Parity;
