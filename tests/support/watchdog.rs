//! Names what a test was doing when it got stuck, and ends it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long one step may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread that watches over the steps of a test, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog(Sender<Message>);

#[derive(Debug)]
enum Message {
    Step(String),
    Finding(String),
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        let (message, messages) = channel();
        std::thread::spawn(move || watch(&messages));
        Self(message)
    }

    fn send(&self, message: Message) {
        self.0
            .send(message)
            .expect("it watches for as long as it is told");
    }

    /// A new step begins.
    pub(crate) fn now(&self, step: &str) {
        self.send(Message::Step(step.to_owned()));
    }

    /// Something to be said of this step, now and not only when the test ends.
    pub(crate) fn say(&self, finding: &str) {
        self.send(Message::Finding(finding.to_owned()));
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a stuck test")]
fn watch(messages: &Receiver<Message>) {
    let mut step = "nothing yet".to_owned();
    loop {
        match messages.recv_timeout(PATIENCE) {
            Ok(Message::Step(next)) => step = next,
            Ok(Message::Finding(finding)) => eprintln!("{step}: {finding}"),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("stuck for {PATIENCE:?} in {step}");
                std::process::abort();
            }
        }
    }
}
