//! The command `annulet-bench`: `compare`, `copy`, `list`, and the hidden ones it starts itself
//! with.
//!
//! Everything is in the library, so that tests and micro-benchmarks reach it too.

/// Runs the command line and turns an error into a message and an exit code.
#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    annulet_bench::cli::run()
}

/// The floors are io_uring loops, so there is nothing to compare with elsewhere.
#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("annulet-bench runs on Linux only");
    std::process::ExitCode::FAILURE
}
