//! What the system knows of a thread: how long it has run, and how long it was kept from running.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod system;

pub(crate) use system::{ThreadId, voluntary_switches};

#[cfg(target_os = "linux")]
mod switches;

use std::time::Duration;

/// A reading of a thread's accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accounts {
    /// Time on a processor.
    pub(crate) ran: Duration,
    /// Time in which it could have run and no processor was free for it.
    pub(crate) kept_waiting: Duration,
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::ThreadId;

    #[test]
    fn a_thread_that_waits_is_told_from_one_that_could_run() {
        assert_eq!(ThreadId::current().is_runnable(), Some(true));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(ThreadId::current()).expect("the test listens");
            wait.recv().is_err()
        });
        let id = told.recv().expect("it has a number");
        while id.is_runnable() != Some(false) {}
        drop(go);
        assert!(thread.join().expect("it ends"));
        while id.is_runnable().is_some() {}
    }

    #[test]
    fn a_thread_that_computes_is_seen_to_run() {
        let thread = ThreadId::current();
        let before = thread.accounts().expect("Linux accounts for its threads");
        let mut sum = 0u64;
        while thread.accounts().expect("as before").ran <= before.ran {
            sum = (0..100_000).fold(sum, |sum, i| std::hint::black_box(sum ^ i));
        }
    }
}
