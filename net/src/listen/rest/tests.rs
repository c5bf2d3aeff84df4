//! Errors that no test can have the kernel make at will.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use annulet_runtime::op::{AcceptFault, accept_fault};
use annulet_runtime::time::now;
use annulet_runtime::{Builder, Context};

use super::{FAILURES_MAX, REST_MAX, REST_MIN, Rest};

/// The first error of the system that is about this.
fn error_about(fault: AcceptFault) -> io::Error {
    let known = (1..20_000).map(io::Error::from_raw_os_error);
    let mut about = known.filter(|error| accept_fault(error) == fault);
    about.next().expect("there is one")
}

/// The rest that a judgement was followed by.
async fn rested(rest: &Rest) -> Duration {
    let driver = Context::current().driver().clone();
    let begun = now();
    poll_fn(|cx| rest.poll(&driver, cx)).await;
    now() - begun
}

fn in_virtual_time(test: impl AsyncFnOnce()) {
    let runtime = Builder::new().virtual_time().build().expect("a runtime");
    runtime.block_on(test());
}

#[test]
fn a_shortage_is_not_told_and_rests_grow_to_their_bound() {
    in_virtual_time(async || {
        let driver = Context::current().driver().clone();
        let rest = Rest::default();
        let mut expected = REST_MIN;
        for _ in 0..8 {
            let told = rest.judge(&driver, Err(error_about(AcceptFault::Shortage)));
            assert!(told.is_none(), "it passes by itself");
            let rested = rested(&rest).await;
            assert!(rested >= expected && rested < expected + REST_MIN);
            expected = (expected * 2).min(REST_MAX);
        }
    });
}

#[test]
fn a_connection_that_failed_costs_no_rest_but_an_endless_row_of_them_does() {
    in_virtual_time(async || {
        let driver = Context::current().driver().clone();
        let rest = Rest::default();
        for failures in 1..=FAILURES_MAX {
            let told = rest.judge(&driver, Err(error_about(AcceptFault::Connection)));
            assert!(told.is_none(), "the next may be well");
            let rested = rested(&rest).await;
            assert_eq!(rested.is_zero(), failures < FAILURES_MAX, "{failures}");
        }
    });
}

#[test]
fn an_error_of_the_listener_is_told_and_the_next_try_waits() {
    in_virtual_time(async || {
        let driver = Context::current().driver().clone();
        let rest = Rest::default();
        let told = rest.judge(&driver, Err(error_about(AcceptFault::Listener)));
        assert!(matches!(told, Some(Err(_))));
        assert!(rested(&rest).await >= REST_MIN);
        assert!(rested(&rest).await.is_zero(), "it rests once");
    });
}

#[test]
fn a_source_that_the_shard_closes_ends_the_rest() {
    in_virtual_time(async || {
        let driver = Context::current().driver().clone();
        let rest = Rest::default();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let shared = annulet_runtime::op::Shared::new(&driver, socket.expect("a socket"));
        rest.judge(&driver, Err(error_about(AcceptFault::Shortage)));
        poll_fn(|cx| {
            assert!(rest.poll(&driver, cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(shared);
        assert!(rested(&rest).await.is_zero());
    });
}
