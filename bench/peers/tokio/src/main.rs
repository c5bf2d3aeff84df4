//! What tokio takes for the work of `annulet-bench`: a server, echo or HTTP/1.1 by hyper, or random
//! blocks of a file.
//!
//! This is how tokio serves best from a known number of CPUs: each thread has a runtime of its own
//! (`LocalRuntime`, so nothing is sent between threads or counted atomically) and a listener of its
//! own (SO_REUSEPORT). What is served is written as tokio's users write it: a task and a read
//! buffer per connection, `read` and `write_all`, or hyper over `TokioIo`.
//!
//! The process speaks the protocol of `annulet-bench`'s own children, one line of JSON at a time on
//! standard output. A server says first `Listening`, then an answer to each line on standard input:
//! to `snapshot` its CPU time and what it has served so far, to `weigh` its memory. It ends when its
//! input does. Work on a file measures itself and says `Measured` once.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod protocol;
#[cfg(target_os = "linux")]
mod recorder;
#[cfg(target_os = "linux")]
mod server;

/// Serves until standard input ends, or works on a file for as long as it is told to.
#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((work, arguments)) if work == "file" => {
            files::Task::parse(arguments).and_then(|task| files::run(&task))
        }
        _ => server::Task::parse(&arguments).and_then(|task| server::run(&task)),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            protocol::failed(&error);
            std::process::ExitCode::FAILURE
        }
    }
}

/// The measuring side runs on Linux only, and so does this.
#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("peer-tokio runs on Linux only");
    std::process::ExitCode::FAILURE
}
