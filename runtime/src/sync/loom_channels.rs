//! Models of the channels between threads: nothing is lost and nobody waits in vain, whoever gives
//! up and whenever.
//!
//! What is lost shows as a deadlock, for something waits for it, or as a wrong sum. Each model
//! fails if the step that it is about is left out:
//!
//! | model                                                      | fails with `ANNULET_WEAKEN` |
//! |------------------------------------------------------------|-----------------------------|
//! | `loom_two_senders_and_a_receiver_that_gives_up_once`       | `look_again`                |
//! | `loom_room_given_to_one_who_gives_up_goes_to_the_next`     | `hand_on`                   |
//! | `loom_a_value_is_received_or_comes_back`                   | `channel_send`              |
//! | `loom_a_receiver_sees_that_its_sender_is_gone`             | `look_again`                |

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::shared::{mpsc, oneshot};

/// Where a thread of a model sleeps: if nobody wakes it, loom reports a deadlock.
struct Bed(Notify);

impl Wake for Bed {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let bed = Arc::new(Bed(Notify::new()));
    let waker = Waker::from(Arc::clone(&bed));
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if let std::task::Poll::Ready(output) = polled {
            return output;
        }
        bed.0.wait();
    }
}

/// Polls once, and gives up.
fn try_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    let bed = Arc::new(Bed(Notify::new()));
    let waker = Waker::from(bed);
    match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn loom_two_senders_and_a_receiver_that_gives_up_once() {
    loom::model(|| {
        let (sender, mut receiver) = mpsc::bounded(1);
        let senders = [1, 2].map(|number| {
            let sender = sender.clone();
            thread::spawn(move || block_on(sender.send(number)).expect("open"))
        });
        drop(sender);
        let mut sum = try_once(receiver.recv()).flatten().unwrap_or(0);
        while let Some(number) = block_on(receiver.recv()) {
            sum += number;
        }
        assert_eq!(sum, 3);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn loom_room_given_to_one_who_gives_up_goes_to_the_next() {
    loom::model(|| {
        let (sender, mut receiver) = mpsc::bounded(1);
        sender.try_send(1).expect("room");
        let gives_up = {
            let sender = sender.clone();
            thread::spawn(move || drop(try_once(sender.reserve())))
        };
        let sends = thread::spawn(move || block_on(sender.send(2)).expect("open"));
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), Some(2));
        gives_up.join().unwrap();
        sends.join().unwrap();
        assert_eq!(block_on(receiver.recv()), None);
    });
}

#[test]
fn loom_a_value_is_received_or_comes_back() {
    loom::model(|| {
        let (sender, mut receiver) = oneshot::channel();
        let sends = thread::spawn(move || sender.send(1));
        let early = try_once(&mut receiver);
        let received = match early {
            Some(received) => received.is_ok(),
            None => {
                receiver.close();
                receiver.try_recv().is_ok()
            }
        };
        assert_eq!(sends.join().unwrap().is_ok(), received);
    });
}

#[test]
fn loom_a_receiver_sees_that_its_sender_is_gone() {
    loom::model(|| {
        let (sender, receiver) = oneshot::channel::<u8>();
        let gone = thread::spawn(move || drop(sender));
        assert!(block_on(receiver).is_err());
        gone.join().unwrap();
        let (mut sender, receiver) = oneshot::channel::<u8>();
        let gone = thread::spawn(move || drop(receiver));
        block_on(sender.closed());
        assert_eq!(sender.send(1), Err(1));
        gone.join().unwrap();
    });
}
